//! The register-tiled inner kernels, one table an instruction set.
//!
//! Every value computed is one chain of fused multiply-adds in an order that does not depend on a
//! tile's shape or the lane count, or a sum in 16 lanes folded by a fixed tree: so all instruction
//! sets give the same bits.

mod direct;
mod outer;
mod rows;
mod winograd;

use crate::backend::Isa;
#[cfg(target_arch = "x86_64")]
use crate::backend::simd::{Avx2x8, Avx512x16};
use crate::backend::simd::{Portable8, Simd};

pub use direct::{DirectKernel, DirectTile, PIXELS, SumFinish, SumStart};
pub use outer::{OuterKernel, OuterTile};
pub use rows::{COLUMNS, Diagonals};
pub use winograd::{GradientTiles, InputTiles, OutputTiles, PLANES, ProductKernel, Products};

/// The kernels of one instruction set.
pub struct MicroKernels {
    /// By width, widest first; the last is the narrowest.
    pub direct: &'static [DirectKernel],
    /// By width, narrowest first.
    outer: &'static [OuterKernel],
    /// Sum of squares of `rows` rows of `groups` x 16 values, in 16 lanes folded by a fixed tree.
    /// # Safety
    /// The instruction set of the table; `tile` readable for the rows.
    pub square_sum: unsafe fn(tile: *const f32, pitch: usize, rows: usize, groups: usize) -> f32,
    /// Sum of a[i] * b[i], i < len, in 16 lanes folded by a fixed tree.
    /// # Safety
    /// The instruction set of the table; both readable for `len` values.
    pub dot: unsafe fn(a: *const f32, b: *const f32, len: usize) -> f32,
    /// Sum over i < len of weight[i] times the sum over taps of `from[tap offset + i]`.
    /// # Safety
    /// The instruction set of the table; everything readable for `len` values.
    pub diagonals: unsafe fn(&Diagonals) -> f32,
    /// `out[j * pitch + i] = rows[i][j]`, j < len.
    /// # Safety
    /// The instruction set of the table; rows readable for `len` values, `out` writable for 8
    /// values at `len` multiples of `pitch`.
    pub transpose: unsafe fn(rows: [*const f32; 8], len: usize, out: *mut f32, pitch: usize),
    /// Winograd's transforms and the products between them; see `winograd`.
    /// # Safety
    /// The instruction set of the table, and the contracts of the bodies.
    pub winograd_input: unsafe fn(&InputTiles),
    pub winograd_output: unsafe fn(&OutputTiles),
    pub winograd_gradient: unsafe fn(&GradientTiles),
    pub winograd_filter: unsafe fn(m: *const f32, plane: usize, channels: usize, out: *mut f32),
    pub winograd_weights: unsafe fn(w: *const f32, u: *mut f32, channels: usize, width: usize),
    products: &'static [ProductKernel],
}

impl MicroKernels {
    /// The table of an instruction set.
    pub fn of(isa: Isa) -> &'static MicroKernels {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => &AVX512,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => &AVX2,
            _ => &PORTABLE,
        }
    }

    /// The narrowest outer kernel that holds `columns`, or the widest.
    pub fn outer(&self, columns: usize) -> &'static OuterKernel {
        let fits = self.outer.iter().find(|k| k.width >= columns);
        fits.unwrap_or(&self.outer[self.outer.len() - 1])
    }

    /// The products of blocks of `width`, one of the widths of [`MicroKernels::blocks`] from 16 on.
    pub fn products(&self, width: usize) -> unsafe fn(&Products) {
        let fits = self.products.iter().find(|p| p.width == width);
        fits.unwrap_or(&self.products[0]).run
    }

    /// Splits `channels` into blocks, wide ones first: (first channel, channels, kernel).
    pub fn blocks(&self, channels: usize) -> Vec<(usize, usize, DirectKernel)> {
        let mut blocks = Vec::new();
        let mut first = 0;
        while first < channels {
            let left = channels - first;
            // The widest that is full, unless a wider one holds all that is left with less waste.
            let full = self.direct.iter().position(|g| g.width <= left);
            let kernel = match full {
                Some(i) if i > 0 && left > self.direct[i].width + self.direct[i].width / 2 => {
                    self.direct[i - 1]
                }
                Some(i) => self.direct[i],
                None => self.direct[self.direct.len() - 1],
            };
            blocks.push((first, kernel.width.min(left), kernel));
            first += kernel.width;
        }
        blocks
    }
}

