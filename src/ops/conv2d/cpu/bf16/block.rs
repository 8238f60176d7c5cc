//! What a block of sums is: its sizes, its steps and where its factors are.

/// Rows, and columns, of a block of sums.
pub const BLOCK: usize = 32;
/// Rows, and columns, of a tile.
pub const TILE: usize = 16;
/// Most values of d a step.
pub const DEPTH: usize = 32;

/// Where a tap's factors are: values from the left base and from the right base.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Tap {
    pub left: usize,
    pub right: usize,
}

/// The shape of a block and of its steps.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Tiles of 16 rows and of 16 columns: 1 or 2 each.
    pub tiles: [usize; 2],
    /// Values of d a step: a multiple of 8 up to 32.
    pub depth: usize,
    /// Steps a tap. From one to the next the left factors move by `depth` values, the right ones by a step's
    /// tiles.
    pub steps: usize,
    /// Values from one left row to the next.
    pub pitch: usize,
}

/// The largest depth that divides a number of channels, which is a multiple of 8.
pub fn depth_of(channels: usize) -> usize {
    [32, 24, 16, 8].into_iter().find(|d| channels.is_multiple_of(*d)).unwrap_or(8)
}
