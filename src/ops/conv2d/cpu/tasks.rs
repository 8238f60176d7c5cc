//! How fprop and dgrad are cut into tasks: images or bands of rows, times blocks of output
//! channels. By the problem alone, since partial statistics follow the cut.

use std::ops::Range;

/// Input values of a task at most: with output and weights, what an L2 holds.
const TASK_INPUT: usize = 80 * 1024;
/// Tasks below which the work is cut finer.
const TASKS: usize = 16;

/// A cut of n images of `rows` rows and of `blocks` channel blocks.
#[derive(Clone, Copy, Debug)]
pub struct TaskGrid {
    n: usize,
    rows: usize,
    blocks: usize,
    /// Images a task.
    group: usize,
    /// Rows a task.
    band: usize,
    /// Channel blocks a task.
    span: usize,
}

/// What is cut.
pub struct TaskWork {
    pub n: usize,
    /// Output rows.
    pub rows: usize,
    /// Input values of an image, and those that one output row adds.
    pub image: usize,
    pub row: usize,
    pub blocks: usize,
    /// Groups above this are whole multiples of it.
    pub images: usize,
    /// Bands are whole multiples of this.
    pub align: usize,
}

/// The part of the work one task does.
#[derive(Clone, Debug)]
pub struct TaskPart {
    pub images: Range<usize>,
    pub rows: Range<usize>,
    pub blocks: Range<usize>,
    /// Which (images, rows) part this is, counted without regard to blocks.
    pub index: usize,
}

impl TaskGrid {
    /// Cuts `work` by its sizes alone.
    pub fn new(work: &TaskWork) -> TaskGrid {
        let &TaskWork { n, image, row, blocks, images, align, .. } = work;
        let rows = work.rows.max(1);
        let (group, band) = if image > TASK_INPUT {
            (1, (TASK_INPUT / row.max(1)).clamp(1, rows))
        } else {
            let most = (TASK_INPUT / image.max(1)).clamp(1, n.div_ceil(TASKS).max(1));
            (if most > images { most / images * images } else { 1 << most.ilog2() }, rows)
        };
        let band = rows.div_ceil(rows.div_ceil(band)).next_multiple_of(align);
        let parts = n.div_ceil(group) * work.rows.div_ceil(band);
        let spans = if parts >= TASKS { 1 } else { TASKS.div_ceil(parts.max(1)) };
        let span = blocks.div_ceil(spans.min(blocks).max(1)).max(1);
        TaskGrid { n, rows: work.rows, blocks, group, band, span }
    }

    fn bands(&self) -> usize {
        self.rows.div_ceil(self.band)
    }

    fn spans(&self) -> usize {
        self.blocks.div_ceil(self.span)
    }

    /// Parts of (images, rows).
    pub fn parts(&self) -> usize {
        self.n.div_ceil(self.group) * self.bands()
    }

    /// Tasks: parts times spans of channel blocks.
    pub fn tasks(&self) -> usize {
        self.parts() * self.spans()
    }

    /// Images times rows of one part.
    pub fn rows_of(&self, index: usize) -> usize {
        let part = self.part(index * self.spans());
        part.images.len() * part.rows.len()
    }

    /// What task `task` does.
    pub fn part(&self, task: usize) -> TaskPart {
        let (index, span) = (task / self.spans(), task % self.spans());
        let (group, band) = (index / self.bands(), index % self.bands());
        TaskPart {
            images: group * self.group..((group + 1) * self.group).min(self.n),
            rows: band * self.band..((band + 1) * self.band).min(self.rows),
            blocks: span * self.span..((span + 1) * self.span).min(self.blocks),
            index,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_cover_every_output_once() {
        for (n, h, w, c, blocks, align) in [
            (0, 4, 4, 8, 1, 1),
            (1, 4, 4, 512, 32, 1),
            (17, 8, 8, 64, 4, 2),
            (3, 200, 300, 32, 2, 1),
            (2, 201, 300, 32, 3, 2),
        ] {
            let (image, row) = (h * w * c, w * c);
            let cut = TaskGrid::new(&TaskWork { n, rows: h, image, row, blocks, images: 8, align });
            let mut seen = vec![0u8; n * h * blocks];
            for part in (0..cut.tasks()).map(|t| cut.part(t)) {
                assert!(part.rows.start.is_multiple_of(align));
                for image in part.images.clone() {
                    for row in part.rows.clone() {
                        part.blocks.clone().for_each(|b| seen[(image * h + row) * blocks + b] += 1);
                    }
                }
            }
            assert!(seen.iter().all(|&s| s == 1), "n {n} h {h} w {w} c {c}");
            let rows: usize = (0..cut.parts()).map(|i| cut.rows_of(i)).sum();
            assert_eq!(rows, n * h);
        }
    }
}
