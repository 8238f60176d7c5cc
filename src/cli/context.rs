//! Validated objects from raw arguments.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fairprune::artefact::{Existing, OutputDir};
use fairprune::backend::Cpu;
use fairprune::data::{self, DataSet, LoadOptions, Split};
use fairprune::error::{Error, Result};
use fairprune::exec::PlannedMemory;
use fairprune::experiment::Prepared;
use fairprune::experiment::cost::{self, Cost, Total};
use fairprune::nn::{Arch, NetworkSpec, Stem, WeightsMetadata};
use fairprune::ops::{Operators, Precision};
use fairprune::train::{Recipe, Schedule};
use serde_json::{Map, Value, json};

use super::args::{Common, DataArgs, NetworkArgs, OutArgs, RecipeArgs};
use super::output;
use super::progress::Bar;

/// Steps that the quick recipe aims at, and the least epochs it takes.
const QUICK_STEPS: usize = 240;
const QUICK_EPOCHS: usize = 6;
/// Most runs of one kind.
const MOST_RUNS: usize = 10_000;

/// Loads the data set with a progress bar.
pub fn load_data(common: &Common, args: &DataArgs, cpu: &Cpu) -> Result<Arc<DataSet>> {
    load_data_as(common, args, load_options(args)?, cpu)
}

/// The same with options of the caller's.
pub fn load_data_as(
    common: &Common,
    args: &DataArgs,
    options: LoadOptions,
    cpu: &Cpu,
) -> Result<Arc<DataSet>> {
    for (flag, side) in [("--image-size", args.image_size), ("--input-size", args.input_size)] {
        if side == Some(0) {
            return Err(Error::invalid(flag, "0", "at least 1"));
        }
    }
    let bar = Bar::new(common, 1);
    let progress = |done: usize, total: usize| bar.set(done as u64, total as u64, "reading images");
    let set = cpu.pool().install(|| data::load(&args.data, &options, &progress));
    bar.finish();
    let mut set = set?;
    if let Some(factor) = args.long_tail.long_tail {
        set = set.with_long_tail(factor, args.data_seed)?;
        output::note(common, describe_tail(&set));
    }
    for text in &set.notes {
        output::note(common, format!("note: {text}"));
    }
    Ok(Arc::new(set))
}

/// What a long tail leaves, in a line.
fn describe_tail(set: &DataSet) -> String {
    let mut sizes = vec![0usize; set.classes.len()];
    let present = set.present();
    present.iter().for_each(|&i| sizes[set.train.labels[i] as usize] += 1);
    let of = |k: usize| format!("{} of {}", sizes[k], set.classes[k]);
    let (all, last) = (set.train.len(), set.classes.len().saturating_sub(1));
    let counts = format!("{} of {all} training images", present.len());
    format!("note: the long tail leaves {counts}, from {} to {}", of(0), of(last))
}

/// How `--format`, `--image-size` and `--data-seed` say to read.
pub fn load_options(args: &DataArgs) -> Result<LoadOptions> {
    Ok(LoadOptions {
        format: args.format.as_deref().map(str::parse).transpose()?,
        image_size: args.image_size.or(args.input_size.map(stored_side)),
        seed: args.data_seed,
        ..LoadOptions::default()
    })
}

/// Short side of images of which a network sees `input`, with the margin that ImageNet's recipe has.
pub fn stored_side(input: usize) -> usize {
    (input.saturating_mul(256) + 112) / 224
}

/// A number of runs: each is a training of its own, and thousands are a slip of the keyboard.
pub fn runs(flag: &str, count: usize) -> Result<usize> {
    match count {
        0 => Err(Error::invalid(flag, "0", "at least 1")),
        1..=MOST_RUNS => Ok(count),
        _ => Err(Error::invalid(flag, count.to_string(), format!("at most {MOST_RUNS}"))),
    }
}

/// The split that `--split` names.
pub fn split(common: &Common, args: &DataArgs, data: &DataSet) -> Result<Split> {
    let kind = args.split.as_deref().map(str::parse).transpose()?;
    data.split(kind, common.seed)
}

