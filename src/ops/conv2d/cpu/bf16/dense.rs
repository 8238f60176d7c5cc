//! fprop and dgrad: 32 output pixels and 32 channels are one block of sums over taps.

use std::ops::Range;

use super::super::task::{Shared, lines, run_tasks};
use super::block::{BLOCK, Shape, TILE, Tap, depth_of};
use super::epilogue::{Finish, Place, finish};
use super::images::{
    Columns, Reach, backward_reach, forward_reach, images_together, rows_seen, span_of,
};
use super::pack::{block_len, tiles};
use super::products::Products;
use crate::backend::{Backend, Cpu};
use crate::ops::conv2d::Conv2dProblem;

/// Values of stored input rows that a task keeps: half of an L2.
const STORED: usize = 512 * 1024;
/// Tasks below which the work is cut finer.
const TASKS: usize = 16;
/// Weights above this many values are dealt to tasks, so that each goes through its own part.
const WEIGHTS: usize = 512 * 1024;

/// How one pass is computed.
pub struct Dense {
    n: usize,
    /// Rows, columns and channels.
    input: [usize; 3],
    output: [usize; 3],
    rows: Reach,
    columns: Columns,
    kernel: [usize; 2],
    /// Images whose pixels share tiles, and such groups at a time.
    group: usize,
    groups: usize,
    /// Output rows whose input rows are at hand at once, and places for input rows.
    sweep: usize,
    ring: usize,
    /// Output rows, and channel blocks, of a task.
    band: usize,
    span: usize,
}

impl Dense {
    /// Output from input.
    pub fn forward(p: &Conv2dProblem) -> Self {
        let rows = forward_reach(p.p(), [p.r, p.stride[0], p.pad[0]], p.h);
        let columns = Columns::forward(p.q(), [p.s, p.stride[1], p.pad[1]], p.w);
        Dense::new(p, [p.h, p.w, p.c], [p.p(), p.q(), p.k], rows, columns)
    }

    /// Gradient of the input from that of the output.
    pub fn backward(p: &Conv2dProblem) -> Self {
        let rows = backward_reach(p.h, [p.r, p.stride[0], p.pad[0]], p.p());
        let columns = Columns::backward(p.w, [p.s, p.stride[1], p.pad[1]], p.q());
        Dense::new(p, [p.p(), p.q(), p.k], [p.h, p.w, p.c], rows, columns)
    }

    fn new(
        p: &Conv2dProblem,
        input: [usize; 3],
        output: [usize; 3],
        rows: Reach,
        columns: Columns,
    ) -> Self {
        let class = columns.classes.iter().map(|class| class.count).max().unwrap_or(0).max(1);
        let group = images_together(class, p.n);
        let row = columns.row_len(group, input[2]).max(1);
        let fits = |&sweep: &usize| rows_seen(&rows, sweep) * row <= STORED;
        let sweep = (1..=output[0]).take_while(fits).last().unwrap_or(1);
        let ring = rows_seen(&rows, sweep).max(1);
        let blocks = output[2].div_ceil(BLOCK);
        let all = p.n.div_ceil(group).max(1);
        let many = p.w_len() > WEIGHTS;
        let whole = sweep >= output[0];
        let most = if many { all } else { all.div_ceil(TASKS) };
        let groups = if whole { (STORED / (ring * row)).clamp(1, most) } else { 1 };
        let wanted = TASKS.div_ceil(all.div_ceil(groups));
        let spans = if many { wanted.min(blocks) } else { 1 };
        let bands = if groups > 1 { 1 } else { wanted.div_ceil(spans) };
        let band = output[0].div_ceil(bands.min(output[0].div_ceil(4)).max(1)).max(1);
        let span = blocks.div_ceil(spans).max(1);
        let kernel = [p.r, p.s];
        Dense {
            n: p.n,
            input,
            output,
            rows,
            columns,
            kernel,
            group,
            groups,
            sweep,
            ring,
            band,
            span,
        }
    }

    fn bands(&self) -> usize {
        self.output[0].div_ceil(self.band)
    }

