//! What lives as long as the executor: parameters, gradients, velocities, running statistics,
//! and the tables of a pass. Each kind is one buffer, so that the optimiser is one launch.

use std::collections::HashMap;

use crate::backend::{ALIGN, View};
use crate::error::{Error, Result};
use crate::nn::{Network, Parameter, ParameterKind, ValueId};
use crate::ops::Precision;
use crate::ops::gather::CHANNELS_BF16;
use crate::ops::loss_score::{BatchViews, FIELDS, Field};
use crate::tensor::{Dtype, kcrs_to_krsc, krsc_to_kcrs};

/// Buffer numbers; the arena's buffers follow.
pub(super) const PARAMETERS: u32 = 0;
pub(super) const GRADIENTS: u32 = 1;
pub(super) const VELOCITIES: u32 = 2;
pub(super) const RUNNING: u32 = 3;
pub(super) const TABLES: u32 = 4;
/// The parameters once more, as bf16.
pub(super) const HALVES: u32 = 5;
pub(super) const FIRST_ARENA: u32 = 6;

/// Columns of the score table hold a multiple of this many values, so that each is aligned.
const COLUMN: usize = ALIGN / 4;

/// Places of everything persistent.
pub struct Layout {
    pub parameters: Vec<Parameter>,
    /// Offset of each parameter, the same in the parameter, gradient and velocity buffers, and half of it
    /// in that of bf16.
    places: Vec<View>,
    precision: Precision,
    by_node: HashMap<(usize, ParameterKind), usize>,
    /// Node, running mean, running variance.
    pub running: Vec<(usize, View, View)>,
    parameter_bytes: usize,
    running_bytes: usize,
    table_bytes: usize,
    pub batch: BatchViews,
    /// f32, one learning rate a step of an epoch.
    pub lrs: View,
    /// f32, one weight a class.
    pub class_weights: View,
    /// f32, one loss weight a sample of the part; empty where nothing is trained.
    pub sample_weights: View,
    /// u32, the image of every draw of an epoch; empty where nothing is trained.
    pub sources: View,
    trains: bool,
}

/// Hands out aligned places of one buffer.
struct Cursor {
    buffer: u32,
    offset: usize,
}

impl Cursor {
    fn take(&mut self, len: usize, dtype: Dtype) -> View {
        self.take_aligned(len, dtype, ALIGN)
    }

    fn take_aligned(&mut self, len: usize, dtype: Dtype, align: usize) -> View {
        let view = View { buffer: self.buffer, offset: self.offset, len, dtype };
        self.offset = (self.offset + view.bytes()).next_multiple_of(align);
        view
    }
}

/// Input channels of a convolution's weights where they are stored: as bf16 the images have channels of
/// zeros behind the colours, so that weights see those, too. Their gradients are 0, and so they stay.
fn stored_channels(
    network: &Network,
    parameter: &Parameter,
    precision: Precision,
) -> Option<usize> {
    let first = network.nodes[parameter.node].inputs.first() == Some(&ValueId(0));
    (parameter.kind == ParameterKind::ConvWeight && first && precision == Precision::Bf16)
        .then_some(CHANNELS_BF16)
}

impl Layout {
    /// Places for `network`, passes over at most `capacity` samples and `steps` steps;
    /// `divergences`: with the previous presentation of every sample.
    pub fn new(
        network: &Network,
        capacity: usize,
        steps: usize,
        trains: bool,
        divergences: bool,
        precision: Precision,
    ) -> Self {
        let parameters = network.parameters();
        let mut cursor = Cursor { buffer: PARAMETERS, offset: 0 };
        let align = if precision == Precision::Bf16 { 2 * ALIGN } else { ALIGN };
        let stored = |p: &Parameter| match stored_channels(network, p, precision) {
            Some(channels) => p.len() / p.shape[1] * channels,
            None => p.len(),
        };
        let places: Vec<View> =
            parameters.iter().map(|p| cursor.take_aligned(stored(p), Dtype::F32, align)).collect();
        let parameter_bytes = cursor.offset;
        let by_node = parameters.iter().enumerate().map(|(i, p)| ((p.node, p.kind), i)).collect();
        let mut cursor = Cursor { buffer: RUNNING, offset: 0 };
        let running = network
            .batch_norms()
            .into_iter()
            .map(|(node, c)| (node, cursor.take(c, Dtype::F32), cursor.take(c, Dtype::F32)))
            .collect();
        let running_bytes = cursor.offset;
        let mut cursor = Cursor { buffer: TABLES, offset: 0 };
        let batch = BatchViews {
            order: cursor.take(capacity, Dtype::U32),
            labels: cursor.take(capacity, Dtype::U32),
            state: cursor.take(4, Dtype::U32),
            table: cursor.take(capacity.next_multiple_of(COLUMN) * FIELDS, Dtype::F32),
            previous: cursor
                .take(if divergences { capacity * network.classes } else { 0 }, Dtype::F32),
        };
        let lrs = cursor.take(steps.max(1), Dtype::F32);
        let class_weights = cursor.take(network.classes, Dtype::F32);
        let of_training = if trains { capacity } else { 0 };
        let sample_weights = cursor.take(of_training, Dtype::F32);
        let sources = cursor.take(of_training, Dtype::U32);
        Layout {
            parameters,
            places,
            precision,
            by_node,
            running,
            parameter_bytes,
            running_bytes,
            table_bytes: cursor.offset,
            batch,
            lrs,
            class_weights,
            sample_weights,
            sources,
            trains,
        }
    }

