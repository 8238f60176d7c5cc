//! The driver behind fprop and dgrad: a dense convolution that gathers from its input.
//!
//! No padded copy is made and no padding is multiplied: output positions are sorted by the taps
//! that fall inside the input (for a 3x3 kernel: interior, four edges, four corners), and eight
//! positions that share their taps form a tile, across rows and images alike. At 4x4 positions
//! this saves three products in ten. Tasks: see `cut`.

use std::ops::Range;

use super::kernel::{DirectTile, PIXELS, SumFinish, SumStart};
use super::pack::{ChannelBlock, padded_channels};
use super::task::Shared;
use super::tasks::{TaskGrid, TaskPart, TaskWork};

/// One dimension of a pass.
#[derive(Clone, Debug)]
pub struct Dimension {
    /// Output positions.
    pub size: usize,
    /// Kernel positions.
    pub taps: usize,
    /// Output position i in the output image is `out_first + i * out_step`.
    pub out_first: usize,
    pub out_step: usize,
    /// Input position under the first tap of output position i is `origin + i * step`.
    origin: isize,
    step: usize,
    /// Runs of output positions that share their valid taps.
    spans: Vec<Span>,
}

/// Consecutive output positions whose taps `taps` (and no others) lie inside the input.
#[derive(Clone, Debug)]
struct Span {
    out: Range<usize>,
    taps: Range<usize>,
}

impl Dimension {
    /// `size` outputs over an input of `len` positions.
    pub fn new(size: usize, taps: usize, origin: isize, step: usize, len: usize) -> Dimension {
        let mut spans: Vec<Span> = Vec::new();
        for i in 0..size {
            let at = origin + (i * step) as isize;
            let first = (-at).clamp(0, taps as isize) as usize;
            let end = (len as isize - at).clamp(first as isize, taps as isize) as usize;
            match spans.last_mut() {
                Some(last) if last.taps == (first..end) => last.out.end = i + 1,
                _ => spans.push(Span { out: i..i + 1, taps: first..end }),
            }
        }
        Dimension { size, taps, out_first: 0, out_step: 1, origin, step, spans }
    }

    /// These outputs at other places of the output image.
    pub fn to(self, out_first: usize, out_step: usize) -> Dimension {
        Dimension { out_first, out_step, ..self }
    }

    /// Input position under the first valid tap of output `i`; 0 if it has none.
    fn input(&self, i: usize, taps: &Range<usize>) -> usize {
        if taps.is_empty() {
            0
        } else {
            (self.origin + (i * self.step + taps.start) as isize) as usize
        }
    }
}

/// One convolution over the input. fprop is one pass; dgrad is one a residue class of the stride,
/// each writing its own positions of dx.
#[derive(Clone, Debug)]
pub struct DirectPass {
    pub rows: Dimension,
    pub cols: Dimension,
    /// First row of this pass's panels, in units of rows of all panels together.
    pub panel: usize,
}

/// All passes over one input, and how the work is cut.
pub struct Direct {
    /// Input and output: rows, columns, channels.
    pub input: [usize; 3],
    pub out: [usize; 3],
    pub passes: Vec<DirectPass>,
    pub blocks: Vec<ChannelBlock>,
    pub cut: TaskGrid,
}

/// Bias or earlier output, and what follows the sums. Pointers are to channel 0 and pixel 0.
#[derive(Clone, Copy)]
pub struct Edges {
    pub start: SumStart,
    pub finish: SumFinish,
}

// SAFETY: the pointers are only read, for values nobody writes meanwhile (see `Direct::run`).
unsafe impl Sync for Edges {}

/// What a dense convolution reads and writes.
pub struct DenseOperands<'a> {
    /// n images.
    pub x: &'a [f32],
    /// The panels of weights, packed or transformed.
    pub panels: &'a [f32],
    pub edges: &'a Edges,
    /// n output images.
    pub y: &'a Shared,
}

/// Output positions of an image that share their taps: rows `own` of the span `rows`, and `cols`.
struct Positions<'a> {
    own: Range<usize>,
    rows: &'a Span,
    cols: &'a Span,
}

impl Direct {
    /// All passes over one input, cut into tasks.
    pub fn new(
        n: usize,
        input: [usize; 3],
        out: [usize; 3],
        passes: Vec<DirectPass>,
        blocks: Vec<ChannelBlock>,
    ) -> Direct {
        let rows = passes.iter().map(|p| p.rows.size).max().unwrap_or(0);
        let step = passes.iter().map(|p| p.rows.step).max().unwrap_or(1);
        let pitch = (input[1] * input[2]).max(1);
        let cut = TaskGrid::new(&TaskWork {
            n,
            rows,
            image: input[0] * pitch,
            row: step * pitch,
            blocks: blocks.len(),
            // Whole tiles of corner positions where that is possible.
            images: PIXELS,
            align: 1,
        });
        Direct { input, out, passes, blocks, cut }
    }

