//! Pruning, recording and scoring for callers that have arrays instead of a data set: their own labels,
//! scores, features, or the logits of a network that they train themselves.
//!
//! What is done with the arrays is done by the rooms that commands use, so that the same numbers give the
//! same samples. Folders that are written here are read by `prune --scores` and `score --dynamics`.

mod logits;
mod pruning;
mod recording;
mod samples;

pub use logits::{LogitScores, score_logits};
pub use pruning::ArrayPruning;
pub use recording::{LogitRecorder, RecorderState};
pub use samples::{ArraySamples, ClassAnswers};
