//! The launch of a product of bf16.

use bytemuck::Pod;

use super::super::shape::blocks;
use super::choice::{Product, TilePlan};
use crate::cuda::{Cuda, Kernel};
use crate::error::Result;
use crate::ops::conv2d::TileFamily;

impl TilePlan {
    /// Launches this way's kernel of those that gather and those with a halo, each wide, medium and
    /// narrow, on a product of which every split, problem or sample is a layer of blocks.
    ///
    /// # Safety
    /// What [`Cuda::launch`] asks of its callers.
    pub unsafe fn launch<A: Pod>(
        &self,
        cuda: &Cuda,
        product: &Product,
        [gathered, halo]: [[&Kernel<A>; 3]; 2],
        args: &A,
    ) -> Result<()> {
        let tiles = blocks(self.tile.count(product.rows, product.columns))?;
        let grid = [tiles, 1, blocks(product.count * self.splits)?];
        let kernels = if self.family == TileFamily::Halo { halo } else { gathered };
        let shared_bytes = product.shared_bytes(&self.tile, self.family) as u32;
        // SAFETY: passed on to the caller.
        unsafe {
            cuda.launch(kernels[self.tile.place], grid, self.tile.threads, shared_bytes, args)
        }
    }
}
