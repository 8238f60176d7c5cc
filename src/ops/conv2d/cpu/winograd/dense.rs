//! The driver of fprop and dgrad. Rows of tiles go through three steps while they are in the
//! cache: input to 16 planes, a matrix product a plane, planes to output.

use super::super::direct::DenseOperands;
use super::super::kernel::{MicroKernels, OutputTiles, PLANES, Products, SumStart};
use super::super::pack::{ChannelBlock, padded_channels};
use super::super::task::{Cutter, Shared, lines, run_tasks};
use super::super::tasks::{TaskGrid, TaskPart, TaskWork};
use super::{GROUP, input_tiles};
use crate::backend::{Backend, Cpu};

/// Tiles that go through the steps together, about: few, so that all planes stay in the cache;
/// more for weights that do not stay there themselves.
const TILES: usize = 16;
const TILES_LARGE: usize = 64;
/// Weights of a plane from which they count as large.
const LARGE: usize = 1 << 16;

/// A 3x3 convolution of stride 1 and padding 1, from `input` to as many pixels of other channels.
pub struct Winograd {
    pub cut: TaskGrid,
    pub blocks: Vec<ChannelBlock>,
    /// Rows, columns, channels.
    input: [usize; 3],
    k: usize,
    /// Tiles side by side.
    across: usize,
    /// Rows of tiles at a time.
    at_once: usize,
}

impl Winograd {
    /// A 3x3 convolution of `n` images of `input` rows, columns and channels to `k` channels.
    pub fn new(cpu: &Cpu, n: usize, input: [usize; 3], k: usize) -> Self {
        let [h, w, c] = input;
        let blocks = MicroKernels::of(cpu.isa()).blocks(k);
        let cut = TaskGrid::new(&TaskWork {
            n,
            rows: h,
            image: h * w * c,
            row: w * c,
            blocks: blocks.len(),
            images: GROUP,
            align: 2,
        });
        let across = w.div_ceil(2);
        let tiles = if c * k >= LARGE { TILES_LARGE } else { TILES };
        Winograd { cut, blocks, input, k, across, at_once: tiles.div_ceil(across) }
    }

    /// Tiles at a time, in whole groups.
    fn tiles(&self) -> usize {
        (self.at_once * self.across).next_multiple_of(GROUP)
    }

    /// Values from one plane to the next for `width` values a tile. Not a power of two, which
    /// would put all planes into the same cache sets.
    fn plane(&self, width: usize) -> usize {
        self.tiles() * width + 16
    }

    fn width(&self) -> usize {
        self.blocks.first().map_or(0, |b| b.2.width)
    }

    /// Values of packed weights, before and after their transform.
    pub fn panels(&self) -> [usize; 2] {
        let matrix = self.input[2] * padded_channels(&self.blocks);
        [9 * matrix, PLANES * matrix]
    }

    fn per_worker(&self) -> usize {
        let [_, w, c] = self.input;
        lines(w * c) + PLANES * (self.plane(c) + self.plane(self.width()))
    }

    /// Workspace besides the panels.
    pub fn scratch(&self, cpu: &Cpu) -> usize {
        cpu.workers() * self.per_worker()
    }

    /// Transforms packed weights, block by block.
    pub fn transform(&self, cpu: &Cpu, packed: &[f32], u: &mut [f32]) {
        let kernels = MicroKernels::of(cpu.isa());
        let (c, out) = (self.input[2], Shared::new(u));
        run_tasks(cpu, self.blocks.len(), &mut [], 0, |block, _| {
            let (first, _, kernel) = self.blocks[block];
            let panels = packed[first * 9 * c..][..9 * c * kernel.width].as_ptr();
            // SAFETY: this block's own part.
            let u = unsafe { out.slice(first * PLANES * c, PLANES * c * kernel.width) };
            // SAFETY: 9 panels of c rows, 16 planes of them; the kernels' instruction set is there.
            unsafe { (kernels.winograd_weights)(panels, u.as_mut_ptr(), c, kernel.width) };
        });
    }

