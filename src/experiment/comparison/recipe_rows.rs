//! What a report shows of a comparison beside its main settings, in the order of its rows.

use serde_json::{Map, Value};

use super::plan::ComparisonPlan;
use crate::experiment::session::Session;
use crate::score::{Method, ScoreSource};

/// Rows of name and value.
type Rows = Vec<(String, Value)>;

/// Recipe, queries, scores, pickers and quotas, as a reader of the report needs them to repeat the
/// comparison.
pub(super) fn recipe_rows(session: &Session, plan: &ComparisonPlan) -> Map<String, Value> {
    let mut rows = training(session, plan);
    rows.push(query(plan));
    plan.methods().into_iter().for_each(|method| rows.extend(score(method, plan)));
    rows.extend(pickers(plan));
    rows.extend(choices(plan));
    rows.into_iter().collect()
}

fn training(session: &Session, plan: &ComparisonPlan) -> Rows {
    let (data, spec, recipe) = (&session.data, &session.spec, &plan.recipe);
    let mut rows = Rows::new();
    let mut put = |name: &str, value: Value| rows.push((name.to_owned(), value));
    if let Some(tail) = &data.long_tail {
        let (factor, seed, images) = (tail.factor, tail.seed, data.train.len());
        put("long tail", format!("factor {factor}, data seed {seed}, of {images} images").into());
    }
    put("stem", spec.stem.to_string().into());
    put("schedule", recipe.schedule.to_string().into());
    put("momentum", decimal(recipe.momentum).into());
    put("nesterov", recipe.nesterov.into());
    put("weight decay", decimal(recipe.weight_decay).into());
    put("label smoothing", decimal(recipe.label_smoothing).into());
    put("flip", recipe.flip.into());
    put("translate", recipe.translate.into());
    if spec.size != [data.height, data.width] {
        put("input size", spec.size.to_vec().into());
    }
    if recipe.resized_crop {
        put("resized crop", true.into());
    }
    put("mean", session.mean.map(decimal).to_vec().into());
    put("std", session.std.map(decimal).to_vec().into());
    rows
}

fn query(plan: &ComparisonPlan) -> (String, Value) {
    let text = match &plan.query {
        None => "the full-data runs".to_owned(),
        Some(query) => {
            let each = if query.per_seed { ", for each seed" } else { "" };
            let (runs, epochs) = (query.runs, query.recipe.epochs);
            let scored = if query.out_of_fold { ", each sample scored out of fold" } else { "" };
            format!("{runs} runs of {epochs} epochs without augmentation{each}{scored}")
        }
    };
    ("query".to_owned(), text.into())
}

/// The run that a score of training dynamics needs, and the score's own parameters.
fn score(method: Method, plan: &ComparisonPlan) -> Rows {
    let mut rows = Rows::new();
    if method.source(&plan.options) == ScoreSource::Dynamics {
        let text = format!("one run of {} epochs without augmentation", plan.recipe.epochs);
        rows.push(("dynamics".to_owned(), text.into()));
    }
    let numbers = method.parameters(&plan.options).into_iter();
    let numbers: Vec<String> =
        numbers.map(|(k, v)| format!("{k} {}", v.to_string().trim_matches('"'))).collect();
    if !numbers.is_empty() {
        rows.push((method.name().to_owned(), numbers.join(", ").into()));
    }
    rows
}

fn pickers(plan: &ComparisonPlan) -> Rows {
    let strategies = plan.strategies();
    let pickers = strategies.iter().flat_map(|s| s.pickers());
    let described = pickers.map(|picker| {
        let facts = picker.describe(&plan.choice.pickers).into_iter().map(|(k, v)| {
            let value = v.as_str().unwrap_or_default();
            if k == "variant" { value.to_owned() } else { format!("{k} {value}") }
        });
        let facts: Vec<String> = facts.collect();
        (picker.name().to_owned(), facts.join(", ").into())
    });
    described.collect()
}

/// What changes the choice of samples, where it is not the default.
fn choices(plan: &ComparisonPlan) -> Rows {
    let mut rows = Rows::new();
    let mut put = |name: &str, value: Value| rows.push((name.to_owned(), value));
    let weighted = plan.strategies().into_iter().filter(|s| s.trains_with_weights(&plan.choice));
    let weighted: Vec<String> = weighted.map(|s| s.to_string()).collect();
    if !weighted.is_empty() {
        put("trained with weights", weighted.join(", ").into());
    }
    if plan.features.is_some() {
        put("features", "the user's".into());
    }
    if plan.choice.quotas.laplace {
        put("smooth", "laplace".into());
    }
    if let Some(least) = plan.choice.quotas.min_per_class {
        put("min per class", least.into());
    }
    if plan.strategies().iter().any(|s| s.difficulty(&plan.choice.pickers).is_some()) {
        put("winsor", plan.choice.quotas.winsor().into());
    }
    rows
}

/// The decimal that a person wrote, not the binary neighbour of an f32.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}
