//! Writes a network down as steps: forward (`forward`), then, where the mode asks, backward
//! (`backward`) and update.

mod backward;
mod forward;
mod tensors;

use std::collections::{HashMap, HashSet};

use crate::backend::View;
use crate::error::{Error, Result};
use crate::exec::block::{FusedBlock, fuse};
use crate::exec::compute::Compute;
use crate::exec::layout::{GRADIENTS, Layout, PARAMETERS, VELOCITIES};
use crate::exec::pass::{Mode, Requirements};
use crate::exec::step::Step;
use crate::nn::{Layer, Network, ParameterKind, ValueId};
use crate::ops::Operators;
use crate::ops::batch_norm::{Affine, BatchNormProblem};
use crate::ops::conv2d::{Conv2dDirection, Conv2dProblem};
use crate::ops::gather::{Augmentation, CHANNELS_BF16, GatherProblem};
use crate::ops::loss_score::{BatchViews, LogitGradient, LossScoreProblem};
use crate::ops::pool::{GlobalPoolProblem, MaxPoolProblem};
use crate::ops::sgd::{SgdOperands, SgdProblem};
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
    tensors: Tensors,
    mode: Mode,
    /// Samples of this batch, and of the pass's batches.
    n: usize,
    batch: usize,
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

/// A network written down: its steps on symbolic views.
pub(super) struct Lowered {
    pub steps: Vec<Step>,
    pub tensors: Tensors,
    /// N x classes.
    pub logits: View,
    /// The last layer's input, N x features.
    pub features: View,
}

/// The steps of a batch of `n` samples of a pass whose batches have `batch`.
pub(super) fn lower<B: Operators>(
    backend: &B,
    network: &Network,
    layout: &Layout,
    requirements: &Requirements,
    mode: Mode,
    [n, batch]: [usize; 2],
) -> Result<Lowered> {
    let blocks = fuse(network)?;
    let stored = requirements.compute.precision.dtype();
    check_channels(network, stored)?;
    let (producers, readers) = edges(network, &blocks);
    let mut l = Lowering {
        backend,
        network,
        layout,
        mode,
        n,
        batch,
        steps: Vec::new(),
        values: HashMap::new(),
        saved: vec![None; blocks.len()],
        gradients: HashMap::new(),
        norms: View::EMPTY,
        compute: requirements.compute,
        stored,
        producers,
        readers,
        summed: HashSet::new(),
        tensors: Tensors::default(),
    };
    l.input(requirements);
    for (i, block) in blocks.iter().enumerate() {
        l.forward(i, block)?;
    }
    let [logits, features] = [l.value(network.logits())?, l.value(network.features())?];
    l.tensors.keep(logits);
    if mode == Mode::Score {
        l.tensors.keep(features);
    }
    l.objective(logits, requirements.options.smoothing);
    if mode != Mode::Score {
        let last = if mode == Mode::LastLayerNorm { blocks.len() - 1 } else { 0 };
        for (i, block) in blocks.iter().enumerate().skip(last).rev() {
            l.backward(i, &blocks, block)?;
        }
    }
    l.end(requirements.options.sgd);
    Ok(Lowered { steps: l.steps, tensors: l.tensors, logits, features })
}

