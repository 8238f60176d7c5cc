//! The register-tiled inner kernels, one table an instruction set.
//!
//! Two families. [`GatherTile`] computes output pixels of a convolution: up to eight pixels,
//! anywhere, times one block of output channels. [`OuterTile`] sums outer products over pixels:
//! weight gradients. In both every output value is one chain of fused multiply-adds in an order
//! that does not depend on the tile's shape or the lane count, so every instruction set gives
//! the same bits.

use crate::backend::Isa;
#[cfg(target_arch = "x86_64")]
use crate::backend::simd::{Avx2x8, Avx512x16};
use crate::backend::simd::{Portable8, Simd};

/// Output pixels of a gather tile.
pub const PIXELS: usize = 8;
/// Columns of outer tiles come in groups of this many, whatever the instruction set.
pub const COLUMNS: usize = 16;

/// What the sums of a gather tile start from.
#[derive(Clone, Copy)]
pub enum Start {
    Zero,
    /// One value a channel of the block.
    Bias(*const f32),
    /// What the output holds: the earlier part of the same chain.
    Output,
}

/// What happens to the finished sums of a gather tile.
#[derive(Clone, Copy)]
pub enum Finish {
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

/// Eight output pixels times one channel block:
/// `y[i][k] = sum over segments g, j < seg_len of x[i][g * seg_pitch + j] * w[g * seg_len + j][k]`.
pub struct GatherTile {
    /// First input value of each pixel's window; all readable, also beyond `pixels`.
    pub x: [*const f32; PIXELS],
    pub segs: usize,
    pub seg_len: usize,
    pub seg_pitch: usize,
    /// `segs * seg_len` rows of the block's width.
    pub w: *const f32,
    /// First channel of the block in the output, for pixel offset 0.
    pub y: *mut f32,
    /// Offsets of the output pixels from `y`.
    pub at: [usize; PIXELS],
    /// Valid pixels.
    pub pixels: usize,
    /// Valid channels of the block.
    pub channels: usize,
    pub start: Start,
    pub finish: Finish,
}

/// A gather kernel for channel blocks of one width.
#[derive(Clone, Copy)]
pub struct GatherKernel {
    pub width: usize,
    /// # Safety
    /// The instruction set of the table; all pointers of the tile valid for the ranges its
    /// fields describe; no other thread touches the output values meanwhile.
    pub run: unsafe fn(&GatherTile),
}

/// Sum of outer products over `count` = images x rows x columns pixels:
/// `out[i][j] (+)= sum over pixels of a[pixel][i] * b[pixel][j]`.
pub struct OuterTile {
    pub a: *const f32,
    pub b: *const f32,
    /// Elements from one image, row, column to the next.
    pub a_step: [usize; 3],
    pub b_step: [usize; 3],
    pub count: [usize; 3],
    pub out: *mut f32,
    /// Elements from one row of `out` to the next.
    pub out_pitch: usize,
    /// Continue the sums in `out` instead of starting from 0.
    pub resume: bool,
}

/// # Safety
/// As for [`GatherKernel::run`]; `a` is read for the tile's rows and `b` for its columns.
pub type OuterFn = unsafe fn(&OuterTile);

/// The kernels of one instruction set.
pub struct Kernels {
    /// By width, widest first; the last is the narrowest.
    pub gather: &'static [GatherKernel],
    /// `outer[rows - 1][column groups - 1]`.
    outer: &'static [&'static [OuterFn]],
    /// Sum of squares of `rows` rows of `groups` x 16 values, in 16 lanes folded by a fixed tree.
    /// # Safety
    /// The instruction set of the table; `tile` readable for the rows.
    pub square_sum: unsafe fn(tile: *const f32, pitch: usize, rows: usize, groups: usize) -> f32,
    /// Sum of a[i] * b[i], i < len, in 16 lanes folded by a fixed tree.
    /// # Safety
    /// The instruction set of the table; both readable for `len` values.
    pub dot: unsafe fn(a: *const f32, b: *const f32, len: usize) -> f32,
    /// a[i] += b[i], i < len.
    /// # Safety
    /// The instruction set of the table; readable and writable for `len` values.
    pub add: unsafe fn(a: *mut f32, b: *const f32, len: usize),
    /// `out[j * pitch + i] = rows[i][j]`, j < len.
    /// # Safety
    /// The instruction set of the table; rows readable for `len` values, `out` writable for 8
    /// values at `len` multiples of `pitch`.
    pub transpose: unsafe fn(rows: [*const f32; 8], len: usize, out: *mut f32, pitch: usize),
}

