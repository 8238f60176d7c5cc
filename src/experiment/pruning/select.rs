//! What a selection looks at, and what comes of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::plan::{PlanFacts, PrunePlan};
use super::source::Source;
use crate::artefact::provenance::MethodRecord;
use crate::artefact::tables::SamplePart;
use crate::artefact::{OutputDir, Provenance, digest};
use crate::error::{Error, Result};
use crate::experiment::folder::features::{Extract, FEATURES, read_features};
use crate::experiment::folder::own_features::OwnFeatures;
use crate::experiment::folder::provenance::digest_of;
use crate::experiment::folder::recall_rows::{GROUP_RECALLS, RECALLS};
use crate::experiment::folder::recalls::{StatedRecalls, beside_scores};
use crate::experiment::folder::subset::{self, SubsetNames, SubsetRecord, SubsetSamples};
use crate::experiment::forecast::ForecastSummary;
use crate::experiment::identity::Identity;
use crate::experiment::strategy::{Material, Picker, QueryData, Quota, Ranking, Recalls, Strategy};
use crate::prune::{Direction, InputSizes, PickCost, Subset, Wanted, Warning, over};
use crate::score::Method;
use crate::train::Seeds;
use serde_json::{Value, json};

/// Features and predictions, and what identifies them.
#[derive(Default)]
pub struct Found {
    pub material: Material,
    pub digest: Option<String>,
}

/// Everything that a selection looks at.
pub struct PruneInputs {
    pub source: Source,
    /// The recalls that the quotas use, if they use any.
    pub recalls: Option<StatedRecalls>,
    pub found: Found,
}

/// A pruned set.
pub struct Pruned {
    pub source: Source,
    /// Names of the classes or groups.
    pub names: Vec<String>,
    pub recalls: Option<StatedRecalls>,
    pub subset: Subset,
    /// The score that people see: the strategy's, or the one that its method starts from.
    pub shown: Option<Shown>,
    /// What the same ranking keeps without quotas, where there are quotas and nothing is picked.
    pub kept_without_quotas: Option<Vec<usize>>,
    /// How the scores in use were made.
    pub records: Vec<MethodRecord>,
    pub warnings: Vec<String>,
}

/// A score of every sample, for people.
pub struct Shown {
    pub label: String,
    pub values: Vec<f64>,
    pub direction: Direction,
}

impl Shown {
    fn of(method: Method, query: &mut QueryData) -> Option<Self> {
        let values = query.scores.remove(&method)?;
        Some(Shown { label: method.label().to_owned(), values, direction: method.direction() })
    }
}

/// What of the samples and their scores decides the result.
#[derive(Serialize)]
struct SourceFacts<'a> {
    data: &'a str,
    split: &'a Option<String>,
    held_out: usize,
    /// Digest of the positions that may be kept, where more than the split decides them.
    #[serde(skip_serializing_if = "Option::is_none")]
    eligible: Option<String>,
    /// Digest of the findings by which samples are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    without: Option<&'a str>,
    scores: Option<&'a str>,
    recalls: Option<&'a str>,
    /// Digest of what the query networks say of validation samples, where the quotas follow from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<String>,
    groups: &'a Option<String>,
    /// Digest of given scores, and whether low ones are kept.
    given: Option<(&'a str, bool)>,
    #[serde(flatten)]
    plan: PlanFacts,
    features: &'a Option<String>,
}

impl PruneInputs {
    /// Finds what the plan needs beside the samples: recalls of the file `recalls`, or those beside the scores;
    /// features of the file `features`, or those beside the scores.
    ///
    /// # Errors
    /// Something is needed and not there, or of other samples.
    pub fn find(
        plan: &PrunePlan,
        source: Source,
        recalls: Option<&Path>,
        features: Option<&Path>,
    ) -> Result<PruneInputs> {
        let recalls = find_recalls(plan, &source, recalls)?;
        let found = find_material(plan, &source, features)?;
        Ok(PruneInputs { source, recalls, found })
    }

