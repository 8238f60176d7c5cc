//! The CPU as a backend: a thread pool, the instruction set in use, and host memory.

use super::pool::Pool;
use super::{ALIGN, Backend, View};
use crate::error::{Error, Result};
use crate::isa::Isa;
use crate::memory;
use crate::tensor::Dtype;

/// The CPU backend.
pub struct Cpu {
    pool: Pool,
    isa: Isa,
}

impl Cpu {
    /// A pool of `threads` workers (0: one a core) on the widest instruction set.
    pub fn new(threads: usize) -> Result<Self> {
        Cpu::with_isa(threads, Isa::detect())
    }

    /// A pool on a given instruction set, which the processor must have.
    pub fn with_isa(threads: usize, isa: Isa) -> Result<Self> {
        let best = Isa::detect();
        if isa > best {
            return Err(Error::invalid(
                "instruction set",
                isa.name(),
                format!("{} or less", best.name()),
            ));
        }
        Ok(Cpu { pool: Pool::new(threads)?, isa })
    }

    /// The instruction set of the hot loops.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The pool every parallel loop of this backend runs in.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

/// 64-byte line, so that every buffer is aligned for vector loads.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Host buffers. Views resolve to slices here, and nowhere else.
pub struct CpuMemory {
    buffers: Vec<Vec<Line>>,
}

impl CpuMemory {
    fn base(&self, view: View) -> Result<*const f32> {
        let bytes = self.buffers.get(view.buffer as usize).map_or(0, |b| b.len() * 64);
        let end = view.offset.checked_add(view.bytes());
        if !view.offset.is_multiple_of(ALIGN) || end.is_none_or(|end| end > bytes) {
            return Err(Error::Internal(format!(
                "{view:?} is not inside a buffer of {bytes} bytes"
            )));
        }
        if view.dtype.size() != 4 {
            return Err(Error::Internal(format!("{view:?}: the CPU computes in 32-bit types")));
        }
        if view.len == 0 {
            return Ok(std::ptr::NonNull::<Line>::dangling().as_ptr() as *const f32);
        }
        let start = self.buffers[view.buffer as usize].as_ptr() as *const f32;
        // SAFETY: the range was checked above.
        Ok(unsafe { start.add(view.offset / 4) })
    }

    /// One f32 view, to read.
    pub fn slice(&self, view: View) -> Result<&[f32]> {
        let base = self.base(view)?;
        // SAFETY: in bounds and aligned (`base`), and `self` is borrowed for as long.
        Ok(unsafe { std::slice::from_raw_parts(base, view.len) })
    }

    /// One u32 view, to read.
    pub fn slice_u32(&self, view: View) -> Result<&[u32]> {
        Ok(bytemuck::cast_slice(self.slice(view)?))
    }

    /// One view, to write.
    pub fn slice_mut(&mut self, view: View) -> Result<&mut [f32]> {
        let base = self.base(view)?;
        // SAFETY: as in `slice`; `self` is borrowed exclusively.
        Ok(unsafe { std::slice::from_raw_parts_mut(base.cast_mut(), view.len) })
    }

    /// Several views at once: `reads` shared, `writes` exclusive. No written view may overlap
    /// another view of the call; that is a defect of the plan and reported as such.
    #[expect(clippy::type_complexity)]
    pub fn slices<const R: usize, const W: usize>(
        &mut self,
        reads: [View; R],
        writes: [View; W],
    ) -> Result<([&[f32]; R], [&mut [f32]; W])> {
        for (i, w) in writes.iter().enumerate() {
            for other in reads.iter().chain(&writes[i + 1..]) {
                let apart = w.buffer != other.buffer
                    || w.offset + w.bytes() <= other.offset
                    || other.offset + other.bytes() <= w.offset;
                if !(apart || w.len == 0 || other.len == 0) {
                    return Err(Error::Internal(format!(
                        "{w:?} is written and overlaps {other:?}"
                    )));
                }
            }
        }
        let mut read = [&[] as &[f32]; R];
        for (slot, view) in read.iter_mut().zip(reads) {
            let base = self.base(view)?;
            // SAFETY: in bounds; no written view of this call overlaps it (checked above).
            *slot = unsafe { std::slice::from_raw_parts(base, view.len) };
        }
        let mut write: [&mut [f32]; W] = std::array::from_fn(|_| &mut [] as &mut [f32]);
        for (slot, view) in write.iter_mut().zip(writes) {
            let base = self.base(view)?;
            // SAFETY: in bounds and disjoint from all other views of this call.
            *slot = unsafe { std::slice::from_raw_parts_mut(base.cast_mut(), view.len) };
        }
        Ok((read, write))
    }
}

fn check_len(view: View, len: usize, dtype: Dtype) -> Result<()> {
    if view.len == len && view.dtype == dtype {
        return Ok(());
    }
    Err(Error::Internal(format!("{len} values of {dtype:?} for {view:?}")))
}

impl Backend for Cpu {
    type Memory = CpuMemory;

