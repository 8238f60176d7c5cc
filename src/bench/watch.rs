//! How a measurement is watched and stopped.

/// What looks on while rows are timed; called by the thread that measures, between repeats.
pub trait Observer {
    /// Whether to stop: the rows timed so far are the result then.
    fn is_stopped(&self) -> bool;

    /// What is done now, a row or its preparation, has taken `gone` of `whole` seconds.
    fn progress(&self, what: &str, gone: f64, whole: f64);

    /// Something that a reader of the rows should know.
    fn note(&self, text: &str);
}

/// Nobody looks on, and nothing stops the measurement.
pub struct Unwatched;

impl Observer for Unwatched {
    fn is_stopped(&self) -> bool {
        false
    }

    fn progress(&self, _: &str, _: f64, _: f64) {}

    fn note(&self, _: &str) {}
}
