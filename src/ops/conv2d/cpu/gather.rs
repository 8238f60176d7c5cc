//! The driver behind fprop and dgrad: a dense convolution that gathers from a padded input.
//!
//! Work is cut into tasks (images or bands of rows, times blocks of output channels) by the
//! problem alone. A task copies what it reads into a zero-padded scratch, unless the input has no
//! border, and then computes eight output pixels at a time, across rows and images alike.

use super::kernel::{Finish, GatherTile, PIXELS, Start};
use super::pack::Block;
use super::pad::Padded;
use super::task::{Shared, lines};

/// One convolution over the padded input. fprop is one pass; dgrad is one a residue class of the
/// stride, each writing its own pixels of dx.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Output rows and columns of this pass.
    pub size: [usize; 2],
    /// Padded input row and column under the first tap of output (0, 0).
    pub origin: [usize; 2],
    /// Input rows and columns from one output to the next.
    pub step: [usize; 2],
    /// Kernel rows and columns.
    pub taps: [usize; 2],
    /// Place of output (0, 0) in the output image, and the distance to the next.
    pub out_origin: [usize; 2],
    pub out_step: [usize; 2],
    /// First row of this pass's panels, in units of rows of all panels together.
    pub panel: usize,
}

/// All passes over one input, and how the work is cut.
pub struct Gather {
    pub n: usize,
    pub input: Padded,
    /// Output rows, columns, channels.
    pub out: [usize; 3],
    pub passes: Vec<Pass>,
    pub blocks: Vec<Block>,
    /// Images a task.
    pub group: usize,
    /// Rows of a pass a task.
    pub band: usize,
    /// Channel blocks a task.
    pub span: usize,
}

/// Input values a task should copy at most: with the output, what an L2 holds.
const TASK_INPUT: usize = 80 * 1024;
/// Tasks below which the work is cut finer.
const TASKS: usize = 16;

/// The part of the work one task does.
#[derive(Clone, Debug)]
pub struct Part {
    pub images: std::ops::Range<usize>,
    pub rows: std::ops::Range<usize>,
    pub blocks: std::ops::Range<usize>,
    /// Which (images, rows) part this is, counted without regard to blocks.
    pub index: usize,
}

/// Bias or earlier output, and what follows the sums. Pointers are to channel 0 and pixel 0.
#[derive(Clone, Copy)]
pub struct Edges {
    pub start: Start,
    pub finish: Finish,
}

// SAFETY: the pointers are only read, for values nobody writes meanwhile (see `Gather::run`).
unsafe impl Sync for Edges {}

impl Gather {
    /// Cuts the work. Depends on the sizes only, as partial statistics follow the cut.
    pub fn cut(
        n: usize,
        input: Padded,
        out: [usize; 3],
        passes: Vec<Pass>,
        blocks: Vec<Block>,
    ) -> Gather {
        let rows = passes.iter().map(|p| p.size[0]).max().unwrap_or(0).max(1);
        let image = input.rows() * input.pitch();
        let step = passes.iter().map(|p| p.step[0]).max().unwrap_or(1);
        let (group, band) = if image > TASK_INPUT {
            (1, (TASK_INPUT / (step * input.pitch())).clamp(1, rows))
        } else {
            ((TASK_INPUT / image.max(1)).clamp(1, n.div_ceil(TASKS).max(1)), rows)
        };
        let band = rows.div_ceil(rows.div_ceil(band));
        let parts = n.div_ceil(group) * rows.div_ceil(band);
        let spans = if parts >= TASKS { 1 } else { TASKS.div_ceil(parts.max(1)) };
        let span = blocks.len().div_ceil(spans.min(blocks.len()).max(1)).max(1);
        Gather { n, input, out, passes, blocks, group, band, span }
    }

    fn bands(&self) -> usize {
        let rows = self.passes.iter().map(|p| p.size[0]).max().unwrap_or(0);
        rows.div_ceil(self.band)
    }

    fn spans(&self) -> usize {
        self.blocks.len().div_ceil(self.span)
    }

    /// Parts of (images, rows).
    pub fn parts(&self) -> usize {
        self.n.div_ceil(self.group) * self.bands()
    }

    /// Tasks: parts times spans of channel blocks.
    pub fn tasks(&self) -> usize {
        self.parts() * self.spans()
    }

    /// Output pixels of one part, for gathers of one pass.
    pub fn pixels_of(&self, index: usize) -> usize {
        let part = self.part(index * self.spans());
        part.images.len() * part.rows.len() * self.out[1]
    }

    /// What task `task` does.
    pub fn part(&self, task: usize) -> Part {
        let (index, span) = (task / self.spans(), task % self.spans());
        let (group, band) = (index / self.bands(), index % self.bands());
        let rows = self.passes.iter().map(|p| p.size[0]).max().unwrap_or(0);
        Part {
            images: group * self.group..((group + 1) * self.group).min(self.n),
            rows: band * self.band..((band + 1) * self.band).min(rows),
            blocks: span * self.span..((span + 1) * self.span).min(self.blocks.len()),
            index,
        }
    }