    /// Computes one part: the output pixels of `part.rows` of `part.images`, channels of
    /// `part.blocks`.
    ///
    /// # Safety
    /// `x` holds the n input images, `y` the n output images, `panels` those of all passes (pass
    /// `panel`, then blocks). `edges` point to values for every channel (and output pixel). Nobody
    /// writes what `edges` point to, or touches this part of `y`, meanwhile. The instruction set of
    /// the blocks' kernels is there.
    pub unsafe fn run(&self, part: &TaskPart, operands: &DenseOperands) {
        let packed = operands.panels.as_ptr();
        let padded = padded_channels(&self.blocks);
        for block in &self.blocks[part.blocks.clone()] {
            for pass in &self.passes {
                let panel_rows = pass.rows.taps * pass.cols.taps * self.input[2];
                // SAFETY: the pass's panels hold panel_rows x padded values.
                let panel = unsafe { packed.add(pass.panel * padded + block.0 * panel_rows) };
                for rows in &pass.rows.spans {
                    let own = rows.out.start.max(part.rows.start)..rows.out.end.min(part.rows.end);
                    for cols in &pass.cols.spans {
                        let positions = Positions { own: own.clone(), rows, cols };
                        // SAFETY: passed on to the caller; panel is this pass's and block's.
                        unsafe { self.span(part, pass, &positions, block, panel, operands) };
                    }
                }
            }
        }
    }

    /// The output positions of all images of a part, which share their taps.
    ///
    /// # Safety
    /// What [`Direct::run`] asks of its callers.
    unsafe fn span(
        &self,
        part: &TaskPart,
        pass: &DirectPass,
        &Positions { ref own, rows, cols }: &Positions,
        &(first, channels, kernel): &ChannelBlock,
        panel: *const f32,
        operands: &DenseOperands,
    ) {
        let DenseOperands { x, edges, y, .. } = *operands;
        let x = x.as_ptr();
        let [in_h, in_w, c] = self.input;
        let [out_h, out_w, k] = self.out;
        if matches!(edges.finish, SumFinish::Add) && (rows.taps.is_empty() || cols.taps.is_empty())
        {
            return;
        }
        let line = pass.cols.taps * c * kernel.width;
        let mut tile = DirectTile {
            x: [x; PIXELS],
            segs: rows.taps.len(),
            seg_len: cols.taps.len() * c,
            seg_pitch: in_w * c,
            w: panel.wrapping_add(rows.taps.start * line + cols.taps.start * c * kernel.width),
            w_pitch: line,
            y: y.at(first),
            at: [0; PIXELS],
            pixels: 0,
            channels,
            start: edges.start.from(first),
            finish: edges.finish.from(first),
        };
        let x_col = pass.cols.step * c;
        let y_col = pass.cols.out_step * k;
        let in_col = pass.cols.input(cols.out.start, &cols.taps);
        let out_col = pass.cols.out_first + cols.out.start * pass.cols.out_step;
        for n in part.images.clone() {
            for row in own.clone() {
                let in_row = n * in_h + pass.rows.input(row, &rows.taps);
                let out_row = n * out_h + pass.rows.out_first + row * pass.rows.out_step;
                let mut from = x.wrapping_add((in_row * in_w + in_col) * c);
                let mut to = (out_row * out_w + out_col) * k;
                for _ in cols.out.clone() {
                    tile.x[tile.pixels] = from;
                    tile.at[tile.pixels] = to;
                    tile.pixels += 1;
                    from = from.wrapping_add(x_col);
                    to += y_col;
                    if tile.pixels == PIXELS {
                        // SAFETY: windows of valid taps lie inside x and outputs inside y; see
                        // the contract of this function for the rest.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_hold_exactly_the_taps_inside_the_input() {
        for (size, taps, origin, step, len) in [
            (5, 3, -1, 1, 5),
            (3, 3, -1, 2, 5),
            (4, 2, 0, 3, 20),
            (6, 5, -4, 1, 3),
            (3, 0, 1, 1, 4),
        ] {
            let axis = Dimension::new(size, taps, origin, step, len);
            let mut next = 0;
            for span in &axis.spans {
                assert_eq!(span.out.start, next, "spans follow each other");
                next = span.out.end;
                for i in span.out.clone() {
                    let inside = |t: &usize| {
                        let at = origin + (i * step + t) as isize;
                        (0..len as isize).contains(&at)
                    };
                    let valid: Vec<usize> = (0..taps).filter(inside).collect();
                    assert_eq!(span.taps.clone().collect::<Vec<_>>(), valid, "output {i}");
                }
            }
            assert_eq!(next, size);
        }
    }
}
