//! Writes a network down as steps: forward, then (where the mode asks) backward (`backward`) and update.

mod backward;
mod tensors;

use std::collections::{HashMap, HashSet};

use crate::backend::View;
use crate::error::{Error, Result};
use crate::exec::block::{Block, fuse};
use crate::exec::compute::Compute;
use crate::exec::layout::{GRADIENTS, Layout, PARAMETERS, VELOCITIES};
use crate::exec::pass::{Mode, TrainOptions};
use crate::exec::step::Step;
use crate::nn::{Layer, Network, ParameterKind, ValueId};
use crate::ops::Operators;
use crate::ops::batch_norm::{Affine, BatchNormProblem};
use crate::ops::conv2d::{Conv2dProblem, Direction, Epilogue};
use crate::ops::gather::{Augmentation, CHANNELS_BF16, GatherProblem};
use crate::ops::loss_score::{BatchViews, LogitGradient, LossScoreProblem};
use crate::ops::pool::{GlobalPoolProblem, MaxPoolProblem};
use crate::tensor::Dtype;

pub(super) use tensors::{SYMBOLIC, Tensors};

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
    compute: Compute,
    /// Type of stored activations and their gradients.
    stored: Dtype,
    /// Convolution blocks by their output, and blocks whose gradient of a value is still to come.
    producers: HashMap<ValueId, usize>,
    readers: HashMap<ValueId, usize>,
    /// Values whose gradient is masked and summed already, by the dgrad that finished it.
    summed: HashSet<ValueId>,
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
    images: Option<[usize; 2]>,
    [mean, std]: [[f32; 3]; 2],
    compute: Compute,
) -> Result<(Vec<Step>, [View; 2])> {
    let blocks = fuse(network)?;
    let stored = compute.precision.dtype();
    check_channels(network, stored)?;
    let (producers, readers) = edges(network, &blocks);
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
        compute,
        stored,
        producers,
        readers,
        summed: HashSet::new(),
        tensors,
    };
    let augmentation = if mode == Mode::Train { options.augmentation } else { Augmentation::NONE };
    let channels = if stored == Dtype::Bf16 { CHANNELS_BF16 } else { c };
    let x = l.activation(n * h * w * channels);
    let (stored, seed) = (images.unwrap_or([h, w]), options.seed);
    let problem = GatherProblem { n, batch, h, w, stored, mean, std, augmentation, seed };
    let io = layout.batch;
    let sources = View::EMPTY;
    l.steps.push(Step::Gather { problem, order: io.order, sources, state: io.state, out: x });
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
            l.backward(i, &blocks, block)?;
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
    if let Some([from, to]) = layout.halves().filter(|_| mode == Mode::Train) {
        l.steps.push(Step::Cast { from, to });
    }
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

    /// For tensors of `dtype`.
    fn workspace(&mut self, problem: &Conv2dProblem, direction: Direction, dtype: Dtype) -> View {
        let len = match dtype {
            Dtype::Bf16 => self.backend.conv2d_workspace_bf16(problem, direction),
            _ => self.backend.conv2d_workspace(problem, direction),
        };
        self.tensors.f32(len)
    }

    /// A stored activation, or the gradient of one.
    fn activation(&mut self, len: usize) -> View {
        self.tensors.new_tensor(len, self.stored)
    }

    /// The convolution of a node; that of the images sees the channels they are stored with.
    fn problem(&self, node: usize) -> Result<Conv2dProblem> {
        let layer = &self.network.nodes[node];
        let problem = self
            .network
            .conv_problem(layer, self.n)
            .ok_or_else(|| Error::Internal(format!("node {node} is no convolution")))?;
        let padded = self.stored == Dtype::Bf16 && layer.inputs[0] == ValueId(0);
        Ok(Conv2dProblem { c: if padded { CHANNELS_BF16 } else { problem.c }, ..problem })
    }

    fn convolution_weight(&self, node: usize) -> Result<View> {
        Ok(self.layout.stored(self.layout.parameter(node, ParameterKind::ConvWeight)?))
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
                let y = self.activation(problem.y_len());
                let taps = if self.stored == Dtype::Bf16 { Dtype::Bf16 } else { Dtype::U32 };
                let taps = self.tensors.new_tensor(problem.y_len(), taps);
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
                let workspace = self.workspace(&problem, Direction::Fprop, x.dtype);
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
        let w = self.convolution_weight(conv)?;
        let bias = self.layout.find(conv, ParameterKind::ConvBias);
        let residual = residual.map(|r| self.value(r)).transpose()?;
        let affine = self.affine(bn)?;
        let running = self.layout.running_of(bn)?;
        let [rstd, scale, shift] = [(); 3].map(|()| self.tensors.f32(c));
        let scale_shift = [scale, shift];
        let workspace = self.workspace(&problem, Direction::Fprop, x.dtype);
        let out = self.activation(problem.y_len());
        self.values.insert(output, out);
        let fusion = self.compute.fusion;
        if matches!(self.mode, Mode::Score | Mode::LastLayerNorm) && fusion.affine {
            self.steps.push(Step::BnEvalAffine { affine, running, rstd, scale_shift });
            let epilogue = Epilogue::Affine { scale, shift, residual, relu };
            self.steps.push(Step::ConvFprop { problem, x, w, bias, y: out, epilogue, workspace });
            return Ok(());
        }
        let y = self.activation(problem.y_len());
        let mean = if self.mode == Mode::Train {
            let [mean, m2] = [(); 2].map(|()| self.tensors.f32(c));
            let together = fusion.statistics || self.stored == Dtype::F32;
            let epilogue =
                if together { Epilogue::Statistics { mean, m2 } } else { Epilogue::None };
            self.steps.push(Step::ConvFprop { problem, x, w, bias, y, epilogue, workspace });
            if !together {
                let (problem, workspace) = (bn_problem, self.tensors.f32(bn_problem.workspace()));
                self.steps.push(Step::BnStatistics { problem, y, mean, m2, workspace });
            }
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

/// Convolution blocks by the value they make, and the number of blocks that read each value.
fn edges(
    network: &Network,
    blocks: &[Block],
) -> (HashMap<ValueId, usize>, HashMap<ValueId, usize>) {
    let (mut producers, mut readers) = (HashMap::new(), HashMap::new());
    for (i, block) in blocks.iter().enumerate() {
        let read = match *block {
            Block::Conv { input, residual, output, .. } => {
                producers.insert(output, i);
                [Some(input), residual]
            }
            Block::MaxPool { node } | Block::GlobalPool { node } | Block::Linear { node } => {
                [Some(network.nodes[node].inputs[0]), None]
            }
        };
        read.into_iter().flatten().for_each(|id| *readers.entry(id).or_insert(0) += 1);
    }
    (producers, readers)
}

/// bf16 takes whole groups of 8 channels; those of the images are made so.
fn check_channels(network: &Network, stored: Dtype) -> Result<()> {
    if stored != Dtype::Bf16 {
        return Ok(());
    }
    for node in &network.nodes {
        if let Layer::Conv2d { c, k, .. } = node.layer {
            let images = node.inputs[0] == ValueId(0);
            if !k.is_multiple_of(8) || !(images || c.is_multiple_of(8)) {
                let found = format!("bf16 with {c} to {k} channels in {}", node.name);
                let expected = "multiples of 8 channels (--width), or f32";
                return Err(Error::invalid("--precision", found, expected));
            }
        }
    }
    Ok(())
}

/// A linear layer over a batch: one image of height 1 whose pixels are the samples.
fn as_row(problem: Conv2dProblem) -> Conv2dProblem {
    Conv2dProblem { n: 1, h: 1, w: problem.n, ..problem }
}
