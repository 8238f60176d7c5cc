//! A comparison as a person asks for it, and the session and plan that follow.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plan::{Block, ComparisonPlan, QueryPlan};
use crate::data::{DataSet, Partition};
use crate::error::{Error, Result};
use crate::experiment::device::Device;
use crate::experiment::folder::own_features::OwnFeatures;
use crate::experiment::query::{Queries, check_folds};
use crate::experiment::session::Session;
use crate::experiment::settings::{
    DataSettings, DefaultNetwork, NetworkSettings, RecipeSettings, VariantSettings, check_runs,
};
use crate::experiment::strategy::{
    Choice, Idle, PickWeights, Picker, PickerOptions, QuotaSettings, Strategy,
};
use crate::experiment::text;
use crate::nn::Arch;
use crate::prune;
use crate::score::{Method, Options};
use crate::train::{Recipe, StepBudget};

/// Channels of the first stage on built-in data, so that the comparison takes two minutes.
const BUILT_IN_WIDTH: usize = 8;

/// Everything about a comparison but the strategies, densities and seeds, which are in [`Block`]s.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ComparisonSettings {
    #[serde(flatten)]
    pub data: DataSettings,
    /// What quotas and metrics are over: `classes`, or the samples' attribute by its name.
    #[serde(alias = "groupby-fields")]
    pub groups: String,
    #[serde(flatten)]
    pub network: NetworkSettings,
    #[serde(flatten)]
    pub recipe: RecipeSettings,
    /// Length of pruned runs; None matches (0.5 + 0.5 d) of the full run's steps.
    #[serde(with = "text")]
    pub budget: Option<StepBudget>,
    /// Separate query runs, without augmentation; None takes the full-data runs.
    pub query_runs: Option<usize>,
    /// Epochs of separate query runs; None takes a tenth, at least 10 if there are.
    pub query_epochs: Option<usize>,
    /// Query runs of its own for every seed.
    pub query_per_seed: bool,
    /// Each sample is scored by the query run that did not train on it: `split` must have folds.
    pub out_of_fold: bool,
    /// A file of features of the user's.
    pub features: Option<PathBuf>,
    #[serde(flatten)]
    pub variants: VariantSettings,
    #[serde(flatten)]
    pub pickers: PickerOptions,
    /// Whose picks are trained with their weights.
    #[serde(with = "text")]
    pub pick_weights: Option<PickWeights>,
    /// How recalls are smoothed.
    #[serde(with = "text")]
    pub smooth: Option<RecallSmoothing>,
    /// Samples that every class keeps at least.
    pub min_per_class: Option<usize>,
    /// Fraction of each end of a class that NUCS winsorises.
    pub winsor: Option<f64>,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for ComparisonSettings {
    fn default() -> Self {
        ComparisonSettings {
            data: DataSettings::default(),
            groups: "classes".to_owned(),
            network: NetworkSettings::default(),
            recipe: RecipeSettings::default(),
            budget: None,
            query_runs: None,
            query_epochs: None,
            query_per_seed: false,
            out_of_fold: false,
            features: None,
            variants: VariantSettings::default(),
            pickers: PickerOptions::default(),
            pick_weights: None,
            smooth: None,
            min_per_class: None,
            winsor: None,
            seed: 0,
        }
    }
}

/// How recalls are smoothed before quotas are made of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecallSmoothing {
    #[default]
    None,
    /// (correct + 1) / (total + 2).
    Laplace,
}

impl FromStr for RecallSmoothing {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "none" => Ok(RecallSmoothing::None),
            "laplace" => Ok(RecallSmoothing::Laplace),
            _ => Err(Error::invalid("`smooth`", name, "laplace or none")),
        }
    }
}

impl fmt::Display for RecallSmoothing {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            RecallSmoothing::None => "none",
            RecallSmoothing::Laplace => "laplace",
        })
    }
}

/// What is compared, on what, checked.
pub struct Comparison {
    pub session: Session,
    pub plan: ComparisonPlan,
}

