//! The process's peak of resident memory over a stretch of work.

use std::fs;

use crate::memory::kib;

/// A stretch of work whose peak of memory is wanted.
pub struct Peak {
    /// Whether the kernel let the high-water mark be reset to the current size.
    reset: bool,
}

impl Peak {
    /// Starts a stretch: sets the high-water mark back to what is resident now (Linux, `5` written
    /// to `/proc/self/clear_refs`).
    pub fn start() -> Peak {
        Peak { reset: fs::write("/proc/self/clear_refs", "5").is_ok() }
    }

    /// Most resident bytes since the start, or since the process began where the mark could not be
    /// reset; `None` where the system does not tell.
    pub fn bytes(&self) -> Option<u64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        if !self.reset {
            tracing::debug!("peak memory is that of the whole process so far");
        }
        Some(kib(&status, "VmHWM")? * 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_large_buffer_shows_in_the_peak_even_after_it_is_gone() {
        let peak = Peak::start();
        let before = peak.bytes().unwrap();
        let size = 256 << 20;
        std::hint::black_box(vec![1u8; size]);
        let with_buffer = peak.bytes().unwrap();
        assert!(with_buffer >= before.min(size as u64 / 2) + size as u64 / 2);
        let again = Peak::start();
        assert!(!again.reset || again.bytes().unwrap() < with_buffer - size as u64 / 2);
    }
}
