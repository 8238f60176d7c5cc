//! Architecture names and the few choices that make a network of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The families: CIFAR ResNets (He et al. 2016, section 4.2), torchvision's ResNets, and VGG with
/// batch norm in its CIFAR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// 6n+2 layers: 8, 14, 20, 32, 44, 56.
    CifarResnet(u32),
    Resnet18,
    Resnet34,
    Resnet50,
    /// With the stride in a bottleneck's first 1x1, as in the paper; torchvision's has it in the 3x3
    /// ("v1.5"). Names and shapes of the tensors are the same.
    Resnet50V1,
    Resnet101,
    Resnet152,
    Vgg16,
    Vgg19,
}

/// Every architecture name, for help and messages.
pub const ARCH_NAMES: [&str; 14] = [
    "resnet8",
    "resnet14",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet50-v1",
    "resnet101",
    "resnet152",
    "vgg16",
    "vgg19",
];

impl FromStr for Arch {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "resnet18" => Ok(Arch::Resnet18),
            "resnet34" => Ok(Arch::Resnet34),
            "resnet50" => Ok(Arch::Resnet50),
            "resnet50-v1" => Ok(Arch::Resnet50V1),
            "resnet101" => Ok(Arch::Resnet101),
            "resnet152" => Ok(Arch::Resnet152),
            "vgg16" => Ok(Arch::Vgg16),
            "vgg19" => Ok(Arch::Vgg19),
            _ => name
                .strip_prefix("resnet")
                .and_then(|depth| depth.parse().ok())
                .filter(|depth| [8, 14, 20, 32, 44, 56].contains(depth))
                .map(Arch::CifarResnet)
                .ok_or_else(|| Error::invalid("`arch`", name, ARCH_NAMES.join(", "))),
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Arch::CifarResnet(depth) => write!(f, "resnet{depth}"),
            Arch::Resnet18 => f.write_str("resnet18"),
            Arch::Resnet34 => f.write_str("resnet34"),
            Arch::Resnet50 => f.write_str("resnet50"),
            Arch::Resnet50V1 => f.write_str("resnet50-v1"),
            Arch::Resnet101 => f.write_str("resnet101"),
            Arch::Resnet152 => f.write_str("resnet152"),
            Arch::Vgg16 => f.write_str("vgg16"),
            Arch::Vgg19 => f.write_str("vgg19"),
        }
    }
}

impl Arch {
    /// The architecture with the stride where the paper has it.
    pub fn v1(self) -> Result<Arch> {
        match self {
            Arch::Resnet50 | Arch::Resnet50V1 => Ok(Arch::Resnet50V1),
            other => {
                let expected = "`arch` resnet50: the others have no bottlenecks";
                Err(Error::invalid("`resnet_v1`", other.to_string(), expected))
            }
        }
    }

    /// Channels of the first stage unless another width is given otherwise.
    pub fn default_width(self) -> usize {
        match self {
            Arch::CifarResnet(_) => 16,
            _ => 64,
        }
    }
}

/// First layers: 3x3 stride 1, or 7x7 stride 2 and max-pooling. The CIFAR family and VGG have one
/// stem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    Cifar,
    Imagenet,
}

impl Stem {
    /// The usual stem for images of this size: `imagenet` from 96 pixels up.
    pub fn for_size(size: usize) -> Stem {
        if size >= 96 { Stem::Imagenet } else { Stem::Cifar }
    }
}

impl FromStr for Stem {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "cifar" => Ok(Stem::Cifar),
            "imagenet" => Ok(Stem::Imagenet),
            _ => Err(Error::invalid("`stem`", name, "cifar or imagenet")),
        }
    }
}

impl fmt::Display for Stem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Stem::Cifar => "cifar",
            Stem::Imagenet => "imagenet",
        })
    }
}

/// Everything that determines a network's graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetworkSpec {
    pub arch: Arch,
    /// Channels of the first stage.
    pub width: usize,
    pub stem: Stem,
    pub classes: usize,
    /// Image height and width.
    pub size: [usize; 2],
}
