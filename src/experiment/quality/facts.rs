//! What decides the findings of a check, and what `check.json` says of them.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::evidence::OwnEvidence;
use super::find::Checked;
use super::plan::QualityPlan;
use super::samples::AllSamples;
use crate::artefact::Provenance;
use crate::artefact::provenance::MethodRecord;
use crate::artefact::tables::FindingKind;
use crate::data::DataSet;
use crate::error::Result;
use crate::experiment::folder::provenance;
use crate::experiment::identity::Identity;
use crate::train::Recipe;

/// What of a check decides its result, beside the ground that networks stand on.
#[derive(Serialize)]
pub(super) struct QualityFacts<'a> {
    looked_for: Vec<String>,
    near: Option<f64>,
    alike: Option<f64>,
    ranking: Option<String>,
    given: Value,
    query_recipe: Option<&'a Recipe>,
    runs: Option<usize>,
    seed: u64,
}

#[derive(Serialize)]
struct FactsOfData<'a> {
    data: &'a str,
    #[serde(flatten)]
    check: QualityFacts<'a>,
}

impl<'a> QualityFacts<'a> {
    pub(super) fn of(
        plan: &QualityPlan,
        own: &OwnEvidence,
        query: Option<(&'a Recipe, usize)>,
        seed: u64,
    ) -> Self {
        let (query_recipe, runs) = query.unzip();
        QualityFacts {
            looked_for: plan.kinds().iter().map(FindingKind::to_string).collect(),
            near: plan.near.map(|[near, _]| near),
            alike: plan.near.map(|[_, alike]| alike),
            ranking: plan.labels.map(|ranking| ranking.to_string()),
            given: own.describe(),
            query_recipe,
            runs,
            seed,
        }
    }
}

/// What decides a check that needs no network.
pub fn identity_without_network(
    data: &DataSet,
    plan: &QualityPlan,
    own: &OwnEvidence,
) -> Result<Identity> {
    let check = QualityFacts::of(plan, own, None, 0);
    Identity::of("data check", &FactsOfData { data: &data.fingerprint, check })
}

/// What `check.json` says: whose samples the findings are of, what decided them, and what they come to.
pub fn document(data: &DataSet, plan: &QualityPlan, identity: &Identity, found: &Checked) -> Value {
    let record = |kind: FindingKind| MethodRecord {
        name: kind.to_string(),
        variant: variant(kind).to_owned(),
        direction: None,
        hyper_parameters: match kind {
            FindingKind::ExactDuplicate => Map::new(),
            FindingKind::NearDuplicate => {
                let [near, alike] = plan.near.unwrap_or_default();
                let bounds = [("near", json!(near)), ("alike", json!(alike))];
                bounds.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }
            FindingKind::Label => {
                let ranking = plan.labels.map(|ranking| ranking.to_string());
                Map::from_iter([("ranking".to_owned(), json!(ranking))])
            }
        },
    };
    let records = plan.kinds().into_iter().map(record).collect();
    let mut document = json!(Provenance::new(provenance::identity(data), records, Vec::new()));
    let samples = AllSamples::of(data);
    let parts: Map<String, Value> =
        samples.parts().map(|(name, n)| (name.name().to_owned(), json!(n))).collect();
    document["job"] = Value::Object(identity.job());
    document["class_names"] = json!(data.classes);
    document["samples"] = Value::Object(parts);
    document["counts"] = json!(found.counts);
    document["near_across_parts"] = json!(found.near_across_parts);
    document["labels"] = json!(found.labels);
    document
}

fn variant(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::ExactDuplicate => "the same decoded pixels, in any part",
        FindingKind::NearDuplicate => {
            "cosine of penultimate features less their mean, and correlation of pixels, mirrored or not and up \
             to a pixel apart; in any part of which there are features"
        }
        FindingKind::Label => {
            "confident learning from probabilities out of fold: off the diagonal of the confident joint"
        }
    }
}
