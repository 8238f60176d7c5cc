//! From finished runs to the summary that is written and shown.

use super::outcome::{ComparisonOutcome, StrategyRun, grouped};
use super::plan::ComparisonPlan;
use super::preparation::preparation;
use super::recipe_rows::recipe_rows;
use super::summary::{
    Agreement, BestEpoch, Class, CurvePoint, Data, Evaluation, ForecastFit, ForecastSummary,
    Headline, Point, Query, RunRecalls, RunSummary, SeedRun, Settings, StrategySummary, Strip,
    class_means,
};
use super::verdicts::verdicts;
use crate::data::Split;
use crate::error::{Error, Result};
use crate::experiment::evaluation::evaluation_over;
use crate::experiment::session::Session;
use crate::experiment::strategy::{QueryData, Strategy};
use crate::metrics::{ClassCounts, mean_recalls, pearson};
use crate::prune::error_ratio;

/// Examples shown of each class.
const STRIP: usize = 8;

/// What only the caller knows.
pub struct Surroundings {
    /// The data as the user named it.
    pub data_name: String,
    pub command: String,
    pub device: String,
    pub threads: usize,
    pub warnings: Vec<String>,
}

/// The summary of a finished run.
pub fn summarise(
    session: &Session,
    plan: &ComparisonPlan,
    outcome: &ComparisonOutcome,
    around: Surroundings,
) -> Result<RunSummary> {
    let (sizes, partition) = (session.sizes(), &session.partition);
    let strategies = strategies(session, &sizes, plan, outcome)?;
    let mut warnings = around.warnings.clone();
    for run in &outcome.runs {
        for warning in &run.subset.warnings {
            let text = format!(
                "{} at density {}: {}",
                run.strategy.label(),
                run.density,
                warning.describe_over(partition.unit(), &partition.names)
            );
            if !warnings.contains(&text) {
                warnings.push(text);
            }
        }
    }
    Ok(RunSummary {
        format_version: RunSummary::FORMAT_VERSION,
        settings: settings(session, plan, around),
        classes: partition
            .names
            .iter()
            .zip(&sizes)
            .map(|(name, &train_size)| Class { name: name.clone(), train_size })
            .collect(),
        query: query(&outcome.queries, plan, &session.split, &sizes),
        verdicts: verdicts(outcome, plan, partition)?,
        strategies,
        phases: outcome.phases.clone(),
        warnings,
        strips: strips(session, outcome),
    })
}

fn settings(session: &Session, plan: &ComparisonPlan, around: Surroundings) -> Settings {
    let (data, split, spec) = (&session.data, &session.split, &session.spec);
    let recipe = &plan.recipe;
    Settings {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("FAIRPRUNE_COMMIT").to_owned(),
        command: around.command,
        data: Data {
            name: around.data_name,
            fingerprint: data.fingerprint.clone(),
            train: split.train.len(),
            validation: split.val.len(),
            test: split.test.len(),
            image: [data.height, data.width, 3],
        },
        arch: spec.arch.to_string(),
        width: Some(spec.width),
        parameters: session.network.parameter_count() as u64,
        densities: plan.densities(),
        budget: plan.budget.to_string(),
        split: split.kind.to_string(),
        groups: session.partition.attribute.clone(),
        epochs: recipe.epochs as f64,
        steps: recipe.steps(crate::train::StepBudget::Fixed, split.train.len(), split.train.len()),
        batch: recipe.batch,
        learning_rate: recipe.lr,
        seeds: (0..plan.seeds() as u64).collect(),
        device: around.device,
        threads: around.threads,
        precision: session.precision.to_string(),
        recipe: recipe_rows(session, plan),
    }
}

