//! `fairprune selftest`: every operator of a device against its float64 oracle, and whole steps in every
//! way that they can be computed (`steps`).

mod steps;

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use fairprune::ops::Operators;
use fairprune::selftest::{Subject, cases};
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::device::{self, Device, on_device};
use crate::cli::output;

#[derive(Args, Debug)]
pub struct SelftestArgs {
    #[command(flatten)]
    pub common: Common,
    /// Small shapes, and buffers that end with their tensors: for slow devices and for tools that
    /// watch memory
    #[arg(long)]
    pub reduced: bool,
    /// Only cases whose `operator::name` contains TEXT
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub only: String,
}

/// What cases of whole steps are named for.
const STEPS: &str = "steps";

/// How a case went.
struct Row {
    operator: &'static str,
    name: &'static str,
    seconds: f64,
    failure: Option<String>,
}

/// Runs the cases and prints them as they end; 1 if one fails.
pub fn selftest(args: &SelftestArgs) -> Result<u8> {
    let device = Device::open(&args.common)?;
    let card = device.card();
    let begin_early = |on| {
        if let Device::Cuda(cuda) = &device {
            cuda.set_dependent_launch(on);
        }
    };
    on_device!(&device, backend => {
        let name = card.unwrap_or_else(|| device::describe(&**backend));
        let rows = run(backend, args, &name, begin_early)?;
        print(args, &name, &rows)
    })
}

fn run<B: Operators>(
    backend: &Arc<B>,
    args: &SelftestArgs,
    device: &str,
    begin_early: impl Fn(bool),
) -> Result<Vec<Row>> {
    let all = cases::<B>();
    let names = all.iter().map(|case| (case.operator, case.name));
    let names: Vec<(&str, &str)> = names.chain(steps::names().map(|name| (STEPS, name))).collect();
    let widths = [
        names.iter().map(|(operator, _)| operator.len()).max().unwrap_or(0),
        names.iter().map(|(_, name)| name.len()).max().unwrap_or(0),
    ];
    let line = |[operator, name, result, seconds]: [&str; 4]| {
        format!("{operator:0$}  {name:1$}  {result:6}  {seconds:>7}", widths[0], widths[1])
    };
    // A line as soon as it is known: a device that hangs or dies leaves what it did before.
    let say = |row: &Row| {
        let result = if row.failure.is_some() { "FAILED" } else { "ok" };
        let (name, seconds) = (row.name.replace('_', " "), format!("{:.2}", row.seconds));
        let cells = [row.operator, &name, result, &seconds];
        if args.common.json { Ok(()) } else { output::print(line(cells)) }
    };
    if !args.common.json {
        output::print(format!("{device}\n\n{}", line(["operator", "case", "result", "seconds"])))?;
    }
    let subject = Subject { backend: &**backend, reduced: args.reduced };
    let mut rows = Vec::new();
    for case in all {
        if !format!("{}::{}", case.operator, case.name).contains(&args.only) {
            continue;
        }
        let start = Instant::now();
        let failure = case.run(&subject).err().map(|failure| failure.0);
        let seconds = start.elapsed().as_secs_f64();
        let row = Row { operator: case.operator, name: case.name, seconds, failure };
        say(&row)?;
        rows.push(row);
    }
    steps::run(backend, args.reduced, &args.only, begin_early, |checked| {
        let steps::Checked { name, seconds, failure } = checked;
        let row = Row { operator: STEPS, name, seconds, failure };
        let said = say(&row);
        rows.push(row);
        said
    })?;
    Ok(rows)
}

fn print(args: &SelftestArgs, device: &str, rows: &[Row]) -> Result<u8> {
    let failed = rows.iter().filter(|r| r.failure.is_some()).count();
    if args.common.json {
        let cases = rows.iter().map(|r| {
            json!({
                "operator": r.operator,
                "case": r.name,
                "seconds": r.seconds,
                "failure": r.failure,
            })
        });
        let cases: Vec<_> = cases.collect();
        output::print_json(&json!({ "device": device, "failed": failed, "cases": cases }))?;
    } else {
        output::print("")?;
        for row in rows {
            if let Some(failure) = &row.failure {
                output::print(format!("{}::{}: {failure}", row.operator, row.name))?;
            }
        }
        let passed = rows.len() - failed;
        output::print(format!("{passed} of {} cases passed", rows.len()))?;
    }
    // A filter that matches nothing has tested nothing.
    Ok(u8::from(failed > 0 || rows.is_empty()))
}