    fn name(&self) -> String {
        format!("cpu/{}", self.isa.name())
    }

    fn workers(&self) -> usize {
        self.pool.workers()
    }

    fn allocate(&self, sizes: &[usize], poison: bool) -> Result<CpuMemory> {
        let value = if poison { f32::NAN } else { 0.0 };
        let mut buffers = Vec::with_capacity(sizes.len());
        for &bytes in sizes {
            let lines = bytes.div_ceil(ALIGN) * (ALIGN / 64);
            buffers.push(memory::filled(Line([value; 16]), lines)?);
        }
        Ok(CpuMemory { buffers })
    }

    fn upload(&self, memory: &mut CpuMemory, view: View, values: &[f32]) -> Result<()> {
        check_len(view, values.len(), Dtype::F32)?;
        memory.slice_mut(view)?.copy_from_slice(values);
        Ok(())
    }

    fn upload_u32(&self, memory: &mut CpuMemory, view: View, values: &[u32]) -> Result<()> {
        check_len(view, values.len(), Dtype::U32)?;
        memory.slice_mut(view)?.copy_from_slice(bytemuck::cast_slice(values));
        Ok(())
    }

    fn download(&self, memory: &CpuMemory, view: View, values: &mut [f32]) -> Result<()> {
        check_len(view, values.len(), Dtype::F32)?;
        values.copy_from_slice(memory.slice(view)?);
        Ok(())
    }

    fn download_u32(&self, memory: &CpuMemory, view: View, values: &mut [u32]) -> Result<()> {
        check_len(view, values.len(), Dtype::U32)?;
        values.copy_from_slice(memory.slice_u32(view)?);
        Ok(())
    }

    fn free_bytes(&self) -> Option<u64> {
        memory::available()
    }

    fn activation_bytes(&self) -> Option<usize> {
        // What the L2 caches of two cores hold: measured to be best for ResNet-8 to 56, and as
        // good as any for larger networks.
        Some(2 << 20)
    }

    fn fill(&self, memory: &mut CpuMemory, view: View, value: f32) -> Result<()> {
        memory.slice_mut(view)?.fill(value);
        Ok(())
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    type Recording = std::convert::Infallible;

    fn record(&self, _: impl FnOnce() -> Result<()>) -> Result<Option<Self::Recording>> {
        Ok(None)
    }

    unsafe fn replay(&self, recording: &Self::Recording) -> Result<()> {
        match *recording {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(offset: usize, len: usize) -> View {
        View { buffer: 0, offset, len, dtype: Dtype::F32 }
    }

    #[test]
    fn overlapping_writes_are_refused() {
        let cpu = Cpu::new(1).unwrap();
        let mut memory = cpu.allocate(&[1024], false).unwrap();
        assert!(memory.slices([view(0, 64)], [view(256, 64)]).is_ok());
        assert!(memory.slices([view(0, 65)], [view(256, 64)]).is_err());
        assert!(memory.slices([], [view(256, 64), view(256, 1)]).is_err());
        assert!(memory.slices([view(0, 10), view(0, 10)], []).is_ok());
    }

    #[test]
    fn views_outside_a_buffer_are_refused() {
        let cpu = Cpu::new(1).unwrap();
        let memory = cpu.allocate(&[256], true).unwrap();
        assert!(memory.slice(view(0, 64)).unwrap().iter().all(|v| v.is_nan()));
        assert!(memory.slice(view(0, 65)).is_err());
        assert!(memory.slice(view(4, 1)).is_err());
        assert!(memory.slice(View { buffer: 1, ..view(0, 1) }).is_err());
    }
}
