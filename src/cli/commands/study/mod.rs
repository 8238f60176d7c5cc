//! `fairprune study FILE.toml`: a grid of comparisons, resumable, shared by several processes.

mod print;
mod spec;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::{Existing, OutputDir, atomic, digest, tables};
use fairprune::data::DataSet;
use fairprune::error::Error;
use fairprune::experiment::run::{RunProgress, run as run_plan};
use fairprune::experiment::study::{
    CELL_COLUMNS, CLASS_COLUMNS, FAILURE_COLUMNS, FailureRow, Panel, StudySummary, cell_rows,
    class_rows, judge,
};
use fairprune::ops::Operators;
use fairprune::report::{self, Thumb};
use serde_json::{Map, json};

use self::spec::{PanelSpec, Study};
use super::run::{Ready, complete, ready, thumbnails};
use crate::cli::args::{Common, DataArgs};
use crate::cli::device::{Device, on_device};
use crate::cli::progress::Bar;
use crate::cli::{command_line, context, interrupt, output};

/// How often a panel that another process works on is looked at.
const PATIENCE: Duration = Duration::from_millis(500);
/// The file that makes a folder a study's.
const MARK: &str = "study.json";

#[derive(Args, Debug)]
#[command(after_help = "The file: docs/studies.md. A study that was interrupted goes on with the \
                        same command; several processes with the same --out share the work.")]
pub struct StudyArgs {
    /// The study: panels, blocks of strategies, densities and seeds, claims
    #[arg(value_name = "FILE.toml")]
    pub file: PathBuf,
    /// Say what would be run and what it would take, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Output folder [default: fairprune-out/study-FILE]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Start anew in --out, deleting what an earlier study wrote there
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub common: Common,
}

/// Runs or describes the study.
pub fn study(args: &StudyArgs) -> Result<u8> {
    let study = Study::read(&args.file, &args.common)?;
    let device = Device::open(&args.common)?;
    let host = device.host(&args.common)?;
    on_device!(device, backend => {
        let pictures = BTreeMap::new();
        let mut runner = Runner { args, study: &study, backend, host, loaded: None, pictures };
        if args.dry_run { runner.describe() } else { runner.run() }
    })
}

struct Runner<'a, B: Operators> {
    args: &'a StudyArgs,
    study: &'a Study,
    backend: Arc<B>,
    host: Arc<fairprune::backend::Cpu>,
    /// The data set of the last panel.
    loaded: Option<(DataArgs, Arc<DataSet>)>,
    /// Samples of the finished panels that their strips show, by panel and position.
    pictures: BTreeMap<(String, usize), Thumb>,
}