    fn blocks(&self) -> usize {
        self.output[2].div_ceil(BLOCK)
    }

    /// Images of a task.
    fn images(&self) -> usize {
        self.group * self.groups
    }

    /// Parts of (images, rows), each with moments or sums of its own.
    pub fn parts(&self) -> usize {
        self.n.div_ceil(self.images()) * self.bands()
    }

    /// Images and output rows of a part.
    fn part(&self, part: usize) -> [Range<usize>; 2] {
        let (first, band) = (part / self.bands() * self.images(), part % self.bands());
        let images = first..(first + self.images()).min(self.n);
        [images, band * self.band..((band + 1) * self.band).min(self.output[0])]
    }

    /// Pixels of a part.
    pub fn pixels_of(&self, part: usize) -> usize {
        let [images, rows] = self.part(part);
        images.len() * rows.len() * self.output[1]
    }

    /// Values of a group's stored rows, with room for a tile that reaches beyond the last.
    fn group_len(&self) -> usize {
        let channels = self.input[2];
        self.ring * self.columns.row_len(self.group, channels) + BLOCK * channels
    }

    /// Scratch of a worker, in f32 values.
    pub fn scratch(&self) -> usize {
        lines(self.groups * self.group_len() / 2)
    }

    /// Computes the pass. `packed` are the weights; `state` has two values a channel for every part where
    /// `after` needs them; `scratch` is that of all workers.
    pub fn run(
        &self,
        cpu: &Cpu,
        [x, packed]: [&[u16]; 2],
        out: &mut [u16],
        after: &Finish,
        [state, scratch]: [&mut [f32]; 2],
    ) {
        let [h, w, c] = self.input;
        let [out_h, out_w, k] = self.output;
        assert!(x.len() == self.n * h * w * c && out.len() == self.n * out_h * out_w * k);
        let stateful = matches!(after, Finish::Moments { .. } | Finish::Norm { .. });
        assert!(!stateful || state.len() >= self.parts() * 2 * k, "state of every part");
        let spans = self.blocks().div_ceil(self.span);
        let (out, states) = (Shared::new(out), Shared::new(state));
        let products = Products::of(cpu);
        run_tasks(cpu, self.parts() * spans, scratch, self.scratch(), |task, scratch| {
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
            let task = Task { dense: self, cpu, products, x, packed, after, state, out };
            let stored: &mut [u16] = bytemuck::cast_slice_mut(scratch);
            products.with_depth(depth_of(c), || task.run(part, blocks, stored));
        });
    }
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

/// Up to 32 output pixels of one row and class: where they are, and their taps.
struct Pixels {
    /// The first row's value in the output, apart from the channel.
    first: usize,
    /// Where the rows are behind the first.
    rows: [usize; BLOCK],
    count: usize,
    taps: Range<usize>,
}

impl Task<'_> {
    /// One part's pixels, in the channels of `blocks`.
    fn run(&self, part: usize, blocks: Range<usize>, stored: &mut [u16]) {
        let d = self.dense;
        let [images, rows] = d.part(part);
        let (mut next_row, mut seen) = (0, 0);
        let (mut taps, mut pixels) = (Vec::new(), Vec::new());
        for first in rows.clone().step_by(d.sweep.min(rows.len()).max(1)) {
            let sweep = first..(first + d.sweep).min(rows.end);
            self.store(&images, &sweep, &mut next_row, stored);
            self.list(&images, &sweep, &mut taps, &mut pixels);
            self.compute(&blocks, &mut taps, &pixels, seen, stored);
            seen += pixels.iter().map(|pixels: &Pixels| pixels.count).sum::<usize>();
        }
    }

