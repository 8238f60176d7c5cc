//! Difficulty scores of training samples: what each one is, and the passes that compute them.

mod method;
mod pass;
mod state;

pub use method::Method;
pub use pass::{Scores, Watch, modes, score};
