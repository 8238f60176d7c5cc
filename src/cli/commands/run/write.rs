//! The files of a run beside its report.

use anyhow::Result;
use fairprune::artefact::{OutputDir, npy, tables};
use fairprune::experiment::run::{RunOutcome, population};
use fairprune::experiment::run_plan::RunPlan;
use fairprune::experiment::{Prepared, provenance, weights};
use fairprune::ops::Operators;
use fairprune::report;

/// `kept-<strategy>-<seed>.npy` and `classes-<strategy>-<seed>.csv`, the density in the name where
/// there are several; `weights-<strategy>-<seed>.npy` where picks have weights.
pub(super) fn write_subsets<B: Operators>(
    prepared: &Prepared<B>,
    outcome: &RunOutcome,
    plan: &RunPlan,
    dir: &OutputDir,
) -> Result<()> {
    for run in &outcome.runs {
        let recalls = outcome.query(run.seed);
        let recalls = recalls.recalls_of(run.strategy.recalls_of(&plan.choice.pickers)).mean();
        let density = if plan.densities().len() > 1 && !run.strategy.stands_beside_all() {
            format!("d{}-", run.density)
        } else {
            String::new()
        };
        let stem = format!("{}-{density}{}", run.strategy.stem(), run.seed);
        let kept: Vec<i64> = run.subset.kept.iter().map(|&i| i as i64).collect();
        let name = format!("kept-{stem}.npy");
        npy::write(&dir.file(&name)?, &[kept.len()], &kept)?;
        let stated = provenance::of_subset(
            provenance::identity(&prepared.data),
            run.strategy,
            run.density,
            &plan.choice,
            &[run.seed as u64],
        );
        let stated = provenance::over(&prepared.partition, stated);
        let stated = provenance::with_positions(stated, &run.subset.kept);
        let population = population(prepared);
        let weights = run.strategy.weights_of(&run.subset, population, &plan.choice)?;
        if let Some(weights) = &weights {
            npy::write(&dir.file(&format!("weights-{stem}.npy"))?, &[weights.len()], weights)?;
        }
        let stated = weights::stated(stated, weights.as_deref());
        dir.write_json(&format!("kept-{stem}.json"), &stated)?;
        let rows: Vec<tables::ClassRow> = (0..prepared.partition.len())
            .map(|k| tables::ClassRow {
                class: k as u32,
                name: prepared.partition.names[k].clone(),
                size: run.subset.sizes[k] as u64,
                recall: recalls.get(k).copied().flatten(),
                density: run.subset.densities[k],
                kept: run.subset.counts[k] as u64,
            })
            .collect();
        tables::write(&dir.file(&format!("classes-{stem}.csv"))?, &rows)?;
    }
    Ok(())
}

/// Pictures for the report.
pub fn thumbnails<B: Operators>(
    prepared: &Prepared<B>,
) -> impl Fn(usize) -> Option<report::Thumb> + '_ {
    let data = &prepared.data;
    move |i| {
        (i < data.train.len()).then(|| report::Thumb {
            width: data.width,
            height: data.height,
            rgb: data.train.image(i).to_vec(),
        })
    }
}
