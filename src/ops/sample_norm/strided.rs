//! Tensors in somebody else's memory: any strides, f32 or bf16, read one sample at a time.

use std::marker::PhantomData;
use std::ops::Range;

use crate::isa::{Isa, multiversion};
use crate::ops::conv2d::cpu::MicroKernels;

/// Type of the values of a [`StridedBatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    F32,
    Bf16,
}

impl ValueType {
    fn bytes(self) -> usize {
        match self {
            ValueType::F32 => 4,
            ValueType::Bf16 => 2,
        }
    }
}

/// Samples x height x width x channels in borrowed memory. Sequences are one row: height 1, width T.
#[derive(Clone, Copy, Debug)]
pub struct StridedBatch<'a> {
    start: *const u8,
    values: ValueType,
    shape: [usize; 4],
    strides: [usize; 4],
    borrowed: PhantomData<&'a [u8]>,
}

// SAFETY: the memory is only read, and borrowed for 'a.
unsafe impl Send for StridedBatch<'_> {}
// SAFETY: as above.
unsafe impl Sync for StridedBatch<'_> {}

/// How a sample lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SampleLayout {
    /// Positions one after the other, a position's channels side by side (channels last).
    Channels,
    /// Channels one after the other, a channel's positions side by side (channels first).
    Positions,
    /// Anything else.
    Scattered,
}

impl<'a> StridedBatch<'a> {
    /// A batch of `shape` (samples, height, width, channels) that starts at `start`; `strides` are in
    /// elements, in the same order.
    ///
    /// # Safety
    /// `start` is aligned for the values, and every element is readable and not written for 'a.
    pub unsafe fn new(
        start: *const u8,
        values: ValueType,
        shape: [usize; 4],
        mut strides: [usize; 4],
    ) -> Self {
        // Strides of sizes of 1 say nothing: here they say what the others do.
        let [_, h, w, _] = shape;
        if w == 1 {
            strides[2] = strides[1];
        }
        if h == 1 {
            strides[1] = w * strides[2];
        }
        StridedBatch { start, values, shape, strides, borrowed: PhantomData }
    }

    /// A batch of f32 values in channels-last order.
    pub fn channels_last(values: &'a [f32], shape: [usize; 4]) -> Option<Self> {
        let [_, h, w, c] = shape;
        let strides = [h * w * c, w * c, c, 1];
        let whole = values.len() == shape.iter().product::<usize>();
        // SAFETY: the slice holds every element (checked), and is borrowed for 'a.
        whole.then(|| unsafe {
            StridedBatch::new(values.as_ptr().cast(), ValueType::F32, shape, strides)
        })
    }

