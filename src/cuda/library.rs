//! The driver's library. Nothing is linked: it is looked for when the first card is asked for.
//!
//! The bindings' own functions panic where the library or a symbol is missing, and return an enumeration
//! that a newer driver's codes would overstep; so only their types and their handle on the library are used.

use cudarc::driver::sys;

/// Whether this machine has the library.
pub fn is_there() -> bool {
    // SAFETY: loads NVIDIA's driver, whose initialisers are sound.
    unsafe { sys::is_culib_present() }
}

/// The function `name` of the library, where it is there.
///
/// # Safety
/// The library was found before, and `F` is the type of a pointer to that function.
pub unsafe fn symbol<F: Copy>(name: &str) -> Option<F> {
    // SAFETY: the type is the caller's.
    unsafe { sys::culib().get::<F>(name.as_bytes()).ok().map(|symbol| *symbol) }
}