    /// What each method that picks will take.
    pub fn picking_costs(&self, plan: &PrunePlan) -> Result<Vec<(Picker, PickCost)>> {
        let source = &self.source;
        let sizes = source.sizes()?;
        let quotas = plan.quota != Quota::None;
        // The counts are not known yet; those in the classes' ratios cost about as much.
        let total = (plan.density * source.eligible.len() as f64).round() as usize;
        let wanted = Wanted::of_any(total.min(source.eligible.len()));
        let material = &self.found.material;
        let shape = InputSizes {
            dims: material.features.as_ref().map_or(0, |f| f.width),
            classes: source.identity.classes,
            validation: material.validation.as_ref().map_or(0, |v| v.labels.len()),
        };
        let options = &plan.choice.pickers;
        let cost = |picker: Picker| {
            let selector = picker.selector(options);
            let scope = options.scope.unwrap_or_else(|| selector.scope(quotas));
            let cost = selector.cost(&sizes, &wanted, scope, shape, options.memory)?;
            Ok((picker, cost))
        };
        plan.strategy().pickers().map(cost).collect()
    }

    /// What decides the subset that `plan` chooses.
    pub fn identity(&self, plan: &PrunePlan) -> Result<Identity> {
        let PruneInputs { source, recalls, found } = self;
        let rows = recalls.as_ref().and_then(|r| r.rows.as_ref());
        let rows = rows.filter(|_| plan.strategy().predicted().is_some());
        let left_out = source.left_out.as_ref().map_or(0, |l| l.samples);
        let low = |d: Direction| d == Direction::KeepLowest;
        let facts = SourceFacts {
            data: &source.identity.fingerprint,
            split: &source.split,
            held_out: source.ids.len() - source.eligible.len() - left_out,
            eligible: source.held_out_by_user.then(|| digest_of(&source.eligible)),
            without: source.left_out.as_ref().map(|l| l.digest.as_str()),
            scores: source.scores.as_ref().map(|s| s.digest.as_str()),
            recalls: recalls.as_ref().map(|r| r.digest.as_str()),
            rows: rows.map(|r| digest(bytemuck::cast_slice(r.log_probabilities()))),
            groups: &source.partition.attribute,
            given: source.given.as_ref().map(|g| (g.digest.as_str(), low(g.direction))),
            plan: plan.facts(),
            features: &found.digest,
        };
        Identity::of("prune", &facts)
    }

    /// Chooses the samples.
    pub fn select(self, plan: &PrunePlan) -> Result<Pruned> {
        let PruneInputs { source, recalls, found } = self;
        let mut query = QueryData {
            recalls: Recalls {
                given: recalls.as_ref().map(|r| r.values.clone()),
                rows: recalls.as_ref().and_then(|r| r.rows.clone()),
                validation_sizes: recalls.as_ref().and_then(|r| r.validation_sizes.clone()),
                ..Recalls::default()
            },
            material: found.material,
            ..QueryData::default()
        };
        let mut records = Vec::new();
        let mut columns = BTreeMap::new();
        for method in plan.methods() {
            let Some(scores) = &source.scores else {
                let what = format!("`strategy` and `quota` that use {method}");
                let expected = "`scores` DIR, a folder that `fairprune score` wrote";
                return Err(Error::invalid(what, "no scores", expected));
            };
            let (values, record) = scores.method(method)?;
            columns.insert(method, values);
            records.push(record.clone());
        }
        query.scores = columns;
        let strategy = plan.strategy();
        if let Some(given) = &source.given {
            query.given = Some((given.values.clone(), given.direction));
            records.extend(strategy.uses_given().then(|| given.record.clone()));
        }
        let partition = &source.partition;
        let names = match &recalls {
            Some(recalls) if !source.named => recalls.names.clone(),
            _ => partition.names.clone(),
        };
        // The draw of the first repetition of a comparison under the same seed.
        let draw = Seeds::derive(plan.seed, 0).subset;
        let subset = strategy.subset(source.population(), plan.density, draw, &query, &plan.choice);
        let subset = subset.map_err(|e| over(partition.unit(), &names, e))?;
        let kept_without_quotas = match plan.ranking {
            Ranking::Picks(_) => None,
            _ if plan.quota == Quota::None => None,
            ranking => {
                let alone = Strategy::Pruned { ranking, quota: Quota::None };
                let population = source.population();
                Some(alone.subset(population, plan.density, draw, &query, &plan.choice)?.kept)
            }
        };
        let describe = |w: &Warning| w.describe_over(partition.unit(), &names);
        let mut warnings: Vec<String> = subset.warnings.iter().map(describe).collect();
        if strategy.needs_recalls() {
            warnings.extend(recalls.iter().flat_map(|r| r.warnings.clone()));
        }
        let shown = match plan.ranking {
            Ranking::Score(method) => Shown::of(method, &mut query),
            Ranking::Picks(picker) => {
                picker.base(&plan.choice.pickers).and_then(|method| Shown::of(method, &mut query))
            }
            Ranking::Given => query.given.take().map(|(values, direction)| Shown {
                label: "Given score".to_owned(),
                values,
                direction,
            }),
            Ranking::Random => None,
        };
        Ok(Pruned { source, names, recalls, subset, shown, kept_without_quotas, records, warnings })
    }
}

