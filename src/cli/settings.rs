//! What the shared flags ask of the library: its settings, its device, its output folders.

use fairprune::artefact::Existing;
use fairprune::error::{Error, Result};
use fairprune::experiment::Device;
use fairprune::experiment::scoring::QuerySettings;
use fairprune::experiment::settings::{
    DataSettings, NetworkSettings, RecipeSettings, VariantSettings,
};
use fairprune::experiment::strategy::PickerOptions;

use super::args::{
    Common, DataArgs, NetworkArgs, OutArgs, PickerArgs, QueryArgs, RecipeArgs, VariantArgs,
    WithoutArgs,
};

impl Common {
    /// Opens the device that the flags name.
    pub fn device(&self) -> Result<Device> {
        Device::with_threads(&self.device, self.threads)
    }

    /// Opens the processor, for a command that computes nothing on a card; one that is named must be
    /// there all the same.
    pub fn host(&self) -> Result<Device> {
        Device::host_only(&self.device, self.threads)
    }
}

impl OutArgs {
    /// What to do with a folder that is there already.
    pub fn existing(&self) -> Existing {
        match (self.resume, self.force) {
            (true, _) => Existing::Resume,
            (_, true) => Existing::Restart,
            _ => Existing::Continue,
        }
    }
}

/// Reads the name that a flag was given.
fn parsed<T: std::str::FromStr<Err = Error>>(text: &Option<String>) -> Result<Option<T>> {
    text.as_deref().map(str::parse).transpose()
}

impl DataArgs {
    /// The library's settings.
    pub fn settings(&self) -> Result<DataSettings> {
        Ok(DataSettings {
            data: self.data.clone(),
            format: parsed(&self.format)?,
            image_size: self.image_size,
            input_size: self.input_size,
            data_seed: self.data_seed,
            long_tail: self.long_tail.long_tail,
            split: parsed(&self.split)?,
            without: None,
            stated: self.stated.settings()?,
        })
    }

    /// The library's settings, with samples left out.
    pub fn without(&self, args: &WithoutArgs) -> Result<DataSettings> {
        Ok(DataSettings { without: args.without.clone(), ..self.settings()? })
    }
}

impl NetworkArgs {
    /// The library's settings.
    pub fn settings(&self, common: &Common) -> Result<NetworkSettings> {
        Ok(NetworkSettings {
            arch: parsed(&self.arch)?,
            resnet_v1: self.resnet_v1,
            width: self.width,
            stem: parsed(&self.stem)?,
            mean: self.mean.clone(),
            std: self.std.clone(),
            score_batch: Some(self.score_batch),
            images: Some(self.images),
            precision: Some(common.precision),
        })
    }
}

impl RecipeArgs {
    /// The library's settings.
    pub fn settings(&self) -> Result<RecipeSettings> {
        Ok(RecipeSettings {
            recipe: Some(self.recipe.parse()?),
            epochs: self.epochs,
            batch: self.batch,
            lr: self.lr,
            schedule: parsed(&self.schedule)?,
            warmup_steps: self.warmup_steps,
            momentum: self.momentum,
            nesterov: self.nesterov,
            weight_decay: self.weight_decay,
            label_smoothing: self.label_smoothing,
            class_weights: self.class_weights.clone(),
            flip: self.flip,
            translate: self.translate,
            resized_crop: self.resized_crop,
            checkpoint_every: Some(self.checkpoint_every),
        })
    }
}

impl VariantArgs {
    /// The library's settings.
    pub fn settings(&self) -> Result<VariantSettings> {
        Ok(VariantSettings {
            el2n: parsed(&self.el2n)?,
            grand_layers: parsed(&self.grand_layers)?,
            grand_at: parsed(&self.grand_at)?,
            never_learned: parsed(&self.never_learned)?,
            window: self.window,
            trajectory: self.trajectory,
            decay: self.decay,
            ssp: parsed(&self.ssp)?,
            prototypes: self.prototypes,
            cal_neighbours: self.cal_neighbours,
        })
    }
}

impl PickerArgs {
    /// The library's options; a name that is refused is told with its flag.
    pub fn options(&self) -> Result<PickerOptions> {
        fn named<T: std::str::FromStr<Err = Error>>(
            flag: &str,
            text: &Option<String>,
        ) -> Result<Option<T>> {
            text.as_deref().map(|t| t.parse().map_err(|e| under(flag, t, e))).transpose()
        }
        Ok(PickerOptions {
            start: named("--start", &self.start)?,
            centre: named("--centre", &self.centre)?,
            space: named("--space", &self.space)?,
            lambda: self.lambda,
            beta: self.beta,
            strata: self.strata,
            exponent: self.exponent,
            endpoint: self.endpoint,
            neighbours: self.neighbours,
            forward: self.forward,
            reverse: self.reverse,
            step: self.step,
            refresh: self.refresh,
            scope: named("--scope", &self.scope)?,
            base: named("--base", &self.base)?,
            memory: self.memory.unwrap_or(PickerOptions::default().memory),
        })
    }
}

/// The library's message under the name of the flag.
pub fn under(flag: &str, found: &str, error: Error) -> Error {
    match error {
        Error::Invalid { expected, .. } => Error::invalid(flag, found, expected),
        other => other,
    }
}

impl QueryArgs {
    /// The library's settings.
    pub fn settings(&self) -> QuerySettings {
        QuerySettings {
            recalls: false,
            runs: self.runs,
            query_epochs: self.query_epochs,
            out_of_fold: self.out_of_fold,
            extrapolate: None,
        }
    }
}
