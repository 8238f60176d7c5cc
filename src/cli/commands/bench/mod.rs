//! `fairprune bench`: images per second of training and scoring, and `bench compare`.

mod compare;
mod flags;
mod print;

use anyhow::Result;
use clap::{Args, Subcommand};
use fairprune::bench::{self, Observer};
use fairprune::experiment::Device;
use fairprune::requests::Requests;

use crate::cli::args::Common;
use crate::cli::progress::Bar;
use crate::cli::{interrupt, output};
use flags::SuiteArgs;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub action: Option<BenchAction>,
    #[command(flatten)]
    pub suite: SuiteArgs,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Subcommand, Debug)]
pub enum BenchAction {
    /// Compare two sets of results, or two builds; exit code 3 if a row regressed
    Compare(compare::CompareArgs),
}

impl BenchArgs {
    /// The common flags, of whichever form was called.
    pub fn common(&self) -> &Common {
        match &self.action {
            Some(BenchAction::Compare(args)) => &args.common,
            None => &self.common,
        }
    }
}

/// Times the suites and prints the rows, or compares.
pub fn bench(args: &BenchArgs) -> Result<u8> {
    if let Some(BenchAction::Compare(args)) = &args.action {
        return compare::compare(args);
    }
    let common = &args.common;
    let settings = args.suite.measurement(common)?;
    settings.check()?;
    let device = Device::with_threads(&common.device, common.threads)?;
    if cfg!(debug_assertions) {
        output::note(common, "note: this is a development build; time one made with --release");
    }
    let bar = RowBar { common, requests: interrupt::requests()?, bar: Bar::new(common, 1) };
    let report = bench::run(&device, &settings, &bar)?;
    bar.bar.finish();
    if report.stopped {
        output::warn("stopped: these are the rows timed so far");
    }
    if common.json {
        output::print_json(&bench::document(&report, &settings))?;
    } else {
        output::print(print::text(&report, &settings))?;
    }
    Ok(u8::from(report.stopped))
}

/// A bar that says which row is timed.
struct RowBar<'a> {
    common: &'a Common,
    requests: &'static Requests,
    bar: Bar,
}

impl Observer for RowBar<'_> {
    fn is_stopped(&self) -> bool {
        self.requests.stop()
    }

    fn progress(&self, what: &str, gone: f64, whole: f64) {
        if gone == 0.0 {
            self.bar.restart();
        }
        self.bar.set((gone * 1e3) as u64, (whole * 1e3) as u64, what);
    }

    fn note(&self, text: &str) {
        output::note(self.common, output::wrap(text, 2));
    }
}
