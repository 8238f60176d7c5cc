//! `fairprune prune`: which samples to keep.

mod page;
mod print;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::OutputDir;
use fairprune::data::Partition;
use fairprune::error::Error;
use fairprune::experiment::Loaded;
use fairprune::experiment::folder::own_features::OwnFeatures;
use fairprune::experiment::folder::scores::{ScoredSamples, ScoresFolder};
use fairprune::experiment::pruning::{
    GivenSettings, Inputs, PrunePlan, Pruned, Source, SourceSettings,
};
use fairprune::experiment::scoring::{ByQueries, ScoreRequest};
use fairprune::experiment::settings::{DataSettings, DefaultNetwork};
use fairprune::experiment::strategy::{Choice, Quota, Ranking};
use fairprune::experiment::training::Keeping;
use fairprune::score::Method;

use super::score::announce;
use crate::cli::args::{
    Common, FeatureArgs, GroupArgs, LongTailArgs, NetworkArgs, OutArgs, PickerArgs, QueryArgs,
    RecipeArgs, VariantArgs, under,
};
use crate::cli::density::{DensityArgs, QuotaArgs};
use crate::cli::{context, output};

/// Where the scores of query runs go, below the output folder.
const SCORES: &str = "scores";

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

/// Where labels and scores come from.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Data")]
pub struct SourceArgs {
    /// A folder that `fairprune score` wrote (--data is not needed), or a .csv or .npy of scores that
    /// another program computed for --data
    #[arg(long, value_name = "DIR|FILE")]
    pub scores: Option<PathBuf>,
    /// A folder, a tar, Parquet or cache file, or a built-in set such as shapes
    #[arg(long, value_name = "PATH|shapes")]
    pub data: Option<String>,
    /// How the data set is stored, as in `fairprune train --help` [default: by its content]
    #[arg(long, value_name = "FORMAT", requires = "data")]
    pub format: Option<String>,
    /// Resize the short side to S and keep the central S x S
    #[arg(long, value_name = "S", requires = "data")]
    pub image_size: Option<usize>,
    /// Seed of the built-in data sets' drawings, and of --long-tail
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub data_seed: u64,
    #[command(flatten)]
    pub long_tail: LongTailArgs,
    /// Which training images are held out and never kept: holdout, half-test, crossfit[:R] or
    /// shipped [default: the scores' own; without scores as in `train`]
    #[arg(long, value_name = "SPLIT", requires = "data")]
    pub split: Option<String>,
    #[command(flatten)]
    pub given: GivenArgs,
    #[command(flatten)]
    pub groups: GroupArgs,
}

/// What a file of scores does not say itself.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Scores of other programs")]
pub struct GivenArgs {
    /// Which end of --scores FILE is kept first: high or low [default: low for a column aum]
    #[arg(long, value_name = "high|low")]
    pub direction: Option<String>,
    /// The order of a .npy, or what the numbers of a CSV count in: imagefolder (torchvision's), dataset
    /// (as `data export --as csv` lists) or ids:FILE (a name a line)
    #[arg(long, value_name = "ORDER")]
    pub order: Option<String>,
    /// Column of a CSV that holds the score [default: score, aum, or the only one]
    #[arg(long, value_name = "NAME")]
    pub score_column: Option<String>,
}

impl SourceArgs {
    /// The data set of these flags, if there is one.
    fn data(&self) -> Result<Option<DataSettings>> {
        let Some(data) = &self.data else { return Ok(None) };
        Ok(Some(DataSettings {
            data: data.clone(),
            format: self.format.as_deref().map(str::parse).transpose()?,
            image_size: self.image_size,
            input_size: None,
            data_seed: self.data_seed,
            long_tail: self.long_tail.long_tail,
            split: self.split.as_deref().map(str::parse).transpose()?,
        }))
    }

    /// The library's settings.
    fn settings(&self) -> Result<SourceSettings> {
        let GivenArgs { direction, order, score_column } = self.given.clone();
        if self.data.is_none() && self.long_tail.long_tail.is_some() {
            let expected = "--data with it; scores of a folder state their own";
            return Err(Error::invalid("--long-tail", "no --data", expected).into());
        }
        Ok(SourceSettings {
            scores: self.scores.clone(),
            data: self.data()?,
            given: GivenSettings { direction, order, score_column },
            groups: self.groups.groups.clone(),
        })
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
        score_and_select(args, &plan)?
    } else {
        let (settings, host) = (args.source.settings()?, common.host()?);
        let source = context::reading(common, |progress| {
            Source::read(&settings, common.seed, host.host(), progress)
        })?;
        context::notes(common, &source.notes);
        let inputs = find(args, &plan, source)?;
        let identity = plan.identity(&inputs)?;
        let pruned = inputs.select(&plan)?;
        (context::output_dir(&args.out, "prune", &identity)?, pruned)
    };
    pruned.write(&plan, &dir, |stated| Some(page::render(args, &plan, &pruned, stated, &dir)))?;
    for warning in &pruned.warnings {
        output::note(common, format!("warning: {warning}"));
    }
    print::report(args, &plan, &pruned, &dir)
}