impl ComparisonSettings {
    /// The session and the plan for `data`, which these settings name.
    ///
    /// # Errors
    /// What cannot be run: now, not when other runs are done.
    pub fn prepare(
        &self,
        device: &Device,
        data: Arc<DataSet>,
        blocks: Vec<Block>,
    ) -> Result<Comparison> {
        let partition = Partition::of(&data, &self.groups)?;
        let split = self.data.split_of(&data, self.seed)?;
        let small = data.format.is_built_in() && self.network.arch.is_none();
        let width = small.then_some(BUILT_IN_WIDTH);
        let default = DefaultNetwork { arch: Arch::CifarResnet(8), width };
        let spec = self.network.spec(&data, self.data.input_size, None, default)?;
        check_blocks(&blocks)?;
        let session = Session::new(device.clone(), data, split, spec, self.network.seen(None)?)?;
        let session = session.seeded(self.seed).over(partition);
        let plan = self.plan(&session, blocks)?;
        if session.split.test.is_empty() {
            let expected = "test images to report on: a test or val folder beside train";
            return Err(Error::invalid(&self.data.data, "no test part", expected));
        }
        let mut strategies = plan.strategies().into_iter();
        strategies.try_for_each(|s| s.check_split(&self.pickers, &session.split))?;
        plan.check_predictions(&session)?;
        let by_recalls = plan.strategies().iter().any(|s| s.needs_recalls());
        if by_recalls && !plan.choice.quotas.laplace {
            session.check_recalls(&session.partition)?;
        }
        plan.queries().iter().try_for_each(Queries::check)?;
        Ok(Comparison { session, plan })
    }

    /// The settings that do nothing to the strategies of `blocks`.
    pub fn idle(&self, blocks: &[Block]) -> Vec<Idle> {
        let (pickers, methods) = self.looked_at(blocks);
        let mut idle = self.pickers.idle(&pickers);
        idle.extend(self.variants.idle(&methods));
        if self.out_of_fold && methods.is_empty() {
            let about = "scores of query runs, none is asked for".to_owned();
            idle.push(Idle { setting: "out_of_fold", about });
        }
        let strategies = blocks.iter().flat_map(|b| &b.strategies);
        idle.extend(self.quota_settings().idle(strategies.map(|s| s.quota())));
        idle
    }

    /// The methods of selection and the scores of the strategies.
    fn looked_at(&self, blocks: &[Block]) -> (Vec<Picker>, Vec<Method>) {
        let strategies = || blocks.iter().flat_map(|b| &b.strategies);
        let methods: BTreeSet<Method> =
            strategies().flat_map(|s| s.methods(&self.pickers)).collect();
        (strategies().flat_map(|s| s.pickers()).collect(), methods.into_iter().collect())
    }

    fn quota_settings(&self) -> QuotaSettings {
        QuotaSettings {
            laplace: self.smooth.unwrap_or_default() == RecallSmoothing::Laplace,
            min_per_class: self.min_per_class,
            winsor: self.winsor,
        }
    }

    fn plan(&self, session: &Session, blocks: Vec<Block>) -> Result<ComparisonPlan> {
        let (pickers, _) = self.looked_at(&blocks);
        self.pickers.check(&pickers)?;
        let quotas = self.quota_settings();
        prune::check_fraction(quotas.winsor())?;
        let options: Options = self.variants.options()?;
        for &density in blocks.iter().flat_map(|b| &b.densities) {
            enough_samples(density, self.min_per_class, session)?;
        }
        let recipe = self.recipe.recipe_of(session)?;
        let query = self.query_plan(session, &recipe)?;
        let features = match &self.features {
            None => None,
            Some(path) => {
                OwnFeatures::check(&pickers, &self.pickers)?;
                Some(OwnFeatures::read(path, &session.data)?.features)
            }
        };
        Ok(ComparisonPlan {
            blocks,
            seed: self.seed,
            recipe,
            budget: self.budget.unwrap_or(StepBudget::Matched),
            query,
            options,
            choice: Choice {
                quotas,
                pickers: self.pickers,
                weights: self.pick_weights.unwrap_or_default(),
            },
            features,
            checkpoint_interval: self.recipe.checkpoint_interval(),
            predicts: session.partition.attribute.is_none(),
            keep_going: false,
        })
    }

