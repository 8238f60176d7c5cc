//! The card that tests compute on: the software device, or with `FAIRPRUNE_REQUIRE_CUDA=1` the
//! machine's own, which must then be there. The driver's library is one a process, so a test binary
//! uses one of them.

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::Path;
use std::sync::OnceLock;

use fairprune::cuda::{Cuda, FOLDER_VARIABLE};

#[path = "software_device.rs"]
pub mod software_device;

#[link(name = "dl")]
unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
}

const RTLD_NOW: c_int = 2;

/// Whether the tests are for a real card.
pub fn real() -> bool {
    std::env::var("FAIRPRUNE_REQUIRE_CUDA").is_ok_and(|v| v == "1")
}

/// A card, opened for the caller: a fault on it is a fault for the whole process.
pub fn open() -> Cuda {
    if !real() {
        static SOFTWARE: OnceLock<()> = OnceLock::new();
        SOFTWARE.get_or_init(|| use_software_device(software_device::directory()));
    }
    match Cuda::open(0) {
        Ok(cuda) => cuda,
        Err(absence) => panic!("no card for the tests: {absence}"),
    }
}

/// Makes the software device this process's driver.
fn use_software_device(folder: &Path) {
    let library = folder.join("libcuda.so");
    let path = CString::new(library.to_str().expect("UTF-8")).expect("no NUL");
    // A library of this name that is open already is the one that a later dlopen("libcuda.so") gets.
    // SAFETY: a library that this project built; its initialisers only fill tables.
    let handle = unsafe { dlopen(path.as_ptr(), RTLD_NOW) };
    assert!(!handle.is_null(), "{} does not open", library.display());
    // SAFETY: before the first use of the device; whoever else reads the environment does so through
    // the standard library, which locks it.
    unsafe { std::env::set_var(FOLDER_VARIABLE, folder.join("images")) };
}
