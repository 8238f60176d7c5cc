//! Weight gradients: dw = G^T ( sum over tiles of (B^T d B) o (A dy A^T) ) G. The sum is an outer
//! product a plane, 16 planes of K x C; what follows it is linear and done once at the end.

use std::ops::Range;

use super::super::kernel::{GradientTiles, MicroKernels, OuterTile, PLANES};
use super::super::outer::for_each_tile;
use super::super::task::{Cutter, lines};
use super::input_tiles;
use crate::ops::conv2d::Conv2dProblem;

/// Tiles that are transformed together, about: enough to keep sums in registers for a while.
const TILES: usize = 64;

/// The planes of one problem's weight gradient, or of some of its output channels.
#[derive(Clone, Copy)]
pub struct Gradient {
    /// Rows and columns of an image.
    size: [usize; 2],
    c: usize,
    /// Output channels at hand, and all.
    k: usize,
    pitch: usize,
    /// Rows of tiles at a time.
    at_once: usize,
}

impl Gradient {
    /// The planes of the weight gradient of `p`, a 3x3 convolution.
    pub fn new(p: &Conv2dProblem) -> Self {
        let at_once = TILES.div_ceil(p.w.div_ceil(2).max(1));
        Gradient { size: [p.h, p.w], c: p.c, k: p.k, pitch: p.k, at_once }
    }

    /// These planes for `k` of the output channels, a multiple of 16.
    pub fn with_channels(self, k: usize) -> Self {
        Gradient { k, ..self }
    }

    /// Values of all planes.
    pub fn planes(&self) -> usize {
        PLANES * self.c * self.k
    }

    fn across(&self) -> usize {
        self.size[1].div_ceil(2)
    }

    /// Values from one plane to the next of transformed tiles. Not a power of two, which would put
    /// all planes into the same cache sets.
    fn plane(&self, channels: usize) -> usize {
        self.at_once * self.across() * channels + 16
    }

    /// Scratch values of [`Gradient::accumulate`].
    pub fn scratch(&self) -> usize {
        let zeros = lines(self.size[1] * self.c.max(self.pitch));
        zeros + PLANES * (self.plane(self.c) + self.plane(self.k))
    }

    /// Scratch values of [`Gradient::norm`].
    pub fn row(&self) -> usize {
        9 * self.c
    }

    /// Sums the planes over the `images` of x and dy.
    ///
    /// # Safety
    /// x and dy hold the images, dy from the first output channel at hand on; `out` the planes, `scratch` has [`Gradient::scratch`] values; the
    /// kernels' instruction set is there.
    pub unsafe fn accumulate(
        &self,
        kernels: &MicroKernels,
        x: *const f32,
        dy: *const f32,
        images: Range<usize>,
        out: *mut f32,
        scratch: &mut [f32],
    ) {
        let &Gradient { size: [h, w], c, k, pitch, at_once } = self;
        let mut cutter = Cutter(scratch);
        let zeros = cutter.take(w * c.max(pitch));
        zeros.fill(0.0);
        let (v_plane, z_plane) = (self.plane(c), self.plane(k));
        let v = cutter.take(PLANES * v_plane).as_mut_ptr();
        let z = cutter.take(PLANES * z_plane).as_mut_ptr();
        let bands = h.div_ceil(2);
        let in_all = images.len() * bands;
        for first in (0..in_all).step_by(at_once) {
            let now = first..(first + at_once).min(in_all);
            for (i, band) in now.clone().enumerate() {
                let (image, row) = (images.start + band / bands, 2 * (band % bands));
                let own = x.wrapping_add(image * h * w * c);
                let at = v.wrapping_add(i * self.across() * c);
                let tiles = input_tiles(own, [h, w, c], row, zeros, at, v_plane);
                let line = |row: usize| match row {
                    row if row < h => dy.wrapping_add((image * h + row) * w * pitch),
                    _ => zeros.as_ptr(),
                };
                let gradients = GradientTiles {
                    rows: [line(row), line(row + 1)],
                    columns: w,
                    pitch,
                    channels: k,
                    tiles: self.across(),
                    out: z.wrapping_add(i * self.across() * k),
                    plane: z_plane,
                };
                // SAFETY: the rows lie inside x and dy (caller), the tiles inside the planes.
                unsafe {
                    (kernels.winograd_input)(&tiles);
                    (kernels.winograd_gradient)(&gradients);
                }
            }
            let tiles = now.len() * self.across();
            for plane in 0..PLANES {
                let v = v.wrapping_add(plane * v_plane).cast_const();
                let z = z.wrapping_add(plane * z_plane).cast_const();
                let out = out.wrapping_add(plane * c * k);
                for_each_tile(0..k, c, |rows, columns| {
                    // SAFETY: rows and columns of the plane and of `tiles` transformed tiles.
                    unsafe {
                        let place = [rows, columns];
                        self.product(kernels, [z, v], tiles, place, out, first > 0);
                    }
                });
            }
        }
    }

    /// Rows x columns of one plane.
    ///
    /// # Safety
    /// `z` and `v` hold the tiles, `out` the plane; the kernels' instruction set is there.
    unsafe fn product(
        &self,
        kernels: &MicroKernels,
        [z, v]: [*const f32; 2],
        tiles: usize,
        [rows, columns]: [Range<usize>; 2],
        out: *mut f32,
        resume: bool,
    ) {
        let mut j = columns.start;
        while j < columns.end {
            let kernel = kernels.outer(columns.end - j);
            let wide = kernel.width.min(columns.end - j);
            let mut i = rows.start;
            while i < rows.end {
                let m = kernel.rows(rows.end - i);
                let tile = OuterTile {
                    a: z.wrapping_add(i),
                    b: v.wrapping_add(j),
                    a_step: [0, 0, self.k],
                    b_step: [0, 0, self.c],
                    count: [1, 1, tiles],
                    columns: wide,
                    out: out.wrapping_add(i * self.c + j),
                    out_pitch: self.c,
                    resume,
                };
                // SAFETY: inside the plane, whose rows are whole vectors (caller).
                unsafe { kernel.run(m, &tile) };
                i += m;
            }
            j += wide;
        }
    }

    /// The gradient of output channel `k`, R S C, from rows `m` (C values, `plane` apart).
    ///
    /// # Safety
    /// `m` is readable for 16 planes, `out` holds 9 C values; the kernels' instruction set is there.
    pub unsafe fn filter(
        &self,
        kernels: &MicroKernels,
        m: *const f32,
        plane: usize,
        out: &mut [f32],
    ) {
        assert_eq!(out.len(), self.row(), "one output channel");
        // SAFETY: passed on to the caller.
        unsafe { (kernels.winograd_filter)(m, plane, self.c, out.as_mut_ptr()) };
    }

    /// Squared norm of the gradient from its planes; `row` has [`Gradient::row`] values.
    ///
    /// # Safety
    /// The kernels' instruction set is there.
    pub unsafe fn norm(&self, kernels: &MicroKernels, planes: &[f32], row: &mut [f32]) -> f64 {
        let plane = self.c * self.k;
        assert_eq!(planes.len(), PLANES * plane, "all planes");
        let mut norm = 0.0;
        for k in 0..self.k {
            // SAFETY: row k of every plane; the row was just written.
            unsafe {
                self.filter(kernels, planes[k * self.c..].as_ptr(), plane, row);
                norm += f64::from((kernels.square_sum)(row.as_ptr(), self.c, 9, self.c / 16));
            }
        }
        norm
    }
}