    /// Bytes of the persistent buffers, in buffer order. Scoring needs no gradients.
    pub fn sizes(&self) -> Vec<usize> {
        let training = if self.trains { self.parameter_bytes } else { 0 };
        let halves = match self.precision {
            Precision::F32 => 0,
            Precision::Bf16 => self.parameter_bytes / 2,
        };
        let (parameters, running, tables) =
            (self.parameter_bytes, self.running_bytes, self.table_bytes);
        vec![parameters, training, training, running, tables, halves]
    }

    /// All parameters and where they lie as bf16, if they do.
    pub(super) fn halves(&self) -> Option<[View; 2]> {
        let all = self.whole(PARAMETERS);
        let halves = View { buffer: HALVES, dtype: Dtype::Bf16, ..all };
        (self.precision == Precision::Bf16).then_some([all, halves])
    }

    /// A parameter as convolutions read it.
    pub(super) fn stored(&self, parameter: View) -> View {
        match self.precision {
            Precision::F32 => parameter,
            Precision::Bf16 => View {
                buffer: HALVES,
                offset: parameter.offset / 2,
                dtype: Dtype::Bf16,
                ..parameter
            },
        }
    }

    /// A parameter-shaped tensor in PyTorch's layout as it lies in its place.
    pub(super) fn pack(&self, index: usize, data: &[f32]) -> Vec<f32> {
        let p = &self.parameters[index];
        if p.kind != ParameterKind::ConvWeight {
            return data.to_vec();
        }
        let own = kcrs_to_krsc(data, [p.shape[0], p.shape[1], p.shape[2], p.shape[3]]);
        let len = self.places[index].len;
        if len == own.len() {
            return own;
        }
        let channels = len / (own.len() / p.shape[1]);
        let mut padded = vec![0.0; len];
        for (to, from) in padded.chunks_exact_mut(channels).zip(own.chunks_exact(p.shape[1])) {
            to[..from.len()].copy_from_slice(from);
        }
        padded
    }

    /// The inverse of [`Layout::pack`].
    pub(super) fn unpack(&self, index: usize, stored: Vec<f32>) -> Vec<f32> {
        let p = &self.parameters[index];
        if p.kind != ParameterKind::ConvWeight {
            return stored;
        }
        let shape = [p.shape[0], p.shape[1], p.shape[2], p.shape[3]];
        if stored.len() == p.len() {
            return krsc_to_kcrs(&stored, shape);
        }
        let channels = stored.len() / (p.len() / p.shape[1]);
        let own: Vec<f32> =
            stored.chunks_exact(channels).flat_map(|c| &c[..p.shape[1]]).copied().collect();
        krsc_to_kcrs(&own, shape)
    }

    /// The first `samples` values of one column of the score table.
    pub(super) fn column(&self, field: Field, samples: usize) -> View {
        let table = self.batch.table;
        let stride = table.bytes() / FIELDS;
        View { offset: table.offset + field as usize * stride, len: samples, ..table }
    }

    /// The whole of a parameter-shaped buffer, padding included.
    pub(super) fn whole(&self, buffer: u32) -> View {
        View { buffer, offset: 0, len: self.parameter_bytes / 4, dtype: Dtype::F32 }
    }

    /// Place of parameter `index` in one of the parameter-shaped buffers.
    pub(super) fn place(&self, index: usize, buffer: u32) -> View {
        View { buffer, ..self.places[index] }
    }

    /// Place of a node's parameter, if it has one of that kind.
    pub fn find(&self, node: usize, kind: ParameterKind) -> Option<View> {
        self.by_node.get(&(node, kind)).map(|&i| self.places[i])
    }

    /// Place of a node's parameter, which the network must have.
    pub fn parameter(&self, node: usize, kind: ParameterKind) -> Result<View> {
        self.find(node, kind).ok_or_else(|| Error::Internal(format!("node {node} has no {kind:?}")))
    }

    /// The gradient's place for a parameter's.
    pub fn gradient(&self, parameter: View) -> View {
        View { buffer: GRADIENTS, ..parameter }
    }

    /// Running mean and variance of a batch-norm node.
    pub fn running_of(&self, node: usize) -> Result<[View; 2]> {
        self.running
            .iter()
            .find(|r| r.0 == node)
            .map(|r| [r.1, r.2])
            .ok_or_else(|| Error::Internal(format!("node {node} has no running statistics")))
    }
}
