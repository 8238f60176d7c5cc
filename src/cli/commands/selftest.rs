//! `fairprune selftest`: every operator of a device against its float64 oracle, and whole steps in every
//! way that they can be computed.

use std::ops::ControlFlow;

use anyhow::Result;
use clap::Args;
use fairprune::experiment::Device;
use fairprune::selftest::{self, CaseReport};
use serde_json::json;

use crate::cli::args::Common;
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

/// Runs the cases and prints them as they end; 1 if one fails.
pub fn selftest(args: &SelftestArgs) -> Result<u8> {
    let device = Device::with_threads(&args.common.device, args.common.threads)?;
    let name = match device.card() {
        Some(card) => format!("{} ({})", card.properties().card, device.name()),
        None => device.to_string(),
    };
    let reports = run(&device, args, &name)?;
    print(args, &name, &reports)
}

/// Says how each case went as soon as it is known: a device that hangs or dies leaves what it did before.
fn run(device: &Device, args: &SelftestArgs, name: &str) -> Result<Vec<CaseReport>> {
    let names = selftest::names(device);
    let widths = [
        names.iter().map(|(operator, _)| operator.len()).max().unwrap_or(0),
        names.iter().map(|(_, name)| name.len()).max().unwrap_or(0),
    ];
    let line = |[operator, name, result, seconds]: [&str; 4]| {
        format!("{operator:0$}  {name:1$}  {result:6}  {seconds:>7}", widths[0], widths[1])
    };
    let say = |report: &CaseReport| {
        let result = if report.failure.is_some() { "FAILED" } else { "ok" };
        let (name, seconds) = (report.name.replace('_', " "), format!("{:.2}", report.seconds));
        let cells = [report.operator, &name, result, &seconds];
        if args.common.json { Ok(()) } else { output::print(line(cells)) }
    };
    if !args.common.json {
        let heading = line(["operator", "case", "result", "seconds"]);
        output::print(format!("{}\n\n{heading}", output::wrap(name, 0)))?;
    }
    let (mut reports, mut said) = (Vec::new(), Ok(()));
    let _ = selftest::run(device, args.reduced, &args.only, &mut |report| {
        said = say(&report);
        reports.push(report);
        if said.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    said.map(|()| reports)
}

fn print(args: &SelftestArgs, device: &str, reports: &[CaseReport]) -> Result<u8> {
    let failed = reports.iter().filter(|r| r.failure.is_some()).count();
    if args.common.json {
        output::print_json(&json!({ "device": device, "failed": failed, "cases": reports }))?;
    } else {
        output::print("")?;
        for report in reports {
            if let Some(failure) = &report.failure {
                let text = format!("{}::{}: {failure}", report.operator, report.name);
                output::print(output::wrap(&text, 2))?;
            }
        }
        let passed = reports.len() - failed;
        output::print(format!("{passed} of {} cases passed", reports.len()))?;
    }
    // A filter that matches nothing has tested nothing.
    Ok(u8::from(failed > 0 || reports.is_empty()))
}
