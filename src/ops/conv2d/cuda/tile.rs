//! Tiles of exact f32 products.

use bytemuck::Pod;

use super::shape::blocks;
use crate::cuda::{Cuda, Kernel, tiles};
use crate::error::Result;

/// A tile of the product, rows x columns, where columns are a direction's channels.
pub struct Tile {
    narrow: bool,
    rows: usize,
    columns: usize,
    shared_bytes: u32,
}

impl Tile {
    /// The tile that suits this many channels.
    pub fn of(channels: usize) -> Tile {
        let narrow = channels <= tiles::CONV_NARROW_CHANNELS as usize;
        let [rows, columns, shared_bytes] = if narrow {
            [tiles::CONV_NARROW_ROWS, tiles::CONV_NARROW_COLUMNS, tiles::CONV_NARROW_SHARED]
        } else {
            [tiles::CONV_WIDE_ROWS, tiles::CONV_WIDE_COLUMNS, tiles::CONV_WIDE_SHARED]
        };
        Tile { narrow, rows: rows as usize, columns: columns as usize, shared_bytes }
    }

    /// Tiles of a product of this many rows and columns, in each direction.
    pub fn grid(&self, rows: usize, columns: usize) -> [usize; 2] {
        [rows.div_ceil(self.rows), columns.div_ceil(self.columns)]
    }

    /// Launches the kernel for this tile, on tiles in each direction and `depth` of each.
    ///
    /// # Safety
    /// What [`Cuda::launch`] asks of its callers.
    pub unsafe fn launch<A: Pod>(
        &self,
        cuda: &Cuda,
        [wide, narrow]: [&Kernel<A>; 2],
        [across, down]: [usize; 2],
        depth: usize,
        args: &A,
    ) -> Result<()> {
        let kernel = if self.narrow { narrow } else { wide };
        let grid = [blocks(across)?, blocks(down)?, blocks(depth)?];
        // SAFETY: passed on to the caller.
        unsafe { cuda.launch(kernel, grid, tiles::CONV_THREADS, self.shared_bytes, args) }
    }
}
