//! Products of bf16 matrices in blocks of 32 x 32 sums: the one loop that all convolutions are made of.
//!
//! ```text
//! sums[m][n] (+)= sum over taps, steps, d of left[m][d] * right[d][n]
//! ```
//!
//! A step has `depth` values of d. Left factors are rows of bf16 values at a constant distance; right factors
//! are packed: for every step and every 16 columns a tile of `depth / 2` rows of 16 pairs (d, d + 1).
//!
//! There are two orders of sums ([`Bf16Form`]). Both count subnormal values as 0, as the instructions do.

use super::block::{BLOCK, Shape, TILE, Tap};
use crate::backend::Cpu;
use crate::isa::Isa;
use crate::isa::bf16::{Bf16Form, widen};
use crate::isa::multiversion;
use crate::isa::tiles::TileConfig;

/// How a processor multiplies.
#[derive(Clone, Copy, Debug)]
pub struct Products {
    form: Bf16Form,
    native: bool,
    isa: Isa,
}

impl Products {
    /// Those of a backend.
    pub fn of(cpu: &Cpu) -> Self {
        let (form, isa) = (cpu.bf16_form(), cpu.isa());
        Products { form, native: form.is_native() && isa == Isa::Avx512, isa }
    }

    /// Does `work`, whose blocks all have this depth, with the processor set up for it.
    pub fn with_depth<T>(&self, depth: usize, work: impl FnOnce() -> T) -> T {
        #[cfg(target_arch = "x86_64")]
        if self.form == Bf16Form::Tiles && self.native {
            let _configured = Configured::new(&TileConfig::products(depth));
            return work();
        }
        let _ = (depth, TileConfig::products);
        work()
    }

    /// Adds products to a block of sums (32 x 32, row by row), or starts it with them.
    ///
    /// # Safety
    /// Called inside [`Products::with_depth`] of the shape's depth. For every tap, rows and packed tiles of the
    /// shape are readable behind `left` and `right`, and `sums` is writable for 32 x 32 values.
    #[inline]
    pub unsafe fn add(
        &self,
        shape: &Shape,
        [left, right]: [*const u16; 2],
        taps: &[Tap],
        resume: bool,
        sums: *mut f32,
    ) {
        // SAFETY: passed on to the caller.
        unsafe {
            match (self.form, self.native) {
                #[cfg(target_arch = "x86_64")]
                (Bf16Form::Tiles, true) => {
                    super::tiles::add(shape, [left, right], taps, resume, sums);
                }
                #[cfg(target_arch = "x86_64")]
                (Bf16Form::Pairs, true) => {
                    super::pairs::add(shape, [left, right], taps, resume, sums);
                }
                (form, _) => self.add_in_software(form, shape, [left, right], taps, resume, sums),
            }
        }
    }

    /// See [`Products::add`].
    unsafe fn add_in_software(
        &self,
        form: Bf16Form,
        shape: &Shape,
        [left, right]: [*const u16; 2],
        taps: &[Tap],
        resume: bool,
        sums: *mut f32,
    ) {
        let [rows, columns] = shape.tiles.map(|tiles| tiles * TILE);
        let tile = shape.depth * TILE;
        for row in 0..rows {
            for first in (0..columns).step_by(TILE) {
                // SAFETY: inside the block (caller); so for all factors below.
                let out = unsafe { &mut *sums.add(row * BLOCK + first).cast::<[f32; TILE]>() };
                if !resume {
                    *out = [0.0; TILE];
                }
                for tap in taps {
                    for step in 0..shape.steps {
                        // SAFETY: as above.
                        let (a, b) = unsafe {
                            let a = left.add(tap.left + row * shape.pitch + step * shape.depth);
                            let at = step * tile * shape.tiles[1] + first / TILE * tile;
                            let b = right.add(tap.right + at);
                            (
                                std::slice::from_raw_parts(a, shape.depth),
                                std::slice::from_raw_parts(b, tile),
                            )
                        };
                        match form {
                            Bf16Form::Tiles => tile_row(self.isa, a, b, out),
                            Bf16Form::Pairs => pair_row(self.isa, a, b, out),
                        }
                    }
                }
            }
        }
    }
}

/// Zero where a value is subnormal, with its sign.
#[inline(always)]
fn flush(value: f32) -> f32 {
    let bits = value.to_bits();
    f32::from_bits(if bits & 0x7f80_0000 == 0 { bits & 0x8000_0000 } else { bits })
}

multiversion! {
    /// A row of a tile product, in the order of `TDPBF16PS`.
    fn tile_row(a: &[u16], b: &[u16], sums: &mut [f32; TILE]) {
        let (mut even, mut odd) = ([0.0f32; TILE], [0.0f32; TILE]);
        for (a, b) in a.chunks_exact(2).zip(b.chunks_exact(2 * TILE)) {
            let [first, second] = [flush(widen(a[0])), flush(widen(a[1]))];
            for n in 0..TILE {
                even[n] = flush(first.mul_add(flush(widen(b[2 * n])), even[n]));
                odd[n] = flush(second.mul_add(flush(widen(b[2 * n + 1])), odd[n]));
            }
        }
        for n in 0..TILE {
            sums[n] = flush(flush(sums[n]) + flush(even[n] + odd[n]));
        }
    }
}

multiversion! {
    /// A row of pair products, in the order of `VDPBF16PS`.
    fn pair_row(a: &[u16], b: &[u16], sums: &mut [f32; TILE]) {
        for (a, b) in a.chunks_exact(2).zip(b.chunks_exact(2 * TILE)) {
            let [first, second] = [flush(widen(a[0])), flush(widen(a[1]))];
            for n in 0..TILE {
                let odd = flush(second.mul_add(flush(widen(b[2 * n + 1])), flush(sums[n])));
                sums[n] = flush(first.mul_add(flush(widen(b[2 * n])), odd));
            }
        }
    }
}

