//! Convolutions and linear layers.

use super::depthwise::depthwise;
use super::strided::StridedBatch;
use super::{SampleScratch, check_shape, each_sample};
use crate::backend::Cpu;
use crate::error::{Error, Result};
use crate::ops::conv2d::cpu::{SampleNorm, lines};
use crate::ops::conv2d::{Conv2d, Conv2dProblem};
use crate::tensor::Dtype;

/// A convolution, dilation 1. A linear layer is one with a 1 x 1 kernel over one row of T positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvLayer {
    /// Sizes over all channels; `n` counts the batch.
    pub problem: Conv2dProblem,
    /// Groups of channels; c and k are multiples.
    pub groups: usize,
    /// Whether the gradient of a weight, and of a bias, counts.
    pub weight: bool,
    pub bias: bool,
}

impl ConvLayer {
    /// The problem of one group.
    fn group(&self) -> Conv2dProblem {
        let p = &self.problem;
        Conv2dProblem { c: p.c / self.groups, k: p.k / self.groups, n: 1, ..*p }
    }

    fn check(&self) -> Result<()> {
        let Conv2dProblem { c, k, .. } = self.problem;
        let groups = self.groups;
        if groups == 0 || !c.is_multiple_of(groups) || !k.is_multiple_of(groups) {
            let found = format!("{groups} groups of {c} and {k} channels");
            return Err(Error::invalid("convolution", found, "groups that divide both"));
        }
        self.problem.check()
    }
}

/// Adds the layer's part to the squared norms: x is N H W C, dy N P Q K, `norms` has N values.
///
/// # Errors
/// [`Error::Invalid`]: sizes that are no convolution, tensors or norms of other sizes. [`Error::OutOfMemory`].
pub fn conv(
    cpu: &Cpu,
    layer: &ConvLayer,
    [x, dy]: [StridedBatch<'_>; 2],
    scratch: &mut SampleScratch,
    norms: &mut [f64],
) -> Result<()> {
    layer.check()?;
    let p = &layer.problem;
    check_shape("input of a convolution", x.shape(), [norms.len(), p.h, p.w, p.c])?;
    check_shape("output gradient", dy.shape(), [norms.len(), p.p(), p.q(), p.k])?;
    let isa = cpu.isa();
    let one = layer.group();
    let form = cpu.conv2d_grad_norm_form(&one, Dtype::F32);
    let own = SampleNorm::new(&one, form);
    let apart = layer.groups > 1 && one.c == 1 && one.k == 1;
    let (c, k) = if apart { (p.c, p.k) } else { (one.c, one.k) };
    let [for_x, for_dy] = [lines(x.scratch(c)), lines(dy.scratch(k))];
    let per_worker = for_x + for_dy + if apart { 0 } else { own.scratch() };
    each_sample(cpu, scratch, per_worker, norms, |n, scratch| {
        let (x_scratch, scratch) = scratch.split_at_mut(for_x);
        let (dy_scratch, scratch) = scratch.split_at_mut(for_dy);
        if apart {
            let x = x.load(isa, n, 0..c, x_scratch);
            let dy = dy.load(isa, n, 0..k, dy_scratch);
            return depthwise(isa, p, [x, dy], [layer.weight, layer.bias]);
        }
        (0..layer.groups)
            .map(|g| {
                let dy = dy.load(isa, n, g * k..(g + 1) * k, dy_scratch);
                if !layer.weight {
                    return if layer.bias { SampleNorm::bias(dy, k) } else { 0.0 };
                }
                let x = x.load(isa, n, g * c..(g + 1) * c, x_scratch);
                own.of(isa, [x, dy], layer.bias, scratch)
            })
            .sum()
    })
}
