//! `fairprune study FILE.toml`: a grid of comparisons, resumable, shared by several processes.

mod print;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::Existing;
use fairprune::data::DataSet;
use fairprune::error::Error;
use fairprune::experiment::Device;
use fairprune::experiment::comparison::{Comparison, ComparisonProgress};
use fairprune::experiment::settings::DataSettings;
use fairprune::experiment::study::{
    Panel, PanelSpec, StudyFolder, StudySpec, StudySummary, judge, write_cells,
};
use fairprune::report::{self, Thumb};

use crate::cli::args::Common;
use crate::cli::progress::Bar;
use crate::cli::{command_line, context, interrupt, output};

/// How often a panel that another process works on is looked at.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Args, Debug)]
#[command(after_help = "The file: docs/studies.md. A study that was interrupted goes on with the \
                        same command; several processes with the same --out share the work.")]
pub struct StudyArgs {
    /// The study: panels, blocks of strategies, densities and seeds, claims
    // Every command takes a seed and a precision; those of a study are its file's.
    #[arg(value_name = "FILE.toml", conflicts_with_all = ["seed", "precision"])]
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
    let study = StudySpec::read(&args.file)?;
    let device = args.common.device()?;
    let pictures = BTreeMap::new();
    let mut runner = Runner { args, study: &study, device, loaded: None, pictures };
    if args.dry_run { runner.describe() } else { runner.run() }
}

struct Runner<'a> {
    args: &'a StudyArgs,
    study: &'a StudySpec,
    device: Device,
    /// The data set of the last panel.
    loaded: Option<(DataSettings, Arc<DataSet>)>,
    /// Samples of the finished panels that their strips show, by panel and position.
    pictures: BTreeMap<(String, usize), Thumb>,
}

impl Runner<'_> {
    fn comparison(&mut self, panel: &PanelSpec) -> Result<Comparison> {
        let wanted = &panel.settings.data;
        let data = match &self.loaded {
            Some((settings, data)) if settings == wanted => Arc::clone(data),
            _ => {
                self.loaded = None;
                let data = context::load(&self.args.common, wanted, &self.device)?;
                self.loaded = Some((wanted.clone(), Arc::clone(&data)));
                data
            }
        };
        let mut comparison = panel.settings.prepare(&self.device, data, panel.blocks.clone())?;
        comparison.plan.keep_going = true;
        Ok(comparison)
    }

    /// `--dry-run`.
    fn describe(&mut self) -> Result<u8> {
        let mut rows = Vec::new();
        for panel in &self.study.panels {
            let comparison = self.comparison(panel)?;
            rows.push(print::Needs::of(&panel.name, &comparison)?);
        }
        print::needs(&self.args.common, &self.study.title, &rows)?;
        Ok(0)
    }

    fn run(&mut self) -> Result<u8> {
        let common = &self.args.common;
        let root = root(self.args);
        if let Some(first) = self.study.panels.first() {
            // What is unusable there is seen before anything is written.
            self.comparison(first)?;
        }
        let folder = StudyFolder::claim(&root, self.args.force)?;
        let (mut panels, mut unusable) = (Vec::new(), Vec::new());
        for (spec, panel) in self.study.panels.iter().zip(self.panels(&folder)?) {
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
        let picture = |panel: usize, position: usize| {
            self.pictures.get(&(summary.panels[panel].name.clone(), position)).cloned()
        };
        let page = report::render_study(&summary, Some(&picture));
        let failed = folder.write(&summary, &page)?;
        if common.json {
            output::print_json(&summary)?;
        } else {
            print::results(common, &summary, &root)?;
        }
        Ok(u8::from(failed > 0))
    }

    /// Runs every panel; an error says why one could not be run.
    fn panels(&mut self, folder: &StudyFolder) -> Result<Vec<Result<Panel, String>>> {
        let common = &self.args.common;
        let requests = interrupt::requests()?;
        let count = self.study.panels.len();
        let mut done: Vec<Option<Result<Panel, String>>> = (0..count).map(|_| None).collect();
        let (mut waiting, mut said) = (BTreeSet::new(), false);
        // Panels that another process works on are left for later: it may finish them.
        while done.iter().any(Option::is_none) {
            let before = done.iter().flatten().count();
            for (i, spec) in self.study.panels.iter().enumerate() {
                if done[i].is_some() {
                    continue;
                }
                let title = format!("panel {} of {count}: {}", i + 1, spec.name);
                done[i] = match self.panel(spec, folder, &title) {
                    Ok(panel) => Some(Ok(panel)),
                    Err(e) => match e.downcast_ref() {
                        Some(Error::Busy { holder, .. }) => {
                            if waiting.insert((i, holder.clone())) {
                                let text = format!("{title}: process {holder} works on it");
                                output::note(common, text);
                            }
                            None
                        }
                        Some(Error::Interrupted) => {
                            let words = command_line::typed();
                            output::note(common, format!("To continue:\n  {words}"));
                            return Err(e);
                        }
                        _ => {
                            output::note(common, format!("failed: {}: {e:#}", spec.name));
                            Some(Err(output::worded(&format!("{e:#}"))))
                        }
                    },
                };
            }
            if done.iter().flatten().count() == before {
                if !said {
                    output::note(common, "waiting for these processes; Ctrl-C stops waiting");
                    said = true;
                }
                if requests.stop() {
                    return Err(Error::Interrupted.into());
                }
                std::thread::sleep(PATIENCE);
            }
        }
        Ok(done.into_iter().flatten().collect())
    }

    /// Runs one panel, or loads what is there.
    fn panel(&mut self, spec: &PanelSpec, folder: &StudyFolder, title: &str) -> Result<Panel> {
        let common = &self.args.common;
        let comparison = self.comparison(spec)?;
        let existing = if self.args.force { Existing::Restart } else { Existing::Continue };
        let dir = comparison.panel_identity()?.claim(&folder.panel(&spec.name), existing)?;
        output::note(common, title);
        let bar = Bar::new(common, 1);
        let mut progress = |p: ComparisonProgress| bar.set(p.steps, p.total_steps, p.task);
        let outcome = comparison.run(&dir, interrupt::requests()?, &mut progress);
        bar.finish();
        let outcome = outcome?;
        let command = command_line::of_settings("fairprune run", &spec.table);
        let summary = comparison.write(&outcome, &spec.settings.data.data, command, &dir)?;
        report::write(&summary, &comparison.session.data, &dir)?;
        for failure in &outcome.failures {
            let text = format!("failed: {}, {}: {}", spec.name, failure.task, failure.error);
            output::note(common, text);
        }
        for &i in summary.strips.iter().flat_map(|s| s.kept.iter().chain(&s.dropped)) {
            if let Some(thumb) = Thumb::of(&comparison.session.data, i) {
                self.pictures.insert((spec.name.clone(), i), thumb);
            }
        }
        let failure =
            |f: fairprune::experiment::comparison::Failure| (f.task, output::worded(&f.error));
        let failures = outcome.failures.into_iter().map(failure).collect();
        let panel = Panel { name: spec.name.clone(), summary, failures };
        write_cells(&panel, &dir)?;
        Ok(panel)
    }
}

fn root(args: &StudyArgs) -> PathBuf {
    let stem = args.file.file_stem().map_or("study".into(), |s| s.to_string_lossy());
    let default = || Path::new("fairprune-out").join(format!("study-{stem}"));
    args.out.clone().unwrap_or_else(default)
}
