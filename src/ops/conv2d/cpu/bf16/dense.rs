//! fprop and dgrad: every output pixel of 32 images and 32 channels is one block of sums over the taps that
//! fall inside the input.

use super::super::task::{Shared, lines, run_tasks};
use super::epilogue::{Finish, Place, finish};
use super::images::{GROUP, column_pitch, interleave};
use super::pack::{block_len, tiles};
use super::products::{BLOCK, Products, Shape, Tap, depth_of};
use crate::backend::{Backend, Cpu};
use crate::ops::conv2d::Conv2dProblem;

/// Bytes of interleaved input rows that a task keeps: half of an L2.
const RING_BYTES: usize = 1 << 20;
/// Tasks below which the work is cut finer.
const TASKS: usize = 16;
/// Packed weights above this many bytes are dealt to tasks, so that each goes through its own part.
const WEIGHT_BYTES: usize = 1 << 20;

/// For every output row (or column): kernel rows and the input rows that they see.
type Reach = Vec<Vec<(usize, usize)>>;

/// How one pass is computed.
pub struct Dense {
    n: usize,
    /// Rows, columns and channels.
    input: [usize; 3],
    output: [usize; 3],
    rows: Reach,
    columns: Reach,
    kernel: [usize; 2],
    /// Output rows for which the input rows are at hand at once, and places for input rows.
    sweep: usize,
    ring: usize,
    /// Output rows, and channel blocks, of a task.
    band: usize,
    span: usize,
}

/// Input positions `i * stride + tap - pad` inside `size`, for every output position.
fn forward_reach(outputs: usize, kernel: usize, stride: usize, pad: usize, size: usize) -> Reach {
    let inside = |i: usize, tap: usize| (i * stride + tap).checked_sub(pad).filter(|&at| at < size);
    (0..outputs).map(|i| (0..kernel).filter_map(|t| Some((t, inside(i, t)?))).collect()).collect()
}

/// For every input position the outputs that see it, in rising order of taps.
fn backward_reach(inputs: usize, kernel: usize, stride: usize, pad: usize, size: usize) -> Reach {
    let seen = |i: usize, tap: usize| {
        let at = (i + pad).checked_sub(tap).filter(|at| at.is_multiple_of(stride))?;
        Some(at / stride).filter(|&at| at < size)
    };
    (0..inputs).map(|i| (0..kernel).filter_map(|t| Some((t, seen(i, t)?))).collect()).collect()
}

impl Dense {
    /// Output from input.
    pub fn forward(p: &Conv2dProblem) -> Self {
        let rows = forward_reach(p.p(), p.r, p.stride[0], p.pad[0], p.h);
        let columns = forward_reach(p.q(), p.s, p.stride[1], p.pad[1], p.w);
        Dense::new(p, [p.h, p.w, p.c], [p.p(), p.q(), p.k], rows, columns)
    }

    /// Gradient of the input from that of the output.
    pub fn backward(p: &Conv2dProblem) -> Self {
        let rows = backward_reach(p.h, p.r, p.stride[0], p.pad[0], p.p());
        let columns = backward_reach(p.w, p.s, p.stride[1], p.pad[1], p.q());
        Dense::new(p, [p.p(), p.q(), p.k], [p.h, p.w, p.c], rows, columns)
    }

    fn new(
        p: &Conv2dProblem,
        input: [usize; 3],
        output: [usize; 3],
        rows: Reach,
        columns: Reach,
    ) -> Self {
        let row_bytes = 2 * input[1] * column_pitch(input[2]);
        let most = RING_BYTES / row_bytes.max(1);
        let needed = |sweep: usize| {
            rows.chunks(sweep).map(|part| span_of(part).map_or(0, |(a, b)| b + 1 - a)).max()
        };
        let fits = |&sweep: &usize| needed(sweep).unwrap_or(0) <= most;
        let sweep = (1..=output[0]).take_while(fits).last().unwrap_or(1);
        let ring = needed(sweep).unwrap_or(0).max(1);
        let blocks = output[2].div_ceil(BLOCK);
        let groups = p.n.div_ceil(GROUP).max(1);
        let wanted = TASKS.div_ceil(groups);
        let spans = if 2 * p.w_len() > WEIGHT_BYTES { wanted.min(blocks) } else { 1 };
        let bands = wanted.div_ceil(spans).min(output[0].div_ceil(sweep.min(4))).max(1);
        let band = output[0].div_ceil(bands).max(1);
        let span = blocks.div_ceil(spans).max(1);
        let kernel = [p.r, p.s];
        Dense { n: p.n, input, output, rows, columns, kernel, sweep, ring, band, span }
    }

