//! Convolution of tensors stored as bf16 on tensor cores: `kernels/conv2d_{fprop,dgrad,wgrad}_bf16.cu`.

pub(super) mod choice;
pub(super) mod dgrad;
pub(super) mod fprop;
pub(super) mod grad_norm;
pub(super) mod table;
pub(super) mod wgrad;

use bytemuck::Pod;

use super::{Shape, blocks, positions, window};
use crate::cuda::{Cuda, Kernel, tiles};
use crate::error::Result;
use crate::ops::conv2d::Family;
use choice::{Product, Way};

/// A block's tile of a matrix product: `MmaTile` of kernels/mma_tile.cuh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops::conv2d::cuda) struct Tile {
    /// Its kernel's place among wide, medium and narrow.
    place: usize,
    rows: usize,
    columns: usize,
    threads: u32,
    /// Shared memory of a block that gathers, and what any block needs to turn its sums.
    shared_bytes: usize,
    turned_bytes: usize,
    /// Blocks on a multiprocessor at most.
    blocks: usize,
}

const WIDE: Tile = Tile {
    place: 0,
    rows: tiles::MMA_WIDE_ROWS as usize,
    columns: tiles::MMA_WIDE_COLUMNS as usize,
    threads: tiles::MMA_WIDE_THREADS,
    shared_bytes: tiles::MMA_WIDE_SHARED as usize,
    turned_bytes: tiles::MMA_WIDE_TURNED as usize,
    blocks: tiles::MMA_WIDE_BLOCKS as usize,
};

const MEDIUM: Tile = Tile {
    place: 1,
    rows: tiles::MMA_MEDIUM_ROWS as usize,
    columns: tiles::MMA_MEDIUM_COLUMNS as usize,
    threads: tiles::MMA_MEDIUM_THREADS,
    shared_bytes: tiles::MMA_MEDIUM_SHARED as usize,
    turned_bytes: tiles::MMA_MEDIUM_TURNED as usize,
    blocks: tiles::MMA_MEDIUM_BLOCKS as usize,
};

const NARROW: Tile = Tile {
    place: 2,
    rows: tiles::MMA_NARROW_ROWS as usize,
    columns: tiles::MMA_NARROW_COLUMNS as usize,
    threads: tiles::MMA_NARROW_THREADS,
    shared_bytes: tiles::MMA_NARROW_SHARED as usize,
    turned_bytes: tiles::MMA_NARROW_TURNED as usize,
    blocks: tiles::MMA_NARROW_BLOCKS as usize,
};

/// wgrad's and gradient norms' with a halo: a filter row of 64 channels. The only tile of its kind.
const TALL: Tile = Tile {
    place: 0,
    rows: tiles::MMA_TALL_ROWS as usize,
    columns: tiles::MMA_TALL_COLUMNS as usize,
    threads: tiles::MMA_TALL_THREADS,
    shared_bytes: tiles::MMA_TALL_SHARED as usize,
    turned_bytes: tiles::MMA_TALL_SHARED as usize,
    blocks: tiles::MMA_TALL_BLOCKS as usize,
};

/// Of Gram matrices.
const GRAM: Tile = Tile {
    place: 0,
    rows: tiles::MMA_GRAM_TILE as usize,
    columns: tiles::MMA_GRAM_TILE as usize,
    threads: tiles::MMA_GRAM_THREADS,
    shared_bytes: tiles::MMA_GRAM_SHARED as usize,
    turned_bytes: tiles::MMA_GRAM_SHARED as usize,
    blocks: tiles::MMA_GRAM_BLOCKS as usize,
};

/// All that a direction chooses from.
const TILES: [Tile; 4] = [WIDE, MEDIUM, NARROW, TALL];

impl Tile {
    /// Tiles of a product.
    fn count(&self, rows: usize, columns: usize) -> usize {
        rows.div_ceil(self.rows) * columns.div_ceil(self.columns)
    }
}

impl Way {
    /// Launches this way's kernel of those that gather and those with a halo, each wide, medium and
    /// narrow, on a product of which every split, problem or sample is a layer of blocks.
    ///
    /// # Safety
    /// As for [`Cuda::launch`].
    unsafe fn launch<A: Pod>(
        &self,
        cuda: &Cuda,
        product: &Product,
        [gathered, halo]: [[&Kernel; 3]; 2],
        args: &A,
    ) -> Result<()> {
        let tiles = blocks(self.tile.count(product.rows, product.columns))?;
        let grid = [tiles, 1, blocks(product.count * self.splits)?];
        let kernels = if self.family == Family::Halo { halo } else { gathered };
        let shared_bytes = product.shared_bytes(&self.tile, self.family) as u32;
        // SAFETY: passed on to the caller.
        unsafe {
            cuda.launch(kernels[self.tile.place], grid, self.tile.threads, shared_bytes, args)
        }
    }
}
