//! What lives as long as the executor: parameters, gradients, velocities, running statistics,
//! and the tables of a pass. Each kind is one buffer, so that the optimiser is one launch.

use std::collections::HashMap;

use crate::backend::{ALIGN, View};
use crate::error::{Error, Result};
use crate::nn::{Network, Parameter, ParameterKind};
use crate::ops::loss_score::{BatchViews, FIELDS, Field};
use crate::tensor::Dtype;

/// Buffer numbers; the arena's buffers follow.
pub(super) const PARAMETERS: u32 = 0;
pub(super) const GRADIENTS: u32 = 1;
pub(super) const VELOCITIES: u32 = 2;
pub(super) const RUNNING: u32 = 3;
pub(super) const TABLES: u32 = 4;
pub(super) const FIRST_ARENA: u32 = 5;

/// Columns of the score table hold a multiple of this many values, so that each is aligned.
const COLUMN: usize = ALIGN / 4;

/// Places of everything persistent.
pub struct Layout {
    pub parameters: Vec<Parameter>,
    /// Offset of each parameter, the same in the parameter, gradient and velocity buffers.
    places: Vec<View>,
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
    trains: bool,
}

/// Hands out aligned places of one buffer.
struct Cursor {
    buffer: u32,
    offset: usize,
}

impl Cursor {
    fn take(&mut self, len: usize, dtype: Dtype) -> View {
        let view = View { buffer: self.buffer, offset: self.offset, len, dtype };
        self.offset = (self.offset + view.bytes()).next_multiple_of(ALIGN);
        view
    }
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
    ) -> Self {
        let parameters = network.parameters();
        let mut cursor = Cursor { buffer: PARAMETERS, offset: 0 };
        let places: Vec<View> =
            parameters.iter().map(|p| cursor.take(p.len(), Dtype::F32)).collect();
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
        let sample_weights = cursor.take(if trains { capacity } else { 0 }, Dtype::F32);
        Layout {
            parameters,
            places,
            by_node,
            running,
            parameter_bytes,
            running_bytes,
            table_bytes: cursor.offset,
            batch,
            lrs,
            class_weights,
            sample_weights,
            trains,
        }
    }

    /// Bytes of the persistent buffers, in buffer order. Scoring needs no gradients.
    pub fn sizes(&self) -> Vec<usize> {
        let training = if self.trains { self.parameter_bytes } else { 0 };
        vec![self.parameter_bytes, training, training, self.running_bytes, self.table_bytes]
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
