//! `fairprune bench`: images per second of training and scoring, and `bench compare`.
//!
//! | module | idea |
//! |---|---|
//! | `settings` | flags, and what they mean once checked |
//! | `card` | the card as it was found: driver, clocks |
//! | `floor` | the least time that a card's ceilings allow |
//! | `machine` | what the numbers hold for |
//! | `subject` | the network and the random images that are timed |
//! | `verify` | a wrong result is not worth timing |
//! | `timing` | repeats within a budget of seconds |
//! | `suites` | the rows: train, forward, grand, read |
//! | `pipeline` | rows of the user's own images, from the disk on |
//! | `kernels` | rows of single operators, beside their floors |
//! | `sets` | random tensors that no cache holds |
//! | `tune` | the same in every form and tile, and the table of those that win |
//! | `memory` | the process's peak |
//! | `results` | the JSON document, written and read |
//! | `noise` | medians, spreads, and how large a difference chance makes |
//! | `kinds` | which runs of two files may be compared |
//! | `compare` | the verdict on two sets of results |
//! | `interleave` | two programs, run in turn |

mod card;
mod compare;
mod floor;
mod interleave;
mod kernels;
mod kinds;
mod machine;
mod memory;
mod noise;
mod pipeline;
mod results;
mod sets;
mod settings;
mod subject;
mod suites;
mod timing;
mod tune;
mod verify;

use std::sync::atomic::Ordering;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::cli::args::Common;
use crate::cli::device::{Device, on_device};
use crate::cli::{interrupt, output};
use card::Card;
use settings::{Settings, SuiteArgs};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub action: Option<Action>,
    #[command(flatten)]
    pub suite: SuiteArgs,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Subcommand, Debug)]
pub enum Action {
    /// Compare two sets of results, or two builds; exit code 3 if a row regressed
    Compare(compare::CompareArgs),
}

impl BenchArgs {
    /// The common flags, of whichever form was called.
    pub fn common(&self) -> &Common {
        match &self.action {
            Some(Action::Compare(args)) => &args.common,
            None => &self.common,
        }
    }
}

/// Times the suites and prints the rows, or compares.
pub fn bench(args: &BenchArgs) -> Result<u8> {
    if let Some(Action::Compare(args)) = &args.action {
        return compare::compare(args);
    }
    let common = &args.common;
    let settings = Settings::new(&args.suite, common)?;
    let device = Device::open(common)?;
    if cfg!(debug_assertions) {
        output::note(common, "note: this is a development build; time one made with --release");
    }
    if let Device::Cuda(cuda) = &device {
        cuda.set_dependent_launch(settings.dependent_launch);
    }
    let cpu = device.host(common)?;
    let card = Card::of(&device);
    let machine = machine::describe(&cpu, &card);
    let interrupt = interrupt::flag()?;
    let rows = on_device!(device, backend => {
        suites::run(&backend, &card, &cpu, &settings, common)
    })?;
    let stopped = interrupt.load(Ordering::Relaxed);
    if stopped {
        output::warn("stopped: these are the rows timed so far");
    }
    let document = results::document(&rows, &machine, &settings, stopped)?;
    if common.json {
        output::print_json(&document)?;
    } else {
        output::print(results::text(&rows, &machine, &settings))?;
    }
    Ok(u8::from(stopped))
}