    /// Computes y from x, and calls `done` with every finished part.
    ///
    /// # Safety
    /// `x` holds n input images, `panels` are the transformed ones, `y` holds n output images; `edges`
    /// point to values for every channel (and output pixel); the scratch is [`Winograd::scratch`].
    pub unsafe fn run(
        &self,
        cpu: &Cpu,
        operands: &DenseOperands,
        scratch: &mut [f32],
        done: impl Fn(&TaskPart) + Sync,
    ) {
        let kernels = MicroKernels::of(cpu.isa());
        run_tasks(cpu, self.cut.tasks(), scratch, self.per_worker(), |task, scratch| {
            let part = self.cut.part(task);
            // SAFETY: passed on to the caller; tasks write disjoint parts.
            unsafe { self.part(kernels, &part, operands, scratch) };
            done(&part);
        });
    }

    /// # Safety
    /// What [`Winograd::run`] asks of its callers; nobody else touches this part of `y`.
    unsafe fn part(
        &self,
        kernels: &MicroKernels,
        part: &TaskPart,
        operands: &DenseOperands,
        scratch: &mut [f32],
    ) {
        let DenseOperands { x, panels, edges, y } = *operands;
        let (x, u) = (x.as_ptr(), panels.as_ptr());
        let [h, w, c] = self.input;
        let mut cutter = Cutter(scratch);
        let zeros = cutter.take(w * c);
        zeros.fill(0.0);
        let (v_plane, m_plane) = (self.plane(c), self.plane(self.width()));
        let v = cutter.take(PLANES * v_plane).as_mut_ptr();
        let m = cutter.take(PLANES * m_plane).as_mut_ptr();
        let bands = part.rows.len().div_ceil(2);
        let bands_in_all = part.images.len() * bands;
        for first in (0..bands_in_all).step_by(self.at_once) {
            let now = first..(first + self.at_once).min(bands_in_all);
            // Image and first output row of a row of tiles.
            let place = |band: usize| {
                (part.images.start + band / bands, part.rows.start + 2 * (band % bands))
            };
            for (i, band) in now.clone().enumerate() {
                let (image, row) = place(band);
                let image = x.wrapping_add(image * h * w * c);
                let out = v.wrapping_add(i * self.across * c);
                let tiles = input_tiles(image, self.input, row, zeros, out, v_plane);
                // SAFETY: the rows lie inside x; the planes hold `at_once` rows of tiles.
                unsafe { (kernels.winograd_input)(&tiles) };
            }
            let tiles = (now.len() * self.across).next_multiple_of(GROUP);
            for &(k, _, kernel) in &self.blocks[part.blocks.clone()] {
                let width = kernel.width;
                let products = Products {
                    v,
                    v_plane,
                    u: u.wrapping_add(k * PLANES * c),
                    u_plane: c * width,
                    m,
                    m_plane,
                    tiles,
                    channels: c,
                };
                // SAFETY: both planes hold whole groups of tiles; values beyond the last are
                // computed from what is there and never read.
                unsafe { (kernels.products(width))(&products) };
                for (i, band) in now.clone().enumerate() {
                    let (image, row) = place(band);
                    let at = [0, 1].map(|r| (image * h + row + r) * w * self.k);
                    let tiles = OutputTiles {
                        m: m.wrapping_add(i * self.across * width),
                        plane: m_plane,
                        width,
                        tiles: self.across,
                        y: y.at(k),
                        at,
                        rows: (part.rows.end - row).min(2),
                        columns: w,
                        pitch: self.k,
                        bias: match edges.start.from(k) {
                            SumStart::Zero => std::ptr::null(),
                            SumStart::Bias(bias) => bias,
                        },
                        finish: edges.finish.from(k),
                    };
                    // SAFETY: rows and columns of this part of y; the rest is the caller's.
                    unsafe { (kernels.winograd_output)(&tiles) };
                }
            }
        }
    }
}
