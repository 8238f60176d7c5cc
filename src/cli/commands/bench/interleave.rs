//! Two programs, run in turn, so that whatever drifts on the machine reaches both.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use fairprune::artefact::atomic;
use fairprune::error::Error;

use super::compare::CompareArgs;
use super::results::{Run, parse};
use crate::cli::progress::Bar;

/// Runs OLD and NEW `--repeats` times each, the first one changing from round to round, and gives
/// the runs of each.
pub fn run(args: &CompareArgs) -> Result<[Vec<Run>; 2]> {
    if args.repeats == 0 {
        return Err(Error::invalid("--repeats", "0", "at least 1").into());
    }
    let programs = [args.old.as_path(), args.new.as_path()];
    for program in programs {
        std::fs::metadata(program).map_err(Error::io(program))?;
    }
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir).map_err(Error::io(dir))?;
    }
    let bar = Bar::new(&args.common, 2 * args.repeats as u64);
    let mut texts = [String::new(), String::new()];
    let mut runs = [Vec::new(), Vec::new()];
    for round in 0..args.repeats {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for (turn, side) in order.into_iter().enumerate() {
            let name = ["OLD", "NEW"][side];
            bar.set((2 * round + turn) as u64, 2 * args.repeats as u64, name);
            let text = run_once(programs[side], args)?;
            runs[side].extend(parse(&text, &programs[side].display().to_string())?);
            // One line a run.
            let value: serde_json::Value = serde_json::from_str(&text)?;
            texts[side].push_str(&format!("{value}\n"));
        }
    }
    bar.finish();
    if let Some(dir) = &args.out {
        for (name, text) in ["old.jsonl", "new.jsonl"].iter().zip(&texts) {
            atomic::write_bytes(&dir.join(name), text.as_bytes())?;
        }
    }
    Ok(runs)
}

/// Standard output of `PROGRAM bench FLAGS --json`.
fn run_once(program: &Path, args: &CompareArgs) -> Result<String> {
    let common = &args.common;
    let absolute = std::path::absolute(program).map_err(Error::io(program))?;
    let output = Command::new(&absolute)
        .arg("bench")
        .args(args.suite.words())
        .args(["--seed", &common.seed.to_string(), "--threads", &common.threads.to_string()])
        .args(["--device", &common.device, "--precision", &common.precision.to_string()])
        .args(["--json", "--quiet"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::io(program))?;
    ensure!(output.status.success(), "{} bench: {}", program.display(), output.status);
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} bench: not UTF-8 on stdout", program.display()))
}
