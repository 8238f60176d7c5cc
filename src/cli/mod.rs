//! Commands, progress and tables: the only place that prints.
//!
//! Raw arguments (`args`) become validated objects (`context`), which the commands use. Results go
//! to stdout; progress and messages go to stderr.

mod args;
mod command_line;
mod commands;
mod context;
mod device;
mod interrupt;
mod output;
mod progress;
mod subset;
mod weight_file;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};

/// Parses, runs, and maps the outcome to an exit code: 0 done, 1 failed while running, 2 unusable
/// input or arguments, 3 regression.
pub fn main() -> ExitCode {
    output::name_flags_of(Cli::command);
    let arguments = with_default_command(std::env::args_os().collect());
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are errors to clap.
            let code = if error.use_stderr() { 2 } else { 0 };
            output::print_usage(&error);
            return ExitCode::from(code);
        }
    };
    output::start_logging(cli.command.common());
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
        Command::Completions(args) => commands::manual::completions(args),
        Command::Man(args) => commands::manual::man(args),
        Command::Data(args) => commands::data::data(args),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if output::is_broken_pipe(&error) {
                return ExitCode::SUCCESS;
            }
            output::print_error(&error);
            let library = error.downcast_ref::<fairprune::error::Error>();
            ExitCode::from(library.map_or(1, fairprune::error::Error::exit_code))
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
        Cli::command().debug_assert();
    }
}
