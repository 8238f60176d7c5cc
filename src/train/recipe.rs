//! How a network is trained: optimiser, schedule, budget, augmentation, seeds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::exec::Mode;
use crate::exec::batch_sizes;
use crate::ops::gather::Augmentation;
use crate::rng::{Philox, Stream};

/// The learning rate over the run, as a factor of the base rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Half a cosine from 1 to 0, step by step (Loshchilov and Hutter 2017).
    Cosine,
    /// Multiplied by `factor` after each of these fractions of the run, in whole epochs where the
    /// run has whole epochs.
    Step { drops: Vec<f64>, factor: f64 },
    /// Always 1.
    Constant,
}

impl Schedule {
    /// Returns the factor of the base learning rate at `step` of `total` (0-based).
    pub fn factor(&self, step: u64, total: u64) -> f64 {
        let done = step as f64 / total.max(1) as f64;
        match self {
            Schedule::Cosine => 0.5 * (1.0 + libm::cos(std::f64::consts::PI * done)),
            Schedule::Step { drops, factor } => {
                // The comparison allows for rounding, so that a drop at 1/2 of 7 x 10 steps falls
                // on step 35.
                let passed = drops.iter().filter(|&&d| done >= d - 1e-9).count();
                libm::pow(*factor, passed as f64)
            }
            Schedule::Constant => 1.0,
        }
    }
}

impl FromStr for Schedule {
    type Err = Error;

    /// Reads `cosine`, `constant`, `step` (x0.2 after 1/2 and 3/4) or `step:0.5,0.75x0.2`.
    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            let expected = "cosine, constant, step, or step:F1,F2,...xFACTOR with fractions of the run in (0, 1)";
            Error::invalid("`schedule`", text, expected)
        };
        match text {
            "cosine" => return Ok(Schedule::Cosine),
            "constant" => return Ok(Schedule::Constant),
            "step" => return Ok(Schedule::Step { drops: vec![0.5, 0.75], factor: 0.2 }),
            _ => {}
        }
        let (drops, factor) =
            text.strip_prefix("step:").and_then(|t| t.split_once('x')).ok_or_else(bad)?;
        let drops: Vec<f64> = drops
            .split(',')
            .map(|d| d.trim().parse())
            .collect::<Result<_, _>>()
            .map_err(|_| bad())?;
        let factor: f64 = factor.trim().parse().map_err(|_| bad())?;
        let inside = drops.iter().all(|d| *d > 0.0 && *d < 1.0) && factor > 0.0 && factor <= 1.0;
        if inside { Ok(Schedule::Step { drops, factor }) } else { Err(bad()) }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Schedule::Cosine => f.write_str("cosine"),
            Schedule::Constant => f.write_str("constant"),
            Schedule::Step { drops, factor } => {
                let drops: Vec<String> = drops.iter().map(f64::to_string).collect();
                write!(f, "step:{}x{factor}", drops.join(","))
            }
        }
    }
}

/// The rule for the length of a run on a subset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// The given epochs over the subset.
    Fixed,
    /// floor((0.5 + 0.5 d) E / d) epochs: (0.5 + 0.5 d) of the full run's steps at density d.
    Matched,
    /// As many steps as the full run would take.
    Steps,
}

impl FromStr for Budget {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "fixed" => Ok(Budget::Fixed),
            "matched" => Ok(Budget::Matched),
            "steps" => Ok(Budget::Steps),
            _ => Err(Error::invalid("`budget`", text, "fixed, matched or steps")),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Budget::Fixed => "fixed",
            Budget::Matched => "matched",
            Budget::Steps => "steps",
        })
    }
}

/// Separate seeds, so that runs are paired in whatever they share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeds {
    /// Seed of the fresh weights.
    pub init: u64,
    /// Seed of the order of samples.
    pub order: u64,
    /// Seed of the augmentation.
    pub augment: u64,
    /// Seed of the draw of a subset.
    pub subset: u64,
}

impl Seeds {
    /// Returns the seeds of run `run` under the user's seed.
    pub fn derive(seed: u64, run: u64) -> Self {
        let mut draws = Philox::new(seed, Stream::Seeds).sequence(run);
        Seeds {
            init: draws.next_u64(),
            order: draws.next_u64(),
            augment: draws.next_u64(),
            subset: draws.next_u64(),
        }
    }
}

/// Largest shift of a training image, in pixels.
const MAX_TRANSLATE: u32 = 1024;

/// Most epochs of a run. The steps of any batch size then fit where they are counted.
const MOST_EPOCHS: usize = 1_000_000;

/// Most images of a batch.
const MOST_BATCH: usize = 1_000_000_000;