    fn bands(&self) -> usize {
        self.output[0].div_ceil(self.band)
    }

    fn blocks(&self) -> usize {
        self.output[2].div_ceil(BLOCK)
    }

    fn groups(&self) -> usize {
        self.n.div_ceil(GROUP)
    }

    /// Parts of (images, rows), each with moments or sums of its own.
    pub fn parts(&self) -> usize {
        self.groups() * self.bands()
    }

    /// Pixels of a part.
    pub fn pixels_of(&self, part: usize) -> usize {
        let (group, band) = (part / self.bands(), part % self.bands());
        let images = GROUP.min(self.n - group * GROUP);
        images * self.band.min(self.output[0] - band * self.band) * self.output[1]
    }

    /// Scratch of a worker, in f32 values.
    pub fn scratch(&self) -> usize {
        lines(self.ring * self.input[1] * column_pitch(self.input[2]) / 2)
    }

    /// Computes the pass. `packed` are the weights; `state` has two values a channel for every part where
    /// `after` needs them.
    pub fn run(
        &self,
        cpu: &Cpu,
        x: &[u16],
        packed: &[u16],
        out: &mut [u16],
        after: &Finish,
        state: &mut [f32],
        scratch: &mut [f32],
    ) {
        let [h, w, c] = self.input;
        let [out_h, out_w, k] = self.output;
        assert!(x.len() == self.n * h * w * c && out.len() == self.n * out_h * out_w * k);
        let stateful = matches!(after, Finish::Moments { .. } | Finish::Norm { .. });
        assert!(!stateful || state.len() >= self.parts() * 2 * k, "state of every part");
        let spans = self.blocks().div_ceil(self.span);
        let per_worker = self.scratch();
        let shared = Shared::new(out);
        let states = Shared::new(state);
        let products = Products::of(cpu);
        let depth = depth_of(c);
        run_tasks(cpu, self.parts() * spans, scratch, per_worker, |task, scratch| {
            let (part, span) = (task / spans, task % spans);
            let blocks = span * self.span..((span + 1) * self.span).min(self.blocks());
            let channels = blocks.start * BLOCK..(blocks.end * BLOCK).min(k);
            let mut state = std::ptr::null_mut();
            if stateful {
                state = states.at(part * 2 * k);
                for half in [part * 2 * k, part * 2 * k + k] {
                    // SAFETY: this task's own channels of its part.
                    unsafe { states.slice(half + channels.start, channels.len()).fill(0.0) };
                }
            }
            let task = Task { dense: self, cpu, products, x, packed, after, state, out: shared };
            let ring: &mut [u16] = bytemuck::cast_slice_mut(scratch);
            products.with_depth(depth, || task.run(part, blocks, ring));
        });
    }
}

/// First and last input row of some output rows.
fn span_of(rows: &[Vec<(usize, usize)>]) -> Option<(usize, usize)> {
    let all = || rows.iter().flatten().map(|tap| tap.1);
    Some((all().min()?, all().max()?))
}

struct Task<'a> {
    dense: &'a Dense,
    cpu: &'a Cpu,
    products: Products,
    x: &'a [u16],
    packed: &'a [u16],
    after: &'a Finish,
    state: *mut f32,
    out: Shared<u16>,
}

/// A block of sums.
#[repr(C, align(64))]
struct Sums([f32; BLOCK * BLOCK]);

