//! Up to eight output pixels of a convolution, anywhere, times one block of output channels.

#![expect(
    clippy::needless_range_loop,
    reason = "constant bounds on every index keep sums in registers"
)]

use crate::backend::simd::{Simd, prefetch};

/// Output pixels of a direct tile.
pub const PIXELS: usize = 8;

/// What the sums of a direct tile start from.
#[derive(Clone, Copy)]
pub enum SumStart {
    Zero,
    /// One value a channel of the block.
    Bias(*const f32),
}

/// What happens to the finished sums of a direct tile.
#[derive(Clone, Copy)]
pub enum SumFinish {
    Store,
    /// Output += sum.
    Add,
    /// sum * scale + shift, + residual, ReLU. `residual` (null if none) has the output's layout.
    Affine {
        scale: *const f32,
        shift: *const f32,
        residual: *const f32,
        relu: bool,
    },
}

impl SumStart {
    /// The start for channels from `first`.
    pub fn from(self, first: usize) -> SumStart {
        match self {
            SumStart::Bias(bias) => SumStart::Bias(bias.wrapping_add(first)),
            other => other,
        }
    }
}

impl SumFinish {
    /// The finish for channels from `first`.
    pub fn from(self, first: usize) -> SumFinish {
        match self {
            SumFinish::Affine { scale, shift, residual, relu } => SumFinish::Affine {
                scale: scale.wrapping_add(first),
                shift: shift.wrapping_add(first),
                residual: if residual.is_null() { residual } else { residual.wrapping_add(first) },
                relu,
            },
            other => other,
        }
    }
}

/// Eight output pixels times one channel block: `y[i][k]` is the sum over segments g and
/// j < seg_len of `x[i][g * seg_pitch + j] * w[g * w_pitch + j * width + k]`.
pub struct DirectTile {
    /// First input value of each pixel's window; all readable, also beyond `pixels`.
    pub x: [*const f32; PIXELS],
    pub segs: usize,
    pub seg_len: usize,
    pub seg_pitch: usize,
    /// Weights: a row of the block's width for each input value of a segment.
    pub w: *const f32,
    pub w_pitch: usize,
    /// First channel of the block in the output, for pixel offset 0.
    pub y: *mut f32,
    /// Offsets of the output pixels from `y`.
    pub at: [usize; PIXELS],
    /// Valid pixels.
    pub pixels: usize,
    /// Valid channels of the block.
    pub channels: usize,
    pub start: SumStart,
    pub finish: SumFinish,
}

/// A direct kernel for channel blocks of one width.
#[derive(Clone, Copy)]
pub struct DirectKernel {
    pub width: usize,
    /// # Safety
    /// The instruction set of the table; all pointers of the tile valid for the ranges its
    /// fields describe; no other thread touches the output values meanwhile.
    pub run: unsafe fn(&DirectTile),
}