    /// Stores the input rows of a sweep that are not stored yet.
    fn store(
        &self,
        images: &Range<usize>,
        sweep: &Range<usize>,
        next_row: &mut usize,
        stored: &mut [u16],
    ) {
        let d = self.dense;
        let [h, w, c] = d.input;
        let Some((low, high)) = span_of(&d.rows[sweep.clone()]) else { return };
        for (slot, first) in images.clone().step_by(d.group).enumerate() {
            let group = d.group.min(images.end - first);
            let row_len = d.columns.row_len(group, c);
            for row in low.max(*next_row)..=high {
                let at = slot * d.group_len() + row % d.ring * row_len;
                let out = &mut stored[at..][..row_len];
                let from = self.x[(first * h + row) * w * c..].as_ptr();
                // SAFETY: rows of images of the batch; the place has the row's length.
                unsafe { d.columns.store(from, h * w * c, group, c, out.as_mut_ptr()) };
            }
        }
        *next_row = (*next_row).max(high + 1);
    }

    /// Lists the pixels of a sweep, with taps whose right factors are counted in channels.
    fn list(
        &self,
        images: &Range<usize>,
        sweep: &Range<usize>,
        taps: &mut Vec<Tap>,
        pixels: &mut Vec<Pixels>,
    ) {
        let d = self.dense;
        let c = d.input[2];
        let [out_h, out_w, k] = d.output;
        taps.clear();
        pixels.clear();
        for (slot, first) in images.clone().step_by(d.group).enumerate() {
            let group = d.group.min(images.end - first);
            let row_len = d.columns.row_len(group, c);
            for class in &d.columns.classes {
                for from in (0..class.count * group).step_by(BLOCK) {
                    let count = (class.count * group - from).min(BLOCK);
                    let place = |row: usize| {
                        let (j, image) = ((from + row) / group, (from + row) % group);
                        (image * out_h * out_w + class.first + j * class.step) * k
                    };
                    let start = place(0);
                    let rows = std::array::from_fn(|row| {
                        if row < count { place(row).wrapping_sub(start) } else { 0 }
                    });
                    for y in sweep.clone() {
                        let begin = taps.len();
                        for &(r, row) in &d.rows[y] {
                            let base = slot * d.group_len() + row % d.ring * row_len;
                            taps.extend(class.taps.iter().map(|&(s, column)| Tap {
                                left: base + (column * group + from) * c,
                                right: (r * d.kernel[1] + s) * c,
                            }));
                        }
                        let first = (first * out_h + y) * out_w * k + start;
                        pixels.push(Pixels { first, rows, count, taps: begin..taps.len() });
                    }
                }
            }
        }
    }

    /// All products of a sweep.
    fn compute(
        &self,
        blocks: &Range<usize>,
        taps: &mut [Tap],
        pixels: &[Pixels],
        before: usize,
        stored: &[u16],
    ) {
        let d = self.dense;
        let (c, k) = (d.input[2], d.output[2]);
        let depth = depth_of(c);
        let mut sums = Sums([0.0; BLOCK * BLOCK]);
        let mut counted = 1;
        for block in blocks.clone() {
            let columns = tiles(k, block);
            // A tap's packed values are as many as its block has columns, for each summed channel.
            taps.iter_mut().for_each(|tap| tap.right = tap.right / counted * columns * TILE);
            counted = columns * TILE;
            let right = self.packed[block * block_len(d.kernel[0] * d.kernel[1], c)..].as_ptr();
            let channel = block * BLOCK;
            let mut seen = before;
            for own in pixels {
                let shape = Shape {
                    tiles: [own.count.div_ceil(TILE), columns],
                    depth,
                    steps: c / depth,
                    pitch: c,
                };
                let place = Place {
                    first: own.first + channel,
                    offsets: &own.rows[..own.count],
                    channel,
                    channels: (k - channel).min(BLOCK),
                    seen,
                };
                // SAFETY: taps lie in the stored rows, behind which there is room for a block's last rows, and
                // in the packed block; these pixels and channels are this task's own, and so is its state.
                unsafe {
                    let (factors, sums) = ([stored.as_ptr(), right], sums.0.as_mut_ptr());
                    self.products.add(&shape, factors, &taps[own.taps.clone()], false, sums);
                    finish(self.cpu.isa(), self.after, &place, sums, self.out.at(0), self.state, k);
                }
                seen += own.count;
            }
        }
    }
}

/// Workers' scratch of a pass.
pub fn workspace(cpu: &Cpu, dense: &Dense) -> usize {
    cpu.workers() * dense.scratch()
}
