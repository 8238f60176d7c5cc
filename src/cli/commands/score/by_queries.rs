//! Scores by query runs: what is said before they begin, and their progress.

use anyhow::Result;
use fairprune::artefact::OutputDir;
use fairprune::experiment::folder::own_features::OwnFeatures;
use fairprune::experiment::folder::scores::{Scored, ScoredSamples};
use fairprune::experiment::query::QueryRun;
use fairprune::experiment::scoring::{ByQueries, ScoreRequest};
use fairprune::experiment::settings::DefaultNetwork;
use fairprune::experiment::training::Keeping;
use fairprune::experiment::{Loaded, Session};
use fairprune::score::ScoreSource;

use super::args::ScoreArgs;
use super::print::Written;
use crate::cli::args::Common;
use crate::cli::progress::Bar;
use crate::cli::{command_line, context, interrupt, output};

/// Trains the query runs and writes their scores.
pub(super) fn by_queries(args: &ScoreArgs, request: &ScoreRequest) -> Result<u8> {
    let common = &args.common;
    let device = common.device()?;
    let data = context::load_data(common, &args.data, &device)?;
    let loaded = Loaded::of(&device, data, &args.data.without(&args.without)?).seed(common.seed);
    let session = loaded.session(&args.network.settings(common)?, DefaultNetwork::default())?;
    let (data, split) = (&session.data, &session.split);
    context::left_out(common, split);
    let recipe = args.recipe.settings()?;
    let trained = split.query(0).train.len();
    let full = recipe.recipe(trained, session.side(), data.classes.len())?;
    let own = args.features.as_ref().map(|path| OwnFeatures::read(path, data)).transpose()?;
    let queries = args.query_settings();
    let scoring =
        ByQueries::new(&session, full, queries, request, own.as_ref(), args.save_features)?;
    scoring.planned_memory()?;
    let dir = context::output_dir(&args.out, "score", &scoring.identity()?)?;
    let interval = recipe.checkpoint_interval();
    let keeping = Keeping { dir: &dir, interval, keep_checkpoint: false };
    let scored = announce(common, &session, &scoring, &keeping)?;
    Written::write(scored, ScoredSamples::of(data, split), &dir)?.report(common)
}

/// Says what the query runs are and take, and does them under a bar.
pub fn announce(
    common: &Common,
    session: &Session,
    scoring: &ByQueries,
    keeping: &Keeping,
) -> Result<Scored> {
    let dir: &OutputDir = keeping.dir;
    let (costs, memory) = (scoring.costs(), scoring.planned_memory()?);
    let mut lines = describe(scoring, session);
    lines.extend(context::needs(common, session, scoring.recipe(), &costs, memory, dir)?);
    output::note(common, lines.join("\n"));
    let bar = Bar::new(common, 1);
    let mut progress = |task: &str, done: u64, total: u64| bar.set(done, total, task);
    let scored = scoring.compute(keeping, interrupt::requests()?, &mut progress);
    bar.finish();
    Ok(scored.inspect_err(|e| command_line::explain_interruption(common, e, dir))?)
}

/// A line for each kind of run.
fn describe(scoring: &ByQueries, session: &Session) -> Vec<String> {
    let (runs, split) = (scoring.runs(), &session.split);
    let mut lines = Vec::new();
    for (source, name) in [
        (ScoreSource::Query, "query    "),
        (ScoreSource::Initial, "initial  "),
        (ScoreSource::Dynamics, "dynamics "),
        (ScoreSource::Augmented, "augmented"),
    ] {
        let of: Vec<&QueryRun> = runs.iter().filter(|r| r.source == source).collect();
        let Some(first) = of.first() else { continue };
        let labels: Vec<&str> = first.methods().iter().map(|m| m.label()).collect();
        let count = match of.len() {
            1 => "1 run".to_owned(),
            n => format!("{n} runs"),
        };
        let how = match source {
            ScoreSource::Query => format!("{count} of {} epochs, no augmentation", first.epochs()),
            ScoreSource::Initial => format!("{} fresh networks", of.len()),
            ScoreSource::Dynamics => {
                format!("{count} of {} epochs, no augmentation, recorded", first.epochs())
            }
            ScoreSource::Augmented => {
                format!(
                    "{count} of {} of {} epochs, recorded",
                    first.epochs(),
                    scoring.recipe().epochs
                )
            }
        };
        let scores = if labels.is_empty() { "recalls".to_owned() } else { labels.join(", ") };
        lines.push(format!("{name} {how}: {scores}"));
    }
    if let Some((part, dims)) = scoring.extrapolation() {
        let (cost, text) = (part.cost(dims), part.describe());
        let (seconds, bytes) = (output::seconds(cost.seconds), output::bytes(cost.bytes as u64));
        lines.push(format!(
            "neighbours {text}: {:.1e} operations a score, {seconds} on one core, {bytes}",
            cost.flops
        ));
    }
    lines.push(format!(
        "images    {} validation, {} of {} training images each",
        split.kind,
        split.query(0).train.len(),
        session.data.train.len()
    ));
    lines
}
