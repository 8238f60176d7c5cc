//! The driver's library. Nothing is linked: it is looked for when the first card is asked for.

use std::sync::OnceLock;

use libloading::Library;

/// On Linux where there is a link for developers, on Linux, on Windows.
const NAMES: [&str; 3] = ["libcuda.so", "libcuda.so.1", "nvcuda.dll"];

/// The library, opened once and never closed.
fn library() -> Option<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    // SAFETY: loads NVIDIA's driver, whose initialisers are sound.
    let open = |name| unsafe { Library::new(name) }.ok();
    LIBRARY.get_or_init(|| NAMES.into_iter().find_map(open)).as_ref()
}

/// Whether this machine has the library.
pub fn is_there() -> bool {
    library().is_some()
}

/// The function `name` of the library, where it is there.
///
/// # Safety
/// `F` is the type of a pointer to that function.
pub unsafe fn symbol<F: Copy>(name: &str) -> Option<F> {
    // SAFETY: the type is the caller's.
    unsafe { library()?.get::<F>(name.as_bytes()).ok().map(|symbol| *symbol) }
}
