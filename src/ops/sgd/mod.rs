//! Stochastic gradient descent as torch.optim.SGD does it, over all parameters at once.
//!
//! ```text
//! g = dw + decay * w;  v = momentum * v + g;  w -= lr * (nesterov ? g + momentum * v : v)
//! ```
//!
//! A velocity of zero before the first step gives v = g there, as in PyTorch.

mod cpu;
mod cuda;

use crate::backend::{Backend, View};
use crate::error::Result;
use crate::ops::check_len;

/// Constants of the update; the learning rate is read from the table of the epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdProblem {
    pub momentum: f32,
    pub weight_decay: f32,
    pub nesterov: bool,
}

/// The tensors of an update.
#[derive(Clone, Copy, Debug)]
pub struct SgdOperands {
    /// Gradients, parameters and velocities: one value a parameter.
    pub dw: View,
    pub w: View,
    pub v: View,
    /// One learning rate a batch of the epoch.
    pub lrs: View,
    /// The pass's counters, four words.
    pub state: View,
}

impl SgdOperands {
    /// Checks that all views hold one value a parameter, and the state its four words.
    fn check(&self) -> Result<()> {
        check_len("SGD", "dw", self.dw, self.w.len)?;
        check_len("SGD", "v", self.v, self.w.len)?;
        check_len("SGD", "state", self.state, 4)
    }
}

/// The update on a backend.
pub trait Sgd: Backend {
    /// Updates `w` and `v` in place with the learning rate `lrs[state[0]]`, then counts the step:
    /// `state[0]` and `state[3]` grow by one. After a bad step (`state[2]` != 0) nothing is updated.
    ///
    /// A batch without a learning rate is a defect of the caller: an error on the CPU, a bad step
    /// on a device, which does not wait to look.
    fn sgd(
        &self,
        memory: &mut Self::Memory,
        problem: &SgdProblem,
        operands: &SgdOperands,
    ) -> Result<()>;

    /// Counts a batch without an update (scoring): `state[0]` and `state[3]` grow by one.
    fn advance(&self, memory: &mut Self::Memory, state: View) -> Result<()>;
}
