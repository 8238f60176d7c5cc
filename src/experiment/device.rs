//! The device that computes: the processor, or a card with the processor beside it.
//!
//! Code that is generic over the backend is instantiated inside the library, behind `on_device!`; nobody
//! outside names a backend's type.

use std::sync::Arc;

use crate::backend::{Backend, Cpu};
use crate::cuda::{Absence, Cuda};
use crate::error::{Error, Result};

/// An open device.
#[derive(Clone)]
pub struct Device {
    host: Arc<Cpu>,
    card: Option<Arc<Cuda>>,
}

/// Evaluates `$body` with `$backend` the `Arc` of the backend that computes.
macro_rules! on_device {
    ($device:expr, $backend:ident => $body:expr) => {
        match $device.card() {
            None => {
                let $backend = ::std::sync::Arc::clone($device.host());
                $body
            }
            Some(card) => {
                let $backend = ::std::sync::Arc::clone(card);
                $body
            }
        }
    };
}
pub(crate) use on_device;

/// What the name of a device asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Auto,
    Cpu,
    /// The number of a card.
    Cuda(usize),
}

impl Wish {
    fn parse(name: &str) -> Result<Wish> {
        match name {
            "auto" => Ok(Wish::Auto),
            "cpu" => Ok(Wish::Cpu),
            "cuda" => Ok(Wish::Cuda(0)),
            _ => name
                .strip_prefix("cuda:")
                .and_then(|ordinal| ordinal.parse().ok())
                .map(Wish::Cuda)
                .ok_or_else(|| Error::invalid("`device`", name, "auto, cpu, cuda or cuda:N")),
        }
    }
}

impl Device {
    /// Opens the device called `auto`, `cpu`, `cuda` or `cuda:N`, with one CPU thread a core.
    pub fn open(name: &str) -> Result<Device> {
        Device::with_threads(name, 0)
    }

    /// Opens a device whose work on the processor is done by `threads` threads; 0 takes one a core.
    /// `auto` takes the first card, else the processor, and logs why; `cuda` never falls back.
    ///
    /// # Errors
    /// An unknown name, too many threads, a card that is named and cannot be used.
    pub fn with_threads(name: &str, threads: usize) -> Result<Device> {
        match Wish::parse(name)? {
            Wish::Cpu => {}
            Wish::Cuda(ordinal) => {
                return open_card(ordinal, threads)?.map_err(|reason| Error::DeviceUnavailable {
                    device: name.to_owned(),
                    reason: format!("{reason} (`device` cpu computes without)"),
                });
            }
            Wish::Auto => match open_card(0, threads)? {
                Ok(device) => return Ok(device),
                Err(reason) => tracing::info!("device: cpu (cuda: {reason})"),
            },
        }
        Ok(Device::from(Arc::new(Cpu::new(threads)?)))
    }

    /// Opens the processor alone, for work that computes nothing on a card; a card that is named must
    /// be there all the same.
    pub fn host_only(name: &str, threads: usize) -> Result<Device> {
        if let Wish::Cuda(_) = Wish::parse(name)? {
            Device::with_threads(name, threads)?;
        }
        Ok(Device::from(Arc::new(Cpu::new(threads)?)))
    }

    /// The processor's part of the work: reading, decoding, and everything where there is no card.
    pub fn host(&self) -> &Arc<Cpu> {
        &self.host
    }

    /// The card, where one computes.
    pub fn card(&self) -> Option<&Arc<Cuda>> {
        self.card.as_ref()
    }

    /// The backend's name as files state it: `cpu/avx512`, `cuda/sm_90a`.
    pub fn name(&self) -> String {
        on_device!(self, backend => backend.name())
    }

    /// The same for results in bf16, with the order of their sums where there are several: `cpu/avx512/amx`.
    pub fn bf16_name(&self) -> String {
        on_device!(self, backend => backend.bf16_name())
    }

    /// The number of CPU threads that compute.
    pub fn workers(&self) -> usize {
        on_device!(self, backend => backend.workers())
    }
}

impl From<Arc<Cpu>> for Device {
    fn from(host: Arc<Cpu>) -> Self {
        Device { host, card: None }
    }
}

/// For people: `cpu/avx512 with 8 threads`, `cuda/sm_90a`.
impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self.card {
            None => write!(f, "{} with {} threads", self.name(), self.workers()),
            Some(_) => f.write_str(&self.name()),
        }
    }
}

/// Opens a card and the processor beside it.
fn open_card(ordinal: usize, threads: usize) -> Result<Result<Device, Absence>> {
    let cuda = match Cuda::open(ordinal) {
        Ok(cuda) => cuda,
        Err(absence) => return Ok(Err(absence)),
    };
    let host = Arc::new(Cpu::new(threads)?);
    let card = Some(Arc::new(cuda.with_host(Arc::clone(&host))));
    Ok(Ok(Device { host, card }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names() {
        assert_eq!(Wish::parse("auto").unwrap(), Wish::Auto);
        assert_eq!(Wish::parse("cuda").unwrap(), Wish::Cuda(0));
        assert_eq!(Wish::parse("cuda:12").unwrap(), Wish::Cuda(12));
        for bad in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "CUDA"] {
            let message = Wish::parse(bad).unwrap_err().to_string();
            assert!(message.contains("`device`") && message.contains("cuda:N"), "{message}");
        }
    }
}