impl<B: Operators> Lowering<'_, B> {
    /// The batch's images, augmented while the network is trained.
    fn input(&mut self, requirements: &Requirements) {
        let Requirements { mean, std, options, .. } = *requirements;
        let [h, w, c] = self.network.input();
        let trained = self.mode == Mode::Train;
        let augmentation = if trained { options.augmentation } else { Augmentation::NONE };
        let channels = if self.stored == Dtype::Bf16 { CHANNELS_BF16 } else { c };
        let x = self.activation(self.n * h * w * channels);
        let (n, batch) = (self.n, self.batch);
        let (stored, seed) = (requirements.stored.unwrap_or([h, w]), options.seed);
        let problem = GatherProblem { n, batch, h, w, stored, mean, std, augmentation, seed };
        let (io, sources) = (self.layout.batch, View::EMPTY);
        self.steps.push(Step::Gather {
            problem,
            order: io.order,
            sources,
            state: io.state,
            out: x,
        });
        self.values.insert(ValueId(0), x);
    }

    fn loss_problem(&self) -> LossScoreProblem {
        LossScoreProblem { n: self.n, batch: self.batch, k: self.network.classes }
    }

    /// Losses and scores of the logits, and where backward begins: their gradient, and norms of 0.
    fn objective(&mut self, logits: View, smoothing: f32) {
        let (problem, io) = (self.loss_problem(), self.layout.batch);
        let gradient = match self.mode {
            Mode::Train => LogitGradient::Mean {
                class_weights: self.layout.class_weights,
                // Until somebody sets some.
                sample_weights: View::EMPTY,
                smoothing,
            },
            Mode::Score => LogitGradient::None,
            Mode::GradNorm | Mode::LastLayerNorm => LogitGradient::PerSample,
        };
        let scores_only = self.mode == Mode::Score;
        let dlogits = if scores_only { View::EMPTY } else { self.tensors.f32(logits.len) };
        // Passes between two epochs are no presentations.
        let previous = if self.mode == Mode::Train { io.previous } else { View::EMPTY };
        let batch = BatchViews { previous, ..io };
        self.steps.push(Step::LossScore { problem, logits, batch, gradient, dlogits });
        if !scores_only {
            self.gradients.insert(self.network.logits(), dlogits);
        }
        if self.mode.has_norms() {
            self.norms = self.tensors.f32(self.n);
            self.steps.push(Step::Zero { view: self.norms });
        }
    }

    /// What ends a batch: norms go to their column; parameters are updated, or the batch is counted.
    fn end(&mut self, sgd: SgdProblem) {
        let (layout, io) = (self.layout, self.layout.batch);
        if self.mode.has_norms() {
            let (problem, norms) = (self.loss_problem(), self.norms);
            self.steps.push(Step::StoreNorms { problem, norms, batch: io });
        }
        if self.mode != Mode::Train {
            self.steps.push(Step::Advance { state: io.state });
            return;
        }
        let operands = SgdOperands {
            dw: layout.whole(GRADIENTS),
            w: layout.whole(PARAMETERS),
            v: layout.whole(VELOCITIES),
            lrs: layout.lrs,
            state: io.state,
        };
        self.steps.push(Step::Sgd { problem: sgd, operands });
        if let Some([from, to]) = layout.halves() {
            self.steps.push(Step::Cast { from, to });
        }
    }

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
    fn workspace(
        &mut self,
        problem: &Conv2dProblem,
        direction: Conv2dDirection,
        dtype: Dtype,
    ) -> View {
        let len = self.backend.conv2d_workspace(problem, direction, dtype);
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
    blocks: &[FusedBlock],
) -> (HashMap<ValueId, usize>, HashMap<ValueId, usize>) {
    let (mut producers, mut readers) = (HashMap::new(), HashMap::new());
    for (i, block) in blocks.iter().enumerate() {
        let read = match *block {
            FusedBlock::Conv { input, residual, output, .. } => {
                producers.insert(output, i);
                [Some(input), residual]
            }
            FusedBlock::MaxPool { node }
            | FusedBlock::GlobalPool { node }
            | FusedBlock::Linear { node } => [Some(network.nodes[node].inputs[0]), None],
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
                let expected = "multiples of 8 channels (`width`), or f32";
                return Err(Error::invalid("`precision`", found, expected));
            }
        }
    }
    Ok(())
}

/// A linear layer over a batch: one image of height 1 whose pixels are the samples.
fn as_row(problem: Conv2dProblem) -> Conv2dProblem {
    Conv2dProblem { n: 1, h: 1, w: problem.n, ..problem }
}
