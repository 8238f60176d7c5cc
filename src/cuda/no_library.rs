//! The driver's library in a program that was built without the feature `cuda`: never there.

/// Whether this machine has the library.
pub fn is_there() -> bool {
    false
}

/// The function `name` of the library, where it is there.
///
/// # Safety
/// `F` is the type of a pointer to that function.
pub unsafe fn symbol<F: Copy>(_name: &str) -> Option<F> {
    None
}
