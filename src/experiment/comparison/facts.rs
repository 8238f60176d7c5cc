//! What decides a comparison, and a panel of a study.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::plan::{ComparisonPlan, QueryPlan};
use super::settings::Comparison;
use crate::artefact::digest;
use crate::error::Result;
use crate::experiment::identity::{Ground, Identity};
use crate::experiment::strategy::{Picker, PickerOptions, Strategy};
use crate::score::Options;
use crate::train::{Recipe, StepBudget};

/// What all runs of a plan have in common.
#[derive(Serialize)]
struct PlanFacts<'a> {
    seed: u64,
    recipe: &'a Recipe,
    budget: StepBudget,
    query: Option<QueryFacts<'a>>,
    options: &'a Options,
    features: Option<String>,
    smooth: bool,
    min_per_class: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    winsor: Option<f64>,
}

#[derive(Serialize)]
struct QueryFacts<'a> {
    runs: usize,
    recipe: &'a Recipe,
    per_seed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    out_of_fold: bool,
}

/// A comparison: the strategies are fixed, and so is what decides them.
#[derive(Serialize)]
struct ComparisonFacts<'a> {
    strategies: Vec<String>,
    densities: Vec<f64>,
    seeds: usize,
    /// The methods of selection that are used, with their options.
    pickers: Map<String, Value>,
    #[serde(flatten)]
    plan: PlanFacts<'a>,
    /// Stated where a strategy trains with weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pick_weights: Option<String>,
}

/// A panel of a study, which may grow: its blocks are left out, and everything that decides a run that a
/// block could name is stated.
#[derive(Serialize)]
struct PanelFacts<'a> {
    pickers: &'a PickerOptions,
    pick_weights: String,
    #[serde(flatten)]
    plan: PlanFacts<'a>,
}

impl ComparisonPlan {
    fn facts<'a>(&'a self) -> PlanFacts<'a> {
        let of = |q: &'a QueryPlan| QueryFacts {
            runs: q.runs,
            recipe: &q.recipe,
            per_seed: q.per_seed,
            out_of_fold: q.out_of_fold,
        };
        PlanFacts {
            seed: self.seed,
            recipe: &self.recipe,
            budget: self.budget,
            query: self.query.as_ref().map(of),
            options: &self.options,
            features: self.features.as_ref().map(|f| digest(bytemuck::cast_slice(&f.values))),
            smooth: self.choice.quotas.laplace,
            min_per_class: self.choice.quotas.min_per_class,
            winsor: self.choice.quotas.own_winsor(),
        }
    }
}

impl Comparison {
    /// What decides the comparison.
    pub fn identity(&self) -> Result<Identity> {
        let plan = &self.plan;
        let strategies = plan.strategies();
        let pickers: BTreeSet<Picker> = strategies.iter().flat_map(|s| s.pickers()).collect();
        let described = |p: Picker| Value::Object(p.describe(&plan.choice.pickers));
        let weighted = strategies.iter().any(|s| s.trains_with_weights(&plan.choice));
        let facts = ComparisonFacts {
            strategies: strategies.iter().map(Strategy::to_string).collect(),
            densities: plan.densities(),
            seeds: plan.seeds(),
            pickers: pickers.into_iter().map(|p| (p.name().to_owned(), described(p))).collect(),
            plan: plan.facts(),
            pick_weights: weighted.then(|| plan.choice.weights.to_string()),
        };
        Identity::on("run", Ground::of(&self.session), &facts)
    }

    /// What decides the runs of a panel of a study.
    pub fn panel_identity(&self) -> Result<Identity> {
        let choice = &self.plan.choice;
        let facts = PanelFacts {
            pickers: &choice.pickers,
            pick_weights: choice.weights.to_string(),
            plan: self.plan.facts(),
        };
        Identity::on("study", Ground::of(&self.session), &facts)
    }
}
