//! Device memory: one allocation a buffer, and copies in and out with their bounds checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::bindings::CUdeviceptr;
use bytemuck::Pod;
use half::bf16;

use super::card::Cuda;
use super::context::Context;
use super::terms::{DevicePointer, code};
use crate::backend::{ALIGN, View};
use crate::error::{Error, Result};
use crate::tensor::Dtype;

/// One allocation; of no bytes, none.
pub(super) struct Buffer {
    context: Arc<Context>,
    address: CUdeviceptr,
    bytes: usize,
}

impl Buffer {
    /// `bytes`, with whatever is in them. `needed` is what the error states.
    pub fn new(context: &Arc<Context>, bytes: usize, needed: u64) -> Result<Buffer> {
        let mut buffer = Buffer { context: Arc::clone(context), address: 0, bytes };
        if bytes == 0 {
            return Ok(buffer);
        }
        // SAFETY: the address is writable; freed in `drop`.
        let made = context.try_call(|d| unsafe { d.cuMemAlloc_v2(&mut buffer.address, bytes) });
        match made {
            Ok(()) => Ok(buffer),
            Err(failure) if failure.code == code::OUT_OF_MEMORY => {
                let free = context.free_bytes().unwrap_or(0);
                Err(Error::OutOfMemory { needed, free, largest_batch: None })
            }
            Err(failure) => Err(context.error(format!("allocating {bytes} bytes"), &failure)),
        }
    }

    /// Where it starts; 0 where it has no bytes.
    pub fn address(&self) -> CUdeviceptr {
        self.address
    }

    /// Copies `bytes` to `offset`, and waits: the source may go away.
    fn upload(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.check(offset, bytes.len())?;
        if bytes.is_empty() {
            return Ok(());
        }
        let (context, to) = (&self.context, self.address + offset as u64);
        let what = || format!("copying {} bytes to the device", bytes.len());
        let (from, count) = (bytes.as_ptr().cast(), bytes.len());
        // SAFETY: in bounds (checked above); `bytes` outlives the copy, which ends before `upload`.
        context
            .call(what, |d| unsafe { d.cuMemcpyHtoDAsync_v2(to, from, count, context.stream) })?;
        context.synchronize()
    }

    /// Copies from `offset` into `bytes`, after all work issued before.
    fn download(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        self.check(offset, bytes.len())?;
        if bytes.is_empty() {
            return Ok(());
        }
        let (context, from) = (&self.context, self.address + offset as u64);
        let count = bytes.len();
        let what = || format!("copying {count} bytes from the device");
        let to = bytes.as_mut_ptr().cast();
        // SAFETY: in bounds (checked above); `bytes` is borrowed until the copy has ended.
        context
            .call(what, |d| unsafe { d.cuMemcpyDtoHAsync_v2(to, from, count, context.stream) })?;
        context.synchronize()
    }

    /// Sets `count` 32-bit words from `offset` on. Does not wait.
    fn fill(&self, offset: usize, word: u32, count: usize) -> Result<()> {
        self.check(offset, count * 4)?;
        if count == 0 {
            return Ok(());
        }
        let (context, to) = (&self.context, self.address + offset as u64);
        let what = || format!("filling {count} words");
        // SAFETY: in bounds (checked above) and aligned: offsets are multiples of ALIGN.
        context.call(what, |d| unsafe { d.cuMemsetD32Async(to, word, count, context.stream) })
    }

    fn check(&self, offset: usize, len: usize) -> Result<()> {
        if offset.checked_add(len).is_some_and(|end| end <= self.bytes) {
            return Ok(());
        }
        let bytes = self.bytes;
        Err(Error::Internal(format!("{len} bytes at {offset} of a device buffer of {bytes}")))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.address == 0 {
            return;
        }
        // Work that was issued may still use it. Nothing can be done about a failure here.
        let _ = self.context.synchronize();
        // SAFETY: allocated in `new`, and nothing on the stream uses it any more.
        let _ = self.context.try_call(|d| unsafe { d.cuMemFree_v2(self.address) });
    }
}

/// Device buffers. Views resolve to addresses in [`Cuda::pointer`], and nowhere else.
pub struct CudaMemory {
    buffers: Vec<Buffer>,
}

impl CudaMemory {
    /// One buffer a size, in bytes; all NaN or all zeros.
    pub(super) fn allocate(
        context: &Arc<Context>,
        sizes: &[usize],
        poison: bool,
    ) -> Result<CudaMemory> {
        let word = if poison { f32::NAN.to_bits() } else { 0 };
        let needed = sizes.iter().map(|&s| s as u64).sum();
        let mut buffers = Vec::with_capacity(sizes.len());
        for &size in sizes {
            // Whole words, and no more: what lies behind them is found by tools that watch bounds.
            let buffer = Buffer::new(context, size.div_ceil(4) * 4, needed)?;
            buffer.fill(0, word, buffer.bytes / 4)?;
            buffers.push(buffer);
        }
        Ok(CudaMemory { buffers })
    }