/// The tile registers, configured for as long as this lives.
#[cfg(target_arch = "x86_64")]
struct Configured;

#[cfg(target_arch = "x86_64")]
impl Configured {
    fn new(config: &TileConfig) -> Self {
        // SAFETY: the processor has tiles and this process may use them (`Bf16Form::is_native`); the
        // configuration is 64 readable bytes.
        unsafe {
            std::arch::asm!("ldtilecfg [{}]", in(reg) config, options(nostack, readonly));
        }
        Configured
    }
}

#[cfg(target_arch = "x86_64")]
impl Drop for Configured {
    fn drop(&mut self) {
        // SAFETY: as above. Released tiles cost nothing at the next switch of threads.
        unsafe { std::arch::asm!("tilerelease", options(nostack, nomem)) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::DEPTH;
    use super::*;

    /// What a processor with AMX made of values of five kinds (ordinary, any finite, tiny, huge, and with
    /// infinities, NaN and subnormals), little endian: 8 tile products a kind (A, B, C, result), then 64 pair
    /// products a kind (a, b, c, result).
    const VECTORS: &[u8] = include_bytes!("vectors.bin");

    /// Reads `len` values of 2 or 4 bytes.
    fn take<const N: usize>(at: &mut usize, len: usize) -> Vec<u32> {
        let bytes = &VECTORS[*at..*at + len * N];
        *at += len * N;
        let word = |b: &[u8]| b.iter().rev().fold(0, |word, &b| word << 8 | u32::from(b));
        bytes.chunks_exact(N).map(word).collect()
    }

    fn same(found: f32, expected: u32) -> bool {
        found.to_bits() == expected || (found.is_nan() && f32::from_bits(expected).is_nan())
    }

    #[test]
    fn software_gives_the_bits_of_the_processor() {
        let mut at = 0;
        for isa in [Isa::Portable, Isa::detect()] {
            at = 0;
            for _ in 0..5 * 8 {
                let halves = |v: Vec<u32>| v.into_iter().map(|v| v as u16).collect::<Vec<u16>>();
                let (a, b) = (halves(take::<2>(&mut at, 512)), halves(take::<2>(&mut at, 512)));
                let (c, expected) = (take::<4>(&mut at, 256), take::<4>(&mut at, 256));
                for row in 0..TILE {
                    let mut sums: [f32; TILE] =
                        std::array::from_fn(|n| f32::from_bits(c[row * TILE + n]));
                    tile_row(isa, &a[row * DEPTH..][..DEPTH], &b, &mut sums);
                    for (n, &sum) in sums.iter().enumerate() {
                        assert!(
                            same(sum, expected[row * TILE + n]),
                            "{sum:e} in row {row} of {isa:?}"
                        );
                    }
                }
            }
            for _ in 0..5 * 64 {
                let (a, b) = (take::<2>(&mut at, 32), take::<2>(&mut at, 32));
                let (c, expected) = (take::<4>(&mut at, 16), take::<4>(&mut at, 16));
                for n in 0..TILE {
                    // One lane of the instruction is one sum over a pair.
                    let pair = |v: &[u32]| [v[2 * n] as u16, v[2 * n + 1] as u16];
                    let mut right = [0u16; 2 * TILE];
                    right[..2].copy_from_slice(&pair(&b));
                    let mut sums = [0.0; TILE];
                    sums[0] = f32::from_bits(c[n]);
                    pair_row(isa, &pair(&a), &right, &mut sums);
                    assert!(same(sums[0], expected[n]), "{:e} in lane {n} of {isa:?}", sums[0]);
                }
            }
        }
        assert_eq!(at, VECTORS.len());
    }

    /// Blocks of every arrangement of tiles, by the instruction and without.
    #[test]
    fn instructions_give_the_bits_of_software() {
        let mut state = 1u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (0x3f00 + (state >> 17) as u16 % 0x100) | ((state >> 9) as u16 & 0x8000)
        };
        let left: Vec<u16> = (0..8192).map(|_| draw()).collect();
        let right: Vec<u16> = (0..16384).map(|_| draw()).collect();
        for form in [Bf16Form::Tiles, Bf16Form::Pairs] {
            if !form.is_native() || Isa::detect() < Isa::Avx512 {
                println!("skipped: this processor has no instruction for {}", form.name());
                continue;
            }
            for tiles in [[1, 1], [1, 2], [2, 1], [2, 2]] {
                for depth in [8, 16, 24, 32] {
                    let shape = Shape { tiles, depth, steps: 3, pitch: 100 };
                    let taps = [Tap { left: 5, right: 0 }, Tap { left: 1000, right: 4096 }];
                    let results = [false, true].map(|native| {
                        let products = Products { form, native, isa: Isa::detect() };
                        let mut sums = [0.5f32; BLOCK * BLOCK];
                        products.with_depth(depth, || {
                            for (taps, resume) in
                                [(&taps[..], false), (&taps[1..], true), (&[], true)]
                            {
                                // SAFETY: 32 rows of 100 and taps from 1,000 lie in the left values, three
                                // steps from 4,096 in the right ones.
                                unsafe {
                                    let factors = [left.as_ptr(), right.as_ptr()];
                                    products.add(&shape, factors, taps, resume, sums.as_mut_ptr());
                                }
                            }
                        });
                        sums.map(f32::to_bits)
                    });
                    assert!(results[0] == results[1], "{form:?} {tiles:?} of depth {depth}");
                }
            }
        }
    }
}