impl<B: Operators> Runner<'_, B> {
    fn ready(&mut self, panel: &PanelSpec) -> Result<Ready<B>> {
        let data = match &self.loaded {
            Some((args, data)) if *args == panel.args.data => Arc::clone(data),
            _ => {
                self.loaded = None;
                let data = context::load_data(&self.args.common, &panel.args.data, &self.host)?;
                self.loaded = Some((panel.args.data.clone(), Arc::clone(&data)));
                data
            }
        };
        let mut ready = ready(&panel.args, Arc::clone(&self.backend), data)?;
        ready.plan.blocks = panel.blocks.clone();
        ready.plan.keep_going = true;
        Ok(ready)
    }

    /// `--dry-run`.
    fn describe(&mut self) -> Result<u8> {
        let mut rows = Vec::new();
        for panel in &self.study.panels {
            let ready = self.ready(panel)?;
            rows.push(print::Needs::of(&panel.name, &ready)?);
        }
        print::needs(&self.args.common, &self.study.title, &rows)?;
        Ok(0)
    }

    fn run(&mut self) -> Result<u8> {
        let common = &self.args.common;
        let root = root(self.args);
        if let Some(first) = self.study.panels.first() {
            // What is unusable there is seen before anything is written.
            self.ready(first)?;
        }
        claim(&root, self.args.force)?;
        let interrupted = interrupt::flag()?;
        let count = self.study.panels.len();
        let mut done: Vec<Option<Result<Panel, String>>> = (0..count).map(|_| None).collect();
        // Panels that another process works on are left for later: it may finish them.
        while done.iter().any(Option::is_none) {
            let before = done.iter().flatten().count();
            for (i, spec) in self.study.panels.iter().enumerate() {
                if done[i].is_some() {
                    continue;
                }
                let title = format!("panel {} of {count}: {}", i + 1, spec.name);
                done[i] = match self.panel(spec, &root, &title) {
                    Ok(panel) => Some(Ok(panel)),
                    Err(e) => match e.downcast_ref() {
                        Some(Error::Busy { .. }) => None,
                        Some(Error::Interrupted) => {
                            let words = command_line::typed();
                            output::note(common, format!("To continue:\n  {words}"));
                            return Err(e);
                        }
                        _ => {
                            output::note(common, format!("failed: {}: {e:#}", spec.name));
                            Some(Err(format!("{e:#}")))
                        }
                    },
                };
            }
            if done.iter().flatten().count() == before {
                if interrupted.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted.into());
                }
                std::thread::sleep(PATIENCE);
            }
        }
        let (mut panels, mut unusable) = (Vec::new(), Vec::new());
        for (spec, panel) in self.study.panels.iter().zip(done.into_iter().flatten()) {
            match panel {
                Ok(panel) => panels.push(panel),
                Err(error) => unusable.push((spec.name.clone(), error)),
            }
        }
        let mut claims = Vec::new();
        for claim in &self.study.claims {
            claims.extend(judge(claim, &panels)?);
        }
        let summary = StudySummary {
            format_version: StudySummary::FORMAT_VERSION,
            title: self.study.title.clone(),
            command: command_line::typed(),
            panels,
            unusable,
            claims,
        };
        let failed = write(&root, &summary, &self.pictures)?;
        if common.json {
            output::print_json(&summary)?;
        } else {
            print::results(common, &summary, &root)?;
        }
        Ok(u8::from(failed > 0))
    }

    /// Runs one panel, or loads what is there.
    fn panel(&mut self, spec: &PanelSpec, root: &Path, title: &str) -> Result<Panel> {
        let common = &self.args.common;
        let folder = root.join("panels").join(&spec.name);
        let ready = self.ready(spec)?;
        let dir = OutputDir::claim(&folder, &job(&ready), self.existing())?;
        output::note(common, title);
        let bar = Bar::new(common, 1);
        let mut progress = |p: RunProgress| bar.set(p.steps, p.total_steps, p.task);
        let (prepared, plan) = (&ready.prepared, &ready.plan);
        let outcome = run_plan(prepared, plan, &dir, interrupt::flag()?, &mut progress);
        bar.finish();
        let outcome = outcome?;
        let (summary, _) = complete(&spec.args, &ready, &outcome, &dir, spec.command.clone())?;
        for failure in &outcome.failures {
            let text = format!("failed: {}, {}: {}", spec.name, failure.task, failure.error);
            output::note(common, text);
        }
        let picture = thumbnails(prepared);
        for &i in summary.strips.iter().flat_map(|s| s.kept.iter().chain(&s.dropped)) {
            if let Some(thumb) = picture(i) {
                self.pictures.insert((spec.name.clone(), i), thumb);
            }
        }
        let failures = outcome.failures.into_iter().map(|f| (f.task, f.error)).collect();
        let panel = Panel { name: spec.name.clone(), summary, failures };
        write_cells(&panel, &dir)?;
        Ok(panel)
    }

    fn existing(&self) -> Existing {
        if self.args.force { Existing::Restart } else { Existing::Continue }
    }
}

/// What decides a panel's runs, blocks apart: a study may grow.
fn job<B: Operators>(ready: &Ready<B>) -> Map<String, serde_json::Value> {
    let plan = &ready.plan;
    let mut job = Map::new();
    job.insert("command".to_owned(), json!("study"));
    job.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
    job.extend(context::job_of(&ready.prepared));
    let query = plan
        .query
        .as_ref()
        .map(|q| json!({ "runs": q.runs, "recipe": q.recipe, "per_seed": q.per_seed }));
    let features = plan.features.as_ref().map(|f| digest(bytemuck::cast_slice(&f.values)));
    for (key, value) in [
        ("seed", json!(plan.seed)),
        ("recipe", json!(plan.recipe)),
        ("budget", json!(plan.budget)),
        ("query", json!(query)),
        ("options", json!(plan.options)),
        ("pickers", json!(format!("{:?}", plan.choice.pickers))),
        ("features", json!(features)),
        ("smooth", json!(plan.choice.quotas.laplace)),
        ("min_per_class", json!(plan.choice.quotas.min_per_class)),
    ] {
        job.insert(key.to_owned(), value);
    }
    job
}