/// Pixels `first .. first + M` of a direct tile.
///
/// The sums must stay in registers, which the compiler only manages while every access to them
/// sits in a small loop with constant bounds: hence the separate steps, and the detour of partial
/// tiles through memory.
///
/// # Safety
/// See [`DirectKernel::run`].
#[inline(always)]
pub unsafe fn direct<S: Simd, const M: usize, const V: usize>(t: &DirectTile, first: usize) {
    // SAFETY: the tile describes valid memory (caller); lanes beyond `channels` and pixels
    // beyond `pixels` are neither loaded from nor stored to the output.
    unsafe {
        let pixels = (t.pixels - first).min(M);
        let whole = pixels == M && t.channels == V * S::LANES;
        // Read one by one: a vector load of what was just stored in parts would wait for the
        // previous tile to retire.
        let at: [usize; M] = std::array::from_fn(|i| (&raw const t.at[first + i]).read_volatile());
        // The sums take long enough for the output's lines to arrive.
        for i in 0..M {
            for v in (0..V * S::LANES).step_by(16) {
                prefetch(t.y.wrapping_add(at[i] + v));
            }
        }
        let mut acc = [[S::splat(0.0); V]; M];
        match t.start {
            SumStart::Zero => {}
            SumStart::Bias(bias) if whole => {
                for v in 0..V {
                    let b = S::load(bias.add(v * S::LANES));
                    for i in 0..M {
                        acc[i][v] = b;
                    }
                }
            }
            SumStart::Bias(bias) => acc = PartialTile::<S, M, V>::repeat(bias, t.channels).values,
        }
        let mut x: [*const f32; M] =
            std::array::from_fn(|i| (&raw const t.x[first + i]).read_volatile());
        for g in 0..t.segs {
            let mut w = t.w.add(g * t.w_pitch);
            for j in 0..t.seg_len {
                let row: [S::V; V] = std::array::from_fn(|v| S::load(w.add(v * S::LANES)));
                for i in 0..M {
                    let value = S::splat(*x[i].add(j));
                    for v in 0..V {
                        acc[i][v] = S::fma(value, row[v], acc[i][v]);
                    }
                }
                w = w.add(V * S::LANES);
            }
            for p in &mut x {
                *p = p.wrapping_add(t.seg_pitch);
            }
        }
        if !whole {
            return PartialTile::<S, M, V> { values: acc }.finish(t, &at, pixels);
        }
        match t.finish {
            SumFinish::Store => {}
            SumFinish::Add => {
                for i in 0..M {
                    for v in 0..V {
                        acc[i][v] = S::add(S::load(t.y.add(at[i] + v * S::LANES)), acc[i][v]);
                    }
                }
            }
            SumFinish::Affine { scale, shift, residual, relu } => {
                for v in 0..V {
                    let scale = S::load(scale.add(v * S::LANES));
                    let shift = S::load(shift.add(v * S::LANES));
                    for i in 0..M {
                        acc[i][v] = S::fma(acc[i][v], scale, shift);
                    }
                }
                if !residual.is_null() {
                    for i in 0..M {
                        for v in 0..V {
                            let r = S::load(residual.add(at[i] + v * S::LANES));
                            acc[i][v] = S::add(acc[i][v], r);
                        }
                    }
                }
                if relu {
                    for i in 0..M {
                        for v in 0..V {
                            acc[i][v] = S::relu(acc[i][v]);
                        }
                    }
                }
            }
        }
        for i in 0..M {
            for v in 0..V {
                S::store(t.y.add(at[i] + v * S::LANES), acc[i][v]);
            }
        }
    }
}

/// The sums of a tile of which not all pixels or channels are valid, in memory.
struct PartialTile<S: Simd, const M: usize, const V: usize> {
    values: [[S::V; V]; M],
}

impl<S: Simd, const M: usize, const V: usize> PartialTile<S, M, V> {
    /// Valid lanes of vector `v`.
    #[inline(always)]
    fn lanes(v: usize, channels: usize) -> usize {
        channels.saturating_sub(v * S::LANES).min(S::LANES)
    }

    /// Values that are one a channel, for every pixel.
    #[inline(always)]
    unsafe fn repeat(values: *const f32, channels: usize) -> Self {
        let row = std::array::from_fn(|v| {
            let from = values.wrapping_add(v * S::LANES);
            // SAFETY: `channels` values are readable (caller).
            unsafe { S::load_first(from, Self::lanes(v, channels)) }
        });
        PartialTile { values: [row; M] }
    }

    /// What follows the sums, on the valid pixels and channels.
    #[inline(always)]
    unsafe fn finish(self, t: &DirectTile, at: &[usize; M], pixels: usize) {
        for (row, at) in self.values.into_iter().zip(at).take(pixels) {
            for (v, mut sum) in row.into_iter().enumerate() {
                let (from, n) = (v * S::LANES, Self::lanes(v, t.channels));
                // SAFETY: reads and writes the n valid channels of a valid pixel (caller).
                unsafe {
                    let load = |p: *const f32| S::load_first(p.wrapping_add(from), n);
                    let y = t.y.wrapping_add(*at);
                    match t.finish {
                        SumFinish::Store => {}
                        SumFinish::Add => sum = S::add(load(y), sum),
                        SumFinish::Affine { scale, shift, residual, relu } => {
                            sum = S::fma(sum, load(scale), load(shift));
                            if !residual.is_null() {
                                sum = S::add(sum, load(residual.wrapping_add(*at)));
                            }
                            if relu {
                                sum = S::relu(sum);
                            }
                        }
                    }
                    S::store_first(y.wrapping_add(from), sum, n);
                }
            }
        }
    }
}
