//! The CPU as a backend: a thread pool, the instruction set in use, and host memory.

use super::pool::Pool;
use super::{ALIGN, Backend, View};
use crate::error::{Error, Result};
use crate::isa::Isa;
use crate::isa::bf16::{Bf16Form, narrow, widen};
use crate::memory;
use crate::tensor::Dtype;

/// The CPU backend.
pub struct Cpu {
    pool: Pool,
    isa: Isa,
    bf16_form: Bf16Form,
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
        Ok(Cpu { pool: Pool::new(threads)?, isa, bf16_form: Bf16Form::detect() })
    }

    /// The same, with products of bf16 summed in the order of `form`, whatever the processor has.
    pub fn with_bf16_form(self, bf16_form: Bf16Form) -> Self {
        Cpu { bf16_form, ..self }
    }

    /// The order in which products of bf16 are summed.
    pub fn bf16_form(&self) -> Bf16Form {
        self.bf16_form
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
    /// The first byte of a view whose elements have `size` bytes.
    fn base(&self, view: View, size: usize) -> Result<*const u8> {
        let bytes = self.buffers.get(view.buffer as usize).map_or(0, |b| b.len() * 64);
        let end = view.offset.checked_add(view.bytes());
        if !view.offset.is_multiple_of(ALIGN) || end.is_none_or(|end| end > bytes) {
            return Err(Error::Internal(format!(
                "{view:?} is not inside a buffer of {bytes} bytes"
            )));
        }
        if view.len == 0 {
            return Ok(std::ptr::NonNull::<Line>::dangling().as_ptr() as *const u8);
        }
        if view.dtype.size() != size {
            return Err(Error::Internal(format!("{view:?}, expected elements of {size} bytes")));
        }
        let start = self.buffers[view.buffer as usize].as_ptr() as *const u8;
        // SAFETY: the range was checked above.
        Ok(unsafe { start.add(view.offset) })
    }

    /// One f32 view, to read.
    pub fn slice(&self, view: View) -> Result<&[f32]> {
        let base = self.base(view, 4)?;
        // SAFETY: in bounds and aligned (`base`), and `self` is borrowed for as long.
        Ok(unsafe { std::slice::from_raw_parts(base.cast(), view.len) })
    }

    /// One u32 view, to read.
    pub fn slice_u32(&self, view: View) -> Result<&[u32]> {
        Ok(bytemuck::cast_slice(self.slice(view)?))
    }

    /// One view of bf16 bits, to read.
    pub fn slice_bf16(&self, view: View) -> Result<&[u16]> {
        let base = self.base(view, 2)?;
        // SAFETY: as in `slice`.
        Ok(unsafe { std::slice::from_raw_parts(base.cast(), view.len) })
    }

    /// One view, to write.
    pub fn slice_mut(&mut self, view: View) -> Result<&mut [f32]> {
        let base = self.base(view, 4)?.cast::<f32>();
        // SAFETY: as in `slice`; `self` is borrowed exclusively.
        Ok(unsafe { std::slice::from_raw_parts_mut(base.cast_mut(), view.len) })
    }

    /// One view of bf16 bits, to write.
    pub fn slice_bf16_mut(&mut self, view: View) -> Result<&mut [u16]> {
        let base = self.base(view, 2)?.cast::<u16>();
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
        let Mixed { reads, writes, .. } = self.mixed(reads, writes, [], [])?;
        Ok((reads, writes))
    }

    /// As [`CpuMemory::slices`], with views of bf16 beside those of 4 bytes.
    pub fn mixed<const R: usize, const W: usize, const H: usize, const G: usize>(
        &mut self,
        reads: [View; R],
        writes: [View; W],
        bf16_reads: [View; H],
        bf16_writes: [View; G],
    ) -> Result<Mixed<'_, R, W, H, G>> {
        let written: Vec<View> = writes.iter().chain(&bf16_writes).copied().collect();
        for (i, w) in written.iter().enumerate() {
            for other in reads.iter().chain(&bf16_reads).chain(&written[i + 1..]) {
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
        let mut mixed = Mixed {
            reads: [&[]; R],
            writes: std::array::from_fn(|_| &mut [] as &mut [f32]),
            bf16_reads: [&[]; H],
            bf16_writes: std::array::from_fn(|_| &mut [] as &mut [u16]),
        };
        for (slot, view) in mixed.reads.iter_mut().zip(reads) {
            let base = self.base(view, 4)?;
            // SAFETY: in bounds; no written view of this call overlaps it (checked above).
            *slot = unsafe { std::slice::from_raw_parts(base.cast(), view.len) };
        }
        for (slot, view) in mixed.writes.iter_mut().zip(writes) {
            let base = self.base(view, 4)?.cast::<f32>().cast_mut();
            // SAFETY: in bounds and disjoint from all other views of this call.
            *slot = unsafe { std::slice::from_raw_parts_mut(base, view.len) };
        }
        for (slot, view) in mixed.bf16_reads.iter_mut().zip(bf16_reads) {
            let base = self.base(view, 2)?;
            // SAFETY: as for the other reads.
            *slot = unsafe { std::slice::from_raw_parts(base.cast(), view.len) };
        }
        for (slot, view) in mixed.bf16_writes.iter_mut().zip(bf16_writes) {
            let base = self.base(view, 2)?.cast::<u16>().cast_mut();
            // SAFETY: as for the other writes.
            *slot = unsafe { std::slice::from_raw_parts_mut(base, view.len) };
        }
        Ok(mixed)
    }
}

/// Several views as slices: of 4 bytes an element, and of bf16 bits.
pub struct Mixed<'a, const R: usize, const W: usize, const H: usize, const G: usize> {
    pub reads: [&'a [f32]; R],
    pub writes: [&'a mut [f32]; W],
    pub bf16_reads: [&'a [u16]; H],
    pub bf16_writes: [&'a mut [u16]; G],
}

fn check_len(view: View, len: usize, dtypes: &[Dtype]) -> Result<()> {
    if view.len == len && dtypes.contains(&view.dtype) {
        return Ok(());
    }
    Err(Error::Internal(format!("{len} values of {dtypes:?} for {view:?}")))
}

/// What values are exchanged as f32 for.
const FLOATS: &[Dtype] = &[Dtype::F32, Dtype::Bf16];

impl Backend for Cpu {
    type Memory = CpuMemory;

    fn name(&self) -> String {
        format!("cpu/{}", self.isa.name())
    }

    fn bf16_name(&self) -> String {
        format!("{}/{}", self.name(), self.bf16_form.name())
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
        check_len(view, values.len(), FLOATS)?;
        if view.dtype == Dtype::Bf16 {
            let to = memory.slice_bf16_mut(view)?;
            to.iter_mut().zip(values).for_each(|(to, &v)| *to = narrow(v));
        } else {
            memory.slice_mut(view)?.copy_from_slice(values);
        }
        Ok(())
    }

    fn upload_u32(&self, memory: &mut CpuMemory, view: View, values: &[u32]) -> Result<()> {
        check_len(view, values.len(), &[Dtype::U32])?;
        memory.slice_mut(view)?.copy_from_slice(bytemuck::cast_slice(values));
        Ok(())
    }

    fn download(&self, memory: &CpuMemory, view: View, values: &mut [f32]) -> Result<()> {
        check_len(view, values.len(), FLOATS)?;
        if view.dtype == Dtype::Bf16 {
            let from = memory.slice_bf16(view)?;
            values.iter_mut().zip(from).for_each(|(v, &from)| *v = widen(from));
        } else {
            values.copy_from_slice(memory.slice(view)?);
        }
        Ok(())
    }

    fn download_u32(&self, memory: &CpuMemory, view: View, values: &mut [u32]) -> Result<()> {
        check_len(view, values.len(), &[Dtype::U32])?;
        values.copy_from_slice(memory.slice_u32(view)?);
        Ok(())
    }

    fn free_bytes(&self) -> Option<u64> {
        memory::available()
    }

    fn activation_bytes(&self, stored: Dtype) -> Option<usize> {
        // What the L2 caches of two cores hold: measured to be best for ResNet-8 to 56, and as
        // good as any for larger networks. In bf16 weights are packed once a batch, which then
        // counts for more.
        (stored == Dtype::F32).then_some(2 << 20)
    }

    fn fill(&self, memory: &mut CpuMemory, view: View, value: f32) -> Result<()> {
        if view.dtype == Dtype::Bf16 {
            if !view.len.is_multiple_of(2) {
                return Err(Error::Internal(format!("{view:?}, expected an even number")));
            }
            memory.slice_bf16_mut(view)?.fill(narrow(value));
        } else {
            memory.slice_mut(view)?.fill(value);
        }
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
