//! `fairprune train`: one network, its log, recalls and weights.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::OutputDir;
use fairprune::error::Error;
use fairprune::experiment::folder::subset::{SubsetFile, SubsetWeights};
use fairprune::experiment::network::{MODEL, TrainSettings, Training};
use fairprune::experiment::settings::DefaultNetwork;
use fairprune::experiment::training::Keeping;
use fairprune::experiment::{Loaded, Session};
use fairprune::train::{Control, Recording, StepBudget};
use serde_json::{Map, Value};

use super::evaluation::print_evaluation;
use super::presentations::presentations;
use crate::cli::args::{
    Common, DataArgs, GroupArgs, NetworkArgs, OutArgs, RecipeArgs, WithoutArgs,
};
use crate::cli::progress::Bar;
use crate::cli::{command_line, context, interrupt, output};

#[derive(Args, Debug)]
pub struct TrainArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub without: WithoutArgs,
    #[command(flatten)]
    pub groups: GroupArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Train on these positions only: kept.npy of `prune` or `run`
    #[arg(long, value_name = "kept.npy")]
    pub subset: Option<PathBuf>,
    /// Train with the weights of a subset's picks: method (of craig and grad-match, as their authors
    /// do), all (of facility-location, too) or none [default: method]
    #[arg(long, value_name = "NAME", help_heading = "Training", requires = "subset")]
    pub pick_weights: Option<String>,
    /// Record every presentation of every sample in OUT/dynamics; =plain leaves out what tdds needs,
    /// which takes a value a sample and class of memory
    #[arg(
        long,
        value_name = "all|plain",
        help_heading = "Training",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all"
    )]
    pub dynamics: Option<String>,
    /// Train another way (docs/baselines.md): cdb-w, class-balanced, infobatch, rcap, ordered-sgd,
    /// micro-batch-clipping, rho, subg, rwg, jtt, lff, bam, groupdro, dfr, with options after a colon:
    /// cdb-w:dynamic
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub baseline: Option<String>,
    /// Length of a run on a subset: fixed (the given epochs), matched or steps
    #[arg(long, default_value = "fixed", value_name = "NAME")]
    pub budget: String,
    #[command(flatten)]
    pub out: OutArgs,
    #[command(flatten)]
    pub common: Common,
}

/// Trains and writes `model.safetensors`, `log.jsonl`, `recalls.csv`, `summary.json`.
pub fn train(args: &TrainArgs) -> Result<u8> {
    let common = &args.common;
    let device = common.device()?;
    let data = context::load_data(common, &args.data, &device)?;
    let loaded = Loaded::of(&device, data, &args.data.without(&args.without)?);
    let session = loaded
        .seed(common.seed)
        .groups(&args.groups.groups)
        .session(&args.network.settings(common)?, DefaultNetwork::default())?;
    context::left_out(common, &session.split);
    let recipe_settings = args.recipe.settings()?;
    let recipe = recipe_settings.recipe_of(&session)?;
    let budget: StepBudget = args.budget.parse()?;
    let (subset, weights) = subset(args, &session)?;
    let settings = TrainSettings {
        subset,
        weights,
        budget: Some(budget),
        record: recording(args.dynamics.as_deref())?,
        baseline: args.baseline.as_deref().map(str::parse).transpose()?,
    };
    let of_weights = settings.weights.as_ref().map(describe_weights);
    let training = Training::new(&session, &recipe, settings)?;
    let memory = training.planned_memory()?;
    let dir = context::output_dir(&args.out, "train", &training.identity()?)?;
    let mut lines = describe(args, &session, &training, budget);
    lines.extend(of_weights);
    let costs = [training.cost()];
    lines.extend(context::needs(common, &session, &recipe, &costs, memory, &dir)?);
    output::note(common, lines.join("\n"));
    if training.run().record.is_some() && recipe.augments() {
        let text = "note: presentations are augmented, and recorded as such; --flip false --translate 0 \
                    records them as the query run of `score` does";
        output::note(common, text);
    }
    let interval = recipe_settings.checkpoint_interval();
    let keeping = Keeping { dir: &dir, interval, keep_checkpoint: true };
    let bar = Bar::new(common, training.run().steps);
    let mut progress = |p: fairprune::train::TrainProgress| {
        bar.set(p.step, p.total_steps, &format!("epoch {}", p.epoch + 1));
    };
    let mut control =
        Control { interrupt: interrupt::flag()?, progress: &mut progress, checkpoint: None };
    let trained = training.in_folder(&keeping, &mut control);
    bar.finish();
    let (summary, finished) =
        trained.inspect_err(|e| command_line::explain_interruption(common, e, &dir))?;
    let presented: Vec<_> = finished.result.presentations.into_iter().collect();
    if let Some(text) = presentations(&presented) {
        output::note(common, text);
    }
    report(common, &summary, &dir)
}

/// The subset to train on and the weights of its picks, where there is one.
fn subset(
    args: &TrainArgs,
    session: &Session,
) -> Result<(Option<Vec<usize>>, Option<SubsetWeights>)> {
    let Some(path) = &args.subset else { return Ok((None, None)) };
    let file = SubsetFile::read(path, &session.data)?;
    context::notes(&args.common, &file.notes);
    file.check_split(&session.split)?;
    let asked = args.pick_weights.as_deref().map(str::parse).transpose()?;
    let weights = file.weights(asked)?;
    Ok((Some(file.positions), weights))
}

/// What `--dynamics` asks for.
fn recording(what: Option<&str>) -> Result<Option<Recording>> {
    match what {
        None => Ok(None),
        Some("all") => Ok(Some(Recording { divergence: true })),
        Some("plain") => Ok(Some(Recording { divergence: false })),
        Some(other) => Err(Error::invalid("--dynamics", other, "all or plain").into()),
    }
}

fn describe_weights(weights: &SubsetWeights) -> String {
    let (low, high) =
        weights.values.iter().fold((f32::MAX, 0.0f32), |(l, h), &w| (l.min(w), h.max(w)));
    let file = weights.file.display();
    format!("weights   of the picks of {}: {low:.2} to {high:.1} ({file})", weights.strategy)
}

fn describe(
    args: &TrainArgs,
    session: &Session,
    training: &Training,
    budget: StepBudget,
) -> Vec<String> {
    let Session { split, spec, .. } = session;
    let run = training.run();
    let (kept, all, steps) = (run.part.train.len(), split.train.len(), run.steps);
    vec![
        format!(
            "data      {}: {kept} of {all} training images, {} validation ({}), {} test",
            args.data.data,
            split.val.len(),
            split.kind,
            split.test.len()
        ),
        format!(
            "network   {}, width {}, {} parameters, on {}",
            spec.arch,
            spec.width,
            session.network.parameter_count(),
            session.device
        ),
        format!(
            "training  {steps} steps of {}, lr {} ({}), budget {budget}",
            run.recipe.batch, run.recipe.lr, run.recipe.schedule
        ),
    ]
}

fn report(common: &Common, summary: &Map<String, Value>, dir: &OutputDir) -> Result<u8> {
    if common.json {
        output::print_json(summary)?;
        return Ok(0);
    }
    if summary.contains_key("recalls") {
        print_evaluation(summary)?;
    } else {
        output::note(common, "note: no test images, so no test accuracy");
    }
    output::print(format!("\nmodel: {}", dir.root().join(MODEL).display()))?;
    Ok(0)
}
