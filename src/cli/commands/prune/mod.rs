//! `fairprune prune`: which samples to keep.

mod folder;
mod given;
mod material;
mod page;
mod query;
mod recalls;
mod source;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::provenance::Method as MethodRecord;
use fairprune::error::Error;
use fairprune::experiment::picker::{Material, Picker};
use fairprune::experiment::query::QueryData;
use fairprune::experiment::strategy::{Choice, Quota, Ranking, Strategy};
use fairprune::prune::{Direction, Population, Subset, Warning, over};
use fairprune::score::{Kind, Method};
use fairprune::train::Seeds;
use serde_json::{Map, Value, json};

use self::recalls::Recalls;
pub use self::recalls::validation_sizes_beside;
use self::source::{Source, SourceArgs};
use super::quota::{DensityArgs, QuotaArgs};
use crate::cli::args::{Common, NetworkArgs, OutArgs, RecipeArgs};
use crate::cli::commands::pickers::{FeatureArgs, OwnFeatures, PickerArgs};
use crate::cli::commands::score::variants::VariantArgs;
use crate::cli::commands::score::{GROUP_RECALLS, QueryArgs, RECALLS};
use crate::cli::{context, output};

#[derive(Args, Debug)]
pub struct PruneArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub density: DensityArgs,
    /// Which samples are kept first: random, a score (`fairprune score --help` lists them), given (the
    /// scores of --scores FILE), or a selection method: coreset, herding, moderate, ccs, d2, craig,
    /// grad-match, glister, graph-cut, facility-location, contextual-diversity. Without --scores, query
    /// runs on --data compute what it needs in OUT/scores [default: random; given with --scores FILE]
    #[arg(long, value_name = "NAME", help_heading = "Selection")]
    pub strategy: Option<String>,
    /// How many of each class: none, metriq, metriq-released, uniform, balanced or from:STRATEGY
    #[arg(long, default_value = "metriq", value_name = "NAME", help_heading = "Selection")]
    pub quota: String,
    #[command(flatten)]
    pub options: QuotaArgs,
    /// Class recalls, for metriq [default: those beside the scores]
    #[arg(long, value_name = "recalls.csv", help_heading = "Selection")]
    pub recalls: Option<PathBuf>,
    #[command(flatten)]
    pub features: FeatureArgs,
    #[command(flatten)]
    pub pickers: PickerArgs,
    #[command(flatten)]
    pub queries: QueryArgs,
    #[command(flatten)]
    pub variants: VariantArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    #[command(flatten)]
    pub out: OutArgs,
    #[command(flatten)]
    pub common: Common,
}

/// What was asked for.
pub struct Plan {
    pub strategy: Strategy,
    pub ranking: Ranking,
    pub density: f64,
    pub choice: Choice,
}

impl Plan {
    /// Scores that the selection looks at.
    fn methods(&self) -> BTreeSet<Method> {
        self.strategy.methods(&self.choice.pickers)
    }

    /// Whether it looks at features, or predictions, of a network.
    fn looks_at_network(&self, own_features: bool) -> bool {
        let options = &self.choice.pickers;
        self.strategy
            .pickers()
            .any(|p| p.needs_probabilities(options) || (!own_features && p.needs_features(options)))
    }
}

/// What came of it.
pub struct Pruned {
    pub source: Source,
    pub names: Vec<String>,
    pub recalls: Option<Recalls>,
    pub subset: Subset,
    /// The score that the page shows: the strategy's, or the one that its method starts from.
    pub shown: Option<Shown>,
    /// How the scores in use were made.
    pub records: Vec<MethodRecord>,
    pub warnings: Vec<String>,
}

/// A score of every sample that the page shows.
pub struct Shown {
    pub label: String,
    pub values: Vec<f64>,
    pub direction: Direction,
}

impl Shown {
    fn of(method: Method, query: &mut QueryData) -> Option<Self> {
        let values = query.scores.remove(&method)?;
        Some(Shown { label: method.label().to_owned(), values, direction: method.direction() })
    }
}

impl Pruned {
    /// Scores by which samples are ranked, one a sample, if any.
    fn scores(&self, plan: &Plan) -> Option<&[f64]> {
        let ranks = matches!(plan.ranking, Ranking::Score(_) | Ranking::Given);
        self.shown.as_ref().filter(|_| ranks).map(|s| s.values.as_slice())
    }
}