/// The network: flags, then a weight file's metadata, then defaults.
pub fn network(
    args: &NetworkArgs,
    data: &DataSet,
    input_size: Option<usize>,
    file: Option<&WeightsMetadata>,
    default_arch: Arch,
    default_width: Option<usize>,
) -> Result<NetworkSpec> {
    let size = input_size.map_or([data.height, data.width], |side| [side; 2]);
    let from_file = file.and_then(|m| m.arch);
    let arch: Arch = match &args.arch {
        Some(name) => name.parse()?,
        None => from_file.unwrap_or(default_arch),
    };
    let arch = if args.resnet_v1 { arch.v1()? } else { arch };
    // Tensors of the two forms of resnet50 have the same names and shapes.
    if let Some(stated) = from_file.filter(|stated| *stated != arch) {
        let expected = format!("{arch}, as the flags say; the file's own network needs none");
        return Err(Error::invalid("network of the weights", stated.to_string(), expected));
    }
    let width = args.width.or(file.and_then(|m| m.width)).or(default_width);
    let stem = match &args.stem {
        Some(name) => name.parse()?,
        None => file.and_then(|m| m.stem).unwrap_or(Stem::for_size(size[0].min(size[1]))),
    };
    let width = width.unwrap_or(arch.default_width());
    Ok(NetworkSpec { arch, width, stem, classes: data.classes.len(), size })
}

/// Three values, one a channel.
pub fn triple(flag: &str, values: &Option<Vec<f32>>, positive: bool) -> Result<Option<[f32; 3]>> {
    let Some(values) = values else { return Ok(None) };
    let expected = if positive { "three positive numbers" } else { "three numbers" };
    let good = values.iter().all(|v| v.is_finite() && (!positive || *v > 0.0));
    match <[f32; 3]>::try_from(values.as_slice()) {
        Ok(triple) if good => Ok(Some(triple)),
        _ => Err(Error::invalid(flag, format!("{values:?}"), expected)),
    }
}

/// `--mean` and `--std`, else the weight file's.
pub fn normalisation(
    args: &NetworkArgs,
    file: Option<&WeightsMetadata>,
) -> Result<[Option<[f32; 3]>; 2]> {
    Ok([
        triple("--mean", &args.mean, false)?.or(file.and_then(|m| m.mean)),
        triple("--std", &args.std, true)?.or(file.and_then(|m| m.std)),
    ])
}

/// Data, split and network on the device.
pub fn prepare<B: Operators>(
    backend: Arc<B>,
    data: Arc<DataSet>,
    split: Split,
    spec: NetworkSpec,
    args: &NetworkArgs,
    precision: Precision,
    file: Option<&WeightsMetadata>,
) -> Result<Prepared<B>> {
    if args.score_batch == 0 {
        return Err(Error::invalid("--score-batch", "0", "at least 1"));
    }
    Prepared::new(backend, data, split, spec, normalisation(args, file)?, args.score_batch)?
        .with_images(args.images)
        .with_precision(precision)
}

/// The recipe: a named one, with the flags that were given.
pub fn recipe(args: &RecipeArgs, training: usize, side: usize, classes: usize) -> Result<Recipe> {
    let batch = args.batch.unwrap_or(128);
    let translate = (side * 15 / 100) as u32;
    let quick = Recipe {
        epochs: (QUICK_STEPS.saturating_mul(batch).saturating_add(training / 2) / training.max(1))
            .max(QUICK_EPOCHS),
        batch,
        lr: 0.1,
        schedule: Schedule::Cosine,
        warmup_steps: 0,
        momentum: 0.9,
        nesterov: true,
        weight_decay: 5e-4,
        label_smoothing: 0.0,
        class_weights: None,
        flip: true,
        translate,
        resized_crop: false,
    };
    let base = match args.recipe.as_str() {
        "quick" => quick,
        "cifar" => Recipe {
            epochs: 160,
            schedule: Schedule::Step { drops: vec![0.5, 0.75], factor: 0.2 },
            nesterov: false,
            weight_decay: 1e-4,
            ..quick
        },
        name => return Err(Error::invalid("--recipe", name, "quick or cifar")),
    };
    let resized_crop = args.resized_crop.unwrap_or(false);
    let recipe = Recipe {
        epochs: args.epochs.unwrap_or(base.epochs),
        batch,
        lr: args.lr.unwrap_or(base.lr),
        schedule: match &args.schedule {
            Some(text) => text.parse()?,
            None => base.schedule,
        },
        warmup_steps: args.warmup_steps.unwrap_or(base.warmup_steps),
        momentum: args.momentum.unwrap_or(base.momentum),
        nesterov: args.nesterov.unwrap_or(base.nesterov),
        weight_decay: args.weight_decay.unwrap_or(base.weight_decay),
        label_smoothing: args.label_smoothing.unwrap_or(base.label_smoothing),
        class_weights: args.class_weights.clone().or(base.class_weights),
        flip: args.flip.unwrap_or(base.flip),
        translate: args.translate.unwrap_or(if resized_crop { 0 } else { base.translate }),
        resized_crop,
    };
    recipe.check(classes)?;
    Ok(recipe)
}

