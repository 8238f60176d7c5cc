//! Images that stay on the host: batches of them in two pinned buffers, copied to two buffers of the
//! device on a stream of their own while the step before computes.
//!
//! ```text
//! host     gather i+1 |                gather i+2 |            waits only for a buffer's last copy
//! copies     copy i+1 ~~~~~~~~~|         copy i+2 ~~~~~~|      waits for the buffer's last reader
//! compute  step i ~~~~~~~~~~~~~~~~~~~| step i+1 ~~~~~~~~~~     waits for its batch's copy
//! ```
//! A batch is known by its images' numbers, which travel with it: what was prefetched and is not the
//! batch that comes is not used, and a kernel that finds another number than its sample's gives NaN.

use std::ffi::c_void;
use std::sync::Arc;

use super::bindings::{CUevent, CUstream};
use bytes::Bytes;
use rayon::prelude::*;

use super::card::Cuda;
use super::context::{Context, NON_BLOCKING};
use super::driver::Driver;
use super::memory::{Buffer, DeviceImages, next_identity};
use super::terms::{DevicePointer, DriverError, code};
use crate::backend::{ALIGN, Cpu};
use crate::error::{Error, Result};

/// cuEventCreate: without a time.
const UNTIMED: u32 = 2;

/// Bytes of the numbers in front of `images` images.
fn numbers_bytes(images: usize) -> usize {
    (4 * images).next_multiple_of(ALIGN)
}

/// Images of a part, where they are.
pub enum CudaImages {
    /// On the device.
    Device(DeviceImages),
    /// On the host: batches of them are copied.
    Host(HostImages),
}

/// Images (u8, N H W 3) that stay in the host's memory, or in a mapped file.
pub struct HostImages {
    bytes: Bytes,
    identity: u64,
}

impl HostImages {
    /// Shares `bytes`.
    pub fn new(bytes: &Bytes) -> HostImages {
        HostImages { bytes: bytes.clone(), identity: next_identity() }
    }
}

/// Two buffers for batches of at most `images` images of `image` bytes, on the device and pinned on
/// the host.
pub struct StagingBuffers {
    image: usize,
    images: usize,
    slots: [Slot; 2],
    /// The slot of the batch that is gathered next or was last.
    current: usize,
    copies: CopyStream,
    /// Whose threads gather.
    host: Option<Arc<Cpu>>,
}

/// A batch on its way to the device.
struct Slot {
    /// Which images it holds: of whom, and their numbers.
    holds: Option<(u64, Vec<u32>)>,
    device: Buffer,
    /// Passed when the device's buffer has the batch, and the pinned one is free.
    copied: EventMark,
    /// Passed when the batch was gathered from the device's buffer.
    used: EventMark,
    /// After `copied`, which its drop waits for.
    host: Pinned,
}

/// Where the batch that is current lies on the device.
pub struct Staged {
    pub numbers: DevicePointer,
    pub images: DevicePointer,
    pub count: usize,
}

impl Cuda {
    /// Buffers for batches of at most `images` images of `image` bytes.
    pub fn new_staging(&self, image: usize, images: usize) -> Result<StagingBuffers> {
        let context = &self.context;
        let bytes = Self::slot_bytes(image, images);
        let slot = || -> Result<Slot> {
            Ok(Slot {
                holds: None,
                device: Buffer::new(context, bytes, 2 * bytes as u64)?,
                copied: EventMark::new(context)?,
                used: EventMark::new(context)?,
                host: Pinned::new(context, bytes)?,
            })
        };
        let copies = CopyStream::new(context)?;
        let (slots, host) = ([slot()?, slot()?], self.host().cloned());
        Ok(StagingBuffers { image, images, slots, current: 0, copies, host })
    }

    /// Bytes of each of the two buffers, on the device and, pinned, on the host.
    pub fn slot_bytes(image: usize, images: usize) -> usize {
        numbers_bytes(images) + image * images
    }