/// Prunes and writes `kept.npy`, `mask.npy`, `kept.csv`, `classes.csv`, `kept.json`, `report.html`,
/// and of methods that pick `picks.csv` and `weights.npy`.
pub fn prune(args: &PruneArgs) -> Result<u8> {
    let common = &args.common;
    let plan = plan(args)?;
    let trains = args.source.scores.is_none() && args.source.data.is_some();
    let network = plan.looks_at_network(args.features.features.is_some());
    let (dir, pruned) = if trains && (network || !plan.methods().is_empty()) {
        query::score_and_select(args, &plan)?
    } else {
        let source = Source::read(common, &args.source)?;
        let recalls = find_recalls(args, &plan, &source)?;
        let material = material::find(args, &plan, &source)?;
        let mut job = source_job(&source, recalls.as_ref());
        job.extend(plan_job(&plan, common.seed));
        job.insert("features".to_owned(), json!(material.digest));
        material.announce(common, &plan, &source)?;
        let pruned = select(&plan, source, recalls, material.material, common.seed)?;
        (context::output_dir(&args.out, "prune", job)?, pruned)
    };
    write::files(args, &plan, &pruned, &dir)?;
    for warning in &pruned.warnings {
        output::note(common, format!("warning: {warning}"));
    }
    write::report(args, &plan, &pruned, &dir)
}

fn plan(args: &PruneArgs) -> Result<Plan> {
    let file = args.source.file();
    if let (None, Some(flag)) = (file, args.source.given.first()) {
        let expected = "a file of scores with it, --scores FILE";
        return Err(Error::invalid(flag, "no file of scores", expected).into());
    }
    let default = if file.is_some() { "given" } else { "random" };
    let name = args.strategy.as_deref().unwrap_or(default);
    let ranking: Ranking = name.parse().map_err(|e| named("--strategy", name, e))?;
    let quota: Quota = args.quota.parse().map_err(|e| named("--quota", &args.quota, e))?;
    let strategy = Strategy::Pruned { ranking, quota };
    let chosen: Vec<Picker> = strategy.pickers().collect();
    let pickers = args.pickers.options(&args.common, &chosen)?;
    if let (Some(path), Some(method)) = (file, strategy.methods(&pickers).first()) {
        let what = format!("--strategy or --quota that use {method}");
        let found = format!("the file {}, one score", path.display());
        return Err(Error::invalid(what, found, "given, the name of that score here").into());
    }
    if file.is_some() && !strategy.uses_given() {
        let text = "note: the scores of the file are not used: neither --strategy given nor --quota \
                    from:given asks for them";
        output::note(&args.common, text);
    }
    let density = args.density.positive()?;
    let quotas = args.options.settings()?;
    if args.features.features.is_some() {
        OwnFeatures::check(&chosen, &pickers)?;
        let options = args.variants.options(&args.common, &[])?;
        let features = |m: &Method| m.kind(&options) == Kind::Features;
        let used = chosen.iter().any(|p| p.needs_features(&pickers))
            || strategy.methods(&pickers).iter().any(features);
        if !used {
            let found = format!("--strategy {name}");
            let expected = "a strategy that looks at features, such as coreset or ssp";
            return Err(Error::invalid("--features", found, expected).into());
        }
    }
    let (common, name) = (&args.common, &args.quota);
    if quotas.laplace && !strategy.needs_recalls() {
        output::note(common, format!("note: --smooth does nothing to --quota {name}"));
    }
    if quotas.min_per_class.is_some() && quota == Quota::None {
        output::note(common, format!("note: --min-per-class does nothing to --quota {name}"));
    }
    Ok(Plan { strategy, ranking, density, choice: Choice { quotas, pickers, ..Choice::default() } })
}

/// The library's message under the name of the flag.
pub fn named(flag: &str, found: &str, error: Error) -> Error {
    match error {
        Error::Invalid { expected, .. } => Error::invalid(flag, found, expected),
        other => other,
    }
}

/// The recalls that the quotas use, if they use any.
fn find_recalls(args: &PruneArgs, plan: &Plan, source: &Source) -> Result<Option<Recalls>> {
    let recalls = Recalls::find(
        args.recalls.as_ref(),
        source,
        plan.strategy.recalls_of(&plan.choice.pickers),
    )?;
    match recalls {
        None if plan.strategy.needs_recalls() => Err(no_recalls(args, source).into()),
        recalls => Ok(recalls),
    }
}

