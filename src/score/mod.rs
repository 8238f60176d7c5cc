//! Difficulty scores of training samples: what each one is, and what computes it.
//!
//! | from | computed by |
//! |---|---|
//! | the logits of a network as it is | [`pass`]: a forward pass, or forward and backward |
//! | recorded training dynamics | [`recorded`], from the pure functions of [`trajectories`] and [`windows`] |
//! | penultimate features | [`features`] |

pub mod features;
mod method;
pub mod options;
mod out_of_fold;
pub mod pass;
pub mod recorded;
mod state;
pub mod trajectories;
pub mod windows;

pub use method::{Kind, Method, ScoreSource, Scores};
pub use options::Options;
pub use pass::{PassControl, modes};
