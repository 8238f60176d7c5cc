//! Launches of `kernels/pool.cu`, and for tensors stored as bf16 of `kernels/pool_bf16.cu`.

use super::{GlobalPoolProblem, MaxPoolProblem, Pool};
use crate::backend::View;
use crate::cuda::args::{
    Divisor, GlobalPool16Args, GlobalPoolArgs, GlobalPoolBackward16Args, MaxPoolArgs,
    MaxPoolBackwardArgs,
};
use crate::cuda::{Cuda, CudaMemory};
use crate::error::Result;
use crate::ops::device::{count, launch_items, vector};
use crate::tensor::Dtype;

/// Neighbouring channels that a thread takes, by the type of the large tensor.
fn width(dtype: Dtype, channels: usize) -> usize {
    if dtype == Dtype::Bf16 { 8 } else { vector(channels) }
}

fn size(what: &str, size: usize) -> Result<u32> {
    count("pooling", what, size)
}

impl Pool for Cuda {
    fn max_pool(
        &self,
        memory: &mut CudaMemory,
        problem: &MaxPoolProblem,
        x: View,
        y: View,
        taps: View,
    ) -> Result<()> {
        problem.check_call(x, y, taps)?;
        let v = width(x.dtype, problem.c);
        size("elements of x", x.len)?;
        let args = MaxPoolArgs {
            x: self.pointer(memory, x)?,
            y: self.pointer(memory, y)?,
            taps: self.pointer(memory, taps)?,
            vectors: size("elements of y", y.len)? / v as u32,
            h: size("rows", problem.h)?,
            w: size("columns", problem.w)?,
            c: size("channels", problem.c)?,
            window: size("rows of a window", problem.window)?,
            stride: size("rows of a stride", problem.stride)?,
            pad: size("rows of padding", problem.pad)?,
            by_c: Divisor::new((problem.c / v) as u32),
            by_q: Divisor::new(size("output columns", problem.q())?),
            by_p: Divisor::new(size("output rows", problem.p())?),
        };
        let kernel = match x.dtype {
            Dtype::Bf16 => &self.kernels().max_pool_bf16,
            _ => &self.kernels().max_pool_f32,
        };
        // SAFETY: the views have the problem's lengths and types (check_call).
        unsafe { launch_items(self, kernel, args.vectors, &args) }
    }

    fn max_pool_backward(
        &self,
        memory: &mut CudaMemory,
        problem: &MaxPoolProblem,
        dy: View,
        taps: View,
        dx: View,
    ) -> Result<()> {
        problem.check_call(dx, dy, taps)?;
        let v = width(dx.dtype, problem.c);
        size("elements of y", dy.len)?;
        let [h, w] = [size("rows", problem.h)?, size("columns", problem.w)?];
        let args = MaxPoolBackwardArgs {
            dy: self.pointer(memory, dy)?,
            taps: self.pointer(memory, taps)?,
            dx: self.pointer(memory, dx)?,
            vectors: size("elements of x", dx.len)? / v as u32,
            h,
            w,
            p: size("output rows", problem.p())?,
            q: size("output columns", problem.q())?,
            c: size("channels", problem.c)?,
            window: size("rows of a window", problem.window)?,
            stride: size("rows of a stride", problem.stride)?,
            pad: size("rows of padding", problem.pad)?,
            by_c: Divisor::new((problem.c / v) as u32),
            by_w: Divisor::new(w),
            by_h: Divisor::new(h),
        };
        let kernel = match dx.dtype {
            Dtype::Bf16 => &self.kernels().max_pool_backward_bf16,
            _ => &self.kernels().max_pool_backward_f32,
        };
        // SAFETY: the views have the problem's lengths and types (check_call).
        unsafe { launch_items(self, kernel, args.vectors, &args) }
    }

    fn global_pool(
        &self,
        memory: &mut CudaMemory,
        problem: &GlobalPoolProblem,
        x: View,
        y: View,
    ) -> Result<()> {
        let args = global_args(self, memory, problem, x, y)?;
        let args = GlobalPoolArgs { vectors: (y.len / width(x.dtype, problem.c)) as u32, ..args };
        // Without positions there is no mean: as on the CPU, nothing is written.
        let vectors = if x.len == 0 { 0 } else { args.vectors };
        if x.dtype == Dtype::Bf16 {
            let GlobalPoolArgs { x, y, vectors: groups, positions, c, by_c, .. } = args;
            let args = GlobalPool16Args { x, y, groups, positions, c, by_c };
            // SAFETY: the views have the problem's lengths and types (check_call).
            return unsafe { launch_items(self, &self.kernels().global_pool_bf16, vectors, &args) };
        }
        // SAFETY: the views have the problem's lengths.
        unsafe { launch_items(self, &self.kernels().global_pool_f32, vectors, &args) }
    }

    fn global_pool_backward(
        &self,
        memory: &mut CudaMemory,
        problem: &GlobalPoolProblem,
        dy: View,
        dx: View,
    ) -> Result<()> {
        let args = global_args(self, memory, problem, dx, dy)?;
        let kernels = self.kernels();
        if dx.dtype == Dtype::Bf16 {
            let GlobalPoolArgs { x: dx, y: dy, vectors, positions, c, by_c, by_image, filler } =
                args;
            let args = GlobalPoolBackward16Args {
                dy,
                dx,
                groups: vectors,
                positions,
                c,
                by_c,
                by_image,
                filler,
            };
            let kernel = &kernels.global_pool_backward_bf16;
            // SAFETY: the views have the problem's lengths and types (check_call).
            return unsafe { launch_items(self, kernel, vectors, &args) };
        }
        let kernel = &kernels.global_pool_backward_f32;
        // SAFETY: GlobalPool(Backward16)Args; the views have the problem's lengths and types.
        unsafe { launch_items(self, kernel, args.vectors, &args) }
    }
}

/// Arguments with the vectors of x.
fn global_args(
    cuda: &Cuda,
    memory: &CudaMemory,
    problem: &GlobalPoolProblem,
    x: View,
    y: View,
) -> Result<GlobalPoolArgs> {
    problem.check_call(x, y)?;
    let v = width(x.dtype, problem.c);
    size("elements of y", y.len)?;
    Ok(GlobalPoolArgs {
        x: cuda.pointer(memory, x)?,
        y: cuda.pointer(memory, y)?,
        vectors: size("elements of x", x.len)? / v as u32,
        positions: size("positions", problem.hw)?,
        c: size("channels", problem.c)?,
        by_c: Divisor::new((problem.c / v) as u32),
        by_image: Divisor::new(size("elements of an image", problem.hw * problem.c / v)?),
        filler: 0,
    })
}
