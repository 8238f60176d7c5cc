//! The check of a data set before anything is scored: exact duplicates, near-duplicates, wrong labels.
//!
//! What is looked for ([`QualityPlan`]) needs evidence ([`Evidence`]): nothing for exact duplicates,
//! features for near ones, probabilities out of fold for labels. [`QualityQueries`] trains query networks
//! that give both; [`find`] makes findings of it.

mod evidence;
mod facts;
mod find;
mod plan;
mod queries;
mod samples;

pub use evidence::{Evidence, OwnEvidence};
pub use facts::{document, identity_without_network};
pub use find::{Checked, ClassPair, FindingCounts, LabelSummary, find, near_cost};
pub use plan::{QualityPlan, QualitySettings, kind_to_look_for};
pub use queries::{OUT_OF_FOLD, QualityQueries};
pub use samples::AllSamples;
