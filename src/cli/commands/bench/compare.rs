//! `fairprune bench compare`: which rows became slower than chance explains.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fairprune::bench::{
    BenchRun, ComparedRow, FORMAT_VERSION, Programs, RateComparison, drivers, parse_threshold,
    read, run_in_turn,
};
use fairprune::error::Error;
use serde_json::json;

use super::flags::PassedOn;
use super::print;
use crate::cli::args::Common;
use crate::cli::output;
use crate::cli::progress::Bar;

/// Exit code where a row regressed.
const REGRESSED: u8 = 3;

#[derive(Args, Debug)]
pub struct CompareArgs {
    /// Results of `bench --json`, one or several runs; with --run a fairprune program
    #[arg(value_name = "OLD")]
    pub old: PathBuf,
    /// What is held against it
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// Loss of speed that is accepted; never less than the measured noise
    #[arg(long, default_value = "5%", value_name = "P%")]
    pub threshold: String,
    /// OLD and NEW are programs: run both in turn with the measurement flags
    #[arg(long)]
    pub run: bool,
    /// Runs of each program
    #[arg(long, default_value_t = 5, value_name = "N", requires = "run")]
    pub repeats: usize,
    /// Also write every run to DIR/old.jsonl and DIR/new.jsonl
    #[arg(long, value_name = "DIR", requires = "run")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub suite: PassedOn,
    #[command(flatten)]
    pub common: Common,
}

/// Prints the comparison; [`REGRESSED`] if a row regressed.
pub fn compare(args: &CompareArgs) -> Result<u8> {
    let threshold = parse_threshold(&args.threshold)?;
    let mut one_program = false;
    let [old, new] = if args.run {
        let (runs, same) = run_both(args)?;
        one_program = same;
        runs
    } else {
        if !args.suite.0.is_empty() {
            let expected = "--run as well, with two programs; files are already measured";
            return Err(Error::invalid("bench compare", "measurement flags", expected).into());
        }
        [read(&args.old)?, read(&args.new)?]
    };
    let names = [&args.old, &args.new].map(|path| path.display().to_string());
    let mut comparison = RateComparison::of([&old, &new], &names, threshold)?;
    if one_program {
        comparison = comparison.of_one_program();
        let text = "note: OLD and NEW are the same program: what differs is the machine's load";
        output::note(&args.common, text);
    }
    note_drivers(&args.common, [&old, &new]);
    let regressed = comparison.regressed();
    if args.common.json {
        output::print_json(&json!({
            "rows": comparison.rows().collect::<Vec<_>>(),
            "regressed": regressed.iter().map(|row| row.name()).collect::<Vec<_>>(),
            "only_old": comparison.only[0],
            "only_new": comparison.only[1],
            "machine": old[0].settings.get("machine"),
            "format_version": FORMAT_VERSION,
        }))?;
    } else {
        let one = comparison.kinds.len() == 1;
        for kind in comparison.kinds.iter().filter(|kind| !kind.rows.is_empty()) {
            let heading = if one { String::new() } else { output::wrap(&kind.kind, 2) + "\n" };
            output::print(heading + &print::comparison(&kind.rows))?;
        }
    }
    for (list, side) in comparison.only.iter().zip(["OLD", "NEW"]) {
        if !list.is_empty() {
            // Said even with --quiet: nothing may be left out unseen.
            let text = format!("only in {side}, not compared: {}", list.join("; "));
            output::warn(output::wrap(&text, 2));
        }
    }
    if !regressed.is_empty() {
        let told = |row: &&ComparedRow| format!("{} ({:.2} of OLD)", row.name(), row.ratio);
        let list: Vec<String> = regressed.iter().map(told).collect();
        // The reason for the exit code is said even with --quiet.
        output::warn(output::wrap(&format!("regressed: {}", list.join(", ")), 2));
        return Ok(REGRESSED);
    }
    comparison.check_complete(&names)?;
    Ok(0)
}

/// Says where the results are of different drivers.
fn note_drivers(common: &Common, sides: [&[BenchRun]; 2]) {
    let [before, now] = sides.map(|runs| match drivers(runs).join(" and ") {
        unknown if unknown.is_empty() => "an unknown one".to_owned(),
        known => known,
    });
    if before != now {
        let text = format!("note: the drivers differ: {before} in OLD, {now} in NEW");
        output::note(common, output::wrap(&text, 2));
    }
}

/// Runs OLD and NEW in turn with the flags that were given; whether they are one program.
fn run_both(args: &CompareArgs) -> Result<([Vec<BenchRun>; 2], bool)> {
    let common = &args.common;
    let words = format!(
        "bench --seed {} --threads {} --device {} --precision {} --json --quiet",
        common.seed, common.threads, common.device, common.precision
    );
    let mut words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    words.extend(args.suite.0.iter().cloned());
    let programs = Programs {
        paths: [&args.old, &args.new],
        words: &words,
        repeats: args.repeats,
        out: args.out.as_deref(),
    };
    let total = 2 * args.repeats as u64;
    let bar = Bar::new(common, total);
    let runs = run_in_turn(&programs, &|done, name| bar.set(done as u64, total, name))?;
    bar.finish();
    Ok((runs, programs.same()?))
}