/// The settings of one training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Number of epochs of a run on all data.
    pub epochs: usize,
    /// Number of images in a batch.
    pub batch: usize,
    /// Base learning rate.
    pub lr: f64,
    /// How the learning rate falls over the run.
    pub schedule: Schedule,
    /// Number of steps over which the learning rate rises linearly to its base value.
    pub warmup_steps: u64,
    /// Momentum of the optimiser.
    pub momentum: f32,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// L2 penalty of the weights.
    pub weight_decay: f32,
    /// Share of the label that is spread over all classes.
    pub label_smoothing: f32,
    /// One weight for each class, or none.
    pub class_weights: Option<Vec<f32>>,
    /// Whether images are mirrored at random.
    pub flip: bool,
    /// Largest random shift of an image, in pixels.
    pub translate: u32,
    /// Whether random boxes of the images are resized. Recipes without them are written as they
    /// always were.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resized_crop: bool,
}

/// Number of steps that [`Recipe::quick`] aims at.
const QUICK_STEPS: usize = 240;
/// Fewest epochs that [`Recipe::quick`] takes.
const QUICK_EPOCHS: usize = 6;

impl Recipe {
    /// Usual number of images in a training batch.
    pub const BATCH: usize = 128;

    /// Makes a recipe of some 240 steps over `training` images, which the network sees as squares
    /// of `side` pixels. That is enough for a small network to find what is hard in them.
    pub fn quick(training: usize, side: usize, batch: usize) -> Recipe {
        let steps = QUICK_STEPS.saturating_mul(batch).saturating_add(training / 2);
        Recipe {
            epochs: (steps / training.max(1)).max(QUICK_EPOCHS),
            batch,
            lr: 0.1,
            schedule: Schedule::Cosine,
            warmup_steps: 0,
            momentum: 0.9,
            nesterov: true,
            weight_decay: 5e-4,
            label_smoothing: 0.0,
            class_weights: None,
            flip: true,
            translate: (side * 15 / 100) as u32,
            resized_crop: false,
        }
    }

    /// Makes the paper's recipe for CIFAR: 160 epochs, with the learning rate times .2 after a half
    /// and three quarters of them.
    pub fn cifar(side: usize, batch: usize) -> Recipe {
        Recipe {
            epochs: 160,
            schedule: Schedule::Step { drops: vec![0.5, 0.75], factor: 0.2 },
            nesterov: false,
            weight_decay: 1e-4,
            ..Recipe::quick(1, side, batch)
        }
    }

    /// Checks every number; the messages name the setting.
    pub fn check(&self, classes: usize) -> Result<()> {
        let range = |setting: &str, value: f64, ok: bool, expected: &str| {
            if ok { Ok(()) } else { Err(Error::invalid(setting, value.to_string(), expected)) }
        };
        let found = self.batch as f64;
        range("`batch`", found, self.batch <= MOST_BATCH, "at most 1000000000")?;
        let epochs = (1..=MOST_EPOCHS).contains(&self.epochs);
        range("`epochs`", self.epochs as f64, epochs, "1 to 1000000")?;
        range(
            "`batch`",
            self.batch as f64,
            self.batch > 1,
            "at least 2 (batch norm needs a variance)",
        )?;
        range("`lr`", self.lr, self.lr > 0.0 && self.lr.is_finite(), "a positive number")?;
        let m = f64::from(self.momentum);
        range("`momentum`", m, (0.0..1.0).contains(&m), "0 or more and below 1")?;
        range("`momentum`", m, !self.nesterov || m > 0.0, "above 0 with `nesterov`")?;
        let w = f64::from(self.weight_decay);
        range("`weight_decay`", w, w >= 0.0 && w.is_finite(), "0 or more")?;
        let s = f64::from(self.label_smoothing);
        range("`label_smoothing`", s, (0.0..1.0).contains(&s), "0 or more and below 1")?;
        let t = self.translate;
        range("`translate`", f64::from(t), t <= MAX_TRANSLATE, "0 to 1024 pixels")?;
        let alone = t == 0 || !self.resized_crop;
        range("`translate`", f64::from(t), alone, "0 with `resized_crop`, which moves its boxes")?;
        if let Some(weights) = &self.class_weights {
            let good = weights.iter().all(|w| *w >= 0.0 && w.is_finite());
            let some = weights.iter().any(|w| *w > 0.0);
            if weights.len() != classes || !good || !some {
                let expected = format!("{classes} numbers of 0 or more, not all 0");
                return Err(Error::invalid("`class_weights`", format!("{weights:?}"), expected));
            }
        }
        Ok(())
    }

    /// Returns the random changes of training images.
    pub fn augmentation(&self) -> Augmentation {
        let Recipe { flip, translate, resized_crop, .. } = *self;
        Augmentation { flip, translate, resized_crop }
    }

    /// Tells whether images are changed at random.
    pub fn augments(&self) -> bool {
        self.augmentation() != Augmentation::NONE
    }

