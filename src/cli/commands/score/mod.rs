//! `fairprune score`: scores of every training sample, and class recalls.

mod args;
mod by_queries;
mod print;

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use fairprune::data;
use fairprune::error::Error;
use fairprune::experiment::Loaded;
use fairprune::experiment::folder::own_features::OwnFeatures;
use fairprune::experiment::folder::scores::ScoredSamples;
use fairprune::experiment::scoring::{
    ByRecording, ByWeights, ScoreRequest, nothing_held_out, score_features,
};
use fairprune::experiment::settings::DataSettings;
use fairprune::experiment::weight_file::WeightFile;
use fairprune::score::Method;

pub use self::args::ScoreArgs;
use self::print::Written;
use crate::cli::progress::Bar;
use crate::cli::{command_line, context, interrupt, output};

pub use by_queries::announce;

/// Scores by query runs, given weights, a recorded run, or given features.
pub fn score(args: &ScoreArgs) -> Result<u8> {
    if let Some(folder) = &args.dynamics {
        return by_recording(args, folder);
    }
    let request = args.request(&[Method::El2n])?;
    let of_features = request.of_features();
    if args.features.is_some() && of_features.is_empty() && args.extrapolate.is_none() {
        let found = "no --method that is made from features";
        return Err(
            Error::invalid("--features", found, "--method ssp or --extrapolate with it").into()
        );
    }
    if let Some(path) = &args.weights {
        return by_weights(args, path, &request);
    }
    match &args.features {
        Some(path) if of_features == request.methods && !args.save_features => {
            if args.extrapolate.is_some() {
                let expected = "scores of query runs; those of --features need none";
                return Err(Error::invalid("--extrapolate", "--features alone", expected).into());
            }
            by_features(args, path, &request)
        }
        _ => by_queries::by_queries(args, &request),
    }
}

/// Scores of a recorded run.
fn by_recording(args: &ScoreArgs, folder: &Path) -> Result<u8> {
    let common = &args.common;
    common.host()?;
    let (methods, variants) = (args.methods()?, args.variants.settings()?);
    let scoring = ByRecording::open(folder, &methods, variants.options()?)?;
    let stated = scoring.description();
    let options = &scoring.request().options;
    for method in &scoring.too_short {
        let text = format!(
            "note: {method} needs {} epochs, {} are recorded: left out",
            method.least_epochs(options),
            stated.epochs
        );
        output::note(common, text);
    }
    let (scored, samples) = scoring.compute()?;
    let dir = context::output_dir(&args.out, "score", &scoring.identity()?)?;
    output::note(
        common,
        format!(
            "dynamics  {} epochs of {} samples{}\nmemory    {} for one quantity at a time\n\
             output    {}",
            stated.epochs,
            stated.samples,
            if stated.augmented { ", augmented" } else { "" },
            output::bytes(4 * (stated.epochs * stated.samples) as u64),
            dir.root().display()
        ),
    );
    Written::write(scored, samples, &dir)?.report(common)
}

/// Scores that need nothing but features of the user's.
fn by_features(args: &ScoreArgs, path: &Path, request: &ScoreRequest) -> Result<u8> {
    let common = &args.common;
    let data = context::load_data(common, &args.data, &common.host()?)?;
    // Nothing is measured here that images would have to be held out for.
    let given = args.data.without(&args.without)?;
    let split = given.split.unwrap_or(data.split_to_keep_all());
    let split = DataSettings { split: Some(split), ..given }.split_of(&data, common.seed)?;
    context::left_out(common, &split);
    let own = OwnFeatures::read(path, &data)?;
    args.queries.idle_without_runs(common);
    let (scored, identity) = score_features(&data, &split, request, &own, common.seed)?;
    let dir = context::output_dir(&args.out, "score", &identity)?;
    let (bytes, out) = (output::bytes(own.bytes()), dir.root().display());
    output::note(common, format!("memory    {bytes} of features\noutput    {out}"));
    output::note(
        common,
        "no network is trained: recalls.csv is left out (--quota none, uniform or balanced, or \
         --recalls)",
    );
    Written::write(scored, ScoredSamples::of(&data, &split), &dir)?.report(common)
}

/// Scores of a network of the user's own, as it is.
fn by_weights(args: &ScoreArgs, path: &Path, request: &ScoreRequest) -> Result<u8> {
    request.check_untrained()?;
    let common = &args.common;
    let file = WeightFile::read(path)?;
    let given = args.data.without(&args.without)?;
    let settings = file.sized(&given);
    let device = common.device()?;
    let mut data = context::load(common, &settings, &device)?;
    file.check_classes(&data)?;
    let network = args.network.settings(common)?;
    context::weight_origin(common, &file, &data, &network);
    if let Some(folder) = &args.val {
        data::load_validation(folder, Arc::make_mut(&mut data), &settings.load_options())?;
    }
    let split = given.left_out(&data, nothing_held_out(&data, given.split, common.seed)?)?;
    context::left_out(common, &split);
    let own = args.features.as_ref().map(|path| OwnFeatures::read(path, &data)).transpose()?;
    let loaded = Loaded::of(&device, data, &given).seed(common.seed);
    let session = loaded.with_weights(&file, &network, split)?;
    let scoring = ByWeights::new(&session, &file, request, own.as_ref(), args.save_features)?;
    let memory = scoring.planned_memory()?;
    let dir = context::output_dir(&args.out, "score", &scoring.identity()?)?;
    let beside = match scoring.feature_bytes() {
        0 => String::new(),
        bytes => format!(", {} of features", output::bytes(bytes)),
    };
    let mut lines = vec![format!("memory    {} planned{beside}", output::bytes(memory.total()))];
    lines.extend(context::streamed(&session, memory));
    lines.push(format!("output    {}", dir.root().display()));
    output::note(common, lines.join("\n"));
    let bar = Bar::new(common, session.data.train.len() as u64);
    let mut progress = |done: usize, total: usize| bar.set(done as u64, total as u64, "scoring");
    let interval = args.recipe.settings()?.checkpoint_interval();
    let scored = scoring.compute(&dir, interval, interrupt::requests()?, &mut progress);
    bar.finish();
    let scored = scored.inspect_err(|e| command_line::explain_interruption(common, e, &dir))?;
    if session.split.val.is_empty() {
        output::note(
            common,
            "no validation images: recalls.csv is left out (--val PATH or --split half-test)",
        );
    }
    Written::write(scored, ScoredSamples::of(&session.data, &session.split), &dir)?.report(common)
}
