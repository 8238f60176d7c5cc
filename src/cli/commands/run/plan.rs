//! From arguments to the plan of a run.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use fairprune::artefact::digest;
use fairprune::data::{DataSet, Partition, Split};
use fairprune::error::Error;
use fairprune::experiment::picker::Picker;
use fairprune::experiment::run_plan::{Block, QueryPlan, RunPlan};
use fairprune::experiment::strategy::{Choice, QuotaSettings, Strategy};
use fairprune::prune;
use fairprune::score::Method;
use serde_json::{Value, json};

use super::RunArgs;
use crate::cli::commands::pickers::OwnFeatures;
use crate::cli::context;

/// The plan that the arguments ask for.
pub(super) fn plan(
    args: &RunArgs,
    data: &DataSet,
    split: &Split,
    partition: &Partition,
) -> Result<RunPlan> {
    let strategies = args
        .strategies
        .iter()
        .map(|s| s.trim().parse())
        .collect::<Result<Vec<Strategy>, Error>>()?;
    if let Some(twice) = strategies.iter().enumerate().find(|(i, s)| strategies[..*i].contains(s)) {
        return Err(
            Error::invalid("--strategies", format!("{} twice", twice.1), "each once").into()
        );
    }
    if let Some(strategy) = strategies.iter().find(|s| s.uses_given()) {
        let expected = "strategies that this command can compute; `fairprune prune --scores FILE` takes \
                        scores of other programs";
        return Err(Error::invalid("--strategies", strategy.to_string(), expected).into());
    }
    let pickers: Vec<Picker> = strategies.iter().flat_map(|s| s.pickers()).collect();
    let pickers_options = args.pickers.options(&args.common, &pickers)?;
    let methods: BTreeSet<Method> =
        strategies.iter().flat_map(|s| s.methods(&pickers_options)).collect();
    let methods: Vec<Method> = methods.into_iter().collect();
    let options = args.variants.options(&args.common, &methods)?;
    let mut densities = match &args.prune_rate {
        Some(rates) => rates
            .iter()
            .map(|&r| prune::density_of_prune_rate(r))
            .collect::<Result<Vec<f64>, Error>>()?,
        None => args.density.clone(),
    };
    densities.sort_by(f64::total_cmp);
    densities.dedup();
    for &d in &densities {
        if !(d > 0.0 && d <= 1.0) {
            return Err(Error::invalid("--density", d.to_string(), "above 0 and at most 1").into());
        }
        enough_samples(d, args.min_per_class, data, split, partition)?;
    }
    context::runs("--seeds", args.seeds)?;
    args.query_runs.map_or(Ok(0), |runs| context::runs("--query-runs", runs))?;
    let side = args.data.input_size.unwrap_or(data.height.min(data.width));
    let recipe = context::recipe(&args.recipe, split.train.len(), side, data.classes.len())?;
    let laplace = match args.smooth.as_deref() {
        None | Some("none") => false,
        Some("laplace") => true,
        Some(name) => return Err(Error::invalid("--smooth", name, "laplace or none").into()),
    };
    let crossfit = split.query_runs();
    let query = match (args.query_runs, crossfit) {
        (Some(r), Some(folds)) if r != folds => {
            let found = format!("{r} runs for {folds} folds");
            return Err(Error::invalid("--query-runs", found, "one run a fold").into());
        }
        (Some(runs), _) | (None, Some(runs)) => {
            let tenth = recipe.epochs.div_ceil(10).max(10).min(recipe.epochs);
            let epochs = args.query_epochs.unwrap_or(tenth);
            let recipe = fairprune::train::Recipe { epochs, ..recipe.without_augmentation() };
            recipe.check(data.classes.len())?;
            Some(QueryPlan { runs, recipe, per_seed: args.query_per_seed })
        }
        (None, None) => None,
    };
    if args.query_per_seed && query.is_none() {
        let expected = "--query-runs R with it";
        return Err(Error::invalid("--query-per-seed", "no separate query runs", expected).into());
    }
    let own = match &args.features.features {
        None => None,
        Some(path) => {
            OwnFeatures::check(&pickers, &pickers_options)?;
            Some(OwnFeatures::read(path, data)?)
        }
    };
    if args.query_epochs.is_some() && query.is_none() {
        return Err(Error::invalid(
            "--query-epochs",
            "no separate query runs",
            "--query-runs R with it",
        )
        .into());
    }
    Ok(RunPlan {
        blocks: vec![Block { strategies, densities, seeds: args.seeds }],
        seed: args.common.seed,
        recipe,
        budget: args.budget.parse()?,
        query,
        options,
        choice: Choice {
            quotas: QuotaSettings { laplace, min_per_class: args.min_per_class },
            pickers: pickers_options,
            weights: args.weights.pick_weights.parse()?,
        },
        features: own.map(|own| own.features),
        checkpoint_interval: Duration::from_secs(args.recipe.checkpoint_every),
        keep_going: false,
    })
}

/// Refuses a density that leaves nothing to train on, or less than the classes' minimum: now, not
/// when the full-data runs are done.
fn enough_samples(
    density: f64,
    min_per_class: Option<usize>,
    data: &DataSet,
    split: &Split,
    partition: &Partition,
) -> Result<()> {
    let all = split.train.len();
    let kept = prune::Budget::new(density, all)?.count;
    if kept < 2 {
        let found = format!("{density}, {kept} of {all} training images");
        return Err(Error::invalid("--density", found, "at least 2 to train on").into());
    }
    let mut sizes = vec![0; partition.len()];
    let labels = partition.labels(data, &data.train);
    split.train.iter().for_each(|&i| sizes[labels[i] as usize] += 1);
    let rule = prune::QuotaRule::Uniform;
    let options = prune::QuotaOptions { rule, min_per_class, ..Default::default() };
    let quotas = prune::quotas(&sizes, density, &options, 0);
    quotas.map_err(|e| prune::over(partition.unit(), &partition.names, e))?;
    Ok(())
}

/// What the plan adds to the description of the job.
pub(super) fn job_of(plan: &RunPlan) -> serde_json::Map<String, Value> {
    let names: Vec<String> = plan.strategies().iter().map(Strategy::to_string).collect();
    let query = plan
        .query
        .as_ref()
        .map(|q| json!({ "runs": q.runs, "recipe": q.recipe, "per_seed": q.per_seed }));
    let pickers: BTreeSet<Picker> = plan.strategies().iter().flat_map(|s| s.pickers()).collect();
    let of = |p: &Picker| (p.name().to_owned(), Value::Object(p.describe(&plan.choice.pickers)));
    let pickers: serde_json::Map<String, Value> = pickers.iter().map(of).collect();
    let features = plan.features.as_ref().map(|f| digest(bytemuck::cast_slice(&f.values)));
    let Value::Object(mut map) = json!({
        "strategies": names,
        "densities": plan.densities(),
        "seed": plan.seed,
        "seeds": plan.seeds(),
        "recipe": plan.recipe,
        "budget": plan.budget,
        "query": query,
        "options": plan.options,
        "pickers": pickers,
        "features": features,
        "smooth": plan.choice.quotas.laplace,
        "min_per_class": plan.choice.quotas.min_per_class,
    }) else {
        return serde_json::Map::new();
    };
    // Without weights a job is what it was before there were any.
    if plan.strategies().iter().any(|s| s.trains_with_weights(&plan.choice)) {
        map.insert("pick_weights".to_owned(), json!(plan.choice.weights.to_string()));
    }
    map
}