/// Claims the output folder for a job described by `settings`.
pub fn output_dir(
    args: &OutArgs,
    command: &str,
    settings: Map<String, Value>,
) -> Result<OutputDir> {
    let root = args.out.clone().unwrap_or_else(|| default_out(command));
    let existing = match (args.resume, args.force) {
        (true, _) => Existing::Resume,
        (_, true) => Existing::Restart,
        _ => Existing::Continue,
    };
    let mut job = Map::new();
    job.insert("command".to_owned(), json!(command));
    job.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
    job.extend(settings);
    OutputDir::claim(&root, &job, existing)
}

/// `fairprune-out/<command>-<UTC time>`.
pub fn default_out(command: &str) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, second) = (now / 86_400, now % 86_400);
    // Civil date from days since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (h, m, s) = (second / 3600, second % 3600 / 60, second % 60);
    let name = format!("{command}-{year:04}{month:02}{day:02}-{h:02}{m:02}{s:02}");
    Path::new("fairprune-out").join(name)
}

/// What runs will need, a line each: memory, disk, time, and where the output goes. Time is measured
/// on a few batches, unless nobody reads it or part of the work is done.
pub fn needs<B: Operators>(
    common: &Common,
    prepared: &Prepared<B>,
    recipe: &Recipe,
    costs: &[Cost],
    planned: PlannedMemory,
    dir: &OutputDir,
) -> Result<Vec<String>> {
    if common.quiet {
        return Ok(Vec::new());
    }
    let total = Total::of(costs);
    let mut lines = vec![
        format!(
            "memory    {} planned, {} beside it",
            output::bytes(planned.total()),
            output::bytes(total.host)
        ),
        format!("disk      {}", output::bytes(total.disk)),
    ];
    lines.extend(streamed(prepared, planned));
    if !dir.continued() && total.steps > 0 {
        let images = format!("{} steps, {} images", total.steps, total.trained);
        let seconds = output::seconds(cost::seconds(prepared, recipe, costs)?);
        lines.push(format!("time      about {seconds} ({images})"));
    }
    let continued = if dir.continued() { " (continued)" } else { "" };
    lines.push(format!("output    {}{continued}", dir.root().display()));
    Ok(lines)
}

/// Says that images are streamed, where they are, and what the host pins for it.
pub fn streamed<B: Operators>(prepared: &Prepared<B>, planned: PlannedMemory) -> Option<String> {
    let bytes = output::bytes(prepared.streamed()?);
    let pinned = output::bytes(planned.staging);
    Some(format!(
        "images    {bytes} stay on the host, {pinned} of its memory pinned; batches are copied while \
         the card computes"
    ))
}

/// What of the data and network decides a result, for the job file.
pub fn job_of<B: Operators>(prepared: &Prepared<B>) -> Map<String, Value> {
    let spec = &prepared.spec;
    let Value::Object(mut map) = json!({
        "data": prepared.data.fingerprint,
        "split": prepared.split.kind.to_string(),
        "split_seed": prepared.split.seed,
        "arch": spec.arch.to_string(),
        "width": spec.width,
        "stem": spec.stem.to_string(),
        "mean": prepared.mean,
        "std": prepared.std,
        "numerics": fairprune::ops::numerics(prepared.backend.as_ref(), prepared.precision),
    }) else {
        return Map::new();
    };
    if spec.size != [prepared.data.height, prepared.data.width] {
        map.insert("input_size".to_owned(), json!(spec.size));
    }
    if let Some(attribute) = &prepared.partition.attribute {
        map.insert("groups".to_owned(), json!(attribute));
    }
    map
}
