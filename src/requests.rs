//! What a running job is asked from outside: to save its state and go on, or to save it and stop.

use std::sync::atomic::{AtomicBool, Ordering};

/// Requests to a running job. Whoever asks sets them from any thread; the job looks at them between two of its
/// steps.
#[derive(Debug, Default)]
pub struct Requests {
    stop: AtomicBool,
    save: AtomicBool,
    looked: AtomicBool,
    answered: AtomicBool,
}

impl Requests {
    /// Nothing is asked for.
    pub const fn new() -> Requests {
        Requests {
            stop: AtomicBool::new(false),
            save: AtomicBool::new(false),
            looked: AtomicBool::new(false),
            answered: AtomicBool::new(false),
        }
    }

    /// Asks the job to save its state and to stop.
    pub fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Asks the job to save its state and to go on.
    pub fn ask_to_save(&self) {
        self.save.store(true, Ordering::SeqCst);
    }

    /// Whether the job is to stop: what jobs call between steps.
    pub fn stop(&self) -> bool {
        let stop = self.stop.load(Ordering::Relaxed);
        self.looked.store(true, Ordering::Relaxed);
        if stop {
            self.answered.store(true, Ordering::Relaxed);
        }
        stop
    }

    /// Whether the job is to save its state now. One who is told so does it: the request is gone.
    pub fn take_save(&self) -> bool {
        // A load is cheaper than a swap, and almost always false.
        self.save.load(Ordering::Relaxed) && self.save.swap(false, Ordering::SeqCst)
    }

    /// Whether any job has looked yet, so that a request to stop will be seen after its step.
    pub fn is_looked_at(&self) -> bool {
        self.looked.load(Ordering::Relaxed)
    }

    /// Whether a job has seen that it is to stop, so that it is saving or has saved its state.
    pub fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_to_save_is_done_once_and_one_to_stop_stays() {
        let requests = Requests::new();
        assert!(!requests.is_looked_at() && !requests.stop() && !requests.take_save());
        assert!(requests.is_looked_at() && !requests.is_answered());
        requests.ask_to_save();
        assert!(requests.take_save() && !requests.take_save() && !requests.stop());
        requests.ask_to_stop();
        assert!(!requests.is_answered());
        assert!(requests.stop() && requests.stop() && requests.is_answered());
    }
}
