//! The forward half of a plan: a step or a few for every block, in the order of the network.

use super::{Lowering, Saved, as_row};
use crate::backend::View;
use crate::error::{Error, Result};
use crate::exec::block::FusedBlock;
use crate::exec::pass::Mode;
use crate::exec::step::Step;
use crate::nn::ParameterKind;
use crate::ops::Operators;
use crate::ops::batch_norm::{AffineMap, ApplyOperands};
use crate::ops::conv2d::{Conv2dDirection, Epilogue, FpropOperands};
use crate::tensor::Dtype;

impl<B: Operators> Lowering<'_, B> {
    pub(super) fn forward(&mut self, index: usize, block: &FusedBlock) -> Result<()> {
        match *block {
            FusedBlock::Conv { .. } => self.forward_conv(index, block),
            FusedBlock::MaxPool { node } => {
                let n = &self.network.nodes[node];
                let (input, output) = (n.inputs[0], n.output);
                let problem = self.max_pool_problem(node)?;
                let x = self.value(input)?;
                let y = self.activation(problem.y_len());
                let taps = if self.stored == Dtype::Bf16 { Dtype::Bf16 } else { Dtype::U32 };
                let taps = self.tensors.new_tensor(problem.y_len(), taps);
                self.steps.push(Step::MaxPool { problem, x, y, taps });
                self.values.insert(output, y);
                let e = View::EMPTY;
                self.saved[index] = Some(Saved { y: e, mean: e, rstd: e, scale: e, taps });
                Ok(())
            }
            FusedBlock::GlobalPool { node } => {
                let n = &self.network.nodes[node];
                let (input, output) = (n.inputs[0], n.output);
                let x = self.value(input)?;
                let y = self.tensors.f32(self.value_len(output));
                let problem = self.global_pool_problem(node);
                self.steps.push(Step::GlobalPool { problem, x, y });
                self.values.insert(output, y);
                Ok(())
            }
            FusedBlock::Linear { node } => {
                let n = &self.network.nodes[node];
                let (input, output) = (n.inputs[0], n.output);
                let problem = as_row(self.problem(node)?);
                let x = self.value(input)?;
                let y = self.tensors.f32(self.value_len(output));
                let w = self.layout.parameter(node, ParameterKind::LinearWeight)?;
                let bias = self.layout.find(node, ParameterKind::LinearBias);
                let workspace = self.workspace(&problem, Conv2dDirection::Fprop, x.dtype);
                let epilogue = Epilogue::None;
                let operands = FpropOperands { x, w, bias, y, epilogue, workspace };
                self.steps.push(Step::ConvFprop { problem, operands });
                self.values.insert(output, y);
                Ok(())
            }
        }
    }

    fn forward_conv(&mut self, index: usize, block: &FusedBlock) -> Result<()> {
        let FusedBlock::Conv { conv, bn, residual, relu, input, output } = *block else {
            return Err(Error::Internal("a convolution block was expected".to_owned()));
        };
        let problem = self.problem(conv)?;
        let bn_problem = self.bn_problem(bn);
        let c = bn_problem.c;
        let x = self.value(input)?;
        let w = self.convolution_weight(conv)?;
        let bias = self.layout.find(conv, ParameterKind::ConvBias);
        let residual = residual.map(|r| self.value(r)).transpose()?;
        let affine = self.affine(bn)?;
        let running = self.layout.running_of(bn)?;
        let [rstd, scale, shift] = [(); 3].map(|()| self.tensors.f32(c));
        let scale_shift = [scale, shift];
        let map = AffineMap { affine, running, rstd, scale_shift };
        let workspace = self.workspace(&problem, Conv2dDirection::Fprop, x.dtype);
        let out = self.activation(problem.y_len());
        self.values.insert(output, out);
        let fusion = self.compute.fusion;
        if matches!(self.mode, Mode::Score | Mode::LastLayerNorm) && fusion.affine {
            self.steps.push(Step::BnEvalAffine { map });
            let epilogue = Epilogue::Affine { scale, shift, residual, relu };
            let operands = FpropOperands { x, w, bias, y: out, epilogue, workspace };
            self.steps.push(Step::ConvFprop { problem, operands });
            return Ok(());
        }
        let y = self.activation(problem.y_len());
        let mean = if self.mode == Mode::Train {
            let [mean, m2] = [(); 2].map(|()| self.tensors.f32(c));
            let together = fusion.statistics || self.stored == Dtype::F32;
            let epilogue =
                if together { Epilogue::Statistics { mean, m2 } } else { Epilogue::None };
            let operands = FpropOperands { x, w, bias, y, epilogue, workspace };
            self.steps.push(Step::ConvFprop { problem, operands });
            if !together {
                let (problem, workspace) = (bn_problem, self.tensors.f32(bn_problem.workspace()));
                self.steps.push(Step::BnStatistics { problem, y, mean, m2, workspace });
            }
            let count = bn_problem.count();
            self.steps.push(Step::BnFinalize { count, mean, m2, map });
            mean
        } else {
            self.steps.push(Step::BnEvalAffine { map });
            let epilogue = Epilogue::None;
            let operands = FpropOperands { x, w, bias, y, epilogue, workspace };
            self.steps.push(Step::ConvFprop { problem, operands });
            running[0]
        };
        let operands = ApplyOperands { y, scale_shift, residual, relu, out };
        self.steps.push(Step::BnApply { problem: bn_problem, operands });
        self.saved[index] = Some(Saved { y, mean, rstd, scale, taps: View::EMPTY });
        Ok(())
    }
}
