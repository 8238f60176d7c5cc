//! Which data set, how it is read, and what of it is held out.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::backend::Cpu;
use crate::data::{
    self, DataSet, Format, LoadOptions, PartName, Progress, Split, SplitKind, StatedLayout,
};
use crate::error::{Error, Result};
use crate::experiment::folder::findings::{CheckFile, Exclusion, TrainingSamples};
use crate::experiment::folder::provenance;
use crate::experiment::folder::subset::SubsetFile;
use crate::experiment::text;

/// The data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct DataSettings {
    /// A folder, a tar, Parquet or cache file, or the name of a built-in set such as `shapes`.
    pub data: String,
    /// How it is stored; None looks at its content.
    #[serde(with = "text")]
    pub format: Option<Format>,
    /// The short side is resized to this many pixels and the central square kept.
    pub image_size: Option<usize>,
    /// Side of the square that the network sees of an image; images are then kept somewhat larger.
    pub input_size: Option<usize>,
    /// Seed of the built-in sets' drawings, and of the long tail's draw.
    pub data_seed: u64,
    /// Factor between the largest and the smallest class that is injected into the training part.
    pub long_tail: Option<f64>,
    /// What files do not say themselves: names of parts and columns, gaps that are allowed.
    #[serde(flatten)]
    pub stated: StatedLayout,
    /// What is held out; None takes the set's own validation images, else a holdout.
    #[serde(with = "text")]
    pub split: Option<SplitKind>,
    /// Findings of a check of the data (`check.csv`): training samples that are marked there are neither
    /// trained on nor kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without: Option<PathBuf>,
}

impl Default for DataSettings {
    fn default() -> Self {
        DataSettings {
            data: "shapes:spread".to_owned(),
            format: None,
            image_size: None,
            input_size: None,
            data_seed: 0,
            long_tail: None,
            split: None,
            without: None,
            stated: StatedLayout::default(),
        }
    }
}

impl DataSettings {
    /// The data set at `path`, or the built-in one of that name.
    pub fn of(path: impl Into<String>) -> Self {
        DataSettings { data: path.into(), ..DataSettings::default() }
    }

    /// How files are read.
    pub fn load_options(&self) -> LoadOptions {
        LoadOptions {
            format: self.format,
            image_size: self.image_size.or(self.input_size.map(stored_side)),
            seed: self.data_seed,
            stated: self.stated.clone(),
            ..LoadOptions::default()
        }
    }

    /// Reads the data set on the processor's threads. Its notes say what was left out, the long tail
    /// included.
    ///
    /// # Errors
    /// What the format's reader cannot use; sizes of 0; a factor that leaves a class empty.
    pub fn load(&self, cpu: &Cpu, progress: Progress) -> Result<Arc<DataSet>> {
        self.load_with(cpu, &self.load_options(), progress)
    }

    /// Reads the data set with options of the caller's.
    pub fn load_with(
        &self,
        cpu: &Cpu,
        options: &LoadOptions,
        progress: Progress,
    ) -> Result<Arc<DataSet>> {
        for (setting, side) in
            [("`image_size`", self.image_size), ("`input_size`", self.input_size)]
        {
            if side == Some(0) {
                return Err(Error::invalid(setting, "0", "at least 1"));
            }
        }
        let mut set = cpu.pool().install(|| data::load(&self.data, options, progress))?;
        if let Some(factor) = self.long_tail {
            set = set.with_long_tail(factor, self.data_seed)?;
            let tail = describe_tail(&set);
            set.notes.insert(0, tail);
        }
        Ok(Arc::new(set))
    }

    /// The split of `data` that is asked for, less what the findings leave out.
    pub fn split_of(&self, data: &DataSet, seed: u64) -> Result<Split> {
        self.left_out(data, data.split(self.split, seed)?)
    }

    /// What a training of `data`, or of a subset of it, holds out where nobody says so. A subset holds out
    /// what it was made under, which costs none of its images; a training that measures nothing
    /// (`measures`) on validation images holds out as [`DataSet::split_to_train`] says.
    pub fn split_to_train(
        &self,
        data: &DataSet,
        subset: Option<&SubsetFile>,
        measures: bool,
    ) -> SplitKind {
        let all = data.split_to_keep_all();
        match subset {
            _ if measures && all == SplitKind::None => SplitKind::Holdout,
            Some(subset) => subset.made_under().unwrap_or(all),
            None => data.split_to_train(),
        }
    }

    /// A split of `data` less what the findings leave out.
    ///
    /// # Errors
    /// Findings that cannot be read or are of other samples, or that leave a class nothing.
    pub fn left_out(&self, data: &DataSet, split: Split) -> Result<Split> {
        let Some(path) = &self.without else { return Ok(split) };
        let identity = provenance::identity(data);
        let samples = TrainingSamples {
            identity: &identity,
            ids: &data.train.ids,
            labels: &data.train.labels,
            eligible: &split.train,
            held_out: if split.val_part == PartName::Train { &split.val } else { &[] },
        };
        let Exclusion { positions, why } = CheckFile::read(path)?.exclude(&samples)?;
        Ok(split.without(&positions, why))
    }
}

/// Says what a long tail leaves, in a line.
fn describe_tail(set: &DataSet) -> String {
    let mut sizes = vec![0usize; set.classes.len()];
    let present = set.present();
    present.iter().for_each(|&i| sizes[set.train.labels[i] as usize] += 1);
    let of = |k: usize| format!("{} of {}", sizes[k], set.classes[k]);
    let (all, last) = (set.train.len(), set.classes.len().saturating_sub(1));
    let counts = format!("{} of {all} training images", present.len());
    format!("the long tail leaves {counts}, from {} to {}", of(0), of(last))
}

/// Short side of images of which a network sees `input` pixels, with the margin that ImageNet's recipe has.
pub fn stored_side(input: usize) -> usize {
    (input.saturating_mul(256) + 112) / 224
}