    /// Makes the images `numbers` of `images` the current batch: work issued from now on finds them.
    pub fn stage_batch(
        &self,
        s: &mut StagingBuffers,
        images: &HostImages,
        numbers: &[u32],
    ) -> Result<()> {
        let known = s.slots.iter().position(|slot| slot.is(images, numbers));
        s.current = match known {
            Some(slot) => slot,
            None => s.fill(images, numbers)?,
        };
        let copied = s.slots[s.current].copied.event;
        let wait = |d: &Driver| {
            // SAFETY: stream and event are alive.
            unsafe { d.cuStreamWaitEvent(self.context.stream, copied, 0) }
        };
        self.context.call(|| "waiting for a copy".to_owned(), wait)
    }

    /// Starts to copy a batch that may come next.
    pub fn prefetch_batch(
        &self,
        s: &mut StagingBuffers,
        images: &HostImages,
        numbers: &[u32],
    ) -> Result<()> {
        if s.slots.iter().any(|slot| slot.is(images, numbers)) {
            return Ok(());
        }
        s.fill(images, numbers).map(|_| ())
    }

    /// The current batch; [`Cuda::gathered`] must follow what reads it.
    pub fn staged(&self, s: &StagingBuffers) -> Staged {
        let slot = &s.slots[s.current];
        let at = slot.device.address();
        let count = slot.holds.as_ref().map_or(0, |(_, numbers)| numbers.len());
        let images = DevicePointer(at + numbers_bytes(s.images) as u64);
        Staged { numbers: DevicePointer(at), images, count }
    }

    /// All readers of the current batch were issued.
    pub fn gathered(&self, s: &mut StagingBuffers) -> Result<()> {
        s.slots[s.current].used.record(self.context.stream)
    }
}

impl StagingBuffers {
    /// Gathers a batch in the slot that is not current and starts its copy; returns the slot.
    fn fill(&mut self, images: &HostImages, numbers: &[u32]) -> Result<usize> {
        let which = 1 - self.current;
        let (image, all, copies) = (self.image, &images.bytes, &self.copies);
        let host = self.host.as_deref();
        let slot = &mut self.slots[which];
        let outside = numbers.iter().find(|&&i| (i as usize + 1) * image > all.len());
        if let Some(i) = outside {
            let count = all.len() / image.max(1);
            return Err(Error::Internal(format!("image {i} of {count}")));
        }
        if numbers.len() > self.images {
            let found = format!("a batch of {}, {} planned", numbers.len(), self.images);
            return Err(Error::Internal(found));
        }
        slot.holds = None;
        slot.copied.wait()?;
        let front = numbers_bytes(self.images);
        let bytes = front + image * numbers.len();
        let pinned = &mut slot.host.bytes()[..bytes];
        let (head, pixels) = pinned.split_at_mut(front);
        head[..4 * numbers.len()].copy_from_slice(bytemuck::cast_slice(numbers));
        // A mapped file is read here: several threads wait for the disk together.
        let each = pixels.par_chunks_mut(image.max(1)).zip(numbers);
        let gather =
            || each.for_each(|(to, &i)| to.copy_from_slice(&all[i as usize * image..][..image]));
        match host {
            Some(host) => host.pool().install(gather),
            None => gather(),
        }
        let context = Arc::clone(&copies.context);
        let (to, from) = (slot.device.address(), slot.host.address);
        context.call(
            || format!("copying {bytes} bytes to the device"),
            |d| {
                // SAFETY: stream and event are alive.
                unsafe { d.cuStreamWaitEvent(copies.stream, slot.used.event, 0) }?;
                // SAFETY: both buffers have these bytes and live until the copies' stream is done; the
                // pinned one is not written before `copied` has passed.
                unsafe { d.cuMemcpyHtoDAsync_v2(to, from.cast(), bytes, copies.stream) }
            },
        )?;
        slot.copied.record(copies.stream)?;
        slot.holds = Some((images.identity, numbers.to_vec()));
        Ok(which)
    }
}

impl Slot {
    fn is(&self, images: &HostImages, numbers: &[u32]) -> bool {
        self.holds.as_ref().is_some_and(|(of, held)| *of == images.identity && held == numbers)
    }
}

impl Drop for StagingBuffers {
    fn drop(&mut self) {
        // The buffers go after this. Nothing can be done about a failure here.
        let stream = self.copies.stream;
        // SAFETY: the stream is alive.
        let _ = self.copies.context.try_call(|d| unsafe { d.cuStreamSynchronize(stream) });
    }
}

