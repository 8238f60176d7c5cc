//! Ctrl-C and SIGTERM: the first one asks the running job to save and stop, and stops the program itself where
//! nobody listens; the second one stops at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fairprune::error::{Error, Result};

use super::output;

static REQUESTED: AtomicBool = AtomicBool::new(false);
static INSTALLED: OnceLock<()> = OnceLock::new();

/// How long a job may take to save and stop. Reading, hashing and selection do not look; every file is
/// complete or absent at any moment, so that they may end anywhere.
const PATIENCE: Duration = Duration::from_millis(1700);

/// Listens to the signals from now on, and takes a file that grows beyond its limit for an error of that write.
///
/// # Errors
/// The system allows no thread to listen.
pub fn listen() -> Result<()> {
    if INSTALLED.set(()).is_err() {
        return Ok(());
    }
    #[cfg(unix)]
    // SAFETY: ignoring a signal installs no code of ours.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
    ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::SeqCst) {
            std::process::exit(1);
        }
        // On a thread of its own, since this one waits for the second signal.
        let patient = std::thread::Builder::new().name("interrupt".to_owned()).spawn(|| {
            std::thread::sleep(PATIENCE);
            stop();
        });
        if patient.is_err() {
            stop();
        }
    })
    .map_err(|e| {
        let expected = "a thread that listens to Ctrl-C, which `ulimit -u` may forbid";
        Error::invalid("threads", e.to_string(), expected)
    })
}

fn stop() -> ! {
    output::warn("error: interrupted; the same command goes on from what is saved");
    std::process::exit(1)
}

/// The flag that a running job looks at.
pub fn flag() -> Result<&'static AtomicBool> {
    listen()?;
    Ok(&REQUESTED)
}
