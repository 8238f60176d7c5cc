//! Why a file is not an image that can be used.

/// What was found, and what was expected.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::data) struct Unusable {
    pub found: String,
    pub expected: String,
}

impl Unusable {
    pub fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Unusable { found: found.into(), expected: expected.into() }
    }
}
