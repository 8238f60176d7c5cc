//! The flags of `fairprune run`.

use anyhow::Result;
use clap::Args;
use fairprune::error::Error;
use fairprune::experiment::comparison::{Block, ComparisonSettings};
use fairprune::prune::density_of_prune_rate;

use crate::cli::args::{
    Common, DataArgs, FeatureArgs, GroupArgs, NetworkArgs, OutArgs, PickerArgs, RecipeArgs,
    VariantArgs, WeightArgs, WithoutArgs,
};

#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub without: WithoutArgs,
    #[command(flatten)]
    pub groups: GroupArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// What to compare: full, random, metriq, predicted, a score, a selection method, another way of
    /// training, or STRATEGY+QUOTA such as el2n+metriq
    /// [default: full,random,el2n,metriq,predicted:pilots=1; with --groups without the last]
    ///
    /// Scores are those that `fairprune score --help` lists. Selection methods: coreset, herding, moderate,
    /// ccs, beta-sampling, difficulty-window, d2, craig, grad-match, glister, graph-cut, facility-location,
    /// contextual-diversity. With quotas (docs/quotas.md): el2n+metriq, coreset+metriq, forgetting+uniform,
    /// random+el2nq, random+balanced, el2n+nucs, random+nucs:margin. Other ways of training
    /// (docs/baselines.md): full-short, cdb-w, class-balanced, infobatch, rcap, ordered-sgd,
    /// micro-batch-clipping, rho, subg, rwg, jtt, lff, bam, groupdro, dfr.
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub strategies: Option<Vec<String>>,
    /// Kept fraction of the training set; several for a curve
    #[arg(long, value_delimiter = ',', default_value = "0.5", value_name = "D,...")]
    pub density: Vec<f64>,
    /// Pruned fraction, instead of --density
    #[arg(long, value_delimiter = ',', value_name = "P,...", conflicts_with = "density")]
    pub prune_rate: Option<Vec<f64>>,
    /// Paired repetitions
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub seeds: usize,
    /// Length of pruned runs: matched ((0.5 + 0.5 d) of the full run's steps), fixed or steps
    #[arg(long, default_value = "matched", value_name = "NAME")]
    pub budget: String,
    /// Separate query runs, without augmentation [default: the full-data runs are the query]
    #[arg(long, value_name = "R")]
    pub query_runs: Option<usize>,
    /// Epochs of separate query runs [default: a tenth of --epochs, at least 10 if there are]
    #[arg(long, value_name = "E")]
    pub query_epochs: Option<usize>,
    /// Query runs of its own for every seed, R each: a seed then varies everything
    #[arg(long)]
    pub query_per_seed: bool,
    /// Score each sample by the query run that did not train on it, with --split crossfit
    #[arg(long)]
    pub out_of_fold: bool,
    #[command(flatten)]
    pub features: FeatureArgs,
    #[command(flatten)]
    pub variants: VariantArgs,
    #[command(flatten)]
    pub pickers: PickerArgs,
    #[command(flatten)]
    pub weights: WeightArgs,
    /// Smooth recalls: laplace is (correct + 1) / (total + 2)
    #[arg(long, value_name = "NAME")]
    pub smooth: Option<String>,
    /// Every class keeps at least N samples
    #[arg(long, value_name = "N")]
    pub min_per_class: Option<usize>,
    /// Quotas of nucs: fraction of each end of a class's scores that is winsorised [default: 0.05]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub winsor: Option<f64>,
    #[command(flatten)]
    pub out: OutArgs,
    #[command(flatten)]
    pub common: Common,
}

impl RunArgs {
    /// The library's settings.
    pub fn settings(&self) -> Result<ComparisonSettings> {
        Ok(ComparisonSettings {
            data: self.data.without(&self.without)?,
            groups: self.groups.groups.clone(),
            network: self.network.settings(&self.common)?,
            recipe: self.recipe.settings()?,
            budget: Some(self.budget.parse()?),
            query_runs: self.query_runs,
            query_epochs: self.query_epochs,
            query_per_seed: self.query_per_seed,
            out_of_fold: self.out_of_fold,
            features: self.features.features.clone(),
            variants: self.variants.settings()?,
            pickers: self.pickers.options()?,
            pick_weights: Some(self.weights.pick_weights.parse()?),
            smooth: self.smooth.as_deref().map(str::parse).transpose()?,
            min_per_class: self.min_per_class,
            winsor: self.winsor,
            seed: self.common.seed,
        })
    }

    /// What is compared where nobody says: predictions are of classes, not of groups.
    fn default_strategies(&self) -> Vec<String> {
        let mut names = vec!["full", "random", "el2n", "metriq"];
        if self.groups.groups == "classes" {
            names.push("predicted:pilots=1");
        }
        names.into_iter().map(str::to_owned).collect()
    }

    /// What is compared.
    pub fn block(&self) -> Result<Block> {
        let densities = match &self.prune_rate {
            Some(rates) => rates.iter().map(|&r| density_of_prune_rate(r)).collect(),
            None => Ok::<_, Error>(self.density.clone()),
        };
        let strategies = self.strategies.clone().unwrap_or_else(|| self.default_strategies());
        Ok(Block::parse(&strategies, &densities?, self.seeds)?)
    }
}
