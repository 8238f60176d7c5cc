//! The parts that a data set is assembled from.

use super::attributes::Attributes;
use super::part::Part;

/// The parts that a data set is assembled from.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Class names.
    pub classes: Vec<String>,
    /// Height and width of every image.
    pub size: (usize, usize),
    /// The training part.
    pub train: Part,
    /// The validation part.
    pub val: Option<Part>,
    /// The test part.
    pub test: Option<Part>,
    /// The attribute whose values [`Part::attributes`] are.
    pub attributes: Option<Attributes>,
}

impl Contents {
    /// Returns the parts and what messages call them.
    pub(super) fn parts(&self) -> [(&'static str, Option<&Part>); 3] {
        [
            ("training", Some(&self.train)),
            ("validation", self.val.as_ref()),
            ("test", self.test.as_ref()),
        ]
    }
}