impl Kernels {
    /// The table of an instruction set.
    pub fn of(isa: Isa) -> &'static Kernels {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => &AVX512,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => &AVX2,
            _ => &PORTABLE,
        }
    }

    /// Most rows and column groups of an outer tile.
    pub fn outer_limits(&self) -> (usize, usize) {
        (self.outer.len(), self.outer[0].len())
    }

    /// The outer kernel for a tile within [`Kernels::outer_limits`].
    pub fn outer(&self, rows: usize, groups: usize) -> OuterFn {
        self.outer[rows - 1][groups - 1]
    }

    /// Splits `channels` into blocks, wide ones first: (first channel, channels, kernel).
    pub fn blocks(&self, channels: usize) -> Vec<(usize, usize, GatherKernel)> {
        let mut blocks = Vec::new();
        let mut first = 0;
        while first < channels {
            let left = channels - first;
            // The widest that is full, unless a wider one holds all that is left with less waste.
            let full = self.gather.iter().position(|g| g.width <= left);
            let kernel = match full {
                Some(i) if i > 0 && left > self.gather[i].width + self.gather[i].width / 2 => {
                    self.gather[i - 1]
                }
                Some(i) => self.gather[i],
                None => self.gather[self.gather.len() - 1],
            };
            blocks.push((first, kernel.width.min(left), kernel));
            first += kernel.width;
        }
        blocks
    }
}

