//! What a selection method looks at beside scores: features and predictions, of a network or the
//! user's own.

use anyhow::Result;
use fairprune::artefact::{Provenance, digest};
use fairprune::error::Error;
use fairprune::experiment::cell::Extract;
use fairprune::experiment::export::{FEATURES, read_features};
use fairprune::experiment::picker::Material;
use fairprune::prune::{Cost, Shape, Wanted};

use super::source::Source;
use super::{Plan, PruneArgs};
use crate::cli::args::Common;
use crate::cli::commands::pickers::OwnFeatures;
use crate::cli::output;

/// Features and predictions, and what identifies them.
#[derive(Default)]
pub struct Found {
    pub material: Material,
    pub digest: Option<String>,
}

/// What the plan needs: of the folder of the scores, of --features, or both.
pub fn find(args: &PruneArgs, plan: &Plan, source: &Source) -> Result<Found> {
    let mut found = Found::default();
    if plan.looks_at_network(args.features.features.is_some()) {
        found = of_folder(plan, source)?;
    }
    if let Some(path) = &args.features.features {
        let own = OwnFeatures::read_for(path, &source.identity)?;
        found.material.features = Some(own.features);
        found.digest = Some(own.digest);
    }
    Ok(found)
}

fn of_folder(plan: &Plan, source: &Source) -> Result<Found> {
    let names: Vec<&str> = plan.strategy.pickers().map(|p| p.name()).collect();
    let names = names.join(", ");
    let Some(scores) = &source.scores else {
        let expected = "--features emb.npy, or --scores DIR of `fairprune score --save-features`, or \
                        --data to train query models on";
        return Err(Error::invalid(format!("--strategy {names}"), "no features", expected).into());
    };
    let description = scores.folder.join(FEATURES[2]);
    if !description.is_file() {
        let what = format!("{names}: --scores {}", scores.folder.display());
        let expected = "features.npy, which `fairprune score --save-features` writes; or --features \
                        emb.npy";
        return Err(Error::invalid(what, "no features.json", expected).into());
    }
    let stated = Provenance::read(&description)?;
    stated.check_data(&description.display().to_string(), &source.identity)?;
    let options = &plan.choice.pickers;
    let validation = plan.strategy.pickers().any(|p| p.needs_validation(options));
    let extract = Extract { folder: String::new(), validation };
    let (samples, classes) = (source.ids.len(), source.identity.classes);
    let material = read_features(&scores.folder, &extract, samples, classes)?;
    let values = material.features.iter().flat_map(|f| f.values.iter());
    let p = material.probabilities.iter().flatten();
    let bytes: Vec<u8> = values.chain(p).flat_map(|v| v.to_le_bytes()).collect();
    Ok(Found { material, digest: Some(digest(&bytes)) })
}

impl Found {
    /// Says what the picks will take.
    pub fn announce(&self, common: &Common, plan: &Plan, source: &Source) -> Result<()> {
        let mut sizes = vec![0; source.partition.len()];
        source.eligible.iter().for_each(|&i| sizes[source.groups[i] as usize] += 1);
        let quotas = plan.strategy.quota() != fairprune::experiment::strategy::Quota::None;
        // The counts are not known yet; those in the classes' ratios cost about as much.
        let total = (plan.density * source.eligible.len() as f64).round() as usize;
        let wanted = Wanted::of_any(total.min(source.eligible.len()));
        let validation = self.material.validation.as_ref().map_or(0, |v| v.labels.len());
        let shape = Shape {
            dims: self.material.features.as_ref().map_or(0, |f| f.width),
            classes: source.identity.classes,
            validation,
        };
        for picker in plan.strategy.pickers() {
            let options = &plan.choice.pickers;
            let selector = picker.selector(options);
            let scope = options.scope.unwrap_or_else(|| selector.scope(quotas));
            let cost: Cost = selector.cost(&sizes, &wanted, scope, shape, options.memory)?;
            output::note(
                common,
                format!(
                    "picking   {}: up to {:.1e} operations ({}), about {} on one core, {}",
                    picker.label(),
                    cost.flops,
                    cost.class,
                    output::seconds(cost.seconds),
                    output::bytes(cost.bytes as u64)
                ),
            );
        }
        Ok(())
    }
}
