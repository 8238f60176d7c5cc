//! Pooling of NHWC tensors: 2-D max-pooling and global average pooling.
//!
//! ```text
//! max     y[n,p,q,c] = max over the window of x;   dx at the first maximum (row-major) += dy
//! average y[n,c] = mean over H W of x;             dx[n,h,w,c] = dy[n,c] / (H W)
//! ```

mod cpu;
mod cuda;

use crate::backend::{Backend, View};
use crate::error::{Error, Result};
use crate::ops::check_len;
use crate::ops::conv2d::Conv2dProblem;
use crate::tensor::Dtype;

/// Sizes of a max-pooling: windows of `window` x `window`, padded with minus infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxPoolProblem {
    pub n: usize,
    pub h: usize,
    pub w: usize,
    pub c: usize,
    pub window: usize,
    pub stride: usize,
    pub pad: usize,
}

impl MaxPoolProblem {
    fn geometry(&self) -> Conv2dProblem {
        Conv2dProblem {
            n: self.n,
            h: self.h,
            w: self.w,
            c: self.c,
            k: self.c,
            r: self.window,
            s: self.window,
            stride: [self.stride; 2],
            pad: [self.pad; 2],
        }
    }

    /// Output height.
    pub fn p(&self) -> usize {
        self.geometry().p()
    }

    /// Output width.
    pub fn q(&self) -> usize {
        self.geometry().q()
    }

    /// Elements of x (N H W C).
    pub fn x_len(&self) -> usize {
        self.geometry().x_len()
    }

    /// Elements of y (N P Q C).
    pub fn y_len(&self) -> usize {
        self.geometry().y_len()
    }

    /// The sizes are usable: positive, window within the padded input, padding below the window.
    pub fn check(&self) -> Result<()> {
        self.geometry().check()
    }

    /// Checks a call: x or dx, y or dy, and the taps.
    fn check_call(&self, x: View, y: View, taps: View) -> Result<()> {
        self.check()?;
        check_len("max-pooling", "x", x, self.x_len())?;
        check_len("max-pooling", "y", y, self.y_len())?;
        check_len("max-pooling", "taps", taps, self.y_len())?;
        // Taps are stored as bf16, too, which holds numbers up to 256.
        let halves = self.c.is_multiple_of(8) && self.window <= 16;
        match [x.dtype, y.dtype, taps.dtype] {
            [Dtype::F32, Dtype::F32, Dtype::U32] => Ok(()),
            [Dtype::Bf16, Dtype::Bf16, Dtype::Bf16] if halves => Ok(()),
            types => Err(Error::Internal(format!(
                "max-pooling: {types:?} of {} channels and windows of {}, expected f32 with taps of \
                 u32, or bf16 for multiples of 8 channels and windows up to 16",
                self.c, self.window
            ))),
        }
    }
}

/// Sizes of a global average pooling: `hw` positions to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GlobalPoolProblem {
    pub n: usize,
    pub hw: usize,
    pub c: usize,
}

impl GlobalPoolProblem {
    /// Checks a call: x or dx, y or dy.
    fn check_call(&self, x: View, y: View) -> Result<()> {
        check_len("global pooling", "x", x, self.n * self.hw * self.c)?;
        check_len("global pooling", "y", y, self.n * self.c)?;
        match [x.dtype, y.dtype] {
            [Dtype::F32, Dtype::F32] => Ok(()),
            [Dtype::Bf16, Dtype::F32] if self.c.is_multiple_of(8) => Ok(()),
            types => Err(Error::Internal(format!(
                "global pooling: {types:?} of {} channels, expected f32, or x of bf16 and multiples \
                 of 8 channels",
                self.c
            ))),
        }
    }
}

/// Pooling on a backend. Where C is a multiple of 8, x, y and taps
/// (dx, dy) of a max-pooling may be bf16, and x (dx) of a global pooling, whose y (dy) stays f32.
pub trait Pool: Backend {
    /// y and the winner's tap (row * window + column; u32, or bf16 with a y of bf16) of every output.
    fn max_pool(
        &self,
        memory: &mut Self::Memory,
        problem: &MaxPoolProblem,
        x: View,
        y: View,
        taps: View,
    ) -> Result<()>;

    /// dx (overwritten) from dy and the taps of `max_pool`.
    fn max_pool_backward(
        &self,
        memory: &mut Self::Memory,
        problem: &MaxPoolProblem,
        dy: View,
        taps: View,
        dx: View,
    ) -> Result<()>;

    /// y = mean over positions.
    fn global_pool(
        &self,
        memory: &mut Self::Memory,
        problem: &GlobalPoolProblem,
        x: View,
        y: View,
    ) -> Result<()>;

    /// dx = dy / hw at every position.
    fn global_pool_backward(
        &self,
        memory: &mut Self::Memory,
        problem: &GlobalPoolProblem,
        dy: View,
        dx: View,
    ) -> Result<()>;
}
