//! `fairprune train`: one network, its log, recalls and weights.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::OutputDir;
use fairprune::artefact::events::ScalarEvents;
use fairprune::error::Error;
use fairprune::experiment::folder::subset::{SubsetFile, SubsetWeights};
use fairprune::experiment::network::{MODEL, TrainSettings, Training};
use fairprune::experiment::settings::DefaultNetwork;
use fairprune::experiment::training::Keeping;
use fairprune::experiment::{Loaded, Session};
use fairprune::train::{Baseline, Control, EpochRecord, Recording, StepBudget, TrainProgress};
use serde_json::{Map, Value};

use super::evaluation::print_evaluation;
use super::presentations::presentations;
use crate::cli::args::{
    Common, DataArgs, GroupArgs, NetworkArgs, OutArgs, RecipeArgs, WithoutArgs,
};
use crate::cli::progress::TrainingBar;
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
    /// A line of losses and accuracies every N epochs, 0 for none [default: 1 without a terminal, where
    /// there is no bar]
    #[arg(long, value_name = "N", help_heading = "Output")]
    pub log_every: Option<u64>,
    /// Write losses, accuracies and the learning rate as TensorBoard event files to DIR [default without
    /// DIR: OUT/tensorboard]
    #[arg(long, value_name = "DIR", help_heading = "Output", num_args = 0..=1, require_equals = true)]
    pub tensorboard: Option<Option<PathBuf>>,
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
    let baseline: Option<Baseline> = args.baseline.as_deref().map(str::parse).transpose()?;
    let file = args.subset.as_deref().map(|path| SubsetFile::read(path, &data)).transpose()?;
    let mut data_settings = args.data.without(&args.without)?;
    if data_settings.split.is_none() {
        let measures = baseline.is_some_and(Baseline::needs_validation);
        data_settings.split = Some(data_settings.split_to_train(&data, file.as_ref(), measures));
    }
    let loaded = Loaded::of(&device, data, &data_settings);
    let session = loaded
        .seed(common.seed)
        .groups(&args.groups.groups)
        .session(&args.network.settings(common)?, DefaultNetwork::default())?;
    context::left_out(common, &session.split);
    let recipe_settings = args.recipe.settings()?;
    let recipe = recipe_settings.recipe_of(&session)?;
    let budget: StepBudget = args.budget.parse()?;
    let (subset, weights) = subset(args, file, &session)?;
    let settings = TrainSettings {
        subset,
        weights,
        budget: Some(budget),
        record: recording(args.dynamics.as_deref())?,
        baseline,
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
    let bar = TrainingBar::new(common, training.run().steps, args.log_every);
    let epochs = training.epochs();
    let mut events = events(args, &dir)?;
    let mut progress = |p: TrainProgress| {
        bar.see(&p, epochs);
        if let (Some(record), Some(events)) = (p.finished, &mut events) {
            events.write(record.steps, &scalars(record));
        }
    };
    let mut control =
        Control { requests: interrupt::requests()?, progress: &mut progress, checkpoint: None };
    let trained = training.in_folder(&keeping, &mut control);
    bar.finish();
    if let Some(events) = events {
        events.finish()?;
    }
    let (summary, finished) =
        trained.inspect_err(|e| command_line::explain_interruption(common, e, &dir))?;
    let presented: Vec<_> = finished.result.presentations.into_iter().collect();
    if let Some(text) = presentations(&presented) {
        output::note(common, text);
    }
    report(common, &summary, &dir)
}

/// Where TensorBoard's events go, if they are wanted.
fn events(args: &TrainArgs, dir: &OutputDir) -> Result<Option<ScalarEvents>> {
    let Some(place) = &args.tensorboard else { return Ok(None) };
    let place = place.clone().unwrap_or_else(|| dir.root().join("tensorboard"));
    Ok(Some(ScalarEvents::create(&place)?))
}

/// What TensorBoard shows of an epoch.
fn scalars(record: &EpochRecord) -> Vec<(&'static str, f64)> {
    let validation =
        [("loss/validation", record.val_loss), ("accuracy/validation", record.val_accuracy)];
    let mut scalars = vec![
        ("loss/train", record.train_loss),
        ("accuracy/train", record.train_accuracy),
        ("learning rate", f64::from(record.lr)),
    ];
    scalars.extend(validation.into_iter().filter_map(|(tag, value)| Some((tag, value?))));
    scalars
}

/// The subset to train on and the weights of its picks, where there is one.
fn subset(
    args: &TrainArgs,
    file: Option<SubsetFile>,
    session: &Session,
) -> Result<(Option<Vec<usize>>, Option<SubsetWeights>)> {
    let Some(file) = file else { return Ok((None, None)) };
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
            "data      {}: {kept} of {all} training images{}, {}, {} test",
            args.data.data,
            match session.data.present().len() - all {
                0 => String::new(),
                out => format!(" ({out} more are not trained on)"),
            },
            match split.val.len() {
                0 => "no validation images (--split holdout or crossfit takes some)".to_owned(),
                n => format!("{n} validation ({})", split.kind),
            },
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
