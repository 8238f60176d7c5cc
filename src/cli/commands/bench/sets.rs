//! Sets of tensors of random values that operators are timed on, in turn: no cache holds them all.

use anyhow::Result;
use fairprune::backend::{ALIGN, View};
use fairprune::ops::Operators;
use fairprune::rng::{Philox, Stream};
use fairprune::tensor::Dtype;
use half::bf16;

use super::kernels::Work;

/// Bytes that the tensors of all sets together take at least: beyond any cache.
const WORKING_SET: usize = 256 << 20;
/// Calls of a repeat at least, so that launches overlap.
const CALLS: usize = 8;
/// Words that are sent at once to fill the sets.
const BLOCK: usize = 1 << 24;

/// Sets of tensors that are used in turn.
pub(super) struct Sets<'a, B: Operators> {
    backend: &'a B,
    memory: B::Memory,
    sets: Vec<Vec<View>>,
}

impl<'a, B: Operators> Sets<'a, B> {
    /// As many as no cache holds, of random values: never zeros.
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
        let memory = backend.allocate(&vec![bytes; count], false)?;
        let sets: Vec<Vec<View>> = (0..count).map(|i| place(i).0).collect();
        let mut sets = Sets { backend, memory, sets };
        sets.randomise(bytes / 4)?;
        Ok(sets)
    }

    /// Fills all of every set, of `words` 32-bit words each, through a block that repeats: values are drawn
    /// once, and rounded once. Two bf16 in [-1, 1] side by side are an f32 below 1.01.
    fn randomise(&mut self, words: usize) -> Result<()> {
        let mut draws = Philox::new(1, Stream::Shapes).sequence(0);
        let mut half = || bf16::from_f32(2.0 * draws.uniform() - 1.0).to_bits();
        let few: Vec<u32> =
            (0..65_537).map(|_| u32::from(half()) | u32::from(half()) << 16).collect();
        let block: Vec<u32> = few.iter().cycle().take(words.min(BLOCK)).copied().collect();
        for buffer in 0..self.sets.len() as u32 {
            for start in (0..words).step_by(BLOCK) {
                let len = BLOCK.min(words - start);
                let view = View { buffer, offset: 4 * start, len, dtype: Dtype::U32 };
                self.backend.upload_u32(&mut self.memory, view, &block[..len])?;
            }
        }
        Ok(())
    }

    /// Calls `work` on all sets in turn and waits; the number of calls.
    pub fn call(&mut self, work: &Work<B>) -> Result<usize> {
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
    use fairprune::backend::{Backend, Cpu};

    use super::*;

    #[test]
    fn every_word_of_every_set_is_random() {
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
