//! Why samples of the training part are neither trained on nor kept, though no split holds them out.

/// What decided that samples are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Identifies what decided it.
    pub digest: String,
    /// Number of samples that the split lost.
    pub samples: usize,
    /// A sentence for people.
    pub text: String,
}
