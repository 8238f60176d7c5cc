//! What commands do alike: read data under a bar, claim an output folder, say what runs will need.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fairprune::artefact::OutputDir;
use fairprune::data::{DataSet, LoadOptions, Split};
use fairprune::error::Result;
use fairprune::exec::PlannedMemory;
use fairprune::experiment::identity::Identity;
use fairprune::experiment::settings::{DataSettings, NetworkSettings};
use fairprune::experiment::strategy::Idle;
use fairprune::experiment::training::{Cost, Total, cost};
use fairprune::experiment::weight_file::WeightFile;
use fairprune::experiment::{Device, Session};
use fairprune::train::Recipe;

use super::args::{Common, DataArgs, OutArgs, QueryArgs};
use super::output;
use super::progress::Bar;

/// Loads the data set with a progress bar, and says what its reader left out.
pub fn load_data(common: &Common, args: &DataArgs, device: &Device) -> Result<Arc<DataSet>> {
    load(common, &args.settings()?, device)
}

/// Loads the data set of settings.
pub fn load(common: &Common, settings: &DataSettings, device: &Device) -> Result<Arc<DataSet>> {
    load_as(common, settings, &settings.load_options(), device)
}

/// Loads it with options of the caller's.
pub fn load_as(
    common: &Common,
    settings: &DataSettings,
    options: &LoadOptions,
    device: &Device,
) -> Result<Arc<DataSet>> {
    let set = reading(common, |progress| settings.load_with(device.host(), options, progress))?;
    notes(common, &set.notes);
    Ok(set)
}

/// Shows a bar while images are read.
pub fn reading<T>(
    common: &Common,
    read: impl FnOnce(&(dyn Fn(usize, usize) + Sync)) -> Result<T>,
) -> Result<T> {
    let bar = Bar::new(common, 1);
    let result = read(&|done, total| bar.set(done as u64, total as u64, "reading images"));
    bar.finish();
    result
}

/// Prints what a reader should know.
pub fn notes(common: &Common, notes: &[String]) {
    notes.iter().for_each(|text| output::note(common, format!("note: {text}")));
}

/// Says what is left out of a split by what was found in the data.
pub fn left_out(common: &Common, split: &Split) {
    if let Some(left_out) = &split.left_out {
        output::note(common, format!("note: {}", left_out.text));
    }
}

/// Says which flags do nothing to what is asked for.
pub fn idle_flags(common: &Common, idle: &[Idle]) {
    for Idle { setting, about } in idle {
        output::note(common, format!("note: `{setting}` is about {about}"));
    }
}

impl QueryArgs {
    /// Says which flags do nothing where no query run is trained.
    pub fn idle_without_runs(&self, common: &Common) {
        if self.out_of_fold {
            output::note(
                common,
                "note: `out_of_fold` is about query runs, and none is trained here",
            );
        }
    }
}

/// Claims the output folder for what `identity` describes.
pub fn output_dir(args: &OutArgs, command: &str, identity: &Identity) -> Result<OutputDir> {
    identity.claim(&root(args, command), args.existing())
}

/// The output folder: as given, or a new one.
pub fn root(args: &OutArgs, command: &str) -> PathBuf {
    args.out.clone().unwrap_or_else(|| default_out(command))
}

/// `fairprune-out/<command>-<UTC time>`.
fn default_out(command: &str) -> PathBuf {
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

/// Says what runs will need, a line each: memory, disk, time, and where the output goes. Time is measured on
/// a few batches, unless nobody reads it or part of the work is done.
pub fn needs(
    common: &Common,
    session: &Session,
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
    lines.extend(streamed(session, planned));
    if !dir.continued() && total.steps > 0 {
        let images = format!("{} steps, {} images", total.steps, total.trained);
        let seconds = output::seconds(cost::seconds(session, recipe, costs)?);
        lines.push(format!("time      about {seconds} ({images})"));
    }
    let continued = if dir.continued() { " (continued)" } else { "" };
    lines.push(format!("output    {}{continued}", dir.root().display()));
    Ok(lines)
}

/// Says that images are streamed, where they are, and what the host pins for it.
pub fn streamed(session: &Session, planned: PlannedMemory) -> Option<String> {
    let bytes = output::bytes(session.streamed()?);
    let pinned = output::bytes(planned.staging);
    Some(format!(
        "images    {bytes} stay on the host, {pinned} of its memory pinned; batches are copied while \
         the card computes"
    ))
}

/// Says what a person should know of a weight file beside a data set; whether it is of that set.
pub fn weight_origin(
    common: &Common,
    file: &WeightFile,
    data: &DataSet,
    network: &NetworkSettings,
) -> &'static str {
    let origin = file.origin(data, network);
    notes(common, &origin.notes);
    if let Some(text) = origin.warning {
        output::warn(format!("warning: {text}"));
    }
    origin.data
}
