//! The compiled kernels: one image a family, in this binary or in a folder that replaces them.

use std::ffi::OsStr;
use std::sync::Arc;

use super::bindings::{CUfunction, CUmodule};

use super::absence::Absence;
use super::context::Context;
use super::terms::{DriverError, ImageSource, code};
use crate::artefact::input;

/// Most bytes of an image of kernels.
const MOST_BYTES: u64 = 1 << 28;

/// `IMAGES`, `COMPILER` and `ARCHITECTURES`, from build.rs.
mod built {
    include!(concat!(env!("OUT_DIR"), "/images.rs"));
}

/// `UNCONFIRMED`, from build.rs.
mod conformance {
    include!(concat!(env!("OUT_DIR"), "/conformance.rs"));
}

/// Families whose kernels use instructions that were not compared with a card's yet
/// (`kernels/conformance`), with the functions of `kernels/ptx.cuh` that stand for them.
pub fn unconfirmed() -> &'static [(&'static str, &'static [&'static str])] {
    conformance::UNCONFIRMED
}

/// Environment variable: a folder with `<family>.fatbin`, in place of the images of this binary.
pub const FOLDER_VARIABLE: &str = "FAIRPRUNE_KERNELS";

/// What the kernels are compiled for, and by what: None without nvcc.
pub fn built() -> Option<Built> {
    let compiler = built::COMPILER?;
    Some(Built { compiler, architectures: built::ARCHITECTURES })
}

/// How the images of this binary were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Built {
    /// nvcc's version.
    pub compiler: &'static str,
    /// `sm_80`, `sm_90a`, `compute_80`, ...
    pub architectures: &'static [&'static str],
}

/// The folder of [`FOLDER_VARIABLE`], else this binary where it has images.
pub(super) fn source() -> Result<ImageSource, Absence> {
    if !cfg!(feature = "cuda") {
        return Err(Absence::NotBuilt);
    }
    match std::env::var_os(FOLDER_VARIABLE).as_deref() {
        Some(folder) if folder != OsStr::new("") => Ok(ImageSource::Folder(folder.into())),
        _ if built::IMAGES.is_empty() => Err(Absence::NotBuilt),
        _ => Ok(ImageSource::Binary),
    }
}

/// One family's image.
fn read(source: &ImageSource, family: &'static str) -> Result<Image, Absence> {
    match source {
        ImageSource::Binary => {
            let images = built::IMAGES.iter();
            let image = images.copied().find(|(name, _)| *name == family);
            image.map(|(_, bytes)| Image::new(bytes)).ok_or(Absence::MissingImage { family })
        }
        ImageSource::Folder(folder) => {
            let path = folder.join(format!("{family}.fatbin"));
            match input::read(&path, MOST_BYTES) {
                Ok(bytes) => Ok(Image::new(&bytes)),
                Err(error) => Err(Absence::UnreadableImage { path, why: error.to_string() }),
            }
        }
    }
}

/// An image as the driver takes it: aligned to 8 bytes, and ended by a NUL, since it may be text.
struct Image(Vec<u64>);

impl Image {
    fn new(bytes: &[u8]) -> Image {
        let mut words = vec![0u64; bytes.len() / 8 + 1];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Image(words)
    }
}

/// A family's loaded kernels.
pub(super) struct Module {
    context: Arc<Context>,
    module: CUmodule,
    family: &'static str,
    source: ImageSource,
}

// SAFETY: a handle of the driver, whose functions may be called from any thread.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

impl Module {
    /// Loads a family's image.
    pub fn load(
        context: &Arc<Context>,
        source: &ImageSource,
        family: &'static str,
    ) -> Result<Module, Absence> {
        let image = read(source, family)?;
        let mut module = std::ptr::null_mut();
        let loaded = context.try_call(|d| {
            // SAFETY: `module` is writable; the image is aligned and ended by a NUL, so that the
            // driver, which knows a fatbin's length from its header, reads nothing behind it.
            unsafe { d.cuModuleLoadData(&mut module, image.0.as_ptr().cast()) }
        });
        loaded.map_err(|failure| refused(context, source.clone(), family, failure))?;
        Ok(Module { context: Arc::clone(context), module, family, source: source.clone() })
    }

    /// The kernel `name` (without NUL) of this module.
    pub fn function(&self, name: &'static str) -> Result<CUfunction, Absence> {
        let text = format!("{name}\0");
        let mut function = std::ptr::null_mut();
        let found = self.context.try_call(|d| {
            // SAFETY: `function` is writable, `text` ended by a NUL, the module loaded.
            unsafe { d.cuModuleGetFunction(&mut function, self.module, text.as_ptr().cast()) }
        });
        let (family, source) = (self.family, self.source.clone());
        found.map(|()| function).map_err(|failure| match failure.code {
            code::NOT_FOUND => Absence::MissingKernel { family, kernel: name, source },
            _ => refused(&self.context, source, family, failure),
        })
    }
}

/// Why the driver does not take an image.
fn refused(
    context: &Context,
    source: ImageSource,
    family: &'static str,
    failure: DriverError,
) -> Absence {
    let properties = &context.properties;
    match (failure.code, context.driver.version()) {
        (code::NO_BINARY_FOR_GPU, _) => Absence::NoImage {
            family,
            source,
            card: properties.card.clone(),
            capability: properties.capability,
        },
        (code::UNSUPPORTED_PTX_VERSION, Ok(version)) => {
            Absence::ImageTooNew { family, source, version }
        }
        _ => Absence::BrokenImage { family, source, failure },
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // Nothing can be done about a failure here.
        // SAFETY: loaded in `load`; the kernels' owner goes first.
        let _ = self.context.try_call(|d| unsafe { d.cuModuleUnload(self.module) });
    }
}