    /// Samples, height, width, channels.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    fn positions(&self) -> usize {
        self.shape[1] * self.shape[2]
    }

    fn layout(&self) -> SampleLayout {
        let [_, h, w, c] = self.shape;
        let [_, row, column, channel] = self.strides;
        let dense_rows = h == 1 || row == w * column;
        if (c == 1 || channel == 1) && dense_rows {
            SampleLayout::Channels
        } else if (w == 1 || column == 1) && (h == 1 || row == w) {
            SampleLayout::Positions
        } else {
            SampleLayout::Scattered
        }
    }

    fn at(&self, n: usize, channel: usize) -> *const u8 {
        let offset = n * self.strides[0] + channel * self.strides[3];
        self.start.wrapping_add(offset * self.values.bytes())
    }

    /// f32 values of scratch that [`StridedBatch::load`] needs for `channels` channels.
    pub fn scratch(&self, channels: usize) -> usize {
        let block = if self.values == ValueType::F32 { 0 } else { 8 * self.positions() };
        channels * self.positions() + block
    }

    /// The channels of one sample in channels-last order: where they lie, if they lie so, or in `scratch`,
    /// which has [`StridedBatch::scratch`] values.
    pub fn load<'s>(
        &self,
        isa: Isa,
        n: usize,
        channels: Range<usize>,
        scratch: &'s mut [f32],
    ) -> &'s [f32]
    where
        'a: 's,
    {
        assert!(n < self.shape[0] && channels.end <= self.shape[3], "a sample of the batch");
        let (positions, count) = (self.positions(), channels.len());
        let len = positions * count;
        let layout = self.layout();
        let pitch = self.strides[2];
        let dense = layout == SampleLayout::Channels && (pitch == count || positions == 1);
        let from = self.at(n, channels.start);
        if dense && self.values == ValueType::F32 {
            // SAFETY: `len` elements of the batch that lie side by side.
            return unsafe { std::slice::from_raw_parts(from.cast(), len) };
        }
        let (out, block) = scratch.split_at_mut(len);
        match (layout, self.values) {
            (SampleLayout::Channels, ValueType::F32) => {
                for (t, to) in out.chunks_exact_mut(count.max(1)).enumerate() {
                    // SAFETY: position t's channels lie side by side in the batch.
                    let row = unsafe {
                        std::slice::from_raw_parts(from.cast::<f32>().add(t * pitch), count)
                    };
                    to.copy_from_slice(row);
                }
            }
            (SampleLayout::Channels, ValueType::Bf16) => {
                for (t, to) in out.chunks_exact_mut(count.max(1)).enumerate() {
                    // SAFETY: as above.
                    let row = unsafe {
                        std::slice::from_raw_parts(from.cast::<u16>().add(t * pitch), count)
                    };
                    widen(isa, row, to);
                }
            }
            (SampleLayout::Positions, _) => {
                for first in (0..count).step_by(8) {
                    self.transpose_channels(
                        isa,
                        [n, channels.start + first],
                        first,
                        count,
                        out,
                        block,
                    );
                }
            }
            (SampleLayout::Scattered, _) => {
                let [_, row, column, channel] = self.strides;
                let w = self.shape[2];
                for (t, to) in out.chunks_exact_mut(count.max(1)).enumerate() {
                    let at = t / w * row + t % w * column;
                    for (c, to) in to.iter_mut().enumerate() {
                        // SAFETY: an element of the batch.
                        *to = unsafe { self.value(from, at + c * channel) };
                    }
                }
            }
        }
        out
    }

    /// The value `offset` elements from `from`.
    ///
    /// # Safety
    /// It is an element of the batch.
    unsafe fn value(&self, from: *const u8, offset: usize) -> f32 {
        // SAFETY: the caller's.
        unsafe {
            match self.values {
                ValueType::F32 => *from.cast::<f32>().add(offset),
                ValueType::Bf16 => f32::from_bits(u32::from(*from.cast::<u16>().add(offset)) << 16),
            }
        }
    }

    /// Up to eight channels that lie one after the other, from `first` of the `count` columns of `out` on.
    fn transpose_channels(
        &self,
        isa: Isa,
        [n, channel]: [usize; 2],
        first: usize,
        count: usize,
        out: &mut [f32],
        block: &mut [f32],
    ) {
        let positions = self.positions();
        let have = (count - first).min(8);
        let rows: [*const f32; 8] = std::array::from_fn(|i| {
            let from = self.at(n, channel + i.min(have - 1));
            match self.values {
                ValueType::F32 => from.cast(),
                ValueType::Bf16 => {
                    let to = &mut block[i * positions..(i + 1) * positions];
                    // SAFETY: a channel's positions lie side by side in the batch.
                    let row = unsafe { std::slice::from_raw_parts(from.cast::<u16>(), positions) };
                    widen(isa, row, to);
                    to.as_ptr()
                }
            }
        });
        if have == 8 {
            let to = out[first..].as_mut_ptr();
            // SAFETY: eight rows of `positions` values; columns first .. first + 8 of `out` exist.
            unsafe { (MicroKernels::of(isa).transpose)(rows, positions, to, count) };
            return;
        }
        for (i, row) in rows.into_iter().take(have).enumerate() {
            // SAFETY: `positions` values of a channel.
            let row = unsafe { std::slice::from_raw_parts(row, positions) };
            out[first + i..].iter_mut().step_by(count).zip(row).for_each(|(to, &v)| *to = v);
        }
    }
}

multiversion! {
    /// bf16 values as f32.
    fn widen(from: &[u16], to: &mut [f32]) {
        for (to, &v) in to.iter_mut().zip(from) {
            *to = f32::from_bits(u32::from(v) << 16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every layout and value type gives the channels-last values of the channels asked for.
    #[test]
    fn samples_come_out_channels_last() {
        let shape = [3usize, 4, 5, 19];
        let [n, h, w, c] = shape;
        // Integers up to 256 are exact in bf16.
        let value = |i: usize| (i * 7 % 251) as f32;
        let len = n * h * w * c;
        let orders = [[h * w * c, w * c, c, 1], [h * w * c, w, 1, h * w], [1, n * c, n * c * h, n]];
        for strides in orders {
            let floats: Vec<f32> = (0..len).map(value).collect();
            let halves: Vec<u16> = floats.iter().map(|v| (v.to_bits() >> 16) as u16).collect();
            for (start, values) in [
                (floats.as_ptr().cast::<u8>(), ValueType::F32),
                (halves.as_ptr().cast::<u8>(), ValueType::Bf16),
            ] {
                // SAFETY: the strides are those of a permutation of the buffer.
                let batch = unsafe { StridedBatch::new(start, values, shape, strides) };
                for channels in [0..c, 3..11, 18..19, 5..5] {
                    let mut scratch = vec![f32::NAN; batch.scratch(channels.len())];
                    let sample = batch.load(Isa::detect(), 2, channels.clone(), &mut scratch);
                    let expected: Vec<f32> = (0..h * w)
                        .flat_map(|t| channels.clone().map(move |k| (t, k)))
                        .map(|(t, k)| {
                            let at = [2, t / w, t % w, k];
                            value(at.iter().zip(&strides).map(|(a, s)| a * s).sum())
                        })
                        .collect();
                    assert_eq!(sample, expected, "{strides:?} {values:?} {channels:?}");
                }
            }
        }
    }
}
