//! The steps of a convolution by Winograd's minimal filtering F(2x2, 3x3): transforms of input,
//! weights and output (Lavin and Gray 2016, section 4.1), and the products between them.
//!
//! ```text
//!        1  0 -1  0          1   0   0
//! B^T =  0  1  1  0     G = 1/2 1/2 1/2     A^T = 1  1  1  0
//!        0 -1  1  0         1/2 -1/2 1/2          0  1 -1 -1
//!        0  1  0 -1          0   0   1
//! ```
//!
//! Gradients of the weights take the transposes: A dy A^T for dy, G^T m G for the sums.
//!
//! A transformed tile is 16 planes; plane 4 i + j holds entry (i, j). Additions are in a fixed
//! order, the same for every instruction set.

#![expect(
    clippy::needless_range_loop,
    reason = "constant bounds on every index keep sums in registers"
)]

use super::direct::SumFinish;
use crate::backend::simd::Simd;

/// Entries of a transformed tile.
pub const PLANES: usize = 16;

/// One row of input tiles: 4 x 4 pixels each, 2 apart, the first from column -1 on.
pub struct InputTiles {
    /// Column 0 of the four input rows; rows outside the image point to zeros.
    pub rows: [*const f32; 4],
    /// Columns of the image; those outside are taken as 0.
    pub columns: usize,
    /// Channels, a multiple of 16.
    pub channels: usize,
    pub tiles: usize,
    /// Tile t of plane i goes to `out + i * plane + t * channels`.
    pub out: *mut f32,
    pub plane: usize,
}

/// One row of gradient tiles: 2 x 2 pixels of dy each.
pub struct GradientTiles {
    /// Column 0 of the two rows; a row outside the image points to zeros.
    pub rows: [*const f32; 2],
    /// Columns of the image, and elements from one to the next; those outside are taken as 0.
    pub columns: usize,
    pub pitch: usize,
    /// Channels, a multiple of 16.
    pub channels: usize,
    pub tiles: usize,
    /// Tile t of plane i goes to `out + i * plane + t * channels`.
    pub out: *mut f32,
    pub plane: usize,
}

/// One row of output tiles: 2 x 2 pixels each.
pub struct OutputTiles {
    /// Tile t of plane i is at `m + i * plane + t * width`.
    pub m: *const f32,
    pub plane: usize,
    pub width: usize,
    pub tiles: usize,
    /// First channel of the block in the output, for pixel offset 0.
    pub y: *mut f32,
    /// Offsets of column 0 of the output rows from `y`; there may be one.
    pub at: [usize; 2],
    pub rows: usize,
    /// Columns of the image, and elements from one to the next.
    pub columns: usize,
    pub pitch: usize,
    /// One value a channel of the block, or null.
    pub bias: *const f32,
    pub finish: SumFinish,
}

/// `m[i][t][..] = sum over c of v[i][t][c] * u[i][c][..]` for all planes i.
pub struct Products {
    pub v: *const f32,
    pub v_plane: usize,
    /// Weights: a row of the block's width for each channel.
    pub u: *const f32,
    pub u_plane: usize,
    pub m: *mut f32,
    pub m_plane: usize,
    /// Tiles, a multiple of the kernel's.
    pub tiles: usize,
    pub channels: usize,
}

/// The kernels for blocks of one width.
#[derive(Clone, Copy)]
pub struct ProductKernel {
    pub width: usize,
    /// # Safety
    /// The instruction set of the table; pointers valid for the sizes of the fields.
    pub run: unsafe fn(&Products),
}

/// B^T times column `j` of the four rows, channels from `c` on.
///
/// # Safety
/// What [`input`] asks of its callers.
#[inline(always)]
unsafe fn input_column<S: Simd>(t: &InputTiles, j: usize, c: usize) -> [S::V; 4] {
    // SAFETY: column j lies inside the rows.
    unsafe {
        if j >= t.columns {
            return [S::splat(0.0); 4];
        }
        let at = j * t.channels + c;
        let d: [S::V; 4] = std::array::from_fn(|i| S::load(t.rows[i].add(at)));
        [S::sub(d[0], d[2]), S::add(d[1], d[2]), S::sub(d[2], d[1]), S::sub(d[1], d[3])]
    }
}

