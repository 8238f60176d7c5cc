//! NVIDIA GPUs as a backend: the driver, one card, its memory, its kernels and how they are
//! launched. The only module that knows the driver; operators (`ops/*/cuda.rs`) see [`Cuda`].
//!
//! No CUDA is needed to build or run the program: without nvcc the binary has no kernels, without
//! a driver or a card there is no device, and each is an [`Absence`] that says what to do.
//!
//! All work goes through one stream, in the order it is issued; only copies of images that stay on the
//! host go through another ([`Staging`]), ordered with it by events.

mod absence;
mod device;
mod driver;
mod event;
mod graph;
mod images;
mod kernels;
mod launch;
mod memory;
mod staging;
mod survey;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use device::Device;

use crate::backend::{Backend, View};
use crate::error::{Error, Result};
use crate::tensor::Dtype;

pub use absence::{Absence, Version};
pub use device::Properties;
pub use driver::Failure;
pub use event::Event;
pub use graph::Graph;
pub use images::{Built, FOLDER_VARIABLE, Source, built, unconfirmed};
pub use kernels::{FAMILIES, Kernel, Kernels, Limits};
pub use memory::{CudaImages, CudaMemory, DevicePointer};
pub use staging::{HostImages, Images, Staging};
pub use survey::{Card, Survey, survey};

/// Numbers that kernels and host agree on, from `kernels/tiles.h`: `FAIRPRUNE_X` there is `X`.
pub mod tiles {
    include!(concat!(env!("OUT_DIR"), "/tiles.rs"));
}

/// One card, open: the CUDA backend.
pub struct Cuda {
    kernels: Kernels,
    image: String,
    /// What the convolutions are told to choose (`ops::conv2d`), in their own code; 0 for nothing.
    forced: AtomicU64,
    /// Kernels may begin before the one before them has ended.
    dependent_launch: AtomicBool,
    /// Whether they can, also where they are recorded.
    records_early_launches: bool,
    device: Arc<Device>,
}

impl Cuda {
    /// Opens card `ordinal`, as the driver numbers them from 0, and loads all kernels.
    pub fn open(ordinal: usize) -> Result<Cuda, Absence> {
        // Without kernels nothing else matters.
        let source = images::source()?;
        let device = Arc::new(Device::open(ordinal)?);
        let kernels = Kernels::load(&device, &source)?;
        let image = image_name(&kernels);
        let mut cuda = Cuda {
            kernels,
            image,
            forced: AtomicU64::new(0),
            dependent_launch: AtomicBool::new(false),
            records_early_launches: false,
            device,
        };
        cuda.records_early_launches = cuda.try_early_launch();
        cuda.set_dependent_launch(true);
        Ok(cuda)
    }

    /// The kernels, to be launched.
    pub fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    pub(crate) fn forced(&self) -> &AtomicU64 {
        &self.forced
    }

    /// The card.
    pub fn properties(&self) -> &Properties {
        &self.device.properties
    }

    /// Which code the driver chose from the images: `sm_90a`, or `compute_80` where it compiled
    /// the portable form for this card.
    pub fn image(&self) -> &str {
        &self.image
    }
}

/// The image in use. Hopper's machine code is that of sm_90a: it is what the sources are for.
fn image_name(kernels: &Kernels) -> String {
    let Some(kernel) = kernels.all().first().copied() else { return "none".to_owned() };
    let Limits { binary, ptx, .. } = kernel.limits;
    match (binary, ptx) {
        (90, 90) => "sm_90a".to_owned(),
        (binary, ptx) if binary == ptx => format!("sm_{binary}"),
        (_, ptx) => format!("compute_{ptx}"),
    }
}

impl Backend for Cuda {
    const BF16: bool = true;

    type Memory = CudaMemory;

    fn name(&self) -> String {
        format!("cuda/{}", self.image)
    }

    fn workers(&self) -> usize {
        1
    }

    fn allocate(&self, sizes: &[usize], poison: bool) -> Result<CudaMemory> {
        CudaMemory::allocate(&self.device, sizes, poison)
    }

    fn upload(&self, memory: &mut CudaMemory, view: View, values: &[f32]) -> Result<()> {
        memory.upload_f32(view, values)
    }

    fn upload_u32(&self, memory: &mut CudaMemory, view: View, values: &[u32]) -> Result<()> {
        memory.upload(view, values, Dtype::U32)
    }

    fn download(&self, memory: &CudaMemory, view: View, values: &mut [f32]) -> Result<()> {
        memory.download_f32(view, values)
    }

    fn download_u32(&self, memory: &CudaMemory, view: View, values: &mut [u32]) -> Result<()> {
        memory.download(view, values, Dtype::U32)
    }

    fn free_bytes(&self) -> Option<u64> {
        self.device.free_bytes()
    }

    fn fill(&self, memory: &mut CudaMemory, view: View, value: f32) -> Result<()> {
        memory.fill(view, value)
    }

    fn synchronize(&self) -> Result<()> {
        self.device.synchronize()
    }

    type Recording = Graph;

    fn record(&self, issue: impl FnOnce() -> Result<()>) -> Result<Option<Graph>> {
        self.capture(issue).map(Some)
    }

    unsafe fn replay(&self, recording: &Graph) -> Result<()> {
        // SAFETY: passed on to the caller.
        unsafe { Cuda::replay(self, recording) }
    }
}

impl From<Absence> for Error {
    fn from(absence: Absence) -> Error {
        Error::DeviceUnavailable { device: "cuda".to_owned(), reason: absence.to_string() }
    }
}
