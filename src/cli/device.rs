//! The device that `--device` names, open; and the one place where a command meets its type.

use std::sync::Arc;

use fairprune::backend::{Backend, Cpu};
use fairprune::cuda::{Absence, Cuda};
use fairprune::error::{Error, Result};

use super::args::Common;

/// Tens of thousands of threads take minutes to start.
const MOST_THREADS: usize = 1024;

/// An open device.
pub enum Device {
    Cpu(Arc<Cpu>),
    Cuda(Arc<Cuda>),
}

/// Evaluates `$body` with `$backend` the device's `Arc<impl Operators>`.
macro_rules! on_device {
    ($device:expr, $backend:ident => $body:expr) => {
        match $device {
            $crate::cli::device::Device::Cpu($backend) => $body,
            $crate::cli::device::Device::Cuda($backend) => $body,
        }
    };
}
pub(crate) use on_device;

/// What `--device` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Auto,
    Cpu,
    /// The number of a card.
    Cuda(usize),
}

impl Choice {
    fn parse(name: &str) -> Result<Choice> {
        match name {
            "auto" => Ok(Choice::Auto),
            "cpu" => Ok(Choice::Cpu),
            "cuda" => Ok(Choice::Cuda(0)),
            _ => name
                .strip_prefix("cuda:")
                .and_then(|ordinal| ordinal.parse().ok())
                .map(Choice::Cuda)
                .ok_or_else(|| Error::invalid("--device", name, "auto, cpu, cuda or cuda:N")),
        }
    }
}

impl Device {
    /// Opens it. `auto` takes the first card, else the CPU, and says why; `cuda` never falls back.
    pub fn open(common: &Common) -> Result<Device> {
        match Choice::parse(&common.device)? {
            Choice::Cpu => {}
            Choice::Cuda(ordinal) => {
                return open_card(ordinal, common)?.map_err(|reason| Error::DeviceUnavailable {
                    device: common.device.clone(),
                    reason: format!("{reason} (--device cpu computes without)"),
                });
            }
            Choice::Auto => match open_card(0, common)? {
                Ok(device) => return Ok(device),
                Err(reason) => tracing::info!("device: cpu (cuda: {reason})"),
            },
        }
        Ok(Device::Cpu(Arc::new(cpu(common)?)))
    }

    /// The processor's part of the work: reading, decoding.
    pub fn host(&self, common: &Common) -> Result<Arc<Cpu>> {
        match self {
            Device::Cpu(cpu) => Ok(Arc::clone(cpu)),
            Device::Cuda(cuda) => match cuda.host() {
                Some(host) => Ok(Arc::clone(host)),
                None => Ok(Arc::new(cpu(common)?)),
            },
        }
    }
}

/// The card, its host's part of the work done by `--threads` threads.
fn open_card(ordinal: usize, common: &Common) -> Result<Result<Device, Absence>> {
    match Cuda::open(ordinal) {
        Ok(cuda) => Ok(Ok(Device::Cuda(Arc::new(cuda.with_host(Arc::new(cpu(common)?)))))),
        Err(absence) => Ok(Err(absence)),
    }
}

/// The CPU, for a command that computes nothing on a device; one that is named must be there all
/// the same.
pub fn host_only(common: &Common) -> Result<Cpu> {
    if let Choice::Cuda(_) = Choice::parse(&common.device)? {
        Device::open(common)?;
    }
    cpu(common)
}

/// The CPU with `--threads`.
pub fn cpu(common: &Common) -> Result<Cpu> {
    if common.threads > MOST_THREADS {
        let expected = format!("at most {MOST_THREADS}");
        return Err(Error::invalid("--threads", common.threads.to_string(), expected));
    }
    Cpu::new(common.threads)
}

/// A device for people: `cpu/avx512 with 8 threads`, `cuda/sm_90a`.
pub fn describe(backend: &impl Backend) -> String {
    match (backend.name(), backend.workers()) {
        (name, workers) if name.starts_with("cpu/") => format!("{name} with {workers} threads"),
        (name, _) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names() {
        assert_eq!(Choice::parse("auto").unwrap(), Choice::Auto);
        assert_eq!(Choice::parse("cuda").unwrap(), Choice::Cuda(0));
        assert_eq!(Choice::parse("cuda:12").unwrap(), Choice::Cuda(12));
        for bad in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "CUDA"] {
            let message = Choice::parse(bad).unwrap_err().to_string();
            assert!(message.contains("--device") && message.contains("cuda:N"), "{message}");
        }
    }
}