/// Over the queries of all repetitions.
fn query(
    asked: &[QueryData],
    plan: &ComparisonPlan,
    split: &Split,
    sizes: &[usize],
) -> Option<Query> {
    let first = asked.first()?;
    let mut recalls = first.recalls_of(None).clone();
    let others = asked[1..].iter().map(|q| q.recalls_of(None));
    others.for_each(|other| recalls.runs.extend(other.runs.iter().cloned()));
    if recalls.runs.is_empty() {
        return None;
    }
    let mean = match asked.len() {
        1 => recalls.mean(),
        _ => {
            let means: Vec<_> = asked.iter().map(|q| q.recalls_of(None).mean()).collect();
            mean_recalls(&means).unwrap_or_default()
        }
    };
    let queries = plan.queries();
    let first_seed = match first.recalls.runs.is_empty() {
        false => queries.first()?.short.first_seed,
        true => queries.first()?.first_dynamics_seed(split),
    };
    let seed_of = |run: usize| first_seed + run as u64;
    Some(Query {
        runs: recalls
            .runs
            .iter()
            .enumerate()
            .map(|(i, recalls)| RunRecalls { seed: seed_of(i), recalls: recalls.clone() })
            .collect(),
        sd: recalls.sd(),
        validation_counts: recalls
            .validation_sizes
            .as_ref()
            .map(|v| v.iter().map(|&n| n as usize).collect())
            .unwrap_or_default(),
        error_ratio: error_ratio(sizes, &mean).filter(|r| r.is_finite()),
        mean,
    })
}

fn strategies(
    session: &Session,
    sizes: &[usize],
    plan: &ComparisonPlan,
    outcome: &ComparisonOutcome,
) -> Result<Vec<StrategySummary>> {
    let partition = &session.partition;
    let planned = |strategy: Strategy, density: f64| match strategy {
        Strategy::Full => plan.full_seeds(),
        _ => {
            let densities = plan.densities_of(strategy).into_iter();
            let at = |d: f64| d == density || strategy.stands_beside_all();
            densities.filter(|d| at(d.0)).map(|d| d.1).sum()
        }
    };
    let full_recalls = |seed: usize| -> Option<Vec<Option<f64>>> {
        let run = outcome.runs.iter().find(|r| r.strategy == Strategy::Full && r.seed == seed)?;
        Some(crate::metrics::recalls(&run.finished.result.last.as_ref()?.counts()))
    };
    let mut list: Vec<StrategySummary> = Vec::new();
    let mut worst_on_full = None;
    for runs in grouped(&outcome.runs).values() {
        let strategy = runs[0].strategy;
        let measure = |counts: &[ClassCounts]| evaluation_over(partition, counts, sizes);
        let one = |run: &&StrategyRun| -> Result<SeedRun> {
            let preparation = Some(preparation(plan, session, outcome, run));
            Ok(SeedRun { preparation, ..seed_run(run, &full_recalls(run.seed), &measure)? })
        };
        let seed_runs: Vec<SeedRun> = runs.iter().map(one).collect::<Result<_>>()?;
        if strategy == Strategy::Full {
            worst_on_full =
                Headline::of(&seed_runs, None).and_then(|h| h.worst_of_means).map(|w| w.class);
        }
        let point = Point {
            density: runs[0].density,
            planned: planned(strategy, runs[0].density),
            headline: Headline::of(&seed_runs, worst_on_full.filter(|&k| k < partition.len())),
            forecast_fit: None,
            runs: seed_runs,
        };
        match list.last_mut().filter(|s| s.name == strategy.to_string()) {
            Some(entry) => entry.points.push(point),
            None => list.push(StrategySummary {
                name: strategy.to_string(),
                label: strategy.label(),
                quota: strategy.quota().to_string(),
                full_data: strategy == Strategy::Full,
                every_density: strategy.stands_beside_all(),
                points: vec![point],
            }),
        }
    }
    forecast_fits(&mut list);
    Ok(list)
}

/// Fills in how near the predictions came, compared with random subsets where there are some.
fn forecast_fits(list: &mut [StrategySummary]) {
    let random = list.iter().find(|s| s.name == Strategy::RANDOM.to_string()).cloned();
    for point in list.iter_mut().flat_map(|s| &mut s.points) {
        let beside =
            random.as_ref().and_then(|r| r.points.iter().find(|p| p.density == point.density));
        point.forecast_fit = forecast_fit(&point.runs, beside.map_or(&[], |p| &p.runs));
    }
}