fn root(args: &StudyArgs) -> PathBuf {
    let stem = args.file.file_stem().map_or("study".into(), |s| s.to_string_lossy());
    let default = || Path::new("fairprune-out").join(format!("study-{stem}"));
    args.out.clone().unwrap_or_else(default)
}

/// Makes a new folder a study's, or accepts one that is.
fn claim(root: &Path, force: bool) -> Result<()> {
    let mark = root.join(MARK);
    std::fs::create_dir_all(root).map_err(Error::io(root))?;
    let mut foreign = Vec::new();
    for entry in std::fs::read_dir(root).map_err(Error::io(root))? {
        let name = entry.map_err(Error::io(root))?.file_name().to_string_lossy().into_owned();
        match name.strip_suffix(atomic::TEMPORARY) {
            None => foreign.push(name),
            // Of a process that is gone.
            Some(stem) if !is_alive(stem) => {
                let _ = std::fs::remove_file(root.join(&name));
            }
            Some(_) => {}
        }
    }
    // Looked at last: another process may just have made the folder a study's.
    if !mark.is_file() && !foreign.is_empty() {
        let what = format!("output folder {}", root.display());
        let found = format!("files such as {:?}, but no {MARK}", foreign[0]);
        return Err(Error::invalid(what, found, "an empty folder, or one of a study").into());
    }
    if force || !mark.is_file() {
        atomic::write_json(&mark, &json!({ "tool": "fairprune", "finished": false }))?;
    }
    Ok(())
}

/// Whether the process lives whose number ends the stem of a temporary file, `.name.PID-N`.
fn is_alive(stem: &str) -> bool {
    let number = stem.rsplit('.').next().and_then(|tail| tail.split('-').next());
    let Some(number) = number.and_then(|n| n.parse::<u32>().ok()) else { return true };
    !cfg!(target_os = "linux") || Path::new(&format!("/proc/{number}")).exists()
}

/// One JSON file a cell: its numbers, recipe and fingerprints.
fn write_cells(panel: &Panel, dir: &OutputDir) -> Result<()> {
    let settings = &panel.summary.settings;
    for strategy in &panel.summary.strategies {
        for point in &strategy.points {
            for run in &point.runs {
                let stem = strategy.name.replace([':', '='], "-");
                let name = format!("cells/{stem}-d{}-s{}.json", point.density, run.seed);
                let mut numbers = json!(run);
                if let Some(map) = numbers.as_object_mut() {
                    map.remove("train_seconds");
                    map.remove("preparation");
                }
                let mut around = json!(settings);
                if let Some(map) = around.as_object_mut() {
                    for own in ["command", "densities", "seeds", "threads"] {
                        map.remove(own);
                    }
                }
                dir.write_json(
                    &name,
                    &json!({
                        "format_version": 1,
                        "panel": panel.name,
                        "strategy": strategy.name,
                        "quota": strategy.quota,
                        "density": point.density,
                        "settings": around,
                        "result": numbers,
                    }),
                )?;
            }
        }
    }
    Ok(())
}

/// Tables, summary and report of the whole study; the number of failures.
fn write(
    root: &Path,
    summary: &StudySummary,
    pictures: &BTreeMap<(String, usize), Thumb>,
) -> Result<usize> {
    let panels = &summary.panels;
    let cells: Vec<_> = panels.iter().flat_map(cell_rows).collect();
    tables::write_listing(&root.join("cells.csv"), &CELL_COLUMNS, &cells)?;
    let classes: Vec<_> = panels.iter().flat_map(class_rows).collect();
    tables::write_listing(&root.join("classes.csv"), &CLASS_COLUMNS, &classes)?;
    let mut failures: Vec<FailureRow> = summary
        .unusable
        .iter()
        .map(|(panel, error)| FailureRow {
            panel: panel.clone(),
            task: "the panel".to_owned(),
            error: error.clone(),
        })
        .collect();
    for panel in panels {
        failures.extend(panel.failures.iter().map(|(task, error)| FailureRow {
            panel: panel.name.clone(),
            task: task.clone(),
            error: error.clone(),
        }));
    }
    tables::write_listing(&root.join("failures.csv"), &FAILURE_COLUMNS, &failures)?;
    let picture = |panel: usize, position: usize| {
        pictures.get(&(panels[panel].name.clone(), position)).cloned()
    };
    let page = report::render_study(summary, Some(&picture));
    atomic::write_bytes(&root.join("report.html"), page.as_bytes())?;
    atomic::write_json(&root.join(MARK), summary)?;
    Ok(failures.len())
}
