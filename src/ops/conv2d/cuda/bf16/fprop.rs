//! Launches of `kernels/conv2d_fprop_bf16.cu`.

use bytemuck::{Pod, Zeroable};

use super::{Shape, Tile, positions};
use crate::backend::View;
use crate::cuda::{Cuda, CudaMemory, DevicePointer};
use crate::error::{Error, Result};
use crate::ops::conv2d::{Conv2dProblem, Epilogue};
use crate::ops::device::NULL;

/// `Conv2dFprop16Args`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Args {
    x: DevicePointer,
    w: DevicePointer,
    bias: DevicePointer,
    scale: DevicePointer,
    shift: DevicePointer,
    residual: DevicePointer,
    y: DevicePointer,
    shape: Shape,
    relu: u32,
}

pub fn fprop(
    cuda: &Cuda,
    memory: &mut CudaMemory,
    problem: &Conv2dProblem,
    [x, w, y]: [View; 3],
    bias: Option<View>,
    epilogue: Epilogue,
) -> Result<()> {
    let at = |view: View| cuda.pointer(memory, view);
    let optional = |view: Option<View>| view.map_or(Ok(NULL), at);
    let (scale, shift, residual, relu) = match epilogue {
        Epilogue::None => (NULL, NULL, NULL, 0),
        Epilogue::Affine { scale, shift, residual, relu } => {
            (at(scale)?, at(shift)?, optional(residual)?, u32::from(relu))
        }
        Epilogue::Statistics { .. } => {
            let found = "statistics of an output in bf16".to_owned();
            return Err(Error::invalid("convolution", found, "an output in f32"));
        }
    };
    let args = Args {
        x: at(x)?,
        w: at(w)?,
        bias: optional(bias)?,
        scale,
        shift,
        residual,
        y: at(y)?,
        shape: Shape::new(problem)?,
        relu,
    };
    let kernels = cuda.kernels();
    let three = [
        &kernels.conv2d_fprop_wide_bf16,
        &kernels.conv2d_fprop_medium_bf16,
        &kernels.conv2d_fprop_narrow_bf16,
    ];
    let product = [positions(problem), problem.k];
    let tile = Tile::unsplit(product[0], product[1]);
    // SAFETY: Conv2dFprop16Args; the views have the problem's lengths and types, channels are
    // multiples of 8 (check_fprop).
    unsafe { tile.launch(cuda, three, product, 1, &args) }
}
