//! Signals. SIGUSR1 asks the running job to save its state and to go on. SIGTERM, SIGINT (Ctrl-C) and SIGHUP ask it
//! to save and stop, and stop the program itself where nobody listens. Only a second SIGINT hurries: schedulers send
//! SIGTERM several times.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fairprune::error::{Error, Result};
use fairprune::requests::Requests;

use super::output;

static REQUESTS: Requests = Requests::new();
/// Whether a scheduler asked to stop: it may start the same command again.
static TERMINATED: AtomicBool = AtomicBool::new(false);
static INSTALLED: OnceLock<()> = OnceLock::new();

/// Exit code of a job that a scheduler stopped and that the same command continues: EX_TEMPFAIL of `sysexits.h`,
/// which schedulers can be told to requeue.
const REQUEUE: u8 = 75;

/// How long the program may live on where no job listens. Reading, hashing and selection do not look; every file is
/// complete or absent at any moment, so that they may end anywhere.
const PATIENCE: Duration = Duration::from_millis(1700);

/// How long a job that listens may take for its step and for saving: less than the 30 seconds that Slurm and
/// Kubernetes leave between SIGTERM and SIGKILL.
const PATIENCE_TO_SAVE: Duration = Duration::from_secs(25);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    /// SIGUSR1.
    Save,
    /// SIGTERM.
    Terminate,
    /// SIGINT or SIGHUP.
    Interrupt,
}

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
    install().map_err(|found| {
        let expected = "a thread that listens to signals, which `ulimit -u` may forbid";
        Error::invalid("threads", found, expected)
    })
}

#[cfg(unix)]
fn install() -> Result<(), String> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    use signal_hook::iterator::Signals;

    let mut signals =
        Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1]).map_err(|e| e.to_string())?;
    let hear = move || {
        let mut interrupts = 0;
        for signal in signals.forever() {
            match signal {
                SIGUSR1 => heed(Signal::Save),
                SIGTERM => heed(Signal::Terminate),
                SIGINT if interrupts > 0 => std::process::exit(1),
                _ => {
                    interrupts += usize::from(signal == SIGINT);
                    heed(Signal::Interrupt);
                }
            }
        }
    };
    let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(hear);
    thread.map(drop).map_err(|e| e.to_string())
}

#[cfg(not(unix))]
fn install() -> Result<(), String> {
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);
    let hear = || match INTERRUPTED.swap(true, Ordering::SeqCst) {
        true => std::process::exit(1),
        false => heed(Signal::Interrupt),
    };
    ctrlc::set_handler(hear).map_err(|e| e.to_string())
}

fn heed(signal: Signal) {
    static STOPPING: AtomicBool = AtomicBool::new(false);
    if signal == Signal::Save {
        return REQUESTS.ask_to_save();
    }
    TERMINATED.fetch_or(signal == Signal::Terminate, Ordering::SeqCst);
    REQUESTS.ask_to_stop();
    if STOPPING.swap(true, Ordering::SeqCst) {
        return;
    }
    // On a thread of its own, since this one waits for the next signal.
    let patient = std::thread::Builder::new().name("interrupt".to_owned()).spawn(|| {
        let asked = Instant::now();
        std::thread::sleep(PATIENCE);
        while may_live_on() && asked.elapsed() < PATIENCE_TO_SAVE {
            std::thread::sleep(Duration::from_millis(50));
        }
        stop();
    });
    if patient.is_err() {
        stop();
    }
}

/// Whether a job is to be waited for: one that is saving its state, and, where a scheduler and no person waits, one
/// that will look after its step.
fn may_live_on() -> bool {
    let terminated = TERMINATED.load(Ordering::SeqCst);
    REQUESTS.is_answered() || (terminated && REQUESTS.is_looked_at())
}

fn stop() -> ! {
    output::warn("error: interrupted; the same command goes on from what is saved");
    std::process::exit(i32::from(exit_code()))
}

/// Exit code of a program that was asked to stop: [`REQUEUE`] where a scheduler asked, else 1.
pub fn exit_code() -> u8 {
    if TERMINATED.load(Ordering::SeqCst) { REQUEUE } else { 1 }
}

/// What a running job looks at.
pub fn requests() -> Result<&'static Requests> {
    listen()?;
    Ok(&REQUESTS)
}