fn forecast_fit(runs: &[SeedRun], random: &[SeedRun]) -> Option<ForecastFit> {
    let forecasts: Vec<&ForecastSummary> =
        runs.iter().map(|r| r.forecast.as_ref()).collect::<Option<_>>()?;
    let recalls = |runs: &[SeedRun]| class_means(runs.iter().map(|r| r.last.recalls.as_slice()));
    let predicted = class_means(forecasts.iter().map(|f| f.quotas.as_slice()));
    let equal = class_means(forecasts.iter().map(|f| f.equal.as_slice()));
    let measured = recalls(runs);
    let less = |a: &[Option<f64>], b: &[Option<f64>]| -> Vec<Option<f64>> {
        a.iter().zip(b).map(|(a, b)| Some((*a)? - (*b)?)).collect()
    };
    Some(ForecastFit {
        recalls: Agreement::of(&predicted, &measured)?,
        changes: Agreement::of(&less(&predicted, &equal), &less(&measured, &recalls(random))),
    })
}

fn seed_run(
    run: &StrategyRun,
    full_recalls: &Option<Vec<Option<f64>>>,
    measure: &dyn Fn(&[ClassCounts]) -> Result<Evaluation>,
) -> Result<SeedRun> {
    let result = &run.finished.result;
    let last = result.last.as_ref().ok_or_else(|| {
        Error::invalid(
            "data set",
            "no test part",
            "images to report on: a test folder, or `split` holdout with one",
        )
    })?;
    let densities = run.subset.quota_densities.as_ref().unwrap_or(&run.subset.densities);
    let correlation = match full_recalls {
        Some(recalls) => pearson(densities, recalls)?,
        None => None,
    };
    let best = match &result.best {
        Some(best) => Some(BestEpoch {
            epoch: u64::from(best.epoch) + 1,
            evaluation: measure(&best.counts())?,
        }),
        None => None,
    };
    Ok(SeedRun {
        seed: run.seed as u64,
        steps: result.steps,
        kept: run.subset.total(),
        class_counts: run.subset.counts.clone(),
        class_densities: run.subset.densities.clone(),
        density_recall_correlation: correlation,
        last: measure(&last.counts())?,
        best,
        train_seconds: result.train_seconds,
        presentations: result.presentations,
        forecast: ForecastSummary::of(&run.subset),
        confusion: result.confusion.clone(),
        curve: CurvePoint::of(&result.history),
        preparation: None,
    })
}

/// Kept and dropped examples of the first repetition at the lowest density, for every strategy.
fn strips(session: &Session, outcome: &ComparisonOutcome) -> Vec<Strip> {
    let labels = session.train_labels();
    let classes = session.partition.len();
    let pruned = |r: &&StrategyRun| matches!(r.strategy, Strategy::Pruned { .. });
    let pruned = outcome.runs.iter().filter(pruned);
    let lowest = pruned.clone().map(|r| r.density).fold(f64::INFINITY, f64::min);
    let mut strips = Vec::new();
    for run in pruned {
        if run.seed != 0 || run.density > lowest {
            continue;
        }
        let (mut kept, mut dropped) = (vec![Vec::new(); classes], vec![Vec::new(); classes]);
        for &i in &session.split.train {
            let side =
                if run.subset.kept.binary_search(&i).is_ok() { &mut kept } else { &mut dropped };
            let list = &mut side[labels[i] as usize];
            if list.len() < STRIP {
                list.push(i);
            }
        }
        for (class, (kept, dropped)) in kept.into_iter().zip(dropped).enumerate() {
            let (strategy, density) = (run.strategy.to_string(), run.density);
            strips.push(Strip { strategy, density, seed: 0, class, kept, dropped });
        }
    }
    strips
}
