//! How to train: a named recipe, and what is said otherwise.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::experiment::session::Session;
use crate::experiment::text;
use crate::train::{Recipe, Schedule};

/// The recipes that have names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// [`Recipe::quick`].
    #[default]
    Quick,
    /// [`Recipe::cifar`].
    Cifar,
}

impl FromStr for Preset {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "quick" => Ok(Preset::Quick),
            "cifar" => Ok(Preset::Cifar),
            _ => Err(Error::invalid("`recipe`", name, "quick or cifar")),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Preset::Quick => "quick",
            Preset::Cifar => "cifar",
        })
    }
}

/// A recipe as far as it is said; the rest is the preset's.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct RecipeSettings {
    #[serde(with = "text")]
    pub recipe: Option<Preset>,
    pub epochs: Option<usize>,
    pub batch: Option<usize>,
    pub lr: Option<f64>,
    #[serde(with = "text")]
    pub schedule: Option<Schedule>,
    pub warmup_steps: Option<u64>,
    pub momentum: Option<f32>,
    pub nesterov: Option<bool>,
    pub weight_decay: Option<f32>,
    pub label_smoothing: Option<f32>,
    pub class_weights: Option<Vec<f32>>,
    pub flip: Option<bool>,
    #[serde(alias = "crop")]
    pub translate: Option<u32>,
    pub resized_crop: Option<bool>,
    /// Seconds between saved states.
    pub checkpoint_every: Option<u64>,
}

impl RecipeSettings {
    /// The recipe for a session whose runs on all data have `training` samples.
    ///
    /// # Errors
    /// Numbers that cannot be trained with.
    pub fn recipe(&self, training: usize, side: usize, classes: usize) -> Result<Recipe> {
        let batch = self.batch.unwrap_or(Recipe::BATCH);
        let base = match self.recipe.unwrap_or_default() {
            Preset::Quick => Recipe::quick(training, side, batch),
            Preset::Cifar => Recipe::cifar(side, batch),
        };
        let resized_crop = self.resized_crop.unwrap_or(false);
        let recipe = Recipe {
            epochs: self.epochs.unwrap_or(base.epochs),
            batch,
            lr: self.lr.unwrap_or(base.lr),
            schedule: self.schedule.clone().unwrap_or(base.schedule),
            warmup_steps: self.warmup_steps.unwrap_or(base.warmup_steps),
            momentum: self.momentum.unwrap_or(base.momentum),
            nesterov: self.nesterov.unwrap_or(base.nesterov),
            weight_decay: self.weight_decay.unwrap_or(base.weight_decay),
            label_smoothing: self.label_smoothing.unwrap_or(base.label_smoothing),
            class_weights: self.class_weights.clone().or(base.class_weights),
            flip: self.flip.unwrap_or(base.flip),
            translate: self.translate.unwrap_or(if resized_crop { 0 } else { base.translate }),
            resized_crop,
        };
        recipe.check(classes)?;
        Ok(recipe)
    }

    /// The recipe for runs on what the session's split leaves for training.
    pub fn recipe_of(&self, session: &Session) -> Result<Recipe> {
        let (training, classes) = (session.split.train.len(), session.data.classes.len());
        self.recipe(training, session.side(), classes)
    }

    /// How often states are saved at least.
    pub fn checkpoint_interval(&self) -> Duration {
        Duration::from_secs(self.checkpoint_every.unwrap_or(30))
    }
}
