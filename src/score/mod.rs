//! Difficulty scores of training samples: what each one is, and the passes that compute them.

mod method;
mod pass;

pub use method::Method;
pub use pass::{Scores, modes, score};