/// # Safety
/// The instruction set of `S`; rows readable for the columns and channels, `out` writable for the
/// tiles.
#[inline(always)]
pub unsafe fn input<S: Simd>(t: &InputTiles) {
    // SAFETY: columns below `columns` and channels below `channels` (caller).
    unsafe {
        for c in (0..t.channels).step_by(S::LANES) {
            let mut first = [S::splat(0.0); 4];
            let mut second = input_column::<S>(t, 0, c);
            for tile in 0..t.tiles {
                let third = input_column::<S>(t, 2 * tile + 1, c);
                let fourth = input_column::<S>(t, 2 * tile + 2, c);
                let out = t.out.add(tile * t.channels + c);
                for i in 0..4 {
                    let row = out.add(4 * i * t.plane);
                    S::store(row, S::sub(first[i], third[i]));
                    S::store(row.add(t.plane), S::add(second[i], third[i]));
                    S::store(row.add(2 * t.plane), S::sub(third[i], second[i]));
                    S::store(row.add(3 * t.plane), S::sub(second[i], fourth[i]));
                }
                first = third;
                second = fourth;
            }
        }
    }
}

/// A times a pair.
///
/// # Safety
/// The instruction set of `S`.
#[inline(always)]
unsafe fn expand<S: Simd>(a: S::V, b: S::V) -> [S::V; 4] {
    // SAFETY: passed on to the caller.
    unsafe { [a, S::add(a, b), S::sub(a, b), S::sub(S::splat(0.0), b)] }
}

/// A times column `j` of both rows, channels from `k` on.
///
/// # Safety
/// What [`gradient`] asks of its callers.
#[inline(always)]
unsafe fn gradient_column<S: Simd>(t: &GradientTiles, j: usize, k: usize) -> [S::V; 4] {
    // SAFETY: column j lies inside the rows.
    unsafe {
        if j >= t.columns {
            return [S::splat(0.0); 4];
        }
        let at = j * t.pitch + k;
        expand::<S>(S::load(t.rows[0].add(at)), S::load(t.rows[1].add(at)))
    }
}

/// A dy A^T of a row of tiles.
///
/// # Safety
/// The instruction set of `S`; rows readable for the columns and channels, `out` writable for the
/// tiles.
#[inline(always)]
pub unsafe fn gradient<S: Simd>(t: &GradientTiles) {
    // SAFETY: columns below `columns` and channels below `channels` (caller).
    unsafe {
        for k in (0..t.channels).step_by(S::LANES) {
            for tile in 0..t.tiles {
                let left = gradient_column::<S>(t, 2 * tile, k);
                let right = gradient_column::<S>(t, 2 * tile + 1, k);
                let out = t.out.add(tile * t.channels + k);
                for i in 0..4 {
                    let row = expand::<S>(left[i], right[i]);
                    for j in 0..4 {
                        S::store(out.add((4 * i + j) * t.plane), row[j]);
                    }
                }
            }
        }
    }
}

/// G^T times four values.
///
/// # Safety
/// The instruction set of `S`.
#[inline(always)]
unsafe fn fold<S: Simd>(d: [S::V; 4]) -> [S::V; 3] {
    // SAFETY: passed on to the caller.
    unsafe {
        let half = S::splat(0.5);
        let sum = S::mul(half, S::add(d[1], d[2]));
        [S::add(d[0], sum), S::mul(half, S::sub(d[1], d[2])), S::add(sum, d[3])]
    }
}

/// G^T m G for one output channel: `m` holds 16 planes of `channels` values, `plane` apart; `out`
/// nine rows (r, s) of `channels`.
///
/// # Safety
/// The instruction set of `S`; planes readable and `out` writable; channels a multiple of 16.
#[inline(always)]
pub unsafe fn filter<S: Simd>(m: *const f32, plane: usize, channels: usize, out: *mut f32) {
    // SAFETY: channels below `channels` (caller).
    unsafe {
        for c in (0..channels).step_by(S::LANES) {
            let mut columns = [[S::splat(0.0); 3]; 4];
            for j in 0..4 {
                let d = std::array::from_fn(|i| S::load(m.add((4 * i + j) * plane + c)));
                columns[j] = fold::<S>(d);
            }
            for r in 0..3 {
                let row = fold::<S>(std::array::from_fn(|j| columns[j][r]));
                for s in 0..3 {
                    S::store(out.add((3 * r + s) * channels + c), row[s]);
                }
            }
        }
    }
}

