//! What is recorded of a presentation: names, definitions, and the values that there can be.

/// What is recorded of a presentation. It is taken in train mode, before the step that it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// Cross-entropy loss, unweighted and not smoothed.
    Loss,
    /// Probability of the sample's own class.
    LabelProbability,
    /// 1 where the prediction is the sample's class, 0 elsewhere.
    Correct,
    /// Logit of the sample's class less the largest other logit.
    LogitMargin,
    /// Norm of the softmax less the one-hot label.
    El2n,
    /// Divergence from the sample's previous presentation.
    Divergence,
}

impl Quantity {
    /// All quantities, in the order of files.
    pub const ALL: [Quantity; 6] = [
        Quantity::Loss,
        Quantity::LabelProbability,
        Quantity::Correct,
        Quantity::LogitMargin,
        Quantity::El2n,
        Quantity::Divergence,
    ];

    /// Returns the file's name without `.npy`.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Loss => "loss",
            Quantity::LabelProbability => "label-probability",
            Quantity::Correct => "correct",
            Quantity::LogitMargin => "logit-margin",
            Quantity::El2n => "el2n",
            Quantity::Divergence => "divergence",
        }
    }

    /// Returns the quantity's definition.
    pub fn meaning(self) -> &'static str {
        match self {
            Quantity::Loss => "-ln p_y",
            Quantity::LabelProbability => "p_y",
            Quantity::Correct => "1 if argmax z = y, else 0",
            Quantity::LogitMargin => "z_y - max_{k != y} z_k",
            Quantity::El2n => "|| p - onehot(y) ||_2",
            Quantity::Divergence => {
                "sum_k |p_k (ln p_k - ln p'_k)|, p' of the sample's previous presentation; NaN at its first"
            }
        }
    }

    /// Tells whether the quantity can have this value.
    pub(super) fn accepts(self, value: f32) -> bool {
        match self {
            Quantity::LogitMargin => value.is_finite(),
            Quantity::Loss | Quantity::El2n | Quantity::Divergence => {
                value >= 0.0 && value.is_finite()
            }
            Quantity::LabelProbability => (0.0..=1.0).contains(&value),
            Quantity::Correct => value == 0.0 || value == 1.0,
        }
    }

    pub(super) fn range(self) -> &'static str {
        match self {
            Quantity::LogitMargin => "a finite number or NaN",
            Quantity::Loss | Quantity::El2n | Quantity::Divergence => {
                "a finite number of 0 or more, or NaN"
            }
            Quantity::LabelProbability => "a number from 0 to 1, or NaN",
            Quantity::Correct => "0, 1 or NaN",
        }
    }
}
