//! Numbers of flags are finite, whether a command uses them or not.

use std::any::TypeId;
use std::fmt::Display;
use std::str::FromStr;

use clap::Command;

/// The command line with every flag that takes a number refusing NaN and infinities.
pub fn finite(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let kind = arg.get_value_parser().type_id();
        match () {
            _ if kind == TypeId::of::<f64>() => arg.value_parser(parse::<f64>),
            _ if kind == TypeId::of::<f32>() => arg.value_parser(parse::<f32>),
            _ => arg,
        }
    });
    command.mut_subcommands(finite)
}

fn parse<T>(text: &str) -> Result<T, String>
where
    T: FromStr + Into<f64> + Copy + Display,
    T::Err: Display,
{
    let number: T = text.parse().map_err(|e: T::Err| e.to_string())?;
    let value: f64 = number.into();
    match value.is_finite() {
        true => Ok(number),
        false => Err(format!("found {number}, expected a finite number")),
    }
}

/// Whether a flag takes a number with a point.
#[cfg(test)]
fn is_number(arg: &clap::Arg) -> bool {
    let kind = arg.get_value_parser().type_id();
    kind == TypeId::of::<f64>() || kind == TypeId::of::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    /// Every flag of every command, tried alone: what else is missing is another refusal.
    #[test]
    fn no_flag_takes_what_is_no_finite_number() {
        fn visit(command: &Command, words: &[String], tried: &mut usize) {
            for arg in command.get_arguments().filter(|a| is_number(a)) {
                let Some(long) = arg.get_long() else { continue };
                for bad in ["nan", "inf", "-inf", "1e999"] {
                    let flag = format!("--{long}={bad}");
                    let given = words.iter().cloned().chain([flag]);
                    let error = finite(Cli::command()).try_get_matches_from(given).unwrap_err();
                    let text = error.to_string();
                    assert!(text.contains("expected a finite number"), "{words:?} {long}: {text}");
                    *tried += 1;
                }
            }
            for below in command.get_subcommands() {
                let words = [words, &[below.get_name().to_owned()]].concat();
                visit(below, &words, tried);
            }
        }
        let mut tried = 0;
        visit(&finite(Cli::command()), &["fairprune".to_owned()], &mut tried);
        assert!(tried > 100, "{tried}");
    }
}
