//! Sizes of a convolution as kernels take them.

use bytemuck::{Pod, Zeroable};

use crate::error::Result;
use crate::ops::conv2d::Conv2dProblem;
use crate::ops::device::{Divisor, count};

/// `Conv2dShape` of kernels/conv2d_shape.cuh.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Shape {
    pub n: u32,
    pub h: u32,
    pub w: u32,
    pub c: u32,
    pub k: u32,
    pub r: u32,
    pub s: u32,
    pub p: u32,
    pub q: u32,
    pub stride: [u32; 2],
    pub pad: [u32; 2],
    pub by_p: Divisor,
    pub by_q: Divisor,
    pub by_c: Divisor,
    pub by_s: Divisor,
}

impl Shape {
    /// Of a problem that was checked. Once the tensors can be indexed, so can everything in them.
    pub fn new(problem: &Conv2dProblem) -> Result<Shape> {
        let lens = [problem.x_len(), problem.w_len(), problem.y_len()];
        for (what, len) in ["x", "w", "y"].into_iter().zip(lens) {
            count("convolution", &format!("elements of {what}"), len)?;
        }
        let size = |what: &str, size: usize| count("convolution", what, size);
        let [c, s] = [size("channels", problem.c)?, size("filter columns", problem.s)?];
        let [p, q] = [size("output rows", problem.p())?, size("output columns", problem.q())?];
        Ok(Shape {
            n: size("images", problem.n)?,
            h: size("rows", problem.h)?,
            w: size("columns", problem.w)?,
            c,
            k: size("output channels", problem.k)?,
            r: size("filter rows", problem.r)?,
            s,
            p,
            q,
            stride: [
                size("rows of a stride", problem.stride[0])?,
                size("columns of a stride", problem.stride[1])?,
            ],
            pad: [size("padding", problem.pad[0])?, size("padding", problem.pad[1])?],
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