    /// Separate query runs, where they are asked for or the split needs them.
    fn query_plan(&self, session: &Session, recipe: &Recipe) -> Result<Option<QueryPlan>> {
        self.query_runs.map_or(Ok(0), |runs| check_runs("`query_runs`", runs))?;
        check_folds(self.out_of_fold, &session.split)?;
        let runs = match (self.query_runs, session.split.query_runs()) {
            (Some(r), Some(folds)) if r != folds => {
                let found = format!("{r} runs for {folds} folds");
                return Err(Error::invalid("`query_runs`", found, "one run a fold"));
            }
            (Some(runs), _) | (None, Some(runs)) => runs,
            (None, None) => {
                let without = |setting: &str| {
                    let expected = "`query_runs` R with it";
                    Err(Error::invalid(setting, "no separate query runs", expected))
                };
                return match (self.query_per_seed, self.query_epochs) {
                    (true, _) => without("`query_per_seed`"),
                    (false, Some(_)) => without("`query_epochs`"),
                    (false, None) => Ok(None),
                };
            }
        };
        let tenth = recipe.epochs.div_ceil(10).max(10).min(recipe.epochs);
        let epochs = self.query_epochs.unwrap_or(tenth);
        let recipe = Recipe { epochs, ..recipe.without_augmentation() };
        recipe.check(session.data.classes.len())?;
        let (per_seed, out_of_fold) = (self.query_per_seed, self.out_of_fold);
        Ok(Some(QueryPlan { runs, recipe, per_seed, out_of_fold }))
    }
}

/// Refuses blocks of nothing, of the same strategy twice, and of what no comparison can compute.
fn check_blocks(blocks: &[Block]) -> Result<()> {
    for Block { strategies, densities, seeds } in blocks {
        let mut pairs = strategies.iter().enumerate();
        if let Some((_, twice)) = pairs.find(|(i, s)| strategies[..*i].contains(s)) {
            return Err(Error::invalid("`strategies`", format!("{twice} twice"), "each once"));
        }
        if let Some(strategy) = strategies.iter().find(|s| s.uses_given()) {
            let expected = "strategies that this command can compute; `fairprune prune --scores FILE` \
                            takes scores of other programs";
            return Err(Error::invalid("`strategies`", strategy.to_string(), expected));
        }
        if let Some(d) = densities.iter().find(|d| !(**d > 0.0 && **d <= 1.0)) {
            return Err(Error::invalid("`density`", d.to_string(), "above 0 and at most 1"));
        }
        check_runs("`seeds`", *seeds)?;
    }
    Ok(())
}

/// Refuses a density that leaves nothing to train on, or less than the classes' minimum.
fn enough_samples(density: f64, min_per_class: Option<usize>, session: &Session) -> Result<()> {
    let all = session.split.train.len();
    let kept = prune::Budget::new(density, all)?.count;
    if kept < 2 {
        let found = format!("{density}, {kept} of {all} training images");
        return Err(Error::invalid("`density`", found, "at least 2 to train on"));
    }
    let rule = prune::QuotaRule::Uniform;
    let options = prune::QuotaOptions { rule, min_per_class, ..Default::default() };
    let quotas = prune::quotas(&session.sizes(), density, &options, 0);
    let partition = &session.partition;
    quotas.map_err(|e| prune::over(partition.unit(), &partition.names, e))?;
    Ok(())
}

impl Block {
    /// A block of named strategies. A strategy that was named with its quota stands as one.
    pub fn parse(names: &[String], densities: &[f64], seeds: usize) -> Result<Block> {
        let strategies = names.iter().map(|s| s.trim().parse());
        let mut densities = densities.to_vec();
        densities.sort_by(f64::total_cmp);
        densities.dedup();
        Ok(Block { strategies: strategies.collect::<Result<Vec<Strategy>>>()?, densities, seeds })
    }
}
