//! Ctrl-C: the first one asks the running job to save and stop, the second one stops at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use fairprune::error::{Error, Result};

static REQUESTED: AtomicBool = AtomicBool::new(false);
static INSTALLED: OnceLock<()> = OnceLock::new();

/// The flag that a running job looks at.
pub fn flag() -> Result<&'static AtomicBool> {
    if INSTALLED.set(()).is_ok() {
        ctrlc::set_handler(|| {
            if REQUESTED.swap(true, Ordering::SeqCst) {
                std::process::exit(1);
            }
        })
        .map_err(|e| Error::Internal(format!("Ctrl-C handler: {e}")))?;
    }
    Ok(&REQUESTED)
}
