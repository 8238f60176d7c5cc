//! Commands, progress and tables: the only place that prints.
//!
//! Raw arguments (`args`) become validated objects (`context`), which the commands use. Results go
//! to stdout; progress and messages go to stderr.

#[cfg(unix)]
pub mod allocator;
mod args;
mod command_line;
mod commands;
mod context;
mod density;
mod help;
mod interrupt;
mod numbers;
mod output;
mod progress;
mod settings;
mod stated;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use fairprune::backend::pool;
use fairprune::error::Error;

use args::Common;

/// Train image classifiers, score every training sample, prune data sets fairly.
#[derive(Parser, Debug)]
#[command(name = "fairprune", version, disable_help_subcommand = false, max_term_width = 100)]
#[command(
    after_help = "Without a command: run, on built-in data. `fairprune run --help` shows its options."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The commands; `run` if none is given.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Compare pruning strategies end to end: train, score, set quotas, prune, retrain, report
    Run(commands::run::RunArgs),
    /// Run a whole study: a grid of comparisons from a file, resumable
    Study(commands::study::StudyArgs),
    /// Train one network
    Train(commands::train::TrainArgs),
    /// Score every training sample: by query runs, a network of your own, or a recorded run
    Score(commands::score::ScoreArgs),
    /// Choose the samples to keep: how many of each class, and which
    Prune(commands::prune::PruneArgs),
    /// Compute class quotas from sizes and recalls alone
    Quota(commands::quota::QuotaCommandArgs),
    /// Two Gaussians, exactly: thresholds and risks after MetriQ and SSP
    Theory(commands::theory::TheoryArgs),
    /// Evaluate a network class by class
    Eval(commands::eval::EvalArgs),
    /// Say which devices and kernels can be used here, and why not the others
    Doctor(commands::doctor::DoctorArgs),
    /// Hold every operator of a device against exact results; exit code 1 if one fails
    Selftest(commands::selftest::SelftestArgs),
    /// Time training and scoring on random images; `bench compare` holds two results side by side
    Bench(commands::bench::BenchArgs),
    /// Print completions of this command line for a shell
    Completions(commands::manual::CompletionsArgs),
    /// Print the manual page, or write one a command
    Man(commands::manual::ManArgs),
    /// Look at data sets, check them, write the built-in ones, cache, export subsets, fetch public ones
    Data(commands::data::DataCommandArgs),
}

impl Command {
    /// The flags that every command has.
    pub fn common(&self) -> &Common {
        match self {
            Command::Run(a) => &a.common,
            Command::Study(a) => &a.common,
            Command::Train(a) => &a.common,
            Command::Score(a) => &a.common,
            Command::Theory(a) => &a.common,
            Command::Eval(a) => &a.common,
            Command::Prune(a) => &a.common,
            Command::Quota(a) => &a.common,
            Command::Doctor(a) => &a.common,
            Command::Selftest(a) => &a.common,
            Command::Bench(a) => a.common(),
            Command::Completions(a) => &a.common,
            Command::Man(a) => &a.common,
            Command::Data(a) => a.common(),
        }
    }
}

/// Parses, runs, and maps the outcome to an exit code: 0 done, 1 failed while running, 2 unusable
/// input or arguments, 3 regression, 75 stopped by a scheduler (the same command goes on).
pub fn main() -> ExitCode {
    output::name_flags_of(Cli::command);
    let arguments = with_default_command(std::env::args_os().collect());
    let parsed = numbers::finite(help::complete(Cli::command())).try_get_matches_from(arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are errors to clap.
            let code = if error.use_stderr() { 2 } else { 0 };
            output::print_usage(&help::without_far_guesses(error));
            return ExitCode::from(code);
        }
    };
    output::start_logging(cli.command.common());
    let started =
        interrupt::listen().and_then(|()| pool::for_program(cli.command.common().threads));
    if let Err(error) = started {
        let code = error.exit_code();
        output::print_error(&error.into());
        return ExitCode::from(code);
    }
    let outcome = match &cli.command {
        Command::Run(args) => commands::run::run(args),
        Command::Study(args) => commands::study::study(args),
        Command::Train(args) => commands::train::train(args),
        Command::Score(args) => commands::score::score(args),
        Command::Theory(args) => commands::theory::theory(args),
        Command::Eval(args) => commands::eval::eval(args),
        Command::Prune(args) => commands::prune::prune(args),
        Command::Quota(args) => commands::quota::quota(args),
        Command::Doctor(args) => commands::doctor::doctor(args),
        Command::Selftest(args) => commands::selftest::selftest(args),
        Command::Bench(args) => commands::bench::bench(args),
        Command::Completions(args) => {
            commands::manual::completions(args, help::complete(Cli::command()))
        }
        Command::Man(args) => commands::manual::man(args, help::complete(Cli::command())),
        Command::Data(args) => commands::data::data(args),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if output::is_broken_pipe(&error) {
                return ExitCode::SUCCESS;
            }
            output::print_error(&error);
            ExitCode::from(match error.downcast_ref() {
                Some(Error::Interrupted) => interrupt::exit_code(),
                Some(library) => library.exit_code(),
                None => 1,
            })
        }
    }
}

/// `fairprune` and `fairprune --density .3` mean `fairprune run ...`.
fn with_default_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let known = |word: &str| {
        let command = Cli::command();
        let named = command.get_subcommands().any(|c| c.get_name() == word);
        named || ["help", "-h", "--help", "-V", "--version"].contains(&word)
    };
    let given = arguments.get(1).map(|a| a.to_string_lossy().into_owned());
    match given {
        Some(word) if known(&word) || !word.starts_with('-') => {}
        _ => arguments.insert(1.min(arguments.len()), "run".into()),
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<OsString> {
        list.iter().map(OsString::from).collect()
    }

    #[test]
    fn run_is_the_default_command() {
        assert_eq!(with_default_command(words(&["fairprune"])), words(&["fairprune", "run"]));
        let given = words(&["fairprune", "--density", ".3"]);
        assert_eq!(with_default_command(given), words(&["fairprune", "run", "--density", ".3"]));
        for kept in [&["fairprune", "train"][..], &["fairprune", "--help"], &["fairprune", "trian"]]
        {
            assert_eq!(with_default_command(words(kept)), words(kept));
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        help::complete(Cli::command()).debug_assert();
    }
}
