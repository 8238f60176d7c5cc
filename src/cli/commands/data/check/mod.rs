//! `fairprune data check`: duplicates, near-duplicates and wrong labels, before anything is scored.

mod args;
mod print;

use std::sync::Arc;

use anyhow::Result;
use fairprune::artefact::OutputDir;
use fairprune::data::DataSet;
use fairprune::error::Error;
use fairprune::experiment::folder::findings;
use fairprune::experiment::identity::Identity;
use fairprune::experiment::quality::{
    Checked, Evidence, OwnEvidence, QualityPlan, QualityQueries, document, find,
    identity_without_network, near_cost,
};
use fairprune::experiment::settings::DefaultNetwork;
use fairprune::experiment::training::Keeping;
use fairprune::experiment::{Device, Loaded, Session};

pub use self::args::CheckArgs;
use crate::cli::progress::Bar;
use crate::cli::{command_line, context, interrupt, output};

/// Looks for what is asked for, and writes `check.csv`, `check.json` and `check.html`.
pub fn check(args: &CheckArgs) -> Result<u8> {
    let common = &args.common;
    let plan = args.settings()?.plan()?;
    refuse_idle(args, &plan)?;
    let trains = plan.trains(args.features.is_some(), args.probabilities.is_some());
    let device = if trains { common.device()? } else { common.host()? };
    let data = context::load_data(common, &args.data, &device)?;
    let own = OwnEvidence::read(args.features.as_deref(), args.probabilities.as_deref(), &data)?;
    let (dir, identity, evidence) = match trains {
        true => by_networks(args, &plan, &device, &data, &own)?,
        false => {
            let identity = identity_without_network(&data, &plan, &own)?;
            let dir = context::output_dir(&args.out, "check", &identity)?;
            output::note(common, format!("output    {}", dir.root().display()));
            (dir, identity, Evidence::default())
        }
    };
    let evidence = own.over(evidence);
    if let Some(cost) = near_cost(&data, &plan, &evidence) {
        output::note(
            common,
            format!(
                "near      up to {:.1e} operations ({}), about {} on one core, {}",
                cost.flops,
                cost.class,
                output::seconds(cost.seconds),
                output::bytes(cost.bytes as u64)
            ),
        );
    }
    let found = device.host().pool().install(|| find(&data, &plan, &evidence))?;
    write(args, &plan, &data, (&found, &identity), &dir)?;
    print::report(args, &plan, &data, &found, &dir)
}

/// Refuses flags whose finding is not looked for.
fn refuse_idle(args: &CheckArgs, plan: &QualityPlan) -> Result<()> {
    let idle = [
        ("--near", args.near.is_some() && plan.near.is_none(), "near-duplicates"),
        ("--alike", args.alike.is_some() && plan.near.is_none(), "near-duplicates"),
        ("--features", args.features.is_some() && plan.near.is_none(), "near-duplicates"),
        ("--probabilities", args.probabilities.is_some() && plan.labels.is_none(), "labels"),
    ];
    match idle.iter().find(|(_, idle, _)| *idle) {
        None => Ok(()),
        Some((flag, _, kind)) => {
            let found = format!("--only {}", args.only.join(","));
            Err(Error::invalid(*flag, found, format!("{kind} among what is looked for")).into())
        }
    }
}

/// Trains the query runs that give what is lacking.
fn by_networks(
    args: &CheckArgs,
    plan: &QualityPlan,
    device: &Device,
    data: &Arc<DataSet>,
    own: &OwnEvidence,
) -> Result<(OutputDir, Identity, Evidence)> {
    let common = &args.common;
    let settings = plan.with_folds(&args.data.settings()?, own);
    let loaded = Loaded::of(device, Arc::clone(data), &settings).seed(common.seed);
    let session = loaded.session(&args.network.settings(common)?, DefaultNetwork::default())?;
    let recipe = args.recipe.settings()?;
    let trained = session.split.query(0).train.len();
    let full = recipe.recipe(trained, session.side(), data.classes.len())?;
    let queries = QualityQueries::new(&session, full, args.query_settings(), *plan, own)?;
    let memory = queries.planned_memory()?;
    let identity = queries.identity()?;
    let dir = context::output_dir(&args.out, "check", &identity)?;
    let interval = recipe.checkpoint_interval();
    let keeping = Keeping { dir: &dir, interval, keep_checkpoint: false };
    let mut lines = vec![describe(&queries, &session)];
    let costs = queries.costs();
    lines.extend(context::needs(common, &session, queries.recipe(), &costs, memory, &dir)?);
    output::note(common, lines.join("\n"));
    let bar = Bar::new(common, 1);
    let mut progress = |task: &str, done: u64, total: u64| bar.set(done, total, task);
    let evidence = queries.compute(&keeping, interrupt::requests()?, &mut progress);
    bar.finish();
    let evidence = evidence.inspect_err(|e| command_line::explain_interruption(common, e, &dir))?;
    Ok((dir, identity, evidence))
}

/// A line about the query runs.
fn describe(queries: &QualityQueries, session: &Session) -> String {
    let runs = queries.runs();
    let epochs = runs.first().map_or(0, |run| run.epochs());
    let count = if runs.len() == 1 { "1 run".to_owned() } else { format!("{} runs", runs.len()) };
    format!(
        "query     {count} of {epochs} epochs, no augmentation: {}\nimages    {} validation, {} of {} \
         training images each",
        queries.gives().join(", "),
        session.split.kind,
        session.split.query(0).train.len(),
        session.data.train.len()
    )
}

/// Writes the page, then the findings.
fn write(
    args: &CheckArgs,
    plan: &QualityPlan,
    data: &DataSet,
    (found, identity): (&Checked, &Identity),
    dir: &OutputDir,
) -> Result<()> {
    let page = print::page(args, plan, data, found, identity, dir);
    dir.write("check.html", |out| std::io::Write::write_all(out, page.as_bytes()))?;
    findings::write(&found.rows, &document(data, plan, identity, found), dir)?;
    Ok(())
}
