//! How much memory this process may still take, and room that is asked for and not taken for granted.
//!
//! A size that comes from a file or a setting may be larger than the machine, or than the limits of the
//! process (`ulimit -v`). An allocation that fails ends a program without a word; room that is asked for
//! here fails with [`Error::OutOfMemory`].

use crate::error::{Error, Result};
use std::cell::Cell;
use std::fs;

/// Sizes below this are not held against what is free: asking costs more than they do.
const SMALL: u64 = 1 << 24;

thread_local! {
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is asking for room, so that an allocator's refusal is an answer and no end.
pub fn is_asked_for() -> bool {
    ASKING.get()
}

/// Number of bytes that the system has available and that the limits of the process leave; `None` where the
/// system does not tell.
pub fn available() -> Option<u64> {
    let free = kib(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable")? * 1024;
    Some(address_space().map_or(free, |left| left.min(free)))
}

/// What `ulimit -v` leaves; `None` where there is no such limit.
fn address_space() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: u64 = line.split_whitespace().next()?.parse().ok()?;
    let taken = kib(&fs::read_to_string("/proc/self/status").ok()?, "VmSize")? * 1024;
    Some(limit.saturating_sub(taken))
}

/// The number of a `Key:   123 kB` line, as `/proc/meminfo` and `/proc/self/status` have them.
pub fn kib(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// Checks that `bytes` more can be taken.
///
/// # Errors
/// [`Error::OutOfMemory`]: less is available.
pub fn check(bytes: u64) -> Result<()> {
    if bytes < SMALL {
        return Ok(());
    }
    match available() {
        Some(free) if free < bytes => Err(too_much(bytes)),
        _ => Ok(()),
    }
}

/// Makes an empty vector with room for exactly `count` values.
///
/// # Errors
/// [`Error::OutOfMemory`]: there is no such room.
pub fn room<T>(count: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    reserve(&mut values, count)?;
    Ok(values)
}

/// Makes room for `count` values more in `values`.
///
/// # Errors
/// [`Error::OutOfMemory`]: there is no such room.
pub fn reserve<T>(values: &mut Vec<T>, count: usize) -> Result<()> {
    let bytes = (count as u64).saturating_mul(size_of::<T>() as u64);
    if count > values.capacity() - values.len() {
        check(bytes)?;
    }
    ASKING.set(true);
    let answer = values.try_reserve_exact(count);
    ASKING.set(false);
    answer.map_err(|_| too_much(bytes))
}

/// Makes a vector of `count` values that are all `value`.
///
/// # Errors
/// [`Error::OutOfMemory`]: there is no room for them.
pub fn filled<T: Clone>(value: T, count: usize) -> Result<Vec<T>> {
    let mut values = room(count)?;
    values.resize(count, value);
    Ok(values)
}

fn too_much(needed: u64) -> Error {
    Error::OutOfMemory { needed, free: available().unwrap_or(0), largest_batch: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_kilobytes() {
        let text = "VmPeak:\t  99 kB\nVmHWM:\t    1234 kB\n";
        assert_eq!(kib(text, "VmHWM"), Some(1234));
        assert_eq!(kib(text, "Vm"), None);
        assert_eq!(kib(text, "VmRSS"), None);
    }

    #[test]
    fn more_than_there_is_is_refused_and_never_aborts() {
        for count in [usize::MAX, usize::MAX / 8, 1 << 60, 1 << 47] {
            let error = room::<u64>(count).unwrap_err();
            assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
        }
        assert_eq!(filled(7u8, 3).unwrap(), [7; 3]);
        if cfg!(target_os = "linux") {
            assert!(available().unwrap() > 0);
            assert!(check(1 << 60).is_err() && check(1).is_ok());
        }
    }
}
