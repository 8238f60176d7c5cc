//! Where a device with memory of its own finds the images: in it, or on the host.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::device::Device;
use crate::backend::Cpu;
use crate::cuda::Cuda;
use crate::data::{DataSet, PartName};
use crate::error::{Error, Result};
use crate::exec::{Requirements, planned_memory};
use crate::nn::Network;
use crate::ops::Operators;

/// What was asked for. Results do not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// On the device where they fit beside the plan, else on the host.
    #[default]
    Auto,
    /// On the device.
    Device,
    /// On the host: batches are copied while the device computes.
    Stream,
}

impl FromStr for Placement {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Placement::Auto),
            "device" => Ok(Placement::Device),
            "stream" => Ok(Placement::Stream),
            _ => Err(Error::invalid("`images`", text, "auto, device or stream")),
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Placement::Auto => "auto",
            Placement::Device => "device",
            Placement::Stream => "stream",
        })
    }
}

/// The parts' images, placed when the first is asked for: until then a plan that leaves no room for them
/// sends them to the host.
pub(super) struct Placed<B: Operators> {
    placement: Placement,
    streams: AtomicBool,
    parts: [OnceLock<B::Images>; 3],
    placing: Mutex<()>,
}

impl<B: Operators> Placed<B> {
    /// No part is placed yet.
    pub fn new(placement: Placement) -> Self {
        Placed {
            placement,
            streams: AtomicBool::new(placement == Placement::Stream),
            parts: Default::default(),
            placing: Mutex::new(()),
        }
    }

    /// Bytes that the parts' images take on the device; `left`: those that are not there yet.
    fn bytes(&self, data: &DataSet, left: bool) -> u64 {
        let parts = [PartName::Train, PartName::Val, PartName::Test].into_iter();
        let parts = parts.filter(|&p| !left || self.parts[p as usize].get().is_none());
        parts.filter_map(|p| data.part(p)).map(|p| B::device_bytes(&p.images)).sum()
    }

    /// Bytes of images that stay on the host, where they do.
    pub fn streamed(&self, data: &DataSet) -> Option<u64> {
        let bytes = self.bytes(data, false);
        (self.streams.load(Ordering::Relaxed) && bytes > 0).then_some(bytes)
    }

    /// Adds to the requirements of an executor what its images need, and decides where they will be.
    pub fn require(
        &self,
        backend: &B,
        data: &DataSet,
        network: &Network,
        requirements: &mut Requirements,
    ) -> Result<()> {
        let left = self.bytes(data, true);
        let free = backend.free_bytes().filter(|_| left > 0);
        if let Some(free) = free.filter(|_| !self.streams.load(Ordering::Relaxed)) {
            // What is on the device stays there.
            let open = self.placement == Placement::Auto && left == self.bytes(data, false);
            let whole = Requirements { memory_limit: Some(u64::MAX), ..requirements.clone() };
            if open && planned_memory(backend, network, &whole)?.total() + left > free {
                self.streams.store(true, Ordering::Relaxed);
            } else {
                requirements.memory_limit = Some(free.saturating_sub(left));
            }
        }
        requirements.stream = self.streams.load(Ordering::Relaxed);
        Ok(())
    }

    /// The images of a part, which are placed now if they were not before.
    pub fn images(&self, backend: &B, data: &DataSet, name: PartName) -> Result<&B::Images> {
        let slot = &self.parts[name as usize];
        let missing = || Error::Internal(format!("the data set has no {} part", name.name()));
        let _one = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.get().is_none() {
            let images = &data.part(name).ok_or_else(missing)?.images;
            let placed = match self.streams.load(Ordering::Relaxed) {
                true => backend.host_images(images)?,
                false => backend.images(images)?,
            };
            // Nobody else fills it: the lock is held.
            let _ = slot.set(placed);
        }
        slot.get().ok_or_else(missing)
    }
}

/// The images of a session, placed for the backend of its device.
pub(super) enum PlacedImages {
    Cpu(Placed<Cpu>),
    Cuda(Placed<Cuda>),
}

impl PlacedImages {
    /// No part is placed yet; the backend is that of `device`.
    pub fn new(device: &Device, placement: Placement) -> Self {
        match device.card() {
            None => PlacedImages::Cpu(Placed::new(placement)),
            Some(_) => PlacedImages::Cuda(Placed::new(placement)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placements_are_read_as_they_are_written() {
        for placement in [Placement::Auto, Placement::Device, Placement::Stream] {
            assert_eq!(placement.to_string().parse::<Placement>().unwrap(), placement);
        }
        let message = "host".parse::<Placement>().unwrap_err().to_string();
        assert!(message.contains("`images`") && message.contains("stream"), "{message}");
    }
}
