//! Validation answers, class by class.

/// Correct answers and samples of each class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassTally {
    pub correct: Vec<u64>,
    pub total: Vec<u64>,
}

impl ClassTally {
    /// Nothing counted yet.
    pub fn new(classes: usize) -> ClassTally {
        ClassTally { correct: vec![0; classes], total: vec![0; classes] }
    }

    /// Share of all samples that were answered right.
    pub fn accuracy(&self) -> Option<f64> {
        let total: u64 = self.total.iter().sum();
        (total > 0).then(|| self.correct.iter().sum::<u64>() as f64 / total as f64)
    }
}