    /// Padded input rows a part reads.
    fn input_rows(&self, rows: &std::ops::Range<usize>) -> std::ops::Range<usize> {
        if self.input.is_bare() {
            return 0..self.input.rows();
        }
        let mut range = self.input.rows()..0;
        for pass in &self.passes {
            let end = rows.end.min(pass.size[0]);
            if rows.start < end && pass.taps[0] > 0 {
                let first = pass.origin[0] + rows.start * pass.step[0];
                let last = pass.origin[0] + (end - 1) * pass.step[0] + pass.taps[0];
                range = range.start.min(first)..range.end.max(last);
            }
        }
        range.start.min(range.end)..range.end
    }

    /// Scratch values a task needs.
    pub fn scratch(&self) -> usize {
        if self.input.is_bare() {
            return 0;
        }
        let rows = (0..self.bands()).map(|b| {
            let rows = b * self.band..(b + 1) * self.band;
            self.input_rows(&rows).len()
        });
        lines(self.group * rows.max().unwrap_or(0) * self.input.pitch())
    }

    /// Computes one part: the output pixels of `part.rows` of `part.images`, channels of
    /// `part.blocks`.
    ///
    /// # Safety
    /// `x` holds the n images of `input`, without border; `y` the n output images; `packed` the
    /// panels of all passes (pass `panel`, then blocks); `scratch` [`Gather::scratch`] values.
    /// `edges` point to values for every channel (and output pixel). Nobody writes `x`, `packed`
    /// and `edges`, or touches this part of `y`, meanwhile. The instruction set of the blocks'
    /// kernels is there.
    pub unsafe fn run(
        &self,
        part: &Part,
        x: *const f32,
        packed: *const f32,
        edges: &Edges,
        y: &Shared,
        scratch: &mut [f32],
    ) {
        let image = self.input.h * self.input.w * self.input.c;
        let rows = self.input_rows(&part.rows);
        let pitch = self.input.pitch();
        let bare = self.input.is_bare();
        let (base, image_step) = if bare {
            // SAFETY: inside x.
            (unsafe { x.add(part.images.start * image) }, image)
        } else {
            let step = rows.len() * pitch;
            for (i, n) in part.images.clone().enumerate() {
                // SAFETY: image n exists; the scratch holds `group` images of these rows.
                unsafe {
                    let to = scratch[i * step..(i + 1) * step].as_mut_ptr();
                    self.input.copy_rows(x.add(n * image), rows.clone(), to);
                }
            }
            (scratch.as_ptr(), step)
        };
        let padded: usize = super::pack::padded_channels(&self.blocks);
        let [out_h, out_w, k] = self.out;
        for &(first, channels, kernel) in &self.blocks[part.blocks.clone()] {
            for pass in &self.passes {
                let end = part.rows.end.min(pass.size[0]);
                if part.rows.start >= end || pass.size[1] == 0 {
                    continue;
                }
                let panel_rows = pass.taps[0] * pass.taps[1] * self.input.c;
                // SAFETY: the pass's panels hold panel_rows x padded values.
                let w = unsafe { packed.add(pass.panel * padded + first * panel_rows) };
                let offset = |p: *const f32| if p.is_null() { p } else { p.wrapping_add(first) };
                let mut tile = GatherTile {
                    x: [base; PIXELS],
                    segs: pass.taps[0],
                    seg_len: pass.taps[1] * self.input.c,
                    seg_pitch: pitch,
                    w,
                    y: y.at(first),
                    at: [0; PIXELS],
                    pixels: 0,
                    channels,
                    start: match edges.start {
                        Start::Bias(b) => Start::Bias(offset(b)),
                        other => other,
                    },
                    finish: match edges.finish {
                        Finish::Affine { scale, shift, residual, relu } => Finish::Affine {
                            scale: offset(scale),
                            shift: offset(shift),
                            residual: offset(residual),
                            relu,
                        },
                        other => other,
                    },
                };
                let x_col = pass.step[1] * self.input.c;
                let y_col = pass.out_step[1] * k;
                let row_start = |n: usize, row: usize| {
                    // A pass without taps reads nothing, so its windows may lie anywhere.
                    let in_row = if panel_rows == 0 {
                        0
                    } else {
                        pass.origin[0] + row * pass.step[0] - rows.start
                    };
                    let at = n * image_step + in_row * pitch + pass.origin[1] * self.input.c;
                    let out_row = pass.out_origin[0] + row * pass.out_step[0];
                    let out = (part.images.start + n) * out_h + out_row;
                    (at, (out * out_w + pass.out_origin[1]) * k)
                };
                for n in 0..part.images.len() {
                    for row in part.rows.start..end {
                        let (mut from, mut to) = row_start(n, row);
                        for _ in 0..pass.size[1] {
                            tile.x[tile.pixels] = base.wrapping_add(from);
                            tile.at[tile.pixels] = to;
                            tile.pixels += 1;
                            from += x_col;
                            to += y_col;
                            if tile.pixels == PIXELS {
                                // SAFETY: windows and outputs lie inside their buffers by the
                                // geometry; see the contract of this function for the rest.
                                unsafe { (kernel.run)(&tile) };
                                tile.pixels = 0;
                            }
                        }
                    }
                }
                if tile.pixels > 0 {
                    for i in tile.pixels..PIXELS {
                        tile.x[i] = tile.x[0];
                    }
                    // SAFETY: as above; the unused slots repeat a readable window.
                    unsafe { (kernel.run)(&tile) };
                }
            }
        }
    }
}
