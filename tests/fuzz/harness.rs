//! Runs a target on its inputs and watches time, memory and panics.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::{Duration, Instant};

use crate::mutate::Mutator;

/// Inputs of a target under `cargo test`.
const INPUTS: u64 = 2_000;

/// Longest time for one input: thousands of times what any takes.
const MOST_TIME: Duration = Duration::from_secs(1);

/// Memory beyond which the process ends at once.
const MOST_MEMORY: isize = 1 << 31;

/// Counts the bytes that this thread holds.
pub struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static PANICS: Cell<u64> = const { Cell::new(0) };
    /// Target and number of the input, for a process that ends.
    static INPUT: Cell<(&'static str, u64)> = const { Cell::new(("", 0)) };
}

fn count(bytes: isize) {
    let _ = LIVE.try_with(|live| {
        let now = live.get() + bytes;
        live.set(now);
        PEAK.with(|peak| peak.set(peak.get().max(now)));
        if now > MOST_MEMORY {
            let (target, number) = INPUT.with(Cell::get);
            live.set(isize::MIN / 2);
            let _ = writeln!(std::io::stderr(), "{target} input {number}: {now} bytes held");
            std::process::abort();
        }
    });
}

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { System.realloc(at, layout, size) }
    }
}

/// What a target may use for an input of n bytes.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Whatever the input.
    pub fixed: usize,
    /// A byte of the input.
    pub per_byte: usize,
}

/// A reader, and inputs that it accepts.
pub struct Target<'a> {
    pub name: &'static str,
    pub corpus: Vec<Vec<u8>>,
    /// Words that the format knows.
    pub words: &'static [&'static [u8]],
    pub memory: Memory,
    /// What is done to an input after it was changed, such as a checksum made right again.
    pub repair: &'a dyn Fn(&mut Vec<u8>, &mut Mutator),
    /// Reads the input; whether it was accepted.
    pub read: &'a dyn Fn(&[u8]) -> bool,
}

/// Counts panics, also those that the library catches, instead of printing them.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |about| {
            if INPUT.with(Cell::get).0.is_empty() {
                before(about);
            } else {
                PANICS.with(|n| n.set(n.get() + 1));
                if std::env::var_os("FAIRPRUNE_FUZZ_SHOW").is_some() {
                    let (target, number) = INPUT.with(Cell::get);
                    let trace = std::backtrace::Backtrace::force_capture();
                    let _ =
                        writeln!(std::io::stderr(), "{target} input {number}: {about}\n{trace}");
                }
            }
        }));
    });
}

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

/// Processor time of this thread: other programs do not count.
#[cfg(unix)]
fn clock() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the structure that it is given.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    assert_eq!(code, 0);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

#[cfg(not(unix))]
fn clock() -> Duration {
    use std::sync::LazyLock;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

/// What one input did.
struct Observed {
    accepted: bool,
    panicked: bool,
    time: Duration,
    memory: usize,
}

fn observe(target: &Target, number: u64, input: &[u8]) -> Observed {
    let (before, panics) = (LIVE.with(Cell::get), PANICS.with(Cell::get));
    PEAK.with(|p| p.set(before));
    INPUT.with(|i| i.set((target.name, number)));
    let start = clock();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.read)(input)));
    let time = clock().saturating_sub(start);
    INPUT.with(|i| i.set(("", 0)));
    Observed {
        accepted: outcome.unwrap_or(false),
        panicked: PANICS.with(Cell::get) > panics,
        time,
        memory: (PEAK.with(Cell::get) - before).max(0) as usize,
    }
}

/// Most bytes that this thread holds during `work`, beside those that it held before.
pub fn peak(work: impl FnOnce()) -> usize {
    let before = LIVE.with(Cell::get);
    PEAK.with(|p| p.set(before));
    work();
    (PEAK.with(Cell::get) - before).max(0) as usize
}

/// Runs the target on its corpus, all of which it must accept, and on mutated inputs.
pub fn run(target: &Target) {
    count_panics();
    for (i, input) in target.corpus.iter().enumerate() {
        let seen = observe(target, 0, input);
        assert!(seen.accepted && !seen.panicked, "{}: corpus {i} is refused", target.name);
    }
    let (first, inputs) =
        (number("FAIRPRUNE_FUZZ_FIRST", 0), number("FAIRPRUNE_FUZZ_INPUTS", INPUTS));
    let (mut accepted, mut slowest, mut largest) = (0u64, Duration::ZERO, 0usize);
    let mut findings = Vec::new();
    let start = Instant::now();
    for number in first..first + inputs {
        let mut mutator = Mutator::new(target.name, number);
        let mut input = mutator.change(&target.corpus, target.words);
        (target.repair)(&mut input, &mut mutator);
        let seen = observe(target, number, &input);
        accepted += u64::from(seen.accepted);
        slowest = slowest.max(seen.time);
        largest = largest.max(seen.memory);
        let most = target.memory.fixed + target.memory.per_byte * input.len();
        let wrong = match () {
            () if seen.panicked => Some("a panic".to_owned()),
            () if seen.time > MOST_TIME => Some(format!("{:?}", seen.time)),
            () if seen.memory > most => {
                Some(format!("{} bytes held of {most} allowed", seen.memory))
            }
            () => None,
        };
        if let Some(wrong) = wrong {
            let start = &input[..input.len().min(4)];
            let length = input.len();
            findings.push(format!("input {number} ({length} bytes, {start:02x?}...): {wrong}"));
        }
    }
    let line = format!(
        "{:<18} {inputs:>9} inputs  {accepted:>8} accepted  {:>8.0} a second  slowest {:>8.2} ms  \
         most {:>9} bytes  {} findings",
        target.name,
        inputs as f64 / start.elapsed().as_secs_f64(),
        slowest.as_secs_f64() * 1e3,
        largest,
        findings.len()
    );
    println!("{line}");
    if let Some(path) = std::env::var_os("FAIRPRUNE_FUZZ_REPORT") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        writeln!(file.unwrap(), "{line}").unwrap();
    }
    let shown = findings.len().min(20);
    assert!(findings.is_empty(), "{line}\n{}", findings[..shown].join("\n"));
}

#[test]
fn the_harness_sees_memory_time_and_panics() {
    count_panics();
    let read = |bytes: &[u8]| match bytes[0] {
        0 => !vec![0u8; 3_000_000].is_empty(),
        1 => catch_unwind(|| panic!("caught by the reader")).is_ok(),
        2 => {
            let start = clock();
            while clock() - start < Duration::from_millis(30) {}
            true
        }
        _ => true,
    };
    let memory = Memory { fixed: 0, per_byte: 0 };
    let none = |_: &mut Vec<u8>, _: &mut Mutator| ();
    let corpus = Vec::new();
    let target = Target { name: "harness", corpus, words: &[], memory, repair: &none, read: &read };
    let seen = [0, 1, 2, 3].map(|byte| observe(&target, 0, &[byte]));
    assert!(seen[0].memory >= 3_000_000 && seen[3].memory < 1000);
    assert_eq!(seen.each_ref().map(|s| s.panicked), [false, true, false, false]);
    assert!(seen[2].time >= Duration::from_millis(30) && seen[3].time < Duration::from_millis(30));
}