fn no_recalls(args: &PruneArgs, source: &Source) -> Error {
    let name = if source.partition.attribute.is_some() { GROUP_RECALLS } else { RECALLS };
    let found = match &args.source.scores {
        Some(folder) if folder.is_dir() => format!("no {name} in {}", folder.display()),
        _ => "no recalls".to_owned(),
    };
    let data = args.source.data.as_deref().unwrap_or("DATA");
    let expected = format!(
        "--recalls {name}, which `fairprune train --data {data}` and `fairprune score --data \
         {data}` write; or --quota none, uniform or balanced"
    );
    Error::invalid(format!("--quota {}", args.quota), found, expected)
}

fn select(
    plan: &Plan,
    source: Source,
    recalls: Option<Recalls>,
    material: Material,
    seed: u64,
) -> Result<Pruned> {
    let recalls_given = query::recalls_of(recalls.as_ref());
    let mut query = QueryData { recalls: recalls_given, material, ..QueryData::default() };
    let mut columns = BTreeMap::new();
    let mut records = Vec::new();
    for method in plan.methods() {
        let Some(scores) = &source.scores else {
            let what = format!("--strategy and --quota that use {method}");
            let expected = "--scores DIR, a folder that `fairprune score` wrote";
            return Err(Error::invalid(what, "no scores", expected).into());
        };
        let (values, record) = scores.method(method)?;
        columns.insert(method, values);
        records.push(record.clone());
    }
    query.scores = columns;
    if let Some(given) = &source.given {
        query.given = Some((given.values.clone(), given.direction));
        if plan.strategy.uses_given() {
            records.push(given.record.clone());
        }
    }
    let partition = &source.partition;
    let population =
        Population { labels: &source.groups, eligible: &source.eligible, classes: partition.len() };
    // The draw of the first repetition of `run` under the same seed.
    let draw = Seeds::derive(seed, 0).subset;
    let names = match &recalls {
        Some(recalls) if !source.named => recalls.names.clone(),
        _ => partition.names.clone(),
    };
    let subset = plan.strategy.subset(population, plan.density, draw, &query, &plan.choice);
    let subset = subset.map_err(|e| over(partition.unit(), &names, e))?;
    let describe = |w: &Warning| w.describe_over(partition.unit(), &names);
    let mut warnings: Vec<String> = subset.warnings.iter().map(describe).collect();
    if plan.strategy.needs_recalls() {
        warnings.extend(recalls.iter().flat_map(|r| r.warnings.clone()));
    }
    let shown = match plan.ranking {
        Ranking::Score(method) => Shown::of(method, &mut query),
        Ranking::Picks(picker) => {
            picker.base(&plan.choice.pickers).and_then(|method| Shown::of(method, &mut query))
        }
        Ranking::Given => query.given.take().map(|(values, direction)| Shown {
            label: "Given score".to_owned(),
            values,
            direction,
        }),
        Ranking::Random => None,
    };
    Ok(Pruned { source, names, recalls, subset, shown, records, warnings })
}

/// What of the input decides the result.
fn source_job(source: &Source, recalls: Option<&Recalls>) -> Map<String, Value> {
    let scores = source.scores.as_ref().map(|s| s.digest.as_str());
    Map::from_iter([
        ("data".to_owned(), json!(source.identity.fingerprint)),
        ("split".to_owned(), json!(source.split)),
        ("held_out".to_owned(), json!(source.ids.len() - source.eligible.len())),
        ("scores".to_owned(), json!(scores)),
        ("recalls".to_owned(), json!(recalls.map(|r| r.digest.as_str()))),
        ("groups".to_owned(), json!(source.partition.attribute)),
        (
            "given".to_owned(),
            json!(source.given.as_ref().map(|g| (&g.digest, g.direction == Direction::KeepLowest))),
        ),
    ])
}

/// What of the flags does.
fn plan_job(plan: &Plan, seed: u64) -> Map<String, Value> {
    let of = |p: Picker| (p.name().to_owned(), json!(p.describe(&plan.choice.pickers)));
    let pickers: Map<String, Value> = plan.strategy.pickers().map(of).collect();
    Map::from_iter([
        ("strategy".to_owned(), json!(plan.ranking.to_string())),
        ("quota".to_owned(), json!(plan.strategy.quota().to_string())),
        ("density".to_owned(), json!(plan.density)),
        ("smooth".to_owned(), json!(plan.choice.quotas.laplace)),
        ("min_per_class".to_owned(), json!(plan.choice.quotas.min_per_class)),
        ("pickers".to_owned(), json!(pickers)),
        ("seed".to_owned(), json!(seed)),
    ])
}
