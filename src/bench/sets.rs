//! Sets of tensors of random values that operators are timed on, in turn: no cache holds them all.

use super::work::OperatorWork;
use crate::backend::{ALIGN, View};
use crate::error::Result;
use crate::ops::Operators;
use crate::rng::{Philox, Stream};
use crate::tensor::Dtype;

/// Bytes that the tensors of all sets together take at least: beyond any cache.
const WORKING_SET: usize = 256 << 20;
/// Calls of a repeat at least, so that launches overlap.
const CALLS: usize = 8;
/// Most values that are drawn, which longer tensors repeat: whole alignments, and no multiple of their rows.
const DRAWN: usize = ALIGN / 2 * 8191;

/// Sets of tensors that are used in turn.
pub struct Sets<'a, B: Operators> {
    backend: &'a B,
    memory: B::Memory,
    sets: Vec<Vec<View>>,
}

impl<'a, B: Operators> Sets<'a, B> {
    /// As many sets of such views (elements and types) as no cache holds, of random values: never zeros.
    pub fn new(backend: &'a B, views: &[(usize, Dtype)]) -> Result<Self> {
        let place = |buffer: usize| -> (Vec<View>, usize) {
            let (mut placed, mut offset) = (Vec::new(), 0);
            for &(len, dtype) in views {
                let view = View { buffer: buffer as u32, offset, len, dtype };
                offset = (offset + view.bytes()).next_multiple_of(ALIGN);
                placed.push(view);
            }
            (placed, offset)
        };
        let bytes = place(0).1.max(ALIGN);
        let count = WORKING_SET.div_ceil(bytes).clamp(2, 16);
        let longest = views.iter().map(|v| v.0).max().unwrap_or(0).next_multiple_of(ALIGN);
        let drawn = longest.clamp(ALIGN, DRAWN);
        // The last buffer has what the others are filled with, in both types.
        let mut sizes = vec![bytes; count];
        sizes.push(drawn * 6);
        let memory = backend.allocate(&sizes, false)?;
        let sets: Vec<Vec<View>> = (0..count).map(|i| place(i).0).collect();
        let mut sets = Sets { backend, memory, sets };
        sets.randomise(drawn)?;
        Ok(sets)
    }

    /// Fills every tensor with `drawn` random values, again and again: by the device's own casts, since
    /// it fills gigabytes faster than a host draws or copies them.
    fn randomise(&mut self, drawn: usize) -> Result<()> {
        let Sets { backend, memory, sets } = self;
        let mut draws = Philox::new(1, Stream::Shapes).sequence(0);
        let values: Vec<f32> = (0..drawn).map(|_| 2.0 * draws.uniform() - 1.0).collect();
        let buffer = sets.len() as u32;
        let floats = View { buffer, offset: 0, len: drawn, dtype: Dtype::F32 };
        let halves = View { offset: floats.bytes(), dtype: Dtype::Bf16, ..floats };
        backend.upload(memory, floats, &values)?;
        backend.cast(memory, floats, halves)?;
        for view in sets.iter().flatten() {
            for first in (0..view.len).step_by(drawn) {
                let len = drawn.min(view.len - first);
                let offset = view.offset + first * view.dtype.size();
                let to = View { offset, len, ..*view };
                match view.dtype {
                    Dtype::Bf16 => backend.cast(memory, floats.prefix(len), to)?,
                    _ => backend.cast(memory, halves.prefix(len), to)?,
                }
            }
        }
        Ok(())
    }

    /// Calls `work` on all sets in turn and waits; the number of calls.
    pub fn call(&mut self, work: &OperatorWork<B>) -> Result<usize> {
        let calls = self.sets.len().max(CALLS);
        for call in 0..calls {
            let set = &self.sets[call % self.sets.len()];
            // A set may have been made for more workspace.
            let views: Vec<View> =
                set.iter().zip(&work.views).map(|(view, (len, _))| view.prefix(*len)).collect();
            (work.call)(self.backend, &mut self.memory, &views)?;
        }
        self.backend.synchronize()?;
        Ok(calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Backend, Cpu};

    #[test]
    fn every_value_of_every_set_is_random() {
        let cpu = Cpu::new(1).unwrap();
        let views = [(100_003, Dtype::F32), (7, Dtype::F32)];
        let sets = Sets::new(&cpu, &views).unwrap();
        for view in [sets.sets[1][0], sets.sets[15][1]] {
            let mut values = vec![0.0; view.len];
            cpu.download(&sets.memory, view, &mut values).unwrap();
            assert!(values.iter().all(|v| v.abs() < 1.01 && *v != 0.0), "{view:?}");
            let mean = values.iter().map(|v| v.abs()).sum::<f32>() / values.len() as f32;
            assert!((0.2..0.8).contains(&mean), "{mean}");
        }
    }
}
