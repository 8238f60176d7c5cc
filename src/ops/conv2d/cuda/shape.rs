//! Sizes of a convolution as kernels take them.

use crate::cuda::args::{Conv2dShape, Divisor};
use crate::error::Result;
use crate::ops::conv2d::Conv2dProblem;
use crate::ops::device::count;

impl Conv2dShape {
    /// The sizes of a problem that was checked. Where the tensors can be indexed with 32 bits, so can
    /// everything in them.
    pub fn new(problem: &Conv2dProblem) -> Result<Conv2dShape> {
        let lens = [problem.x_len(), problem.w_len(), problem.y_len()];
        for (what, len) in ["x", "w", "y"].into_iter().zip(lens) {
            count("convolution", &format!("elements of {what}"), len)?;
        }
        let size = |what: &str, size: usize| count("convolution", what, size);
        let [c, s] = [size("channels", problem.c)?, size("filter columns", problem.s)?];
        let [p, q] = [size("output rows", problem.p())?, size("output columns", problem.q())?];
        Ok(Conv2dShape {
            n: size("images", problem.n)?,
            h: size("rows", problem.h)?,
            w: size("columns", problem.w)?,
            c,
            k: size("output channels", problem.k)?,
            r: size("filter rows", problem.r)?,
            s,
            p,
            q,
            stride_h: size("rows of a stride", problem.stride[0])?,
            stride_w: size("columns of a stride", problem.stride[1])?,
            pad_h: size("padding", problem.pad[0])?,
            pad_w: size("padding", problem.pad[1])?,
            by_p: Divisor::new(p),
            by_q: Divisor::new(q),
            by_c: Divisor::new(c),
            by_s: Divisor::new(s),
        })
    }
}

/// Output positions of a batch.
pub fn positions(problem: &Conv2dProblem) -> usize {
    problem.n * problem.p() * problem.q()
}

/// Weights of one filter.
pub fn window(problem: &Conv2dProblem) -> usize {
    problem.r * problem.s * problem.c
}

/// Blocks of a grid along one dimension.
pub fn blocks(number: usize) -> Result<u32> {
    count("convolution", "blocks", number)
}