impl Task<'_> {
    /// One part's rows, in the channels of `blocks`.
    fn run(&self, part: usize, blocks: std::ops::Range<usize>, ring: &mut [u16]) {
        let d = self.dense;
        let [h, w, c] = d.input;
        let [out_h, out_w, k] = d.output;
        let (group, band) = (part / d.bands(), part % d.bands());
        let first_image = group * GROUP;
        let images = GROUP.min(d.n - first_image);
        let rows = band * d.band..((band + 1) * d.band).min(out_h);
        let mut used = vec![false; w];
        d.columns.iter().flatten().for_each(|tap| used[tap.1] = true);
        let row_pitch = w * column_pitch(c);
        let depth = depth_of(c);
        let steps = c / depth;
        let taps_of_kernel = d.kernel[0] * d.kernel[1];
        let mut next_row = 0;
        let mut taps: Vec<Tap> = Vec::new();
        let mut pixels: Vec<(usize, usize)> = Vec::new();
        let mut sums = Sums([0.0; BLOCK * BLOCK]);
        for first in rows.clone().step_by(d.sweep) {
            let sweep = first..(first + d.sweep).min(rows.end);
            if let Some((low, high)) = span_of(&d.rows[sweep.clone()]) {
                for row in next_row.max(low)..=high {
                    let at = ((first_image * h) + row) * w * c;
                    let place = row % d.ring * row_pitch;
                    assert!(place + row_pitch <= ring.len());
                    // SAFETY: rows of the group's images; the ring has a place for the row.
                    unsafe {
                        let out = ring.as_mut_ptr().add(place);
                        interleave(self.x.as_ptr().add(at), h * w * c, images, &used, c, out);
                    }
                }
                next_row = next_row.max(high + 1);
            }
            taps.clear();
            pixels.clear();
            for y in sweep.clone() {
                for x in 0..out_w {
                    pixels.push((y * out_w + x, taps.len()));
                    for &(r, row) in &d.rows[y] {
                        for &(s, column) in &d.columns[x] {
                            let left = row % d.ring * row_pitch + column * column_pitch(c);
                            taps.push(Tap { left, right: (r * d.kernel[1] + s) * c });
                        }
                    }
                }
            }
            let mut scaled = 1;
            for block in blocks.clone() {
                let columns = tiles(k, block);
                // A tap's packed values are as many as its block has columns for each summed channel.
                let width = columns * BLOCK / 2;
                taps.iter_mut().for_each(|tap| tap.right = tap.right / scaled * width);
                scaled = width;
                let shape = Shape {
                    tiles: [images.div_ceil(BLOCK / 2), columns],
                    depth,
                    steps,
                    pitch: c,
                };
                let right = self.packed[block * block_len(taps_of_kernel, c)..].as_ptr();
                let channel = block * BLOCK;
                for (i, &(pixel, from)) in pixels.iter().enumerate() {
                    let to = pixels.get(i + 1).map_or(taps.len(), |next| next.1);
                    let place = Place {
                        first: (first_image * out_h * out_w + pixel) * k + channel,
                        pitch: out_h * out_w * k,
                        rows: images,
                        channel,
                        channels: (k - channel).min(BLOCK),
                        seen: (pixel - rows.start * out_w) * images,
                    };
                    // SAFETY: the taps lie in the ring and the packed block; the values of this pixel and
                    // these channels are this task's own, and so is its state.
                    unsafe {
                        let factors = [ring.as_ptr(), right];
                        self.products.add(&shape, factors, &taps[from..to], false, sums.0.as_mut_ptr());
                        let out = self.out.at(0);
                        let sums = sums.0.as_mut_ptr();
                        finish(self.cpu.isa(), self.after, &place, sums, out, self.state, k);
                    }
                }
            }
        }
    }
}

/// Workers' scratch of a pass.
pub fn workspace(cpu: &Cpu, dense: &Dense) -> usize {
    cpu.workers() * dense.scratch()
}
