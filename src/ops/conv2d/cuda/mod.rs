//! Convolution on CUDA: exact f32 implicit matrix products, `kernels/conv2d_*.cu`, and the same on
//! tensor cores for tensors stored as bf16 (`bf16/`, `kernels/conv2d_*_bf16.cu`).
//!
//! Splits, parts and forms depend on the sizes alone, so that results repeat bit for bit.

mod bf16;
mod dgrad;
mod fprop;
mod grad_norm;
mod norm_parts;
mod wgrad;

use bf16::choice::Product;
use bytemuck::{Pod, Zeroable};

use super::{
    Choice, Conv2d, Conv2dProblem, Direction, Epilogue, GradNormForm, NormGradient, choose_form,
};
use crate::backend::View;
use crate::cuda::{Cuda, CudaMemory, Kernel, tiles};
use crate::error::{Error, Result};
use crate::ops::device::{Divisor, count};
use crate::tensor::Dtype;

/// `Conv2dShape` of kernels/operands.cuh.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Shape {
    n: u32,
    h: u32,
    w: u32,
    c: u32,
    k: u32,
    r: u32,
    s: u32,
    p: u32,
    q: u32,
    stride: [u32; 2],
    pad: [u32; 2],
    by_p: Divisor,
    by_q: Divisor,
    by_c: Divisor,
    by_s: Divisor,
}

