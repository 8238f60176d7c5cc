//! Why a CUDA device cannot be used here, and what to do about it.

use std::fmt;
use std::path::PathBuf;

use super::terms::{DriverError, ImageSource, OLDEST, Version};

/// Why there is no usable CUDA device. Every kind says in its text what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// This binary was built without nvcc: it has no kernels for any card.
    NotBuilt,
    /// No libcuda can be loaded.
    NoDriver,
    /// The libcuda that was found is the toolkit's link-time stub.
    Stub,
    /// The driver lacks a function that this program calls.
    DriverTooOld { version: Option<Version>, missing: &'static str },
    /// The driver is there and does not start, or a card's context cannot be created.
    DriverFails(DriverError),
    /// The driver sees no card.
    NoDevice,
    /// Cards are numbered from 0 and this one is beyond the last.
    NoSuchDevice { ordinal: usize, count: usize },
    /// The card is older than the oldest that the kernels are written for.
    CardTooOld { card: String, capability: Version },
    /// The images hold nothing that this card runs.
    NoImage { family: &'static str, source: ImageSource, card: String, capability: Version },
    /// The image needs a newer driver than this one.
    ImageTooNew { family: &'static str, source: ImageSource, version: Version },
    /// The image is damaged, or not one.
    BrokenImage { family: &'static str, source: ImageSource, failure: DriverError },
    /// A file of the folder that replaces the images cannot be read.
    UnreadableImage { path: PathBuf, why: String },
    /// The binary holds no image of this family.
    MissingImage { family: &'static str },
    /// The image lacks a kernel: it was made from other sources than this program.
    MissingKernel { family: &'static str, kernel: &'static str, source: ImageSource },
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Absence::NotBuilt if !cfg!(feature = "cuda") => {
                f.write_str("not built: this program was built without its feature `cuda`")
            }
            Absence::NotBuilt => f.write_str(
                "not built: this binary was built without nvcc and has no CUDA kernels; run \
                 scripts/cuda-toolkit.sh and build again",
            ),
            Absence::NoDriver => f.write_str(
                "no driver: libcuda was not found; install NVIDIA's driver, or add its folder to \
                 LD_LIBRARY_PATH",
            ),
            Absence::Stub => f.write_str(
                "no driver: the libcuda that was found is the toolkit's stub; remove the stubs \
                 folder from LD_LIBRARY_PATH, or install NVIDIA's driver",
            ),
            Absence::DriverTooOld { version: Some(version), missing } => write!(
                f,
                "driver too old: it is for CUDA {version} and lacks {missing}; update NVIDIA's \
                 driver to one for CUDA 12.0 or newer"
            ),
            Absence::DriverTooOld { version: None, missing } => write!(
                f,
                "driver too old or damaged: libcuda lacks {missing}; update NVIDIA's driver to one \
                 for CUDA 12.0 or newer"
            ),
            Absence::DriverFails(failure) => {
                write!(f, "the driver does not start: {failure}; {}", remedy(failure))
            }
            Absence::NoDevice => f.write_str(
                "no device: the driver sees no NVIDIA card; check nvidia-smi and \
                 CUDA_VISIBLE_DEVICES",
            ),
            Absence::NoSuchDevice { ordinal, count } => write!(
                f,
                "no device {ordinal}: the driver sees {count}, numbered from 0; check `device` and \
                 CUDA_VISIBLE_DEVICES"
            ),
            Absence::CardTooOld { card, capability } => write!(
                f,
                "{card} has compute capability {capability}; the kernels need {OLDEST} (Ampere) or \
                 newer: use another card, or `device` cpu"
            ),
            Absence::NoImage { family, source, card, capability } => write!(
                f,
                "no image for this card: {source} holds no {family} kernels for {card} (compute \
                 capability {capability}); build with FAIRPRUNE_CUDA_ARCHS=\"sm_{}{}\"",
                capability.0, capability.1
            ),
            Absence::ImageTooNew { family, source, version } => write!(
                f,
                "driver too old: {source} has {family} kernels from a newer compiler than the \
                 driver's CUDA {version} reads; update NVIDIA's driver, or build with an older nvcc"
            ),
            Absence::BrokenImage { family, source, failure } => write!(
                f,
                "broken image: the driver cannot load the {family} kernels of {source}: {failure}; \
                 build again, or unset FAIRPRUNE_KERNELS"
            ),
            Absence::UnreadableImage { path, why } => write!(
                f,
                "no image: {}: {why}; FAIRPRUNE_KERNELS must name a folder with one \
                 <family>.fatbin a family, or be unset",
                path.display()
            ),
            Absence::MissingImage { family } => {
                write!(f, "no image: this binary has no {family} kernels; build again")
            }
            Absence::MissingKernel { family, kernel, source } => write!(
                f,
                "{source} has no kernel {kernel} in {family}: it was made from other sources than \
                 this program; build again, or unset FAIRPRUNE_KERNELS"
            ),
        }
    }
}

/// What to do where the driver is there but refuses.
fn remedy(failure: &DriverError) -> &'static str {
    match failure.code {
        // Out of memory, or the card is in exclusive mode and taken.
        2 | 46 => "another process holds the card: see nvidia-smi",
        802 => "start the fabric manager, or wait until it is up",
        803 | 804 => "kernel module and libcuda differ: reboot, or reinstall the driver",
        _ => "nvidia-smi shows whether the driver works at all",
    }
}

impl std::error::Error for Absence {}
