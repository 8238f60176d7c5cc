//! Two programs, run in turn, so that whatever drifts on the machine reaches both.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::results::{BenchRun, parse};
use crate::artefact::atomic;
use crate::artefact::integrity::digest_of_file;
use crate::error::{Error, Result};

/// Two programs that are held against each other, and how they are called.
pub struct Programs<'a> {
    /// OLD and NEW.
    pub paths: [&'a Path; 2],
    /// What each is called with: a command line that prints one document.
    pub words: &'a [String],
    /// Runs of each.
    pub repeats: usize,
    /// Where `old.jsonl` and `new.jsonl` are written.
    pub out: Option<&'a Path>,
}

impl Programs<'_> {
    /// Whether both are the same program, byte for byte.
    ///
    /// # Errors
    /// A program that cannot be read.
    pub fn same(&self) -> Result<bool> {
        let [old, new] = self.paths.map(digest_of_file);
        Ok(old? == new?)
    }
}

/// Runs both, the first one changing from round to round, and gives the runs of each. `progress` is told
/// the runs that are done and whose run begins.
///
/// # Errors
/// A program that is not there or fails, prints no results, or a folder that cannot be written.
pub fn run(programs: &Programs, progress: &dyn Fn(usize, &str)) -> Result<[Vec<BenchRun>; 2]> {
    let Programs { paths, words, repeats, out } = *programs;
    if repeats == 0 {
        return Err(Error::invalid("`repeats`", "0", "at least 1"));
    }
    for program in paths {
        std::fs::metadata(program).map_err(Error::io(program))?;
    }
    if let Some(dir) = out {
        std::fs::create_dir_all(dir).map_err(Error::io(dir))?;
    }
    let mut texts = [String::new(), String::new()];
    let mut runs = [Vec::new(), Vec::new()];
    for round in 0..repeats {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for (turn, side) in order.into_iter().enumerate() {
            progress(2 * round + turn, ["OLD", "NEW"][side]);
            let text = run_once(paths[side], words)?;
            let name = paths[side].display().to_string();
            runs[side].extend(parse(&text, &name)?);
            let document: Value = serde_json::from_str(&text)
                .map_err(|e| Error::invalid(name, e.to_string(), "one document of bench `json`"))?;
            // One line a run.
            texts[side].push_str(&format!("{document}\n"));
        }
    }
    if let Some(dir) = out {
        for (name, text) in ["old.jsonl", "new.jsonl"].iter().zip(&texts) {
            atomic::write_bytes(&dir.join(name), text.as_bytes())?;
        }
    }
    Ok(runs)
}

/// Standard output of the program.
fn run_once(program: &Path, words: &[String]) -> Result<String> {
    let absolute = std::path::absolute(program).map_err(Error::io(program))?;
    let output = Command::new(&absolute)
        .args(words)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::io(program))?;
    let failed = |what: String| Error::Measurement(format!("{} bench: {what}", program.display()));
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    String::from_utf8(output.stdout).map_err(|e| failed(format!("not UTF-8 on stdout: {e}")))
}