impl Shape {
    /// Of a problem that was checked. Once the tensors can be indexed, so can everything in them.
    fn new(problem: &Conv2dProblem) -> Result<Shape> {
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
fn positions(problem: &Conv2dProblem) -> usize {
    problem.n * problem.p() * problem.q()
}

/// Weights of one filter.
fn window(problem: &Conv2dProblem) -> usize {
    problem.r * problem.s * problem.c
}

/// A tile of the product, rows x columns, where columns are a direction's channels.
struct Tile {
    narrow: bool,
    rows: usize,
    columns: usize,
    shared_bytes: u32,
}

impl Tile {
    /// The tile that suits this many channels.
    fn of(channels: usize) -> Tile {
        let narrow = channels <= tiles::CONV_NARROW_CHANNELS as usize;
        let [rows, columns, shared_bytes] = if narrow {
            [tiles::CONV_NARROW_ROWS, tiles::CONV_NARROW_COLUMNS, tiles::CONV_NARROW_SHARED]
        } else {
            [tiles::CONV_WIDE_ROWS, tiles::CONV_WIDE_COLUMNS, tiles::CONV_WIDE_SHARED]
        };
        Tile { narrow, rows: rows as usize, columns: columns as usize, shared_bytes }
    }

    /// Tiles of a product of this many rows and columns, in each direction.
    fn grid(&self, rows: usize, columns: usize) -> [usize; 2] {
        [rows.div_ceil(self.rows), columns.div_ceil(self.columns)]
    }

    /// Launches the kernel for this tile, on tiles in each direction and `depth` of each.
    ///
    /// # Safety
    /// As for [`Cuda::launch`].
    unsafe fn launch<A: Pod>(
        &self,
        cuda: &Cuda,
        [wide, narrow]: [&Kernel; 2],
        [across, down]: [usize; 2],
        depth: usize,
        args: &A,
    ) -> Result<()> {
        let kernel = if self.narrow { narrow } else { wide };
        let grid = [blocks(across)?, blocks(down)?, blocks(depth)?];
        // SAFETY: passed on to the caller.
        unsafe { cuda.launch(kernel, grid, tiles::CONV_THREADS, self.shared_bytes, args) }
    }
}

fn blocks(number: usize) -> Result<u32> {
    count("convolution", "blocks", number)
}

impl Conv2d for Cuda {
    fn conv2d_workspace(&self, problem: &Conv2dProblem, direction: Direction) -> usize {
        if problem.check().is_err() {
            return 0;
        }
        match direction {
            Direction::Fprop => fprop::workspace(problem),
            Direction::Dgrad | Direction::DgradNorm => 0,
            Direction::Wgrad => wgrad::workspace(problem),
            Direction::GradNorm(form) => grad_norm::workspace(problem, form),
        }
    }

    fn conv2d_workspace_bf16(&self, problem: &Conv2dProblem, direction: Direction) -> usize {
        if problem.check().is_err() {
            return 0;
        }
        match direction {
            Direction::Fprop => bf16::fprop::workspace(self, problem),
            Direction::Dgrad => 0,
            Direction::DgradNorm => bf16::dgrad::workspace(self, problem),
            Direction::Wgrad => bf16::wgrad::workspace(self, problem),
            Direction::GradNorm(form) => bf16::grad_norm::workspace(self, problem, form),
        }
    }

    fn conv2d_choice_bf16(&self, problem: &Conv2dProblem, of: Direction) -> Option<Choice> {
        let product = Product::checked(problem, of)?;
        Some(product.choose(self).choice())
    }

    fn conv2d_choices_bf16(&self, problem: &Conv2dProblem, of: Direction) -> Vec<Choice> {
        let product = Product::checked(problem, of);
        product.map_or(Vec::new(), |p| p.ways().iter().map(|way| way.choice()).collect())
    }

    fn conv2d_copied_bf16(&self, problem: &Conv2dProblem, of: Direction) -> Option<u64> {
        let product = Product::checked(problem, of)?;
        Some(product.copies(&product.choose(self)))
    }

    fn conv2d_force_bf16(&self, choice: Option<Choice>) {
        bf16::choice::force(self, choice);
    }

    fn conv2d_kept_bf16(&self) -> Option<String> {
        bf16::table::identity(&bf16::table::card(self))
    }

    fn conv2d_grad_norm_form(&self, problem: &Conv2dProblem) -> GradNormForm {
        choose_form(problem)
    }

    fn conv2d_grad_norm_form_bf16(&self, problem: &Conv2dProblem) -> GradNormForm {
        bf16::grad_norm::form(problem)
    }

    fn conv2d_fprop(
        &self,
        memory: &mut CudaMemory,
        problem: &Conv2dProblem,
        x: View,
        w: View,
        bias: Option<View>,
        y: View,
        epilogue: Epilogue,
        workspace: View,
    ) -> Result<()> {
        problem.check_fprop(self, [x, w, y], bias, &epilogue, workspace)?;
        if x.dtype == Dtype::Bf16 {
            return bf16::fprop::fprop(self, memory, problem, [x, w, y], bias, epilogue, workspace);
        }
        fprop::fprop(self, memory, problem, [x, w, y], bias, epilogue, workspace)
    }

    fn conv2d_dgrad(
        &self,
        memory: &mut CudaMemory,
        problem: &Conv2dProblem,
        dy: View,
        w: View,
        dx: View,
        accumulate: bool,
        workspace: View,
    ) -> Result<()> {
        problem.check_dgrad(self, [dy, w, dx], workspace)?;
        if dy.dtype == Dtype::Bf16 {
            let none = (None, View::EMPTY);
            return bf16::dgrad::dgrad(self, memory, problem, [dy, w, dx], accumulate, none);
        }
        dgrad::dgrad(self, memory, problem, [dy, w, dx], accumulate)
    }

    fn conv2d_dgrad_norm(
        &self,
        memory: &mut CudaMemory,
        problem: &Conv2dProblem,
        dy: View,
        w: View,
        dx: View,
        accumulate: bool,
        norm: &NormGradient,
        workspace: View,
    ) -> Result<()> {
        problem.check_dgrad_norm(self, [dy, w, dx], norm, workspace)?;
        if dy.dtype != Dtype::Bf16 {
            let found = format!("{:?}", dy.dtype);
            return Err(Error::invalid("dgrad with batch norm's sums", found, "tensors of bf16"));
        }
        let norm = (Some(norm), workspace);
        bf16::dgrad::dgrad(self, memory, problem, [dy, w, dx], accumulate, norm)
    }

    fn conv2d_wgrad(
        &self,
        memory: &mut CudaMemory,
        problem: &Conv2dProblem,
        x: View,
        dy: View,
        dw: View,
        db: Option<View>,
        workspace: View,
    ) -> Result<()> {
        problem.check_wgrad(self, [x, dy, dw], db, workspace)?;
        if x.dtype == Dtype::Bf16 {
            return bf16::wgrad::wgrad(self, memory, problem, [x, dy, dw], db, workspace);
        }
        wgrad::wgrad(self, memory, problem, [x, dy, dw], db, workspace)
    }

    fn conv2d_grad_norm(
        &self,
        memory: &mut CudaMemory,
        problem: &Conv2dProblem,
        x: View,
        dy: View,
        bias: bool,
        norms: View,
        form: GradNormForm,
        workspace: View,
    ) -> Result<()> {
        problem.check_grad_norm(self, [x, dy, norms], form, workspace)?;
        if x.dtype == Dtype::Bf16 {
            let views = [x, dy, norms];
            return bf16::grad_norm::grad_norm(self, memory, problem, views, bias, form, workspace);
        }
        grad_norm::grad_norm(self, memory, problem, [x, dy, norms], bias, form, workspace)
    }
}
