//! `fairprune prune`: which samples to keep.

mod args;
mod page;
mod print;

use anyhow::Result;
use fairprune::artefact::OutputDir;
use fairprune::data::Partition;
use fairprune::error::Error;
use fairprune::experiment::Loaded;
use fairprune::experiment::folder::own_features::OwnFeatures;
use fairprune::experiment::folder::scores::{ScoredSamples, ScoresFolder};
use fairprune::experiment::pruning::{
    Measuring, PruneInputs, PrunePlan, Pruned, Source, SourceSettings,
};
use fairprune::experiment::scoring::{ByQueries, QuerySettings, ScoreRequest};
use fairprune::experiment::settings::DefaultNetwork;
use fairprune::experiment::strategy::{Choice, Quota, QuotaSettings, Ranking};
use fairprune::experiment::training::Keeping;
use fairprune::prune::check_fraction;
use fairprune::score::Method;

pub use self::args::PruneArgs;
use super::score::announce;
use crate::cli::args::OutArgs;
use crate::cli::settings::under;
use crate::cli::{context, output};

/// Where the scores of query runs go, below the output folder.
const SCORES: &str = "scores";

/// Prunes and writes `kept.npy`, `mask.npy`, `eligible.npy`, `kept.csv`, `dropped.csv`, `classes.csv`, `kept.json`, `report.html`,
/// and of methods that pick `picks.csv` and `weights.npy`.
pub fn prune(args: &PruneArgs) -> Result<u8> {
    let common = &args.common;
    let plan = plan(args)?;
    let can_train = args.source.scores.is_none() && args.source.data.is_some();
    let own_features = args.features.features.is_some();
    let (dir, pruned) = if can_train && plan.needs_runs(own_features, args.recalls.is_some()) {
        score_and_select(args, &plan)?
    } else {
        args.queries.idle_without_runs(common);
        let measuring = Measuring::Nothing { recalls: args.recalls.clone() };
        let settings = SourceSettings { measuring, ..args.source.settings()? };
        let host = common.host()?;
        let source = context::reading(common, |progress| {
            Source::read(&settings, common.seed, host.host(), progress)
        })?;
        context::notes(common, &source.notes);
        let inputs = find(args, &plan, source)?;
        let identity = inputs.identity(&plan)?;
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
    let quotas = QuotaSettings { winsor: args.winsor, ..args.options.settings()? };
    check_fraction(quotas.winsor())?;
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
    context::idle_flags(common, quotas.idle(std::iter::once(quota)).as_slice());
    if quotas.min_per_class.is_some() && quota == Quota::None {
        output::note(common, format!("note: --min-per-class does nothing to --quota {name}"));
    }
    Ok(plan)
}

/// What the plan needs beside the samples; says what the picks will take.
fn find(args: &PruneArgs, plan: &PrunePlan, source: Source) -> Result<PruneInputs> {
    let (recalls, features) = (args.recalls.as_deref(), args.features.features.as_deref());
    let inputs = PruneInputs::find(plan, source, recalls, features)?;
    if let (true, Some(recalls)) = (plan.strategy().needs_recalls(), &inputs.recalls) {
        output::note(&args.common, format!("recalls   {}", recalls.origin));
    }
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
    let partition = Partition::of(&data, groups)?;
    let loaded = Loaded::of(&device, data, &settings).seed(common.seed);
    let session = loaded.session(&args.network.settings(common)?, DefaultNetwork::default())?;
    if plan.strategy().needs_recalls() && !plan.choice.quotas.laplace && recalls.is_none() {
        session.check_recalls(&partition)?;
    }
    context::left_out(common, &session.split);
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
    let for_recalls = plan.strategy().needs_recalls() && recalls.is_none();
    if recalls.is_none() {
        plan.strategy().check_split(&plan.choice.pickers, &session.split)?;
    }
    let queries = QuerySettings { recalls: for_recalls, ..args.queries.settings() };
    if let Some(held_out) = &args.source.held_out {
        let expected = "`split`: query runs are trained here, and measure on what it holds out";
        return Err(Error::invalid("`held_out`", held_out.as_str(), expected).into());
    }
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
    let left_out = session.split.left_out.clone();
    let source = Source { data: Some(session.data.clone()), left_out, ..source };
    Ok((outer, find(args, plan, source)?.select(plan)?))
}
