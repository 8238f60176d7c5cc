//! Pruning a data set by a score that nobody computed yet: query runs first.

use anyhow::Result;
use fairprune::artefact::OutputDir;
use fairprune::error::Error;
use fairprune::experiment::query::Recalls as QueryRecalls;
use fairprune::score::Method;
use serde_json::{Map, Value, json};

use super::recalls::Recalls;
use super::source::{Source, SourceArgs};
use super::{Plan, PruneArgs, Pruned, find_recalls, material, plan_job, select};
use crate::cli::args::OutArgs;
use crate::cli::commands::score::{ScoreArgs, by_query_runs, wanted};
use crate::cli::context;

/// Where the scores go, below the output folder.
const SCORES: &str = "scores";

/// Scores the data set in `OUT/scores` as `fairprune score` does, and selects by them.
pub(super) fn score_and_select(args: &PruneArgs, plan: &Plan) -> Result<(OutputDir, Pruned)> {
    let common = &args.common;
    if let Some(path) = &args.recalls {
        // Not when the queries are done.
        std::fs::metadata(path).map_err(Error::io(path))?;
    }
    let root = args.out.out.clone().unwrap_or_else(|| context::default_out("prune"));
    let scores = root.join(SCORES);
    let ssp = plan.methods().contains(&Method::Ssp);
    let data = args.source.data_args();
    let data = data.ok_or_else(|| Error::Internal("no data set to score".to_owned()))?;
    let score_args = ScoreArgs {
        data,
        groups: Some(args.source.groups.groups.clone()),
        method: plan.methods().iter().map(|m| m.name().to_owned()).collect(),
        queries: args.queries.clone(),
        weights: None,
        val: None,
        dynamics: None,
        features: args.features.features.clone().filter(|_| ssp),
        save_features: plan.looks_at_network(args.features.features.is_some()),
        variants: args.variants.clone(),
        network: args.network.clone(),
        recipe: args.recipe.clone(),
        out: OutArgs { out: Some(scores.clone()), resume: false, force: args.out.force },
        common: common.clone(),
    };
    let mut outer = None;
    let mut claim = |job: Map<String, Value>| {
        let mut whole = plan_job(plan, common.seed);
        whole.insert("query".to_owned(), json!(job));
        whole.insert("groups".to_owned(), json!(args.source.groups.groups));
        whole.insert("recalls".to_owned(), json!(args.recalls));
        whole.insert("features".to_owned(), json!(args.features.features));
        let out = OutArgs { out: Some(root.clone()), ..args.out.clone() };
        outer = Some(context::output_dir(&out, "prune", whole)?);
        context::output_dir(&score_args.out, "score", job)
    };
    // The folder of the scores stays claimed until they are read.
    let scored = by_query_runs(&score_args, &wanted(&score_args)?, &mut claim)?;
    let source = SourceArgs {
        scores: Some(scores),
        data: None,
        format: None,
        image_size: None,
        split: None,
        long_tail: Default::default(),
        ..args.source.clone()
    };
    let source = Source { data: scored.data.clone(), ..Source::read(common, &source)? };
    drop(scored);
    let recalls = find_recalls(args, plan, &source)?;
    let material = material::find(args, plan, &source)?;
    material.announce(common, plan, &source)?;
    let pruned = select(plan, source, recalls, material.material, common.seed)?;
    let outer = outer.ok_or_else(|| Error::Internal("nothing claimed the output".to_owned()))?;
    Ok((outer, pruned))
}

/// Recalls of a file, as quotas take them.
pub(super) fn recalls_of(recalls: Option<&Recalls>) -> QueryRecalls {
    QueryRecalls {
        given: recalls.map(|r| r.values.clone()),
        validation_sizes: recalls.and_then(|r| r.validation_sizes.clone()),
        ..QueryRecalls::default()
    }
}
