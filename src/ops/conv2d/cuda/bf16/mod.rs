//! Convolution of tensors stored as bf16 on tensor cores: `kernels/conv2d_{fprop,dgrad,wgrad}_bf16.cu`.

pub(super) mod dgrad;
pub(super) mod fprop;
pub(super) mod grad_norm;
pub(super) mod wgrad;

use bytemuck::Pod;

use super::{Shape, blocks, positions, window};
use crate::cuda::{Cuda, Kernel, tiles};
use crate::error::Result;

/// A block's tile of a matrix product: `MmaTile` of kernels/mma_tile.cuh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tile {
    /// Its kernel's place among wide, medium and narrow.
    place: usize,
    rows: usize,
    columns: usize,
    threads: u32,
    shared_bytes: u32,
    /// Tiles that a card computes at once.
    at_once: usize,
}

const WIDE: Tile = Tile {
    place: 0,
    rows: tiles::MMA_WIDE_ROWS as usize,
    columns: tiles::MMA_WIDE_COLUMNS as usize,
    threads: tiles::MMA_WIDE_THREADS,
    shared_bytes: tiles::MMA_WIDE_SHARED,
    at_once: (tiles::MMA_MULTIPROCESSORS * tiles::MMA_WIDE_BLOCKS) as usize,
};

const MEDIUM: Tile = Tile {
    place: 1,
    rows: tiles::MMA_MEDIUM_ROWS as usize,
    columns: tiles::MMA_MEDIUM_COLUMNS as usize,
    threads: tiles::MMA_MEDIUM_THREADS,
    shared_bytes: tiles::MMA_MEDIUM_SHARED,
    at_once: (tiles::MMA_MULTIPROCESSORS * tiles::MMA_MEDIUM_BLOCKS) as usize,
};

const NARROW: Tile = Tile {
    place: 2,
    rows: tiles::MMA_NARROW_ROWS as usize,
    columns: tiles::MMA_NARROW_COLUMNS as usize,
    threads: tiles::MMA_NARROW_THREADS,
    shared_bytes: tiles::MMA_NARROW_SHARED,
    at_once: (tiles::MMA_MULTIPROCESSORS * tiles::MMA_NARROW_BLOCKS) as usize,
};

impl Tile {
    /// The tile for a product of this many columns: the widest that computes no more columns than
    /// the next one would.
    fn of(columns: usize) -> Tile {
        let covered = |tile: Tile| columns.next_multiple_of(tile.columns);
        if columns <= NARROW.columns {
            NARROW
        } else if covered(WIDE) > covered(MEDIUM) {
            MEDIUM
        } else {
            WIDE
        }
    }

    /// The same where there are that many rows and nothing is split: a medium tile, too, where
    /// wide ones would leave multiprocessors idle. Sums do not depend on the tile.
    fn unsplit(rows: usize, columns: usize) -> Tile {
        match Tile::of(columns) {
            WIDE if WIDE.count(rows, columns) < tiles::MMA_MULTIPROCESSORS as usize => MEDIUM,
            tile => tile,
        }
    }

    /// Tiles of a product.
    fn count(&self, rows: usize, columns: usize) -> usize {
        rows.div_ceil(self.rows) * columns.div_ceil(self.columns)
    }

    /// Launches this tile's kernel of wide, medium and narrow on a product of rows and columns,
    /// `depth` of them.
    ///
    /// # Safety
    /// As for [`Cuda::launch`].
    unsafe fn launch<A: Pod>(
        &self,
        cuda: &Cuda,
        kernels: [&Kernel; 3],
        [rows, columns]: [usize; 2],
        depth: usize,
        args: &A,
    ) -> Result<()> {
        let grid = [blocks(self.count(rows, columns))?, 1, blocks(depth)?];
        // SAFETY: passed on to the caller.
        unsafe { cuda.launch(kernels[self.place], grid, self.threads, self.shared_bytes, args) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_suit_their_columns() {
        let many = 1 << 20;
        for (columns, tile) in [
            (8, NARROW),
            (32, NARROW),
            (40, MEDIUM),
            (64, MEDIUM),
            (72, WIDE),
            (128, WIDE),
            (160, MEDIUM),
            (192, MEDIUM),
            (256, WIDE),
            (512, WIDE),
        ] {
            assert_eq!(Tile::unsplit(many, columns), tile, "{columns} columns");
        }
        // 512 channels of 4 x 4: one wide tile a multiprocessor from 33 rows of tiles on.
        assert_eq!(Tile::unsplit(33 * 128, 512), WIDE);
        assert_eq!(Tile::unsplit(32 * 128, 512), MEDIUM);
    }
}
