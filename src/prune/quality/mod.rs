//! What is wrong with a data set before anything is scored: copies, near copies, wrong labels.
//!
//! Copies and wrong labels are easily taken for something else: a copy of a test image flatters every
//! network, and a wrong label is what a score of difficulty finds hardest. [`exact_duplicates`] looks
//! at pixels, [`near_duplicates`] at features and pixels, [`confident_learning`] at probabilities; [`original`]
//! says which copy stays.

mod duplicates;
mod labels;
mod looks;
mod near;

pub use duplicates::{exact_duplicates, original};
pub use labels::{ConfidentLearning, LabelPair, LabelSuspect, SuspectRanking, confident_learning};
pub use looks::Looks;
pub use near::{ALIKE, NEAR, NearDuplicate, Nearness, centred, near_duplicates};
