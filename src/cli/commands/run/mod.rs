//! `fairprune run`: the whole comparison, its table, report and verdict.

mod args;
mod print;

use anyhow::Result;
use fairprune::experiment::comparison::ComparisonProgress;
use fairprune::report;

pub use self::args::RunArgs;
use self::print::{print_settings, print_summary};
use crate::cli::progress::Bar;
use crate::cli::{command_line, context, interrupt, output};

/// Runs the comparison.
pub fn run(args: &RunArgs) -> Result<u8> {
    let common = &args.common;
    let device = common.device()?;
    let settings = args.settings()?;
    let data = context::load(common, &settings.data, &device)?;
    let blocks = vec![args.block()?];
    context::idle_flags(common, &settings.idle(&blocks));
    let comparison = settings.prepare(&device, data, blocks)?;
    context::left_out(common, &comparison.session.split);
    let memory = comparison.plan.planned_memory(&comparison.session)?;
    let dir = context::output_dir(&args.out, "run", &comparison.identity()?)?;
    print_settings(args, &comparison, memory, &dir)?;
    let bar = Bar::new(common, 1);
    let mut progress = |p: ComparisonProgress| bar.set(p.steps, p.total_steps, p.task);
    let outcome = comparison.run(&dir, interrupt::requests()?, &mut progress);
    bar.finish();
    let outcome = outcome.inspect_err(|e| command_line::explain_interruption(common, e, &dir))?;
    let summary = comparison.write(&outcome, &args.data.data, command_line::typed(), &dir)?;
    let report = report::write(&summary, &comparison.session.data, &dir)?;
    if common.json {
        output::print_json(&summary)?;
        return Ok(0);
    }
    print_summary(common, &summary)?;
    let spent: f64 = summary.phases.iter().map(|p| p.seconds).sum();
    let peak = summary.phases.iter().filter_map(|p| p.peak_bytes).max().unwrap_or(0);
    let cost =
        format!("{} of computing, {} planned memory", output::seconds(spent), output::bytes(peak));
    output::print(format!("report: {} ({cost})", report.display()))?;
    if comparison.session.data.format.is_built_in() {
        let hint = "your own data: fairprune run --data FOLDER --image-size 32   (FOLDER/train/CLASS/*, FOLDER/test/CLASS/*)";
        output::print(hint)?;
    }
    Ok(0)
}
