//! NVIDIA GPUs as a backend: the driver, one card, its memory, its kernels and how they are
//! launched. The only module that knows the driver; operators (`ops/*/cuda.rs`) see [`Cuda`].
//!
//! No CUDA is needed to build or run the program: without nvcc the binary has no kernels, without
//! a driver or a card there is no device, and each is an [`Absence`] that says what to do. So is a
//! build without the feature `cuda`, which looks for neither.
//!
//! All work goes through one stream, in the order it is issued; only copies of images that stay on the
//! host go through another ([`StagingBuffers`]), ordered with it by events.

mod absence;
pub mod args;
mod backend;
mod card;
mod context;
mod driver;
mod event;
mod graph;
mod images;
mod kernels;
mod launch;
#[cfg(feature = "cuda")]
mod library;
#[cfg(not(feature = "cuda"))]
#[path = "no_library.rs"]
mod library;
mod memory;
mod staging;
mod survey;
#[cfg(feature = "cuda")]
use cudarc::driver::sys as bindings;
#[cfg(not(feature = "cuda"))]
#[path = "no_bindings.rs"]
mod bindings;
mod terms;

pub use absence::Absence;
pub use card::Cuda;
pub use context::Properties;
pub use event::Event;
pub use graph::Graph;
pub use images::{Built, FOLDER_VARIABLE, built, unconfirmed};
pub use kernels::{FAMILIES, Kernel, KernelLimits, Kernels};
pub use memory::{CudaMemory, DeviceImages};
pub use staging::{CudaImages, HostImages, StagingBuffers};
pub use survey::{Survey, SurveyedCard, survey};
pub use terms::{DevicePointer, DriverError, ImageSource, Version};

/// Numbers that kernels and host agree on, from `kernels/tiles.h`: `FAIRPRUNE_X` there is `X`.
pub mod tiles {
    include!(concat!(env!("OUT_DIR"), "/tiles.rs"));
}
