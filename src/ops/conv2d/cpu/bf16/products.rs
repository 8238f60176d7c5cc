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

use crate::backend::Cpu;
use crate::isa::Isa;
use crate::isa::bf16::{Bf16Form, widen};
use crate::isa::multiversion;
use crate::isa::tiles::TileConfig;

/// Rows, and columns, of a block of sums.
pub const BLOCK: usize = 32;
/// Rows, and columns, of a tile.
pub const TILE: usize = 16;
/// Most values of d a step.
pub const DEPTH: usize = 32;

/// Where a tap's factors are: values from the left base and from the right base.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Tap {
    pub left: usize,
    pub right: usize,
}

/// The shape of a block and of its steps.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Tiles of 16 rows and of 16 columns: 1 or 2 each.
    pub tiles: [usize; 2],
    /// Values of d a step: a multiple of 8 up to 32.
    pub depth: usize,
    /// Steps a tap. From one to the next the left factors move by `depth` values, the right ones by a step's
    /// tiles.
    pub steps: usize,
    /// Values from one left row to the next.
    pub pitch: usize,
}

/// The largest depth that divides a number of channels, which is a multiple of 8.
pub fn depth_of(channels: usize) -> usize {
    [32, 24, 16, 8].into_iter().find(|d| channels.is_multiple_of(*d)).unwrap_or(8)
}

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
        let form = cpu.bf16_form();
        Products { form, native: form.is_native(), isa: cpu.isa() }
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
