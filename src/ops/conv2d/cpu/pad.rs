//! Zero-padded copies of images, for kernels that read whole kernel rows (s, c) at once.

use std::ops::Range;

use crate::ops::conv2d::Conv2dProblem;

/// Images of a problem seen through their border of zeros.
#[derive(Clone, Copy, Debug)]
pub struct ZeroPadding {
    h: usize,
    w: usize,
    c: usize,
    pad: [usize; 2],
}

/// Images at hand: where they start and how far apart they are.
#[derive(Clone, Copy)]
pub struct PaddedImages {
    pub start: *const f32,
    pub step: usize,
    pub count: usize,
}

impl ZeroPadding {
    /// The border that `p` pads its images with.
    pub fn of(p: &Conv2dProblem) -> Self {
        ZeroPadding { h: p.h, w: p.w, c: p.c, pad: p.pad }
    }

    /// Values in a row with the border.
    pub fn pitch(&self) -> usize {
        (self.w + 2 * self.pad[1]) * self.c
    }

    /// Values of an image with the border.
    pub fn image(&self) -> usize {
        (self.h + 2 * self.pad[0]) * self.pitch()
    }

    /// Copies images `range` of `x` with their borders to `out`, one after the other.
    ///
    /// # Safety
    /// `x` holds the images; `out` holds `range.len() * image()` values.
    pub unsafe fn copy(&self, x: *const f32, range: Range<usize>, out: &mut [f32]) -> PaddedImages {
        let (pitch, inner) = (self.pitch(), self.w * self.c);
        let (above, before) = (self.pad[0] * pitch, self.pad[1] * self.c);
        let count = range.len();
        for (n, image) in range.zip(out.chunks_exact_mut(self.image().max(1))) {
            let below = image.len() - above;
            image[..above].fill(0.0);
            image[below..].fill(0.0);
            for (h, row) in image[above..below].chunks_exact_mut(pitch).enumerate() {
                row[..before].fill(0.0);
                row[before + inner..].fill(0.0);
                // SAFETY: row h of image n of x.
                let from =
                    unsafe { std::slice::from_raw_parts(x.add((n * self.h + h) * inner), inner) };
                row[before..before + inner].copy_from_slice(from);
            }
        }
        PaddedImages { start: out.as_ptr(), step: self.image(), count }
    }
}
