//! Norms of every sample's weight gradient, instantiated block by block.
//!
//! Of one image and one tap the gradient is a product over output positions: the input, transposed to
//! `[channel][position]` and shifted by the tap, times dy, packed as pairs of positions. Positions are those of
//! the output with a margin in every row, so that a tap is one distance for all of them; dy is 0 in the margin.

use super::super::form;
use super::super::grad_norm::SampleNorm;
use super::super::task::{Cutter, Shared, lines, run_tasks};
use super::block::{BLOCK, DEPTH, Shape, TILE, Tap};
use super::images::Strided;
use super::pack::tiles;
use super::products::Products;
use super::transpose::{interleave_block, transpose};
use crate::backend::{Backend, Cpu};
use crate::isa::bf16::widen;
use crate::isa::multiversion;
use crate::ops::conv2d::{Conv2dProblem, GradNormForm};

/// Tasks of a call at most.
const TASKS: usize = 16;
/// Values of a block of sums.
const SUMS: usize = BLOCK * BLOCK;

/// How the positions of one image are laid out.
#[derive(Clone, Debug)]
struct Positions {
    p: Conv2dProblem,
    /// Output rows, columns.
    out: [usize; 2],
    /// How taps see rows and columns.
    strided: [Strided; 2],
    /// Positions from an output row to the next, and of an image: whole steps.
    pitch: usize,
    len: usize,
    /// Values from one channel to the next.
    channel: usize,
}

impl Positions {
    fn new(problem: &Conv2dProblem) -> Self {
        let p = problem.with_n(1);
        let kernel = [p.r, p.s];
        let strided = [0, 1].map(|d| Strided::new([kernel[d], p.stride[d], p.pad[d]]));
        let out = [p.p(), p.q()];
        let pitch = (out[1] + strided[1].reach).next_multiple_of(2);
        let len = (out[0] * pitch).next_multiple_of(DEPTH);
        // Channels of a tile lie in different sets of the cache.
        let beyond = strided[0].reach * pitch + strided[1].reach;
        let channel = (len + beyond).next_multiple_of(64) + 32;
        Positions { p, out, strided, pitch, len, channel }
    }

    /// Values of the transposed input of one residue of rows and columns: channels in whole tiles.
    fn plane(&self) -> usize {
        self.p.c.next_multiple_of(TILE) * self.channel
    }

    /// Values of an image's transposed input.
    fn input_len(&self) -> usize {
        let [rows, columns] = &self.strided;
        rows.residues.len() * columns.residues.len() * self.plane()
    }

    /// Values of an image's packed gradient.
    fn gradient_len(&self) -> usize {
        self.p.k.div_ceil(BLOCK) * BLOCK * self.len
    }

    /// Where the positions of a tap begin behind a transposed image.
    fn tap(&self, tap: usize) -> usize {
        let [rows, columns] = &self.strided;
        let (row, down) = rows.tap(tap / self.p.s);
        let (column, right) = columns.tap(tap % self.p.s);
        (row * columns.residues.len() + column) * self.plane() + down * self.pitch + right
    }

    /// Transposes an image to `out`, whose margins are 0 and stay so.
    fn place_input(&self, x: &[u16], out: &mut [u16]) {
        let p = &self.p;
        let [rows, columns] = &self.strided;
        let residues =
            rows.residues.iter().flat_map(|&r| columns.residues.iter().map(move |&c| [r, c]));
        for (i, [row_residue, column_residue]) in residues.enumerate() {
            let inside = |j| Some((j, columns.input(column_residue, j, p.w)?));
            let seen: Vec<(usize, usize)> = (0..self.pitch).filter_map(inside).collect();
            let (Some(&(to, from)), count) = (seen.first(), seen.len()) else { continue };
            for row in 0..self.out[0] + rows.reach {
                let Some(h) = rows.input(row_residue, row, p.h) else { continue };
                let from = &x[(h * p.w + from) * p.c..];
                let out = &mut out[i * self.plane() + row * self.pitch + to..];
                transpose(from, [count, p.c], p.stride[1] * p.c, out, self.channel);
            }
        }
    }

    /// Packs the channels of an image's gradient to `out`, whose margins are 0 and stay so.
    fn place_gradient(&self, dy: &[u16], out: &mut [u16]) {
        let k = self.p.k;
        for block in 0..k.div_ceil(BLOCK) {
            let step = tiles(k, block) * TILE * DEPTH;
            let out = &mut out[block * BLOCK * self.len..][..BLOCK * self.len];
            for row in 0..self.out[0] {
                for column in (0..self.out[1]).step_by(2) {
                    let t = row * self.pitch + column;
                    let of = |column: usize| &dy[(row * self.out[1] + column) * k..][..k];
                    let next = (column + 1 < self.out[1]).then(|| of(column + 1));
                    let at = t / DEPTH * step + t % DEPTH * TILE;
                    interleave_block([Some(of(column)), next], block, &mut out[at..]);
                }
            }
        }
    }

    fn shape(&self, channel_block: usize, block: usize) -> Shape {
        Shape {
            tiles: [tiles(self.p.c, channel_block), tiles(self.p.k, block)],
            depth: DEPTH,
            steps: self.len / DEPTH,
            pitch: self.channel,
        }
    }
}