    /// Returns the recipe without augmentation, as query models are trained.
    pub fn without_augmentation(&self) -> Recipe {
        Recipe { flip: false, translate: 0, resized_crop: false, ..self.clone() }
    }

    /// Returns the number of steps of a run over `kept` of `all` training samples.
    pub fn steps(&self, budget: Budget, kept: usize, all: usize) -> u64 {
        let per_epoch = |n: usize| batch_sizes(Mode::Train, self.batch, n).len() as u64;
        let epochs = self.epochs as u64;
        match budget {
            Budget::Fixed => epochs * per_epoch(kept),
            Budget::Steps => epochs * per_epoch(all),
            Budget::Matched => {
                let density = kept as f64 / all.max(1) as f64;
                let exact = (0.5 + 0.5 * density) * epochs as f64 / density;
                // Rounding must not lose the whole epoch of an exact quotient.
                ((exact + 1e-9).floor() as u64).max(1) * per_epoch(kept)
            }
        }
    }

    /// Returns the learning rate at `step` of `total`.
    pub fn lr_at(&self, step: u64, total: u64) -> f32 {
        let warm = if step < self.warmup_steps {
            (step + 1) as f64 / (self.warmup_steps as f64 + 1.0)
        } else {
            1.0
        };
        (self.lr * warm * self.schedule.factor(step, total)) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        Recipe {
            epochs: 10,
            batch: 100,
            lr: 0.1,
            schedule: Schedule::Cosine,
            warmup_steps: 0,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 5e-4,
            label_smoothing: 0.0,
            class_weights: None,
            flip: true,
            translate: 4,
            resized_crop: false,
        }
    }

    #[test]
    fn budgets_count_steps() {
        let r = recipe();
        // 1000 samples make 10 steps in an epoch. At density .5 the matched run has floor(.75 * 10
        // / .5) = 15 epochs of 5 steps, three quarters of the full run's 100.
        assert_eq!(r.steps(Budget::Fixed, 1000, 1000), 100);
        assert_eq!(r.steps(Budget::Matched, 500, 1000), 75);
        assert_eq!(r.steps(Budget::Fixed, 500, 1000), 50);
        assert_eq!(r.steps(Budget::Steps, 500, 1000), 100);
        assert_eq!(r.steps(Budget::Matched, 1000, 1000), 100);
        // At d = .3 there are floor(.65 * 10 / .3) = 21 epochs of 3 steps.
        assert_eq!(r.steps(Budget::Matched, 300, 1000), 63);
        // A rest of one sample is dropped, and one of two is kept.
        assert_eq!(r.steps(Budget::Fixed, 101, 1000), 10);
        assert_eq!(r.steps(Budget::Fixed, 102, 1000), 20);
    }

    #[test]
    fn schedules() {
        let cosine = Schedule::Cosine;
        assert_eq!(cosine.factor(0, 100), 1.0);
        assert!((cosine.factor(50, 100) - 0.5).abs() < 1e-12);
        let step: Schedule = "step:0.5,0.75x0.2".parse().unwrap();
        let factors: Vec<f64> = [0, 49, 50, 74, 75, 99].map(|s| step.factor(s, 100)).to_vec();
        assert_eq!(factors[..3], [1.0, 1.0, 0.2]);
        assert!((factors[4] - 0.04).abs() < 1e-12 && factors[3] == 0.2 && factors[5] == factors[4]);
        assert_eq!(step.to_string().parse::<Schedule>().unwrap(), step);
        for bad in ["step:", "step:1.5x0.2", "step:0.5x0", "linear", "step:ax0.1"] {
            assert!(bad.parse::<Schedule>().is_err(), "{bad}");
        }
    }

    #[test]
    fn unusable_numbers_name_their_flag() {
        let lr = Recipe { lr: f64::NAN, ..recipe() }.check(3).unwrap_err().to_string();
        assert!(lr.contains("`lr`"), "{lr}");
        let weights = Recipe { class_weights: Some(vec![1.0]), ..recipe() };
        assert!(weights.check(3).unwrap_err().to_string().contains("3 numbers"));
        assert!(Recipe { batch: 1, ..recipe() }.check(3).is_err());
        let most = Recipe { batch: usize::MAX, ..recipe() }.check(3).unwrap_err().to_string();
        assert!(most.contains("`batch`"), "{most}");
        let warm = Recipe { warmup_steps: u64::MAX, ..recipe() };
        assert!(warm.lr_at(0, 10) >= 0.0 && warm.lr_at(9, 10) < 1e-6);
        for epochs in [0, MOST_EPOCHS + 1, usize::MAX] {
            let message = Recipe { epochs, ..recipe() }.check(3).unwrap_err().to_string();
            assert!(message.contains("`epochs`") && message.contains("1000000"), "{message}");
        }
        assert!(Recipe { translate: u32::MAX, ..recipe() }.check(3).is_err());
        recipe().check(3).unwrap();
    }
}
