//! Steps that come again, recorded by a backend that can replay them.

use crate::ops::Operators;

/// A step that ran before, on these images.
pub(super) struct Recorded<B: Operators> {
    /// Identity of the images that the step read.
    pub images: u64,
    /// None where the backend records nothing.
    pub work: Option<B::Recording>,
    /// Whether the backend was asked to record it.
    pub tried: bool,
}

impl<B: Operators> Recorded<B> {
    /// Whether the step can be replayed.
    pub fn is_work(&self) -> bool {
        self.work.is_some()
    }
}
