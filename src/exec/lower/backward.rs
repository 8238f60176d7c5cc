//! The backward half of a plan: gradients of values, block by block from the last.

use super::{Lowering, Saved, as_row};
use crate::backend::View;
use crate::error::{Error, Result};
use crate::exec::block::FusedBlock;
use crate::exec::pass::Mode;
use crate::exec::step::Step;
use crate::nn::{ParameterKind, ValueId};
use crate::ops::Operators;
use crate::ops::batch_norm::BackwardInput;
use crate::ops::conv2d::{
    Conv2dDirection, Conv2dProblem, DgradOperands, GradNormOperands, NormGradient, WgradOperands,
};
use crate::tensor::Dtype;

impl<B: Operators> Lowering<'_, B> {
    fn saved(&self, index: usize) -> Result<Saved> {
        self.saved[index].ok_or_else(|| Error::Internal(format!("block {index} saved nothing")))
    }

    fn gradient(&self, id: ValueId) -> Result<View> {
        self.gradients
            .get(&id)
            .copied()
            .ok_or_else(|| Error::Internal(format!("value {} has no gradient", id.0)))
    }

    /// The gradient of `id` to write: a new tensor of the value's type, or the one to add to.
    fn gradient_target(&mut self, id: ValueId) -> Result<(View, bool)> {
        self.received(id);
        if let Some(&view) = self.gradients.get(&id) {
            return Ok((view, true));
        }
        let dtype = self.value(id)?.dtype;
        let view = self.tensors.new_tensor(self.value_len(id), dtype);
        self.gradients.insert(id, view);
        Ok((view, false))
    }

    /// One more reader of `id` has given its gradient.
    fn received(&mut self, id: ValueId) {
        if let Some(left) = self.readers.get_mut(&id) {
            *left = left.saturating_sub(1);
        }
    }

    fn new_gradient(&mut self, id: ValueId) -> Result<View> {
        match self.gradient_target(id)? {
            (view, false) => Ok(view),
            (_, true) => Err(Error::Internal(format!("value {} has two readers", id.0))),
        }
    }

    pub(super) fn backward(
        &mut self,
        index: usize,
        blocks: &[FusedBlock],
        block: &FusedBlock,
    ) -> Result<()> {
        match *block {
            FusedBlock::Conv { .. } => self.backward_conv(index, blocks, block),
            FusedBlock::MaxPool { node } => {
                let n = &self.network.nodes[node];
                let (input, output) = (n.inputs[0], n.output);
                let problem = self.max_pool_problem(node)?;
                let (dy, taps) = (self.gradient(output)?, self.saved(index)?.taps);
                let dx = self.new_gradient(input)?;
                self.steps.push(Step::MaxPoolBackward { problem, dy, taps, dx });
                Ok(())
            }
            FusedBlock::GlobalPool { node } => {
                let n = &self.network.nodes[node];
                let (input, output) = (n.inputs[0], n.output);
                let dy = self.gradient(output)?;
                let dx = self.new_gradient(input)?;
                let problem = self.global_pool_problem(node);
                self.steps.push(Step::GlobalPoolBackward { problem, dy, dx });
                Ok(())
            }
            FusedBlock::Linear { node } => {
                let n = &self.network.nodes[node];
                let (input, dy) = (n.inputs[0], self.gradient(n.output)?);
                let w = self.layout.parameter(node, ParameterKind::LinearWeight)?;
                let bias = self.layout.find(node, ParameterKind::LinearBias);
                let problem = self.problem(node)?;
                self.weight_gradient(problem, as_row(problem), input, dy, w, bias)?;
                if self.mode != Mode::LastLayerNorm {
                    self.input_gradient(as_row(problem), input, dy, w, None)?;
                }
                Ok(())
            }
        }
    }

    fn backward_conv(
        &mut self,
        index: usize,
        blocks: &[FusedBlock],
        block: &FusedBlock,
    ) -> Result<()> {
        let FusedBlock::Conv { conv, bn, residual, relu, input, output } = *block else {
            return Err(Error::Internal("a convolution block was expected".to_owned()));
        };
        let Saved { y, mean, rstd, scale, .. } = self.saved(index)?;
        let problem = self.bn_problem(bn);
        let dout = self.gradient(output)?;
        let summed = self.summed.contains(&output);
        let out = if relu && !summed { Some(self.value(output)?) } else { None };
        let mut input_views =
            BackwardInput { dout, out, y, mean, rstd, mask_in_place: residual.is_some() };
        let dy = self.activation(y.len);
        if self.mode == Mode::GradNorm {
            let norms = self.norms;
            self.steps.push(Step::BnBackwardEval { problem, input: input_views, scale, dy, norms });
        } else {
            let affine = self.affine(bn)?;
            let dgamma = self.layout.gradient(affine.gamma);
            let dbeta = self.layout.gradient(affine.beta);
            if !summed {
                let workspace = self.tensors.f32(problem.workspace());
                self.steps.push(Step::BnBackwardReduce {
                    problem,
                    input: input_views,
                    dgamma,
                    dbeta,
                    workspace,
                });
            }
            if residual.is_some() {
                input_views.out = None;
            }
            let gamma = affine.gamma;
            self.steps.push(Step::BnBackwardApply {
                problem,
                input: input_views,
                gamma,
                dgamma,
                dbeta,
                dy,
            });
        }
        // The masked gradient flows on into the residual unchanged: both share one tensor.
        if let Some(r) = residual {
            self.received(r);
            if self.gradients.insert(r, dout).is_some() {
                return Err(Error::Internal(format!("residual {} has a gradient already", r.0)));
            }
        }
        let problem = self.problem(conv)?;
        let w = self.layout.parameter(conv, ParameterKind::ConvWeight)?;
        let bias = self.layout.find(conv, ParameterKind::ConvBias);
        self.weight_gradient(problem, problem, input, dy, w, bias)?;
        self.input_gradient(problem, input, dy, self.layout.stored(w), Some(blocks))
    }

    /// wgrad, or the norm of every sample's weight gradient. A linear layer sums over the batch
    /// as one row of pixels, but its norms see one pixel an image.
    fn weight_gradient(
        &mut self,
        per_sample: Conv2dProblem,
        summed: Conv2dProblem,
        input: ValueId,
        dy: View,
        w: View,
        bias: Option<View>,
    ) -> Result<()> {
        let x = self.value(input)?;
        if self.mode.has_norms() {
            let form = self.backend.conv2d_grad_norm_form(&per_sample, x.dtype);
            let workspace = self.workspace(&per_sample, Conv2dDirection::GradNorm(form), x.dtype);
            let (norms, bias) = (self.norms, bias.is_some());
            let operands = GradNormOperands { x, dy, bias, norms, form, workspace };
            self.steps.push(Step::ConvGradNorm { problem: per_sample, operands });
        } else {
            let workspace = self.workspace(&summed, Conv2dDirection::Wgrad, x.dtype);
            let (dw, db) = (self.layout.gradient(w), bias.map(|b| self.layout.gradient(b)));
            let operands = WgradOperands { x, dy, dw, db, workspace };
            self.steps.push(Step::ConvWgrad { problem: summed, operands });
        }
        Ok(())
    }

    /// dgrad; with the network's blocks, where it finishes the gradient of a block's output in bf16, also
    /// the first pass of that block's batch norm.
    fn input_gradient(
        &mut self,
        problem: Conv2dProblem,
        input: ValueId,
        dy: View,
        w: View,
        blocks: Option<&[FusedBlock]>,
    ) -> Result<()> {
        if input == ValueId(0) {
            return Ok(());
        }
        let (dx, accumulate) = self.gradient_target(input)?;
        let norm = match blocks {
            Some(blocks) => self.norm_behind(input, blocks)?,
            None => None,
        };
        let direction =
            if norm.is_some() { Conv2dDirection::DgradNorm } else { Conv2dDirection::Dgrad };
        let workspace = self.workspace(&problem, direction, dy.dtype);
        let operands = DgradOperands { dy, w, dx, accumulate, norm, workspace };
        self.steps.push(Step::ConvDgrad { problem, operands });
        Ok(())
    }

    /// What the dgrad that finishes the gradient of `value` does for the batch norm that made it.
    fn norm_behind(
        &mut self,
        value: ValueId,
        blocks: &[FusedBlock],
    ) -> Result<Option<NormGradient>> {
        let wanted = self.compute.fusion.gradients && self.stored == Dtype::Bf16;
        let last = self.readers.get(&value) == Some(&0);
        let producer = self.producers.get(&value).copied();
        let Some(index) = producer.filter(|_| wanted && last && self.mode == Mode::Train) else {
            return Ok(None);
        };
        let FusedBlock::Conv { bn, relu, .. } = blocks[index] else { return Ok(None) };
        let Saved { y, mean, rstd, .. } = self.saved(index)?;
        let out = if relu { Some(self.value(value)?) } else { None };
        let affine = self.affine(bn)?;
        let [dgamma, dbeta] = [affine.gamma, affine.beta].map(|p| self.layout.gradient(p));
        self.summed.insert(value);
        Ok(Some(NormGradient { out, y, mean, rstd, dgamma, dbeta }))
    }
}
