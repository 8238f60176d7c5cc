//! How long a download waits, and how often it is tried.

use std::time::Duration;

/// How long to wait and how often to try.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Longest wait for a connection.
    pub connect: Duration,
    /// Longest wait for the next bytes.
    pub read: Duration,
    /// Pause between two tries.
    pub pause: Duration,
    /// Number of tries in a row that may bring nothing new.
    pub tries: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            connect: Duration::from_secs(30),
            read: Duration::from_secs(60),
            pause: Duration::from_secs(2),
            tries: 5,
        }
    }
}
