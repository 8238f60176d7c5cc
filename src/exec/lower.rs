//! Writes a network down as steps: forward, then (where the mode asks) backward and update.

use std::collections::HashMap;

use super::block::{Block, fuse};
use super::layout::{GRADIENTS, Layout, PARAMETERS, VELOCITIES};
use super::plan::{Mode, Tensors, TrainOptions};
use super::step::Step;
use crate::backend::View;
use crate::error::{Error, Result};
use crate::nn::{Layer, Network, ParameterKind, ValueId};
use crate::ops::Operators;
use crate::ops::batch_norm::{Affine, BackwardInput, BatchNormProblem};
use crate::ops::conv2d::{Conv2dProblem, Direction, Epilogue};
use crate::ops::gather::{Augmentation, GatherProblem};
use crate::ops::loss_score::{BatchViews, LogitGradient, LossScoreProblem};
use crate::ops::pool::{GlobalPoolProblem, MaxPoolProblem};
use crate::tensor::Dtype;

/// What backward needs of a block's forward.
#[derive(Clone, Copy)]
struct Saved {
    /// Convolution output, mean, rstd, scale (Conv blocks).
    y: View,
    mean: View,
    rstd: View,
    scale: View,
    /// Winners of a max-pooling.
    taps: View,
}

struct Lowering<'a, B> {
    backend: &'a B,
    network: &'a Network,
    layout: &'a Layout,
    tensors: &'a mut Tensors,
    mode: Mode,
    n: usize,
    steps: Vec<Step>,
    values: HashMap<ValueId, View>,
    saved: Vec<Option<Saved>>,
    /// Gradients of values, once something has been written to them.
    gradients: HashMap<ValueId, View>,
    /// Squared gradient norms (modes with norms).
    norms: View,
}

/// The steps, and the (symbolic) views of the logits and of the last layer's input.
#[expect(clippy::too_many_arguments)]
pub(super) fn lower<B: Operators>(
    backend: &B,
    network: &Network,
    layout: &Layout,
    tensors: &mut Tensors,
    mode: Mode,
    [n, batch]: [usize; 2],
    options: &TrainOptions,
    [mean, std]: [[f32; 3]; 2],
) -> Result<(Vec<Step>, [View; 2])> {
    let blocks = fuse(network)?;
    let [h, w, c] = network.input();
    let mut l = Lowering {
        backend,
        network,
        layout,
        mode,
        n,
        steps: Vec::new(),
        values: HashMap::new(),
        saved: vec![None; blocks.len()],
        gradients: HashMap::new(),
        norms: View::EMPTY,
        tensors,
    };
    let augmentation = if mode == Mode::Train { options.augmentation } else { Augmentation::NONE };
    let x = l.tensors.f32(n * h * w * c);
    let problem = GatherProblem { n, batch, h, w, mean, std, augmentation, seed: options.seed };
    let io = layout.batch;
    l.steps.push(Step::Gather { problem, order: io.order, state: io.state, out: x });
    l.values.insert(ValueId(0), x);
    for (i, block) in blocks.iter().enumerate() {
        l.forward(i, block)?;
    }
    let [logits, features] = [l.value(network.logits())?, l.value(network.features())?];
    l.tensors.keep(logits);
    if mode == Mode::Score {
        l.tensors.keep(features);
    }
    let problem = LossScoreProblem { n, batch, k: network.classes };
    let gradient = match mode {
        Mode::Train => LogitGradient::Mean {
            class_weights: layout.class_weights,
            // Until somebody sets some.
            sample_weights: View::EMPTY,
            smoothing: options.smoothing,
        },
        Mode::Score => LogitGradient::None,
        Mode::GradNorm | Mode::LastLayerNorm => LogitGradient::PerSample,
    };
    let dlogits = if mode == Mode::Score { View::EMPTY } else { l.tensors.f32(logits.len) };
    // Passes between two epochs are no presentations.
    let previous = if mode == Mode::Train { io.previous } else { View::EMPTY };
    let batch = BatchViews { previous, ..io };
    l.steps.push(Step::LossScore { problem, logits, batch, gradient, dlogits });
    if mode != Mode::Score {
        l.gradients.insert(network.logits(), dlogits);
        if mode.has_norms() {
            l.norms = l.tensors.f32(n);
            l.steps.push(Step::Zero { view: l.norms });
        }
        let last = if mode == Mode::LastLayerNorm { blocks.len() - 1 } else { 0 };
        for (i, block) in blocks.iter().enumerate().skip(last).rev() {
            l.backward(i, block)?;
        }
    }
    if mode.has_norms() {
        l.steps.push(Step::StoreNorms { problem, norms: l.norms, batch: io });
    }
    l.steps.push(if mode == Mode::Train {
        Step::Sgd {
            problem: options.sgd,
            dw: layout.whole(GRADIENTS),
            w: layout.whole(PARAMETERS),
            v: layout.whole(VELOCITIES),
            lrs: layout.lrs,
            state: io.state,
        }
    } else {
        Step::Advance { state: io.state }
    });
    Ok((l.steps, [logits, features]))
}

