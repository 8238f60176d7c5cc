//! Zero-padded copies of images in a worker's scratch, so that the kernels know no borders.

/// An NHWC tensor seen through a border of zeros.
#[derive(Clone, Copy, Debug)]
pub struct Padded {
    pub h: usize,
    pub w: usize,
    pub c: usize,
    pub top: usize,
    pub bottom: usize,
    pub left: usize,
    pub right: usize,
}

impl Padded {
    /// Rows with the border.
    pub fn rows(&self) -> usize {
        self.top + self.h + self.bottom
    }

    /// Values in a row with the border.
    pub fn pitch(&self) -> usize {
        (self.left + self.w + self.right) * self.c
    }

    /// There is no border: the tensor can be used where it is.
    pub fn is_bare(&self) -> bool {
        [self.top, self.bottom, self.left, self.right] == [0; 4]
    }

    /// Writes rows `rows` (border included) of one image to `out`.
    ///
    /// # Safety
    /// `image` is readable for `h * w * c` values, `out` writable for `rows.len() * pitch()`.
    pub unsafe fn copy_rows(&self, image: *const f32, rows: std::ops::Range<usize>, out: *mut f32) {
        let (left, inner, right) = (self.left * self.c, self.w * self.c, self.right * self.c);
        let pitch = self.pitch();
        for (i, row) in rows.enumerate() {
            // SAFETY: row i of `out`, and row `row - top` of the image, which exists.
            unsafe {
                let to = out.add(i * pitch);
                if row < self.top || row >= self.top + self.h {
                    std::ptr::write_bytes(to, 0, pitch);
                    continue;
                }
                std::ptr::write_bytes(to, 0, left);
                let from = image.add((row - self.top) * inner);
                std::ptr::copy_nonoverlapping(from, to.add(left), inner);
                std::ptr::write_bytes(to.add(left + inner), 0, right);
            }
        }
    }
}
