//! The tensors of a plan while it is being written down: they have no places yet.

use crate::backend::View;
use crate::tensor::Dtype;

/// Buffer number of a tensor that has no place yet; its offset is the tensor's number.
pub(in crate::exec) const SYMBOLIC: u32 = u32::MAX;

/// The tensors of a plan while it is being written down.
#[derive(Default)]
pub(in crate::exec) struct Tensors {
    pub specs: Vec<(usize, Dtype)>,
    /// Kept until the plan's end, for whoever reads results.
    pub kept: Vec<usize>,
}

impl Tensors {
    /// A new tensor; its place is decided when the plan is complete.
    pub fn new_tensor(&mut self, len: usize, dtype: Dtype) -> View {
        self.specs.push((len, dtype));
        View { buffer: SYMBOLIC, offset: self.specs.len() - 1, len, dtype }
    }

    /// A new f32 tensor.
    pub fn f32(&mut self, len: usize) -> View {
        self.new_tensor(len, Dtype::F32)
    }

    /// Keeps a tensor's content until the end.
    pub fn keep(&mut self, view: View) {
        self.kept.push(view.offset);
    }
}