fn find_recalls(
    plan: &PrunePlan,
    source: &Source,
    given: Option<&Path>,
) -> Result<Option<StatedRecalls>> {
    let found: Option<(PathBuf, bool)> = match (given, &source.scores) {
        (Some(path), _) => Some((path.to_owned(), false)),
        (None, Some(scores)) => {
            let ranking = plan.strategy().recalls_of(&plan.choice.pickers);
            beside_scores(scores, &source.partition, ranking)?
        }
        (None, None) => None,
    };
    let sizes = source.sizes()?;
    let read = |(path, recorded): (PathBuf, bool)| -> Result<StatedRecalls> {
        let mut recalls = StatedRecalls::read(&path, &source.recall_use(&sizes))?;
        if recorded {
            recalls.origin += ": those of the recorded run that the ranking is made from";
        }
        Ok(recalls)
    };
    match found.map(read).transpose()? {
        None if plan.strategy().needs_recalls() => Err(no_recalls(plan, source)),
        recalls => Ok(recalls),
    }
}

fn no_recalls(plan: &PrunePlan, source: &Source) -> Error {
    let name = if source.partition.attribute.is_some() { GROUP_RECALLS } else { RECALLS };
    let found = match &source.scores {
        Some(scores) => format!("no {name} in {}", scores.folder.display()),
        None => "no recalls".to_owned(),
    };
    let data = source.place.as_deref().unwrap_or("DATA");
    let expected = format!(
        "`recalls` {name}, which `fairprune score --data {data}` and `fairprune train --split holdout` \
         write; or `quota` none, uniform or balanced"
    );
    Error::invalid(format!("`quota` {}", plan.quota), found, expected)
}

/// Features and predictions of the folder of the scores, of a file of the user's, or both.
fn find_material(plan: &PrunePlan, source: &Source, own: Option<&Path>) -> Result<Found> {
    let mut found = Found::default();
    if plan.looks_at_network(own.is_some()) {
        found = material_of_folder(plan, source)?;
    }
    if let Some(path) = own {
        let own = OwnFeatures::read_for(path, &source.identity)?;
        found.material.features = Some(own.features);
        found.digest = Some(own.digest);
    }
    Ok(found)
}

