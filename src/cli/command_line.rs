//! The command line as text: what repeats a run, and what continues it.

use std::path::Path;

use fairprune::artefact::OutputDir;
use fairprune::error::Error;

use super::args::Common;
use super::output;

/// The words of this process's command line, quoted for a shell, under the program's name.
pub fn typed() -> String {
    let words = arguments().into_iter().skip(1).map(quote);
    std::iter::once("fairprune".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// The words as text, whatever bytes they hold.
fn arguments() -> Vec<String> {
    std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// A word as a shell reads it back.
pub fn quote(word: String) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+%@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The command with the settings of a file as flags.
pub fn of_settings(command: &str, settings: &toml::Table) -> String {
    fn text(value: &toml::Value) -> String {
        match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(","),
            other => other.to_string(),
        }
    }
    let switches = ["allow-missing", "out-of-fold", "query-per-seed", "resnet-v1"];
    let mut words = vec![command.to_owned()];
    for (key, value) in settings {
        match value {
            toml::Value::Boolean(on) if switches.contains(&key.as_str()) => {
                words.extend(on.then(|| format!("--{key}")));
            }
            _ => words.extend([format!("--{key}"), text(value)]),
        }
    }
    words.join(" ")
}

/// Tells how to continue an interrupted job.
pub fn explain_interruption(common: &Common, error: &Error, dir: &OutputDir) {
    if matches!(error, Error::Interrupted) {
        let command = resume_command(arguments(), dir.root());
        let out = dir.root().display();
        output::note(common, format!("The state is in {out}. To continue:\n  {command}"));
    }
}

/// The command that continues the job of `arguments` in `out`; the program's name as it was typed.
fn resume_command(arguments: Vec<String>, out: &Path) -> String {
    let named = arguments.iter().any(|w| w == "--out" || w.starts_with("--out="));
    // `--force` would start anew.
    let kept = arguments.into_iter().filter(|w| w != "--resume" && w != "--force");
    let mut words: Vec<String> = kept.map(quote).collect();
    if !named {
        words.extend(["--out".to_owned(), quote(out.display().to_string())]);
    }
    words.push("--resume".to_owned());
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resume_command_continues_what_was_asked_for() {
        let command = |text: &str| {
            resume_command(
                text.split(' ').map(str::to_owned).collect(),
                Path::new("fairprune-out/x"),
            )
        };
        assert_eq!(command("fairprune run"), "fairprune run --out fairprune-out/x --resume");
        assert_eq!(
            command("target/release/fairprune train --out a --force --lr .1"),
            "target/release/fairprune train --out a --lr .1 --resume"
        );
        assert_eq!(command("fairprune train --out=a --resume"), "fairprune train --out=a --resume");
        assert_eq!(quote("it's".to_owned()), r"'it'\''s'");
    }
}