/// Pixels `first .. first + M` of a gather tile.
///
/// The sums must stay in registers, which the compiler only manages while every access to them
/// sits in a small loop with constant bounds: hence the separate steps, and the detour of partial
/// tiles through memory.
///
/// # Safety
/// See [`GatherKernel::run`].
#[inline(always)]
unsafe fn gather<S: Simd, const M: usize, const V: usize>(t: &GatherTile, first: usize) {
    // SAFETY: the tile describes valid memory (caller); lanes beyond `channels` and pixels
    // beyond `pixels` are neither loaded from nor stored to the output.
    unsafe {
        let pixels = (t.pixels - first).min(M);
        let whole = pixels == M && t.channels == V * S::LANES;
        let at: [usize; M] = std::array::from_fn(|i| t.at[first + i]);
        let mut acc = [[S::splat(0.0); V]; M];
        match t.start {
            Start::Zero => {}
            Start::Bias(bias) if whole => {
                for v in 0..V {
                    let b = S::load(bias.add(v * S::LANES));
                    for i in 0..M {
                        acc[i][v] = b;
                    }
                }
            }
            Start::Output if whole => {
                for i in 0..M {
                    for v in 0..V {
                        acc[i][v] = S::load(t.y.add(at[i] + v * S::LANES));
                    }
                }
            }
            start => {
                let mut part = Part::<S, M, V>::zero();
                match start {
                    Start::Bias(bias) => part.repeat(bias, t.channels),
                    _ => part.load(t.y, &at, pixels, t.channels),
                }
                acc = part.values;
            }
        }
        let mut x: [*const f32; M] = std::array::from_fn(|i| t.x[first + i]);
        let mut w = t.w;
        for _ in 0..t.segs {
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
            return Part::<S, M, V> { values: acc }.finish(t, &at, pixels);
        }
        match t.finish {
            Finish::Store => {}
            Finish::Add => {
                for i in 0..M {
                    for v in 0..V {
                        acc[i][v] = S::add(S::load(t.y.add(at[i] + v * S::LANES)), acc[i][v]);
                    }
                }
            }
            Finish::Affine { scale, shift, residual, relu } => {
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
struct Part<S: Simd, const M: usize, const V: usize> {
    values: [[S::V; V]; M],
}

impl<S: Simd, const M: usize, const V: usize> Part<S, M, V> {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the instruction set is there (caller).
        Part { values: unsafe { [[S::splat(0.0); V]; M] } }
    }

    /// Valid lanes of vector `v`.
    #[inline(always)]
    fn lanes(v: usize, channels: usize) -> usize {
        channels.saturating_sub(v * S::LANES).min(S::LANES)
    }

    /// The same values, one a channel, for every pixel.
    #[inline(always)]
    unsafe fn repeat(&mut self, values: *const f32, channels: usize) {
        for row in &mut self.values {
            for (v, to) in row.iter_mut().enumerate() {
                // SAFETY: `channels` values are readable (caller).
                *to = unsafe {
                    S::load_first(values.wrapping_add(v * S::LANES), Self::lanes(v, channels))
                };
            }
        }
    }

    /// The valid pixels and channels of a tensor.
    #[inline(always)]
    unsafe fn load(&mut self, y: *const f32, at: &[usize; M], pixels: usize, channels: usize) {
        for (row, at) in self.values.iter_mut().zip(at).take(pixels) {
            for (v, to) in row.iter_mut().enumerate() {
                let y = y.wrapping_add(at + v * S::LANES);
                // SAFETY: the valid channels of this pixel are readable (caller).
                *to = unsafe { S::load_first(y, Self::lanes(v, channels)) };
            }
        }
    }

    /// What follows the sums, on the valid pixels and channels.
    #[inline(always)]
    unsafe fn finish(self, t: &GatherTile, at: &[usize; M], pixels: usize) {
        for (row, at) in self.values.into_iter().zip(at).take(pixels) {
            for (v, mut sum) in row.into_iter().enumerate() {
                let (from, n) = (v * S::LANES, Self::lanes(v, t.channels));
                // SAFETY: reads and writes the n valid channels of a valid pixel (caller).
                unsafe {
                    let load = |p: *const f32| S::load_first(p.wrapping_add(from), n);
                    let y = t.y.wrapping_add(*at);
                    match t.finish {
                        Finish::Store => {}
                        Finish::Add => sum = S::add(load(y), sum),
                        Finish::Affine { scale, shift, residual, relu } => {
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

/// `M` rows times `V` vectors of an outer tile.
///
/// # Safety
/// See [`OuterFn`].
#[inline(always)]
unsafe fn outer<S: Simd, const M: usize, const V: usize>(t: &OuterTile) {
    // SAFETY: the tile describes valid memory (caller).
    unsafe {
        let mut acc = [[S::splat(0.0); V]; M];
        if t.resume {
            for i in 0..M {
                for v in 0..V {
                    acc[i][v] = S::load(t.out.add(i * t.out_pitch + v * S::LANES));
                }
            }
        }
        for n in 0..t.count[0] {
            for p in 0..t.count[1] {
                let mut a = t.a.add(n * t.a_step[0] + p * t.a_step[1]);
                let mut b = t.b.add(n * t.b_step[0] + p * t.b_step[1]);
                for _ in 0..t.count[2] {
                    let row: [S::V; V] = std::array::from_fn(|v| S::load(b.add(v * S::LANES)));
                    for i in 0..M {
                        let value = S::splat(*a.add(i));
                        for v in 0..V {
                            acc[i][v] = S::fma(value, row[v], acc[i][v]);
                        }
                    }
                    a = a.wrapping_add(t.a_step[2]);
                    b = b.wrapping_add(t.b_step[2]);
                }
            }
        }
        for i in 0..M {
            for v in 0..V {
                S::store(t.out.add(i * t.out_pitch + v * S::LANES), acc[i][v]);
            }
        }
    }
}

/// # Safety
/// See [`Kernels::square_sum`].
#[inline(always)]
unsafe fn square_sum<S: Simd>(tile: *const f32, pitch: usize, rows: usize, groups: usize) -> f32 {
    let mut lanes = [0.0f32; COLUMNS];
    // SAFETY: `rows` rows of 16 * groups values are readable (caller).
    unsafe {
        for part in 0..COLUMNS / S::LANES {
            let mut sum = S::splat(0.0);
            for i in 0..rows {
                for g in 0..groups {
                    let v = S::load(tile.add(i * pitch + g * COLUMNS + part * S::LANES));
                    sum = S::fma(v, v, sum);
                }
            }
            S::store(lanes.as_mut_ptr().add(part * S::LANES), sum);
        }
    }
    fold(lanes)
}

/// Sum of 16 lanes: halves onto each other.
#[inline(always)]
fn fold(mut lanes: [f32; COLUMNS]) -> f32 {
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    lanes[0]
}

/// # Safety
/// See [`Kernels::dot`].
#[inline(always)]
unsafe fn dot<S: Simd>(a: *const f32, b: *const f32, len: usize) -> f32 {
    let mut lanes = [0.0f32; COLUMNS];
    // SAFETY: `len` values of both are readable (caller).
    unsafe {
        for part in (0..COLUMNS).step_by(S::LANES) {
            let mut sum = S::splat(0.0);
            for at in (part..len).step_by(COLUMNS) {
                let n = (len - at).min(S::LANES);
                let load = |p: *const f32| {
                    if n == S::LANES { S::load(p.add(at)) } else { S::load_first(p.add(at), n) }
                };
                sum = S::fma(load(a), load(b), sum);
            }
            S::store(lanes.as_mut_ptr().add(part), sum);
        }
    }
    fold(lanes)
}

/// # Safety
/// See [`Kernels::add`].
#[inline(always)]
unsafe fn add<S: Simd>(a: *mut f32, b: *const f32, len: usize) {
    let whole = len - len % S::LANES;
    // SAFETY: `len` values of both are readable, of `a` writable (caller).
    unsafe {
        for i in (0..whole).step_by(S::LANES) {
            S::store(a.add(i), S::add(S::load(a.add(i)), S::load(b.add(i))));
        }
        if whole < len {
            let n = len - whole;
            let sum = S::add(S::load_first(a.add(whole), n), S::load_first(b.add(whole), n));
            S::store_first(a.add(whole), sum, n);
        }
    }
}

/// # Safety
/// See [`Kernels::transpose`].
#[inline(always)]
unsafe fn transpose<S: Simd>(rows: [*const f32; 8], len: usize, out: *mut f32, pitch: usize) {
    let whole = len - len % 8;
    // SAFETY: `len` values of the rows are readable, and `out` has a line for each (caller).
    unsafe {
        for j in (0..whole).step_by(8) {
            S::transpose8(rows.map(|row| row.add(j)), out.add(j * pitch), pitch);
        }
        for j in whole..len {
            for (i, row) in rows.iter().enumerate() {
                *out.add(j * pitch + i) = *row.add(j);
            }
        }
    }
}

/// Defines one instruction set's kernels: the generic bodies compiled with its features.
macro_rules! table {
    ($table:ident, $module:ident, $simd:ty, $(#[$feature:meta])?,
     gather: [$($width:literal: $gsimd:ty, $gm:literal x $gv:literal),+],
     outer: $per_group:literal, [$($om:literal),+], $groups:tt) => {
        mod $module {
            use super::*;

            $(#[$feature])?
            pub unsafe fn gather_tile<S: Simd, const M: usize, const V: usize>(t: &GatherTile) {
                for first in (0..PIXELS).step_by(M) {
                    if first < t.pixels {
                        // SAFETY: passed on to the caller.
                        unsafe { gather::<S, M, V>(t, first) }
                    }
                }
            }

            $(#[$feature])?
            pub unsafe fn outer_tile<const M: usize, const V: usize>(t: &OuterTile) {
                // SAFETY: passed on to the caller.
                unsafe { outer::<$simd, M, V>(t) }
            }

            $(#[$feature])?
            pub unsafe fn square_sum_tile(t: *const f32, p: usize, r: usize, g: usize) -> f32 {
                // SAFETY: passed on to the caller.
                unsafe { square_sum::<$simd>(t, p, r, g) }
            }

            $(#[$feature])?
            pub unsafe fn dot_of(a: *const f32, b: *const f32, len: usize) -> f32 {
                // SAFETY: passed on to the caller.
                unsafe { dot::<$simd>(a, b, len) }
            }

            $(#[$feature])?
            pub unsafe fn add_to(a: *mut f32, b: *const f32, len: usize) {
                // SAFETY: passed on to the caller.
                unsafe { add::<$simd>(a, b, len) }
            }

            $(#[$feature])?
            pub unsafe fn transpose_rows(r: [*const f32; 8], len: usize, o: *mut f32, p: usize) {
                // SAFETY: passed on to the caller.
                unsafe { transpose::<$simd>(r, len, o, p) }
            }
        }
        static $table: Kernels = Kernels {
            gather: &[$(GatherKernel { width: $width, run: $module::gather_tile::<$gsimd, $gm, $gv> }),+],
            outer: &[$(table!(@row $module, $per_group, $om, $groups)),+],
            square_sum: $module::square_sum_tile,
            dot: $module::dot_of,
            add: $module::add_to,
            transpose: $module::transpose_rows,
        };
    };
    (@row $module:ident, $per_group:literal, $om:literal, [$($group:literal),+]) => {
        &[$($module::outer_tile::<$om, { $group * $per_group }>),+]
    };
}

#[cfg(target_arch = "x86_64")]
table!(AVX512, avx512, Avx512x16, #[target_feature(enable = "avx512f,avx512vl,avx2,fma")],
    gather: [32: Avx512x16, 8 x 2, 16: Avx512x16, 8 x 1, 8: Avx2x8, 8 x 1],
    outer: 1, [1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3]);
#[cfg(target_arch = "x86_64")]
table!(AVX2, avx2, Avx2x8, #[target_feature(enable = "avx2,fma")],
    gather: [16: Avx2x8, 4 x 2, 8: Avx2x8, 8 x 1],
    outer: 2, [1, 2, 3, 4, 5, 6], [1]);
table!(PORTABLE, portable, Portable8, ,
    gather: [16: Portable8, 4 x 2, 8: Portable8, 4 x 1],
    outer: 2, [1, 2, 3, 4], [1]);