/// The form of the norm that is fastest: of the instantiated one on tiles (in clocks, as `form` counts) and the
/// f32 ones from Gram matrices.
pub fn choose(p: &Conv2dProblem) -> GradNormForm {
    let pos = Positions::new(p);
    let [c, k] = [p.c, p.k].map(|channels| channels.div_ceil(BLOCK) as f64);
    let blocks = c * k * (p.r * p.s) as f64;
    let placing = 0.6 * (p.h * p.w * p.c + p.p() * p.q() * p.k) as f64;
    let steps = (pos.len / DEPTH) as f64;
    form::cheapest_against(p, placing + blocks * (75.0 * steps + 150.0))
}

/// f32 values of a sample as f32, and of the norm's own scratch.
fn widened(p: &Conv2dProblem, form: GradNormForm) -> [usize; 3] {
    let one = p.with_n(1);
    [one.x_len(), one.y_len(), SampleNorm::new(p, form).scratch()].map(lines)
}

/// f32 values that a worker needs for [`grad_norm`].
fn norm_scratch(p: &Conv2dProblem, form: GradNormForm) -> usize {
    if form != GradNormForm::Instantiate {
        return widened(p, form).iter().sum();
    }
    let pos = Positions::new(p);
    lines(pos.input_len() / 2) + lines(pos.gradient_len() / 2)
}

/// f32 values of workspace for [`grad_norm`].
pub fn workspace(cpu: &Cpu, p: &Conv2dProblem, form: GradNormForm) -> usize {
    cpu.workers() * lines(norm_scratch(p, form))
}

multiversion! {
    /// The sum of squares of the first `rows` rows of a block and its first `columns` columns.
    fn squares(sums: &[f32], rows: usize, columns: usize) -> f32 {
        let mut acc = [0.0f32; TILE];
        for row in sums.chunks_exact(BLOCK).take(rows) {
            for tile in row[..columns].chunks_exact(TILE) {
                for (acc, v) in acc.iter_mut().zip(tile) {
                    *acc += v * v;
                }
            }
        }
        acc.iter().sum()
    }
}

/// norms[n] += squared norm of sample n's gradient.
pub fn grad_norm(
    cpu: &Cpu,
    p: &Conv2dProblem,
    [x, dy]: [&[u16]; 2],
    bias: bool,
    norms: &mut [f32],
    form: GradNormForm,
    work: &mut [f32],
) {
    let per_worker = lines(norm_scratch(p, form));
    let scratch = Cutter(work).take(cpu.workers() * per_worker);
    let one = p.with_n(1);
    let [image, out] = [one.x_len(), one.y_len()];
    let pos = Positions::new(p);
    let products = Products::of(cpu);
    let shared = Shared::new(norms);
    let tasks = p.n.min(TASKS);
    run_tasks(cpu, tasks, scratch, per_worker, |task, scratch| {
        let own = p.n * task / tasks..p.n * (task + 1) / tasks;
        if form == GradNormForm::Instantiate {
            scratch.fill(0.0);
        }
        for n in own {
            let [x, dy] = [&x[n * image..][..image], &dy[n * out..][..out]];
            let norm = if form == GradNormForm::Instantiate {
                let weights = instantiated(cpu, &products, &pos, [x, dy], scratch);
                let wide = || dy.iter().map(|&v| widen(v)).collect::<Vec<f32>>();
                weights + if bias { SampleNorm::bias(&wide(), p.k) } else { 0.0 }
            } else {
                let mut cutter = Cutter(scratch);
                let [a, b, c] = widened(p, form).map(|len| cutter.take(len));
                a.iter_mut().zip(x).for_each(|(to, &v)| *to = widen(v));
                b.iter_mut().zip(dy).for_each(|(to, &v)| *to = widen(v));
                let sample = SampleNorm::new(p, form);
                sample.of(cpu.isa(), [&a[..image], &b[..out]], bias, c)
            };
            // SAFETY: this task's own sample.
            unsafe { shared.slice(n, 1)[0] += norm as f32 };
        }
    });
}

/// The squared norm of one sample's gradient, block by block. Margins of `scratch` are 0.
fn instantiated(
    cpu: &Cpu,
    products: &Products,
    pos: &Positions,
    [x, dy]: [&[u16]; 2],
    scratch: &mut [f32],
) -> f64 {
    let [channels, blocks] = [pos.p.c, pos.p.k].map(|all| all.div_ceil(BLOCK));
    let scratch: &mut [u16] = bytemuck::cast_slice_mut(scratch);
    let (input, gradient) = scratch.split_at_mut(2 * lines(pos.input_len() / 2));
    pos.place_input(x, &mut input[..pos.input_len()]);
    pos.place_gradient(dy, &mut gradient[..pos.gradient_len()]);
    let mut sums = [0.0f32; SUMS];
    let mut norm = 0.0f64;
    products.with_depth(DEPTH, || {
        for block in 0..blocks {
            for channel in 0..channels {
                let shape = pos.shape(channel, block);
                let rows = (pos.p.c - channel * BLOCK).min(BLOCK);
                for tap in 0..pos.p.r * pos.p.s {
                    let left = pos.tap(tap) + channel * BLOCK * pos.channel;
                    let taps = [Tap { left, right: block * BLOCK * pos.len }];
                    // SAFETY: the image is placed, and the sums are a block.
                    unsafe {
                        let factors = [input.as_ptr(), gradient.as_ptr()];
                        products.add(&shape, factors, &taps, false, sums.as_mut_ptr());
                    }
                    norm += f64::from(squares(cpu.isa(), &sums, rows, shape.tiles[1] * TILE));
                }
            }
        }
    });
    norm
}
