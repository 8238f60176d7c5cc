//! One card as a backend: opened once, with all kernels looked up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::absence::Absence;
use super::context::{Context, Properties};
use super::images;
use super::kernels::{KERNEL_NAMES, KernelLimits, Kernels};
use crate::backend::Cpu;

/// One card, open: the CUDA backend.
pub struct Cuda {
    pub(super) kernels: Kernels,
    image: String,
    /// What the convolutions are told to choose (`ops::conv2d`), in their own code; 0 for nothing.
    forced: AtomicU64,
    /// Kernels may begin before the one before them has ended.
    pub(super) dependent_launch: AtomicBool,
    /// Whether they can, also where they are recorded.
    pub(super) records_early_launches: bool,
    /// Whose threads gather images that stay on the host.
    host: Option<Arc<Cpu>>,
    pub(super) context: Arc<Context>,
}

impl Cuda {
    /// Opens card `ordinal`, as the driver numbers them from 0, and loads all kernels.
    pub fn open(ordinal: usize) -> Result<Cuda, Absence> {
        // Without kernels nothing else matters.
        let source = images::source()?;
        let context = Arc::new(Context::open(ordinal, KERNEL_NAMES)?);
        let kernels = Kernels::load(&context, &source)?;
        let image = image_name(&kernels);
        let mut cuda = Cuda {
            kernels,
            image,
            forced: AtomicU64::new(0),
            dependent_launch: AtomicBool::new(false),
            records_early_launches: false,
            host: None,
            context,
        };
        cuda.records_early_launches = cuda.try_early_launch();
        cuda.set_dependent_launch(true);
        Ok(cuda)
    }

    /// This card, with the host's part of the work done by `host`'s threads in place of rayon's own, one a
    /// core.
    pub fn with_host(self, host: Arc<Cpu>) -> Cuda {
        Cuda { host: Some(host), ..self }
    }

    /// Whose threads do the host's part of the work, where that was said.
    pub fn host(&self) -> Option<&Arc<Cpu>> {
        self.host.as_ref()
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
        &self.context.properties
    }

    /// Which code the driver chose from the images: `sm_90a`, or `compute_80` where it compiled
    /// the portable form for this card.
    pub fn image(&self) -> &str {
        &self.image
    }
}

/// The image in use. Hopper's machine code is that of sm_90a: it is what the sources are for.
fn image_name(kernels: &Kernels) -> String {
    let KernelLimits { binary, ptx, .. } = kernels.echo_fields.limits;
    match (binary, ptx) {
        (90, 90) => "sm_90a".to_owned(),
        (binary, ptx) if binary == ptx => format!("sm_{binary}"),
        (_, ptx) => format!("compute_{ptx}"),
    }
}