/// Defines one instruction set's kernels: the generic bodies compiled with its features.
macro_rules! table {
    ($table:ident, $module:ident, $simd:ty, $(#[$feature:meta])?,
     direct: [$($gw:literal: $gs:ty, $gm:literal x $gv:literal),+],
     outer: [$($ow:literal: $os:ty, $om:tt x $ov:literal),+],
     products: [$($pw:literal: $pm:literal x $pv:literal),+]) => {
        mod $module {
            use super::*;

            $(#[$feature])?
            pub unsafe fn direct_tile<S: Simd, const M: usize, const V: usize>(t: &DirectTile) {
                if M == PIXELS && t.pixels <= PIXELS / 2 {
                    // SAFETY: passed on to the caller.
                    return unsafe { direct::direct::<S, { PIXELS / 2 }, V>(t, 0) };
                }
                for first in (0..t.pixels).step_by(M) {
                    // SAFETY: passed on to the caller.
                    unsafe { direct::direct::<S, M, V>(t, first) }
                }
            }

            $(#[$feature])?
            pub unsafe fn outer_tile<S: Simd, const M: usize, const V: usize, const PART: bool>(
                t: &OuterTile,
            ) {
                // SAFETY: passed on to the caller.
                unsafe { outer::outer::<S, M, V, PART>(t) }
            }

            $(#[$feature])?
            pub unsafe fn square_sum_tile(t: *const f32, p: usize, r: usize, g: usize) -> f32 {
                // SAFETY: passed on to the caller.
                unsafe { rows::square_sum::<$simd>(t, p, r, g) }
            }

            $(#[$feature])?
            pub unsafe fn dot_of(a: *const f32, b: *const f32, len: usize) -> f32 {
                // SAFETY: passed on to the caller.
                unsafe { rows::dot::<$simd>(a, b, len) }
            }

            $(#[$feature])?
            pub unsafe fn diagonals_of(d: &Diagonals) -> f32 {
                // SAFETY: passed on to the caller.
                unsafe { rows::diagonals::<$simd>(d) }
            }

            $(#[$feature])?
            pub unsafe fn transpose_rows(r: [*const f32; 8], len: usize, o: *mut f32, p: usize) {
                // SAFETY: passed on to the caller.
                unsafe { rows::transpose::<$simd>(r, len, o, p) }
            }

            $(#[$feature])?
            pub unsafe fn winograd_input(t: &InputTiles) {
                // SAFETY: passed on to the caller.
                unsafe { winograd::input::<$simd>(t) }
            }

            $(#[$feature])?
            pub unsafe fn winograd_output(t: &OutputTiles) {
                // SAFETY: passed on to the caller.
                unsafe { winograd::output::<$simd>(t) }
            }

            $(#[$feature])?
            pub unsafe fn winograd_gradient(t: &GradientTiles) {
                // SAFETY: passed on to the caller.
                unsafe { winograd::gradient::<$simd>(t) }
            }

            $(#[$feature])?
            pub unsafe fn winograd_filter(m: *const f32, plane: usize, c: usize, out: *mut f32) {
                // SAFETY: passed on to the caller.
                unsafe { winograd::filter::<$simd>(m, plane, c, out) }
            }

            $(#[$feature])?
            pub unsafe fn winograd_weights(w: *const f32, u: *mut f32, c: usize, width: usize) {
                // SAFETY: passed on to the caller.
                unsafe { winograd::weights::<$simd>(w, u, c, width) }
            }

            $(#[$feature])?
            pub unsafe fn products<const M: usize, const V: usize>(p: &Products) {
                // SAFETY: passed on to the caller.
                unsafe { winograd::products::<$simd, M, V>(p) }
            }
        }
        static $table: MicroKernels = MicroKernels {
            direct: &[$(DirectKernel { width: $gw, run: $module::direct_tile::<$gs, $gm, $gv> }),+],
            outer: &[$(OuterKernel {
                width: $ow,
                whole: table!(@rows $module, $os, $om, $ov, false),
                part: table!(@rows $module, $os, $om, $ov, true),
            }),+],
            square_sum: $module::square_sum_tile,
            dot: $module::dot_of,
            diagonals: $module::diagonals_of,
            transpose: $module::transpose_rows,
            winograd_input: $module::winograd_input,
            winograd_output: $module::winograd_output,
            winograd_gradient: $module::winograd_gradient,
            winograd_filter: $module::winograd_filter,
            winograd_weights: $module::winograd_weights,
            products: &[$(ProductKernel {
                width: $pw,
                run: $module::products::<$pm, $pv>,
            }),+],
        };
    };
    (@rows $module:ident, $simd:ty, [$($m:literal),+], $v:literal, $part:literal) => {
        &[$($module::outer_tile::<$simd, $m, $v, $part>),+]
    };
}

#[cfg(target_arch = "x86_64")]
table!(AVX512, avx512, Avx512x16, #[target_feature(enable = "avx512f,avx512vl,avx2,fma")],
    direct: [32: Avx512x16, 8 x 2, 16: Avx512x16, 8 x 1, 8: Avx2x8, 8 x 1],
    outer: [8: Avx2x8, [1, 2, 3, 4, 5, 6, 7, 8] x 1, 16: Avx512x16, [1, 2, 3, 4, 5, 6, 7, 8] x 1,
            24: Avx2x8, [1, 2, 3, 4, 5, 6, 7, 8] x 3, 32: Avx512x16, [1, 2, 3, 4, 5, 6, 7, 8] x 2,
            48: Avx512x16, [1, 2, 3, 4, 5, 6, 7, 8] x 3],
    products: [32: 8 x 2, 16: 8 x 1]);
#[cfg(target_arch = "x86_64")]
table!(AVX2, avx2, Avx2x8, #[target_feature(enable = "avx2,fma")],
    direct: [16: Avx2x8, 4 x 2, 8: Avx2x8, 8 x 1],
    outer: [8: Avx2x8, [1, 2, 3, 4, 5, 6, 7, 8] x 1, 16: Avx2x8, [1, 2, 3, 4, 5, 6] x 2],
    products: [16: 4 x 2]);
table!(PORTABLE, portable, Portable8, ,
    direct: [16: Portable8, 4 x 2, 8: Portable8, 4 x 1],
    outer: [8: Portable8, [1, 2, 3, 4] x 1, 16: Portable8, [1, 2, 3, 4] x 2],
    products: [16: 4 x 2]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_the_channels_with_little_waste() {
        let tables = [Isa::Portable, Isa::Avx2, Isa::Avx512].map(MicroKernels::of);
        for (table, channels) in tables.iter().flat_map(|t| (1..=140).map(move |c| (t, c))) {
            let mut next = 0;
            for (first, count, kernel) in table.blocks(channels) {
                assert!(first == next && count > 0 && count <= kernel.width);
                next += count;
                // Only the last block may be partial: panels are found by the first channel.
                assert!(count == kernel.width || next == channels);
            }
            assert_eq!(next, channels);
        }
    }

    #[test]
    fn outer_kernels_hold_the_columns_asked_for() {
        for table in [Isa::Portable, Isa::Avx2, Isa::Avx512].map(MicroKernels::of) {
            for columns in 1..=48 {
                let kernel = table.outer(columns);
                let widest = table.outer(usize::MAX).width;
                assert!(kernel.width >= columns.min(widest));
                assert!((1..=16).all(|left| (1..=left).contains(&kernel.rows(left))));
                // Only the last vector of a tile is loaded in part.
                assert!(kernel.width - columns.min(kernel.width) < 16);
            }
        }
    }
}