/// What is asked for, checked; flags that do nothing are told.
fn plan(args: &PruneArgs) -> Result<PrunePlan> {
    let (common, settings) = (&args.common, args.source.settings()?);
    let file = settings.file();
    if let (None, Some(setting)) = (file, settings.given.first()) {
        let expected = "a file of scores with it, --scores FILE";
        return Err(Error::invalid(format!("`{setting}`"), "no file of scores", expected).into());
    }
    let default = if file.is_some() { "given" } else { "random" };
    let name = args.strategy.as_deref().unwrap_or(default);
    let ranking: Ranking = name.parse().map_err(|e| under("--strategy", name, e))?;
    let quota: Quota = args.quota.parse().map_err(|e| under("--quota", &args.quota, e))?;
    let pickers = args.pickers.options()?;
    let quotas = args.options.settings()?;
    let choice = Choice { quotas, pickers, ..Choice::default() };
    let density = args.density.positive()?;
    let plan = PrunePlan { ranking, quota, density, choice, seed: common.seed };
    let chosen: Vec<_> = plan.strategy().pickers().collect();
    pickers.check(&chosen)?;
    context::idle_flags(common, &pickers.idle(&chosen));
    plan.check_file(file)?;
    if file.is_some() && !plan.strategy().uses_given() {
        let text = "note: the scores of the file are not used: neither --strategy given nor --quota \
                    from:given asks for them";
        output::note(common, text);
    }
    if args.features.features.is_some() {
        plan.check_own_features(&args.variants.settings()?)?;
    }
    let name = &args.quota;
    if quotas.laplace && !plan.strategy().needs_recalls() {
        output::note(common, format!("note: --smooth does nothing to --quota {name}"));
    }
    if quotas.min_per_class.is_some() && quota == Quota::None {
        output::note(common, format!("note: --min-per-class does nothing to --quota {name}"));
    }
    Ok(plan)
}

/// What the plan needs beside the samples; says what the picks will take.
fn find(args: &PruneArgs, plan: &PrunePlan, source: Source) -> Result<Inputs> {
    let (recalls, features) = (args.recalls.as_deref(), args.features.features.as_deref());
    let inputs = Inputs::find(plan, source, recalls, features)?;
    for (picker, cost) in inputs.picking_costs(plan)? {
        output::note(
            &args.common,
            format!(
                "picking   {}: up to {:.1e} operations ({}), about {} on one core, {}",
                picker.label(),
                cost.flops,
                cost.class,
                output::seconds(cost.seconds),
                output::bytes(cost.bytes as u64)
            ),
        );
    }
    Ok(inputs)
}

/// Scores the data set in `OUT/scores` as `fairprune score` does, and selects by them.
fn score_and_select(args: &PruneArgs, plan: &PrunePlan) -> Result<(OutputDir, Pruned)> {
    let common = &args.common;
    let (recalls, features) = (args.recalls.as_deref(), args.features.features.as_deref());
    if let Some(path) = recalls {
        // Not when the queries are done.
        std::fs::metadata(path).map_err(Error::io(path))?;
    }
    let settings = args.source.data()?;
    let settings = settings.ok_or_else(|| Error::Internal("no data set to score".to_owned()))?;
    let groups = &args.source.groups.groups;
    let device = common.device()?;
    let data = context::load(common, &settings, &device)?;
    Partition::of(&data, groups)?;
    let loaded = Loaded::of(&device, data, &settings).seed(common.seed);
    let session = loaded.session(&args.network.settings(common)?, DefaultNetwork::default())?;
    let recipe = args.recipe.settings()?;
    let trained = session.split.query(0).train.len();
    let full = recipe.recipe(trained, session.side(), session.data.classes.len())?;
    let methods: Vec<Method> = plan.methods().into_iter().collect();
    let variants = args.variants.settings()?;
    context::idle_flags(common, &variants.idle(&methods));
    let request = ScoreRequest::new(&methods, &variants)?;
    let own = features.filter(|_| methods.contains(&Method::Ssp));
    let own = own.map(|path| OwnFeatures::read(path, &session.data)).transpose()?;
    let saves = plan.looks_at_network(features.is_some());
    let queries = args.queries.settings();
    let scoring = ByQueries::new(&session, full, queries, &request, own.as_ref(), saves)?;
    scoring.planned_memory()?;
    let identity = scoring.identity()?;
    let whole = plan.identity_with_queries(&identity, groups, recalls, features)?;
    let outer = context::output_dir(&args.out, "prune", &whole)?;
    let folder = outer.root().join(SCORES);
    let force = args.out.force;
    let inner = OutArgs { out: Some(folder.clone()), resume: false, force };
    let dir = context::output_dir(&inner, "score", &identity)?;
    let interval = recipe.checkpoint_interval();
    let keeping = Keeping { dir: &dir, interval, keep_checkpoint: false };
    let scored = announce(common, &session, &scoring, &keeping)?;
    scored.write(ScoredSamples::of(&session.data, &session.split), &dir)?;
    // The folder of the scores stays claimed until they are read.
    let source = Source::of_scores(ScoresFolder::read(&folder)?, groups)?;
    let source = Source { data: Some(session.data.clone()), ..source };
    Ok((outer, find(args, plan, source)?.select(plan)?))
}
