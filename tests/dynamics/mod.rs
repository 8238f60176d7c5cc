//! Recorded training dynamics and the scores made from them, and scores of features: against the
//! logits they come from, against PyTorch, and against themselves after an interruption.

mod early;
mod features;
mod golden;
mod properties;
mod recorded;
