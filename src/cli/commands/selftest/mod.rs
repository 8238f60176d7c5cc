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

/// How a case went.
struct Row {
    operator: &'static str,
    name: &'static str,
    seconds: f64,
    failure: Option<String>,
}

/// Runs the cases and prints a table; 1 if one fails.
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
        let rows = run(backend, args, begin_early)?;
        print(args, &name, &rows)
    })
}

fn run<B: Operators>(
    backend: &Arc<B>,
    args: &SelftestArgs,
    begin_early: impl Fn(bool),
) -> Result<Vec<Row>> {
    let subject = Subject { backend: &**backend, reduced: args.reduced };
    let mut rows = Vec::new();
    for case in cases::<B>() {
        if !format!("{}::{}", case.operator, case.name).contains(&args.only) {
            continue;
        }
        let start = Instant::now();
        let failure = case.run(&subject).err().map(|failure| failure.0);
        let seconds = start.elapsed().as_secs_f64();
        rows.push(Row { operator: case.operator, name: case.name, seconds, failure });
    }
    let steps = steps::run(backend, args.reduced, &args.only, begin_early).into_iter();
    rows.extend(steps.map(|steps::Checked { name, seconds, failure }| Row {
        operator: "steps",
        name,
        seconds,
        failure,
    }));
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
        let lines = rows.iter().map(|r| {
            let result = if r.failure.is_some() { "FAILED" } else { "ok" };
            let name = r.name.replace('_', " ");
            vec![r.operator.to_owned(), name, result.to_owned(), format!("{:.2}", r.seconds)]
        });
        let table = output::table(&["operator", "case", "result", "seconds"], lines.collect(), 3);
        output::print(format!("{device}\n\n{table}\n"))?;
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
