//! What `-h` shows of commands with many flags, their examples, and guesses at what was meant.

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// A command with many flags: those that `-h` shows, and two examples.
struct Short {
    command: &'static str,
    flags: &'static [&'static str],
    examples: [&'static str; 2],
}

const SHORT: [Short; 4] = [
    Short {
        command: "run",
        flags: &[
            "data",
            "image_size",
            "density",
            "strategies",
            "seeds",
            "arch",
            "epochs",
            "batch",
            "split",
            "out",
            "seed",
            "device",
            "threads",
        ],
        examples: [
            "fairprune run --data photos --image-size 32 --density .5,.3",
            "fairprune run --data photos --strategies random,el2n,metriq --seeds 5 --out compared",
        ],
    },
    Short {
        command: "train",
        flags: &[
            "data",
            "image_size",
            "arch",
            "epochs",
            "batch",
            "lr",
            "subset",
            "split",
            "log_every",
            "out",
            "seed",
            "device",
            "threads",
        ],
        examples: [
            "fairprune train --data photos --image-size 32 --epochs 30",
            "fairprune train --data photos --subset kept/kept.npy --out trained",
        ],
    },
    Short {
        command: "score",
        flags: &[
            "data",
            "image_size",
            "method",
            "weights",
            "runs",
            "arch",
            "epochs",
            "split",
            "out",
            "seed",
            "device",
            "threads",
        ],
        examples: [
            "fairprune score --data photos --image-size 32 --method el2n,forgetting --out scores",
            "fairprune score --data photos --weights model.safetensors --out scores",
        ],
    },
    Short {
        command: "prune",
        flags: &[
            "data",
            "scores",
            "direction",
            "density",
            "prune_rate",
            "strategy",
            "quota",
            "recalls",
            "split",
            "held_out",
            "out",
        ],
        examples: [
            "fairprune prune --scores scores --density .5 --out kept",
            "fairprune prune --data photos --scores mine.csv --direction high --quota uniform --density .5",
        ],
    },
];

/// The command line with a short `-h`: commands with many flags show those that most people need.
pub fn complete(command: Command) -> Command {
    SHORT.iter().fold(command, |command, short| {
        command.mut_subcommand(short.command, |own| {
            let examples = short.examples.map(|line| format!("  {line}\n")).concat();
            let more = "More flags: --help\n";
            let kept = own.get_after_help().map(|text| format!("{text}\n\n")).unwrap_or_default();
            own.mut_args(|arg| {
                let shown = short.flags.contains(&arg.get_id().as_str());
                arg.hide_short_help(!shown)
            })
            .after_help(format!("{kept}Examples:\n{examples}{more}"))
            .after_long_help(format!("{kept}Examples:\n{examples}"))
        })
    })
}

/// The error without guesses that are too far from what was typed.
pub fn without_far_guesses(mut error: Error) -> Error {
    if error.kind() == ErrorKind::UnknownArgument {
        // How to pass the flag as a value, which nobody wants.
        error.remove(ContextKind::Suggested);
    }
    for (typed, guessed) in [
        (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand),
    ] {
        let near = match (error.get(typed), error.get(guessed)) {
            (Some(ContextValue::String(typed)), Some(ContextValue::String(guess))) => {
                is_near(typed, guess)
            }
            (Some(ContextValue::String(typed)), Some(ContextValue::Strings(guesses))) => {
                guesses.iter().any(|guess| is_near(typed, guess))
            }
            _ => continue,
        };
        if !near {
            error.remove(guessed);
            // A usage that is about the guess.
            error.remove(ContextKind::Usage);
        }
    }
    error
}

/// Whether one word may be a slip of the other: a letter of four is wrong, missing or swapped, or one is
/// the beginning of the other.
fn is_near(typed: &str, guess: &str) -> bool {
    let [typed, guess] = [typed, guess].map(|word| {
        let word = word.split(['=', ' ']).next().unwrap_or(word);
        word.trim_start_matches('-').to_lowercase().replace('_', "-")
    });
    let shorter = typed.len().min(guess.len());
    let begins = shorter >= 3 && (typed.starts_with(&guess) || guess.starts_with(&typed));
    begins || strsim::damerau_levenshtein(&typed, &guess) <= (shorter / 4).max(1)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn short_help_is_a_screen_with_examples_and_long_help_is_complete() {
        for short in &SHORT {
            let mut command = complete(Cli::command());
            let own = command.find_subcommand_mut(short.command).unwrap();
            for flag in short.flags {
                assert!(
                    own.get_arguments().any(|a| a.get_id() == flag),
                    "{} {flag}",
                    short.command
                );
            }
            let text = own.clone().term_width(100).render_help().to_string();
            assert!(
                text.lines().count() <= 48,
                "{}: {} lines",
                short.command,
                text.lines().count()
            );
            assert_eq!(text.matches("  fairprune ").count(), 2, "{text}");
            let long = own.clone().term_width(100).render_long_help().to_string();
            for argument in own.get_arguments().filter(|a| !a.is_hide_set()) {
                if let Some(name) = argument.get_long() {
                    assert!(long.contains(&format!("--{name}")), "{} --{name}", short.command);
                }
            }
        }
    }

    #[test]
    fn guesses_are_near_or_not_made() {
        for (typed, guess, near) in [
            ("--epoch", "--epochs", true),
            ("--denstiy", "--density", true),
            ("--batchsize", "--batch", true),
            ("--image_size", "--image-size", true),
            ("trian", "train", true),
            ("--optimizer", "--prototypes", false),
            ("--gpu", "--out", false),
            ("--verbosity", "--density", false),
            ("fit", "data", false),
        ] {
            assert_eq!(is_near(typed, guess), near, "{typed} {guess}");
        }
        let message = |words: &[&str]| {
            let error = complete(Cli::command()).try_get_matches_from(words).unwrap_err();
            without_far_guesses(error).render().to_string()
        };
        let near = message(&["fairprune", "train", "--epoch", "3"]);
        assert!(near.contains("--epochs"), "{near}");
        for far in ["--optimizer", "--dropout", "--num-classes", "--amp", "--pretrained"] {
            let text = message(&["fairprune", "train", far]);
            assert!(!text.contains("tip:") && text.contains(far), "{text}");
            assert!(!text.contains("Usage: fairprune train --"), "a guess in other words: {text}");
        }
    }

    #[test]
    fn words_of_pytorch_users_are_flags() {
        let command = complete(Cli::command());
        let words =
            "fairprune train --model resnet20 --batch-size 8 --learning-rate .1 --workers 2";
        let matches = command.try_get_matches_from(words.split(' ')).unwrap();
        let train = matches.subcommand_matches("train").unwrap();
        assert_eq!(train.get_one::<String>("arch").unwrap(), "resnet20");
        assert_eq!(train.get_one::<usize>("batch"), Some(&8));
        assert_eq!(train.get_one::<usize>("threads"), Some(&2));
        assert_eq!(train.get_one::<f64>("lr"), Some(&0.1));
    }
}