/// A stream beside the one of all other work.
struct CopyStream {
    context: Arc<Context>,
    stream: CUstream,
}

// SAFETY: a handle of the driver, whose functions may be called from any thread.
unsafe impl Send for CopyStream {}

impl CopyStream {
    fn new(context: &Arc<Context>) -> Result<CopyStream> {
        let mut made = CopyStream { context: Arc::clone(context), stream: std::ptr::null_mut() };
        let what = || "creating a stream".to_owned();
        // SAFETY: the handle is writable; destroyed in `drop`.
        context.call(what, |d| unsafe { d.cuStreamCreate(&mut made.stream, NON_BLOCKING) })?;
        Ok(made)
    }
}

impl Drop for CopyStream {
    fn drop(&mut self) {
        if !self.stream.is_null() {
            // Nothing can be done about a failure here.
            // SAFETY: created in `new`.
            let _ = self.context.try_call(|d| unsafe { d.cuStreamDestroy_v2(self.stream) });
        }
    }
}

/// An event that is recorded again and again; before the first time it counts as passed.
struct EventMark {
    context: Arc<Context>,
    event: CUevent,
}

// SAFETY: as for `CopyStream`.
unsafe impl Send for EventMark {}

impl EventMark {
    fn new(context: &Arc<Context>) -> Result<EventMark> {
        let mut made = EventMark { context: Arc::clone(context), event: std::ptr::null_mut() };
        let what = || "creating an event".to_owned();
        // SAFETY: the handle is writable; destroyed in `drop`.
        context.call(what, |d| unsafe { d.cuEventCreate(&mut made.event, UNTIMED) })?;
        Ok(made)
    }

    fn record(&self, stream: CUstream) -> Result<()> {
        let what = || "recording an event".to_owned();
        // SAFETY: event and stream are alive, and of one context.
        self.context.call(what, |d| unsafe { d.cuEventRecord(self.event, stream) })
    }

    fn wait(&self) -> Result<()> {
        let what = || "waiting for an event".to_owned();
        // SAFETY: the event is alive.
        self.context.call(what, |d| unsafe { d.cuEventSynchronize(self.event) })
    }
}

impl Drop for EventMark {
    fn drop(&mut self) {
        if !self.event.is_null() {
            // Nothing can be done about a failure here.
            // SAFETY: created in `new`.
            let _ = self.context.try_call(|d| unsafe { d.cuEventDestroy_v2(self.event) });
        }
    }
}

/// Host memory that the device copies from without the driver's help; of no bytes, none.
struct Pinned {
    context: Arc<Context>,
    address: *mut c_void,
    bytes: usize,
}

// SAFETY: plain memory, owned.
unsafe impl Send for Pinned {}

impl Pinned {
    fn new(context: &Arc<Context>, bytes: usize) -> Result<Pinned> {
        let address = std::ptr::null_mut();
        let mut made = Pinned { context: Arc::clone(context), address, bytes };
        if bytes == 0 {
            return Ok(made);
        }
        // SAFETY: the address is writable; freed in `drop`.
        let call = |d: &Driver| -> Result<(), DriverError> {
            unsafe { d.cuMemHostAlloc(&mut made.address, bytes, 0) }
        };
        match context.try_call(call) {
            Ok(()) => {
                // SAFETY: as many bytes as were just allocated.
                unsafe { made.address.cast::<u8>().write_bytes(0, bytes) };
                Ok(made)
            }
            Err(failure) if failure.code == code::OUT_OF_MEMORY => Err(Error::invalid(
                "pinned memory for batches of images",
                format!("none of {bytes} bytes on the host"),
                "a smaller `batch` and `score_batch`, or `images` device",
            )),
            Err(failure) => Err(context.error(format!("pinning {bytes} bytes"), &failure)),
        }
    }

    fn bytes(&mut self) -> &mut [u8] {
        if self.bytes == 0 {
            return &mut [];
        }
        // SAFETY: allocated and initialised in `new`, borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.address.cast(), self.bytes) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if !self.address.is_null() {
            // Nothing can be done about a failure here.
            // SAFETY: allocated in `new`; the last copy from it has ended (`StagingBuffers::drop`).
            let _ = self.context.try_call(|d| unsafe { d.cuMemFreeHost(self.address) });
        }
    }
}