/// `M` tiles times `V` vectors at a time.
///
/// # Safety
/// See [`ProductKernel::run`].
#[inline(always)]
pub unsafe fn products<S: Simd, const M: usize, const V: usize>(p: &Products) {
    // SAFETY: planes, tiles and channels are inside the buffers (caller).
    unsafe {
        for plane in 0..PLANES {
            for tile in (0..p.tiles).step_by(M) {
                let v = p.v.add(plane * p.v_plane + tile * p.channels);
                let mut u = p.u.add(plane * p.u_plane);
                let mut acc = [[S::splat(0.0); V]; M];
                for c in 0..p.channels {
                    let row: [S::V; V] = std::array::from_fn(|j| S::load(u.add(j * S::LANES)));
                    for i in 0..M {
                        let value = S::splat(*v.add(i * p.channels + c));
                        for j in 0..V {
                            acc[i][j] = S::fma(value, row[j], acc[i][j]);
                        }
                    }
                    u = u.add(V * S::LANES);
                }
                let out = p.m.add(plane * p.m_plane + tile * V * S::LANES);
                for i in 0..M {
                    for j in 0..V {
                        S::store(out.add((i * V + j) * S::LANES), acc[i][j]);
                    }
                }
            }
        }
    }
}

/// # Safety
/// The instruction set of `S`; `m` readable for the tiles, the output pixels writable and touched
/// by no other, `finish` and `bias` readable for the block's channels (and pixels).
#[inline(always)]
pub unsafe fn output<S: Simd>(t: &OutputTiles) {
    // SAFETY: pixels are inside rows and columns, channels inside the block (caller).
    unsafe {
        for k in (0..t.width).step_by(S::LANES) {
            let bias = if t.bias.is_null() { None } else { Some(S::load(t.bias.add(k))) };
            for tile in 0..t.tiles {
                let m = t.m.add(tile * t.width + k);
                // A^T over the rows of every column.
                let mut rows = [[S::splat(0.0); 4]; 2];
                for j in 0..4 {
                    let d: [S::V; 4] =
                        std::array::from_fn(|i| S::load(m.add((4 * i + j) * t.plane)));
                    rows[0][j] = S::add(S::add(d[0], d[1]), d[2]);
                    rows[1][j] = S::sub(S::sub(d[1], d[2]), d[3]);
                }
                for i in 0..t.rows {
                    let d = rows[i];
                    let sums = [S::add(S::add(d[0], d[1]), d[2]), S::sub(S::sub(d[1], d[2]), d[3])];
                    for j in 0..(t.columns - 2 * tile).min(2) {
                        let mut sum = sums[j];
                        if let Some(bias) = bias {
                            sum = S::add(sum, bias);
                        }
                        let at = t.at[i] + (2 * tile + j) * t.pitch + k;
                        S::store(t.y.add(at), finished::<S>(sum, t, at, k));
                    }
                }
            }
        }
    }
}

/// What follows the sum for channels `k ..` of the pixel whose values start at `at`.
///
/// # Safety
/// What [`output`] asks of its callers.
#[inline(always)]
unsafe fn finished<S: Simd>(sum: S::V, t: &OutputTiles, at: usize, k: usize) -> S::V {
    // SAFETY: passed on to the caller.
    unsafe {
        match t.finish {
            SumFinish::Store => sum,
            SumFinish::Add => S::add(S::load(t.y.add(at)), sum),
            SumFinish::Affine { scale, shift, residual, relu } => {
                let mut out = S::fma(sum, S::load(scale.add(k)), S::load(shift.add(k)));
                if !residual.is_null() {
                    out = S::add(out, S::load(residual.add(at)));
                }
                if relu { S::relu(out) } else { out }
            }
        }
    }
}

/// G times three values.
///
/// # Safety
/// The instruction set of `S`.
#[inline(always)]
unsafe fn combine<S: Simd>([a, b, c]: [S::V; 3]) -> [S::V; 4] {
    // SAFETY: passed on to the caller.
    unsafe {
        let half = S::splat(0.5);
        let sum = S::add(a, c);
        [a, S::mul(half, S::add(sum, b)), S::mul(half, S::sub(sum, b)), c]
    }
}

/// G g G^T of `channels` kernels times one block: `w` holds 9 panels (r, s) of `channels` rows of
/// `width`, `u` 16 planes of them.
///
/// # Safety
/// The instruction set of `S`; the panels readable, the planes writable; `width` a multiple of
/// `S::LANES`.
#[inline(always)]
pub unsafe fn weights<S: Simd>(w: *const f32, u: *mut f32, channels: usize, width: usize) {
    let panel = channels * width;
    // SAFETY: `at` runs over one panel (caller).
    unsafe {
        for at in (0..panel).step_by(S::LANES) {
            let mut columns = [[S::splat(0.0); 4]; 3];
            for s in 0..3 {
                let g = std::array::from_fn(|r| S::load(w.add((3 * r + s) * panel + at)));
                columns[s] = combine::<S>(g);
            }
            for i in 0..4 {
                let row = combine::<S>(std::array::from_fn(|s| columns[s][i]));
                for j in 0..4 {
                    S::store(u.add((4 * i + j) * panel + at), row[j]);
                }
            }
        }
    }
}
