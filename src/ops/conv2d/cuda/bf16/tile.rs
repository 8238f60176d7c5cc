//! Tiles of products of bf16 on tensor cores.

use crate::cuda::tiles;

/// A block's tile of a matrix product: `MmaTile` of kernels/mma_tile.cuh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmaTile {
    /// Its kernel's place among wide, medium and narrow.
    pub place: usize,
    pub rows: usize,
    pub columns: usize,
    pub threads: u32,
    /// Shared memory of a block that gathers, and what any block needs to turn its sums.
    pub shared_bytes: usize,
    pub turned_bytes: usize,
    /// Blocks on a multiprocessor at most.
    pub blocks: usize,
}

/// 128 x 128: the fewest copies a product.
pub const WIDE: MmaTile = MmaTile {
    place: 0,
    rows: tiles::MMA_WIDE_ROWS as usize,
    columns: tiles::MMA_WIDE_COLUMNS as usize,
    threads: tiles::MMA_WIDE_THREADS,
    shared_bytes: tiles::MMA_WIDE_SHARED as usize,
    turned_bytes: tiles::MMA_WIDE_TURNED as usize,
    blocks: tiles::MMA_WIDE_BLOCKS as usize,
};

/// 128 x 64: two of them are resident where one wide tile is.
pub const MEDIUM: MmaTile = MmaTile {
    place: 1,
    rows: tiles::MMA_MEDIUM_ROWS as usize,
    columns: tiles::MMA_MEDIUM_COLUMNS as usize,
    threads: tiles::MMA_MEDIUM_THREADS,
    shared_bytes: tiles::MMA_MEDIUM_SHARED as usize,
    turned_bytes: tiles::MMA_MEDIUM_TURNED as usize,
    blocks: tiles::MMA_MEDIUM_BLOCKS as usize,
};

/// 256 x 32, for few channels.
pub const NARROW: MmaTile = MmaTile {
    place: 2,
    rows: tiles::MMA_NARROW_ROWS as usize,
    columns: tiles::MMA_NARROW_COLUMNS as usize,
    threads: tiles::MMA_NARROW_THREADS,
    shared_bytes: tiles::MMA_NARROW_SHARED as usize,
    turned_bytes: tiles::MMA_NARROW_TURNED as usize,
    blocks: tiles::MMA_NARROW_BLOCKS as usize,
};

/// wgrad's and gradient norms' with a halo: a filter row of 64 channels. The only tile of its kind.
pub const TALL: MmaTile = MmaTile {
    place: 0,
    rows: tiles::MMA_TALL_ROWS as usize,
    columns: tiles::MMA_TALL_COLUMNS as usize,
    threads: tiles::MMA_TALL_THREADS,
    shared_bytes: tiles::MMA_TALL_SHARED as usize,
    turned_bytes: tiles::MMA_TALL_SHARED as usize,
    blocks: tiles::MMA_TALL_BLOCKS as usize,
};

/// The only tile of Gram matrices.
pub const GRAM: MmaTile = MmaTile {
    place: 0,
    rows: tiles::MMA_GRAM_TILE as usize,
    columns: tiles::MMA_GRAM_TILE as usize,
    threads: tiles::MMA_GRAM_THREADS,
    shared_bytes: tiles::MMA_GRAM_SHARED as usize,
    turned_bytes: tiles::MMA_GRAM_SHARED as usize,
    blocks: tiles::MMA_GRAM_BLOCKS as usize,
};

/// All that a direction chooses from.
pub const TILES: [MmaTile; 4] = [WIDE, MEDIUM, NARROW, TALL];

impl MmaTile {
    /// Tiles of a product.
    pub fn count(&self, rows: usize, columns: usize) -> usize {
        rows.div_ceil(self.rows) * columns.div_ceil(self.columns)
    }
}
