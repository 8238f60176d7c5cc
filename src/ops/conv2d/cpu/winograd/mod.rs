//! 3x3 convolutions of stride 1 by Winograd's minimal filtering F(2x2, 3x3): 16 products instead of
//! 36 for four output pixels, at the price of transforms (`kernel::winograd` has the formulas).
//! The transforms only add and halve, so small integers stay exact.
//!
//! - `dense`: fprop and dgrad; `gradient`: weight gradients, for wgrad and their norms.

mod dense;
mod gradient;

use super::kernel::InputTiles;
use crate::ops::conv2d::Conv2dProblem;

pub use dense::Winograd;
pub use gradient::Gradient;

/// Products are of whole groups of tiles.
const GROUP: usize = 8;

/// What the transforms add to the products, about (`benches/conv.rs`).
const TRANSFORMS: f64 = 1.25;

/// Whether it pays. By the sizes of an image alone, since the sums are rounded differently: a
/// sample's result must not depend on its batch.
pub fn pays(p: &Conv2dProblem) -> bool {
    let shape = [p.r, p.s, p.stride[0], p.stride[1], p.pad[0], p.pad[1]] == [3, 3, 1, 1, 1, 1];
    // The direct form skips the taps outside the image.
    let taps = |len: usize| (3 * len).saturating_sub(2) as f64;
    let products = 16.0 * (p.h.div_ceil(2) * p.w.div_ceil(2)) as f64;
    shape
        && p.c.is_multiple_of(16)
        && p.k.is_multiple_of(16)
        && TRANSFORMS * products < taps(p.h) * taps(p.w)
}

/// The tiles of output rows `row` and `row + 1`: input rows `row - 1` to `row + 2` of an image of
/// `size` (rows, columns, channels), those outside replaced by `zeros`.
fn input_tiles(
    image: *const f32,
    [h, w, c]: [usize; 3],
    row: usize,
    zeros: &[f32],
    out: *mut f32,
    plane: usize,
) -> InputTiles {
    let rows = std::array::from_fn(|r| match (row + r).checked_sub(1) {
        Some(at) if at < h => image.wrapping_add(at * w * c),
        _ => zeros.as_ptr(),
    });
    InputTiles { rows, columns: w, channels: c, tiles: w.div_ceil(2), out, plane }
}