impl<B: Operators> Lowering<'_, B> {
    fn value(&self, id: ValueId) -> Result<View> {
        self.values
            .get(&id)
            .copied()
            .ok_or_else(|| Error::Internal(format!("value {} is read before it exists", id.0)))
    }

    fn value_len(&self, id: ValueId) -> usize {
        self.n * self.network.shapes[id.0].iter().product::<usize>()
    }

    fn workspace(&mut self, problem: &Conv2dProblem, direction: Direction) -> View {
        let len = self.backend.conv2d_workspace(problem, direction);
        self.tensors.f32(len)
    }

    fn problem(&self, node: usize) -> Result<Conv2dProblem> {
        self.network
            .conv_problem(&self.network.nodes[node], self.n)
            .ok_or_else(|| Error::Internal(format!("node {node} is no convolution")))
    }

    fn bn_problem(&self, node: usize) -> BatchNormProblem {
        let [h, w, c] = self.network.shapes[self.network.nodes[node].output.0];
        BatchNormProblem { n: self.n, hw: h * w, c }
    }

    fn affine(&self, node: usize) -> Result<Affine> {
        Ok(Affine {
            gamma: self.layout.parameter(node, ParameterKind::Gamma)?,
            beta: self.layout.parameter(node, ParameterKind::Beta)?,
        })
    }

    fn forward(&mut self, index: usize, block: &Block) -> Result<()> {
        match *block {
            Block::Conv { .. } => self.forward_conv(index, block),
            Block::MaxPool { node } => {
                let n = &self.network.nodes[node];
                let (input, output) = (n.inputs[0], n.output);
                let problem = self.max_pool_problem(node)?;
                let x = self.value(input)?;
                let y = self.tensors.f32(problem.y_len());
                let taps = self.tensors.new_tensor(problem.y_len(), Dtype::U32);
                self.steps.push(Step::MaxPool { problem, x, y, taps });
                self.values.insert(output, y);
                let e = View::EMPTY;
                self.saved[index] = Some(Saved { y: e, mean: e, rstd: e, scale: e, taps });
                Ok(())
            }
            Block::GlobalPool { node } => {
                let n = &self.network.nodes[node];
                let (input, output) = (n.inputs[0], n.output);
                let x = self.value(input)?;
                let y = self.tensors.f32(self.value_len(output));
                let problem = self.global_pool_problem(node);
                self.steps.push(Step::GlobalPool { problem, x, y });
                self.values.insert(output, y);
                Ok(())
            }
            Block::Linear { node } => {
                let n = &self.network.nodes[node];
                let (input, output) = (n.inputs[0], n.output);
                let problem = as_row(self.problem(node)?);
                let x = self.value(input)?;
                let y = self.tensors.f32(self.value_len(output));
                let w = self.layout.parameter(node, ParameterKind::LinearWeight)?;
                let bias = self.layout.find(node, ParameterKind::LinearBias);
                let workspace = self.workspace(&problem, Direction::Fprop);
                let epilogue = Epilogue::None;
                self.steps.push(Step::ConvFprop { problem, x, w, bias, y, epilogue, workspace });
                self.values.insert(output, y);
                Ok(())
            }
        }
    }

    fn forward_conv(&mut self, index: usize, block: &Block) -> Result<()> {
        let Block::Conv { conv, bn, residual, relu, input, output } = *block else {
            return Err(Error::Internal("a convolution block was expected".to_owned()));
        };
        let problem = self.problem(conv)?;
        let bn_problem = self.bn_problem(bn);
        let c = bn_problem.c;
        let x = self.value(input)?;
        let w = self.layout.parameter(conv, ParameterKind::ConvWeight)?;
        let bias = self.layout.find(conv, ParameterKind::ConvBias);
        let residual = residual.map(|r| self.value(r)).transpose()?;
        let affine = self.affine(bn)?;
        let running = self.layout.running_of(bn)?;
        let [rstd, scale, shift] = [(); 3].map(|()| self.tensors.f32(c));
        let scale_shift = [scale, shift];
        let workspace = self.workspace(&problem, Direction::Fprop);
        let out = self.tensors.f32(problem.y_len());
        self.values.insert(output, out);
        if matches!(self.mode, Mode::Score | Mode::LastLayerNorm) {
            self.steps.push(Step::BnEvalAffine { affine, running, rstd, scale_shift });
            let epilogue = Epilogue::Affine { scale, shift, residual, relu };
            self.steps.push(Step::ConvFprop { problem, x, w, bias, y: out, epilogue, workspace });
            return Ok(());
        }
        let y = self.tensors.f32(problem.y_len());
        let mean = if self.mode == Mode::Train {
            let [mean, m2] = [(); 2].map(|()| self.tensors.f32(c));
            let epilogue = Epilogue::Statistics { mean, m2 };
            self.steps.push(Step::ConvFprop { problem, x, w, bias, y, epilogue, workspace });
            let count = bn_problem.count();
            self.steps.push(Step::BnFinalize {
                count,
                mean,
                m2,
                affine,
                running,
                rstd,
                scale_shift,
            });
            mean
        } else {
            self.steps.push(Step::BnEvalAffine { affine, running, rstd, scale_shift });
            let epilogue = Epilogue::None;
            self.steps.push(Step::ConvFprop { problem, x, w, bias, y, epilogue, workspace });
            running[0]
        };
        self.steps.push(Step::BnApply { problem: bn_problem, y, scale_shift, residual, relu, out });
        self.saved[index] = Some(Saved { y, mean, rstd, scale, taps: View::EMPTY });
        Ok(())
    }

    fn saved(&self, index: usize) -> Result<Saved> {
        self.saved[index].ok_or_else(|| Error::Internal(format!("block {index} saved nothing")))
    }

    fn gradient(&self, id: ValueId) -> Result<View> {
        self.gradients
            .get(&id)
            .copied()
            .ok_or_else(|| Error::Internal(format!("value {} has no gradient", id.0)))
    }

    /// The gradient of `id` to write: a new tensor, or the one to add to.
    fn gradient_target(&mut self, id: ValueId) -> (View, bool) {
        if let Some(&view) = self.gradients.get(&id) {
            return (view, true);
        }
        let view = self.tensors.f32(self.value_len(id));
        self.gradients.insert(id, view);
        (view, false)
    }

    fn new_gradient(&mut self, id: ValueId) -> Result<View> {
        match self.gradient_target(id) {
            (view, false) => Ok(view),
            (_, true) => Err(Error::Internal(format!("value {} has two readers", id.0))),
        }
    }

    fn backward(&mut self, index: usize, block: &Block) -> Result<()> {
        match *block {
            Block::Conv { .. } => self.backward_conv(index, block),
            Block::MaxPool { node } => {
                let n = &self.network.nodes[node];
                let (input, output) = (n.inputs[0], n.output);
                let problem = self.max_pool_problem(node)?;
                let (dy, taps) = (self.gradient(output)?, self.saved(index)?.taps);
                let dx = self.new_gradient(input)?;
                self.steps.push(Step::MaxPoolBackward { problem, dy, taps, dx });
                Ok(())
            }
            Block::GlobalPool { node } => {
                let n = &self.network.nodes[node];
                let (input, output) = (n.inputs[0], n.output);
                let dy = self.gradient(output)?;
                let dx = self.new_gradient(input)?;
                let problem = self.global_pool_problem(node);
                self.steps.push(Step::GlobalPoolBackward { problem, dy, dx });
                Ok(())
            }
            Block::Linear { node } => {
                let n = &self.network.nodes[node];
                let (input, dy) = (n.inputs[0], self.gradient(n.output)?);
                let w = self.layout.parameter(node, ParameterKind::LinearWeight)?;
                let bias = self.layout.find(node, ParameterKind::LinearBias);
                let problem = self.problem(node)?;
                self.weight_gradient(problem, as_row(problem), input, dy, w, bias)?;
                if self.mode != Mode::LastLayerNorm {
                    self.input_gradient(as_row(problem), input, dy, w);
                }
                Ok(())
            }
        }
    }

    fn backward_conv(&mut self, index: usize, block: &Block) -> Result<()> {
        let Block::Conv { conv, bn, residual, relu, input, output } = *block else {
            return Err(Error::Internal("a convolution block was expected".to_owned()));
        };
        let Saved { y, mean, rstd, scale, .. } = self.saved(index)?;
        let problem = self.bn_problem(bn);
        let dout = self.gradient(output)?;
        let out = if relu { Some(self.value(output)?) } else { None };
        let mut input_views =
            BackwardInput { dout, out, y, mean, rstd, mask_in_place: residual.is_some() };
        let dy = self.tensors.f32(y.len);
        if self.mode == Mode::GradNorm {
            let norms = self.norms;
            self.steps.push(Step::BnBackwardEval { problem, input: input_views, scale, dy, norms });
        } else {
            let affine = self.affine(bn)?;
            let dgamma = self.layout.gradient(affine.gamma);
            let dbeta = self.layout.gradient(affine.beta);
            let workspace = self.tensors.f32(problem.workspace());
            self.steps.push(Step::BnBackwardReduce {
                problem,
                input: input_views,
                dgamma,
                dbeta,
                workspace,
            });
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
        if let Some(r) = residual
            && self.gradients.insert(r, dout).is_some()
        {
            return Err(Error::Internal(format!("residual {} has a gradient already", r.0)));
        }
        let problem = self.problem(conv)?;
        let w = self.layout.parameter(conv, ParameterKind::ConvWeight)?;
        let bias = self.layout.find(conv, ParameterKind::ConvBias);
        self.weight_gradient(problem, problem, input, dy, w, bias)?;
        self.input_gradient(problem, input, dy, w);
        Ok(())
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
            let form = self.backend.conv2d_grad_norm_form(&per_sample);
            let workspace = self.workspace(&per_sample, Direction::GradNorm(form));
            let (problem, norms, bias) = (per_sample, self.norms, bias.is_some());
            self.steps.push(Step::ConvGradNorm { problem, x, dy, bias, norms, form, workspace });
        } else {
            let workspace = self.workspace(&summed, Direction::Wgrad);
            let (dw, db) = (self.layout.gradient(w), bias.map(|b| self.layout.gradient(b)));
            self.steps.push(Step::ConvWgrad { problem: summed, x, dy, dw, db, workspace });
        }
        Ok(())
    }

    fn input_gradient(&mut self, problem: Conv2dProblem, input: ValueId, dy: View, w: View) {
        if input == ValueId(0) {
            return;
        }
        let (dx, accumulate) = self.gradient_target(input);
        let workspace = self.workspace(&problem, Direction::Dgrad);
        self.steps.push(Step::ConvDgrad { problem, dy, w, dx, accumulate, workspace });
    }

    fn max_pool_problem(&self, node: usize) -> Result<MaxPoolProblem> {
        let n = &self.network.nodes[node];
        let [h, w, c] = self.network.shapes[n.inputs[0].0];
        match n.layer {
            Layer::MaxPool { window, stride, pad } => {
                Ok(MaxPoolProblem { n: self.n, h, w, c, window, stride, pad })
            }
            _ => Err(Error::Internal(format!("node {node} is no max-pooling"))),
        }
    }

    fn global_pool_problem(&self, node: usize) -> GlobalPoolProblem {
        let [h, w, c] = self.network.shapes[self.network.nodes[node].inputs[0].0];
        GlobalPoolProblem { n: self.n, hw: h * w, c }
    }
}

/// A linear layer over a batch: one image of height 1 whose pixels are the samples.
fn as_row(problem: Conv2dProblem) -> Conv2dProblem {
    Conv2dProblem { n: 1, h: 1, w: problem.n, ..problem }
}