fn material_of_folder(plan: &PrunePlan, source: &Source) -> Result<Found> {
    let strategy = plan.strategy();
    let names: Vec<&str> = strategy.pickers().map(|p| p.name()).collect();
    let names = names.join(", ");
    let Some(scores) = &source.scores else {
        let expected = "`features` emb.npy, or `scores` DIR of `fairprune score --save-features`, or \
                        `data` to train query models on";
        return Err(Error::invalid(format!("`strategy` {names}"), "no features", expected));
    };
    let description = scores.folder.join(FEATURES[2]);
    if !description.is_file() {
        let what = format!("{names}: `scores` {}", scores.folder.display());
        let expected = "features.npy, which `fairprune score --save-features` writes; or `features` \
                        emb.npy";
        return Err(Error::invalid(what, "no features.json", expected));
    }
    let stated = Provenance::read(&description)?;
    stated.check_data(&description.display().to_string(), &source.identity)?;
    let options = &plan.choice.pickers;
    let validation = strategy.pickers().any(|p| p.needs_validation(options));
    let extract = Extract { folder: String::new(), validation, parts: false };
    let (samples, classes) = (source.ids.len(), source.identity.classes);
    let material = read_features(&scores.folder, &extract, samples, classes)?;
    let values = material.features.iter().flat_map(|f| f.values.iter());
    let p = material.probabilities.iter().flatten();
    let bytes: Vec<u8> = values.chain(p).flat_map(|v| v.to_le_bytes()).collect();
    Ok(Found { material, digest: Some(digest(&bytes)) })
}

impl Pruned {
    /// Scores by which samples are ranked, one a sample, if any.
    pub fn scores(&self, plan: &PrunePlan) -> Option<&[f64]> {
        let ranks = matches!(plan.ranking, Ranking::Score(_) | Ranking::Given);
        self.shown.as_ref().filter(|_| ranks).map(|s| s.values.as_slice())
    }

    /// The subset with everything that is said of it.
    pub fn record<'a>(&'a self, plan: &'a PrunePlan) -> SubsetRecord<'a> {
        SubsetRecord {
            subset: &self.subset,
            strategy: plan.strategy(),
            density: plan.density,
            choice: &plan.choice,
            seed: plan.seed,
            partition: &self.source.partition,
            population: self.source.population(),
            names: &self.names,
            recalls: self.recalls.as_ref().map_or(&[], |r| &r.values),
            split: self.source.split.clone(),
        }
    }

    /// Writes `kept.json`, `classes.csv`, `mask.npy`, `eligible.npy`, `kept.csv`, `dropped.csv`, `picks.csv` and `weights.npy` of
    /// methods that pick, the page that `page` makes of what kept.json states, and last `kept.npy`.
    pub fn write(
        &self,
        plan: &PrunePlan,
        dir: &OutputDir,
        page: impl FnOnce(&Value) -> Option<String>,
    ) -> Result<()> {
        let (record, names) = (self.record(plan), SubsetNames::alone());
        let weights = record.weights()?;
        let stated = self.stated(&record, weights.as_deref());
        record.write_about(&stated, weights.as_deref(), &names, dir)?;
        record.write_samples(&self.samples(plan), dir)?;
        if let Some(page) = page(&stated) {
            dir.write("report.html", |out| std::io::Write::write_all(out, page.as_bytes()))?;
        }
        record.write_kept(&names, dir)
    }

    /// The samples that the subset is one of.
    pub fn samples(&self, plan: &PrunePlan) -> SubsetSamples<'_> {
        SubsetSamples {
            ids: &self.source.ids,
            labels: &self.source.labels,
            parts: &self.source.parts,
            scores: self.scores(plan),
            kept_without_quotas: self.kept_without_quotas.as_deref(),
        }
    }

    fn stated(&self, record: &SubsetRecord, weights: Option<&[f32]>) -> Value {
        let source = &self.source;
        let mut stated = record.provenance(source.identity.clone(), weights);
        if let Some(method) = stated.methods.first_mut() {
            let more = [
                ("kept", json!(self.subset.total())),
                ("of", json!(source.eligible.len())),
                ("held_out", json!(source.count(SamplePart::Val))),
                ("recalls", json!(self.recalls.as_ref().map(|r| &r.values))),
            ];
            method.hyper_parameters.extend(more.map(|(key, value)| (key.to_owned(), value)));
            if let Some(left_out) = &source.left_out {
                let stated = json!({ "digest": left_out.digest, "left_out": left_out.samples });
                method.hyper_parameters.insert("without".to_owned(), stated);
            }
            if let Some(forecast) = ForecastSummary::of(&self.subset) {
                method.hyper_parameters.insert("forecast".to_owned(), json!(forecast));
            }
        }
        stated.methods.extend(self.records.iter().cloned());
        subset::document(&stated, &self.names, &self.warnings)
    }
}
