//! Which network, and how it sees images.

use serde::{Deserialize, Serialize};

use crate::data::DataSet;
use crate::error::{Error, Result};
use crate::experiment::Placement;
use crate::experiment::session::Seen;
use crate::experiment::text;
use crate::nn::{Arch, NetworkSpec, Stem, WeightsMetadata};
use crate::ops::Precision;

/// The network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct NetworkSettings {
    #[serde(with = "text")]
    pub arch: Option<Arch>,
    /// A ResNet-50 with the stride in each bottleneck's first 1x1.
    pub resnet_v1: bool,
    /// Channels of the first stage.
    pub width: Option<usize>,
    /// None decides by image size.
    #[serde(with = "text")]
    pub stem: Option<Stem>,
    /// Channel means of values in [0, 1]; None takes the training images'.
    pub mean: Option<Vec<f32>>,
    /// Channel standard deviations; None takes the training images'.
    pub std: Option<Vec<f32>>,
    /// Images of an evaluation batch.
    pub score_batch: Option<usize>,
    /// Where a card finds the images.
    #[serde(with = "text")]
    pub images: Option<Placement>,
    /// How activations are stored.
    #[serde(with = "text")]
    pub precision: Option<Precision>,
}

/// The network where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultNetwork {
    pub arch: Arch,
    /// None takes the architecture's own.
    pub width: Option<usize>,
}

impl Default for DefaultNetwork {
    fn default() -> Self {
        DefaultNetwork { arch: Arch::CifarResnet(20), width: None }
    }
}

impl NetworkSettings {
    /// The network for `data`, of whose images it sees squares of side `input_size` (None: all). What the
    /// settings leave open is what a weight file states, then the default.
    ///
    /// # Errors
    /// Another network than the file's.
    pub fn spec(
        &self,
        data: &DataSet,
        input_size: Option<usize>,
        file: Option<&WeightsMetadata>,
        default: DefaultNetwork,
    ) -> Result<NetworkSpec> {
        let size = input_size.map_or([data.height, data.width], |side| [side; 2]);
        let from_file = file.and_then(|m| m.arch);
        let arch = self.arch.or(from_file).unwrap_or(default.arch);
        let arch = if self.resnet_v1 { arch.v1()? } else { arch };
        // Tensors of the two forms of resnet50 have the same names and shapes.
        if let Some(stated) = from_file.filter(|stated| *stated != arch) {
            let expected = format!("{arch}, as the flags say; the file's own network needs none");
            return Err(Error::invalid("network of the weights", stated.to_string(), expected));
        }
        let width = self.width.or(file.and_then(|m| m.width)).or(default.width);
        let stem = self.stem.or(file.and_then(|m| m.stem));
        Ok(NetworkSpec {
            arch,
            width: width.unwrap_or(arch.default_width()),
            stem: stem.unwrap_or(Stem::for_size(size[0].min(size[1]))),
            classes: data.classes.len(),
            size,
        })
    }

    /// How the network sees images: as the settings say, else as a weight file states.
    ///
    /// # Errors
    /// A mean or a standard deviation that is not three numbers.
    pub fn seen(&self, file: Option<&WeightsMetadata>) -> Result<Seen> {
        let normalisation = [
            triple("`mean`", &self.mean, false)?.or(file.and_then(|m| m.mean)),
            triple("`std`", &self.std, true)?.or(file.and_then(|m| m.std)),
        ];
        let default = Seen::default();
        Ok(Seen {
            normalisation,
            score_batch: self.score_batch.unwrap_or(default.score_batch),
            placement: self.images.unwrap_or(default.placement),
            precision: self.precision.unwrap_or(default.precision),
        })
    }
}

/// Checks three numbers, one a channel, that `setting` states.
pub fn triple(
    setting: &str,
    values: &Option<Vec<f32>>,
    positive: bool,
) -> Result<Option<[f32; 3]>> {
    let Some(values) = values else { return Ok(None) };
    let expected = if positive { "three positive numbers" } else { "three numbers" };
    let good = values.iter().all(|v| v.is_finite() && (!positive || *v > 0.0));
    match <[f32; 3]>::try_from(values.as_slice()) {
        Ok(triple) if good => Ok(Some(triple)),
        _ => Err(Error::invalid(setting, format!("{values:?}"), expected)),
    }
}