    /// The buffer of a view that lies inside it.
    fn buffer(&self, view: View) -> Result<&Buffer> {
        let buffer = self.buffers.get(view.buffer as usize);
        let bytes = buffer.map_or(0, |b| b.bytes);
        let end = view.offset.checked_add(view.bytes());
        match buffer {
            Some(buffer)
                if view.offset.is_multiple_of(ALIGN) && end.is_some_and(|end| end <= bytes) =>
            {
                Ok(buffer)
            }
            _ => Err(Error::Internal(format!("{view:?} is not inside a buffer of {bytes} bytes"))),
        }
    }

    pub(super) fn upload<T: Pod>(&mut self, view: View, values: &[T], dtype: Dtype) -> Result<()> {
        check_len(view, values.len(), dtype)?;
        if values.is_empty() {
            return Ok(());
        }
        self.buffer(view)?.upload(view.offset, bytemuck::cast_slice(values))
    }

    pub(super) fn download<T: Pod>(
        &self,
        view: View,
        values: &mut [T],
        dtype: Dtype,
    ) -> Result<()> {
        check_len(view, values.len(), dtype)?;
        if values.is_empty() {
            return Ok(());
        }
        self.buffer(view)?.download(view.offset, bytemuck::cast_slice_mut(values))
    }

    /// f32 values into a view of f32, or of bf16: each rounded to nearest.
    pub(super) fn upload_f32(&mut self, view: View, values: &[f32]) -> Result<()> {
        if view.dtype != Dtype::Bf16 {
            return self.upload(view, values, Dtype::F32);
        }
        let rounded: Vec<bf16> = values.iter().map(|&v| bf16::from_f32(v)).collect();
        self.upload(view, &rounded, Dtype::Bf16)
    }

    /// A view of f32 or of bf16 as f32 values.
    pub(super) fn download_f32(&self, view: View, values: &mut [f32]) -> Result<()> {
        if view.dtype != Dtype::Bf16 {
            return self.download(view, values, Dtype::F32);
        }
        let mut stored = vec![bf16::ZERO; values.len()];
        self.download(view, &mut stored, Dtype::Bf16)?;
        values.iter_mut().zip(&stored).for_each(|(value, s)| *value = s.to_f32());
        Ok(())
    }

    /// Every element becomes `value`, rounded to nearest in bf16, where the number of elements is
    /// even.
    pub(super) fn fill(&mut self, view: View, value: f32) -> Result<()> {
        let (word, words) = match view.dtype {
            Dtype::F32 | Dtype::U32 => (value.to_bits(), view.len),
            Dtype::Bf16 if view.len.is_multiple_of(2) => {
                (u32::from(bf16::from_f32(value).to_bits()) * 0x1_0001, view.len / 2)
            }
            Dtype::Bf16 | Dtype::U8 => {
                return Err(Error::Internal(format!("{view:?}: whole 32-bit words are filled")));
            }
        };
        if words == 0 {
            return Ok(());
        }
        self.buffer(view)?.fill(view.offset, word, words)
    }
}

fn check_len(view: View, len: usize, dtype: Dtype) -> Result<()> {
    if view.len == len && view.dtype == dtype {
        return Ok(());
    }
    Err(Error::Internal(format!("{len} values of {dtype:?} for {view:?}")))
}

impl Cuda {
    /// The address of a view, after a check of its bounds and alignment. It is valid as long as
    /// `memory` lives.
    pub fn pointer(&self, memory: &CudaMemory, view: View) -> Result<DevicePointer> {
        if view.len == 0 {
            return Ok(DevicePointer(0));
        }
        Ok(DevicePointer(memory.buffer(view)?.address + view.offset as u64))
    }

    /// Copies images (u8, N H W 3) to the device, where they stay.
    pub fn upload_images(&self, images: &[u8]) -> Result<DeviceImages> {
        let buffer = Buffer::new(&self.context, images.len(), images.len() as u64)?;
        buffer.upload(0, images)?;
        Ok(DeviceImages { buffer, identity: next_identity() })
    }
}

/// A number that no images of this process had before.
pub(super) fn next_identity() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A data set's images on the device.
pub struct DeviceImages {
    buffer: Buffer,
    identity: u64,
}

impl DeviceImages {
    /// A number of their own: an address may have been that of others.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// Where they start; null where there are none.
    pub fn pointer(&self) -> DevicePointer {
        DevicePointer(self.buffer.address)
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.buffer.bytes
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
