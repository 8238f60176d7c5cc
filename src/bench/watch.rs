//! How a measurement is watched and stopped.

/// What looks on while rows are timed; called by the thread that measures, between repeats.
pub trait Watch {
    /// Whether to stop: the rows timed so far are the result then.
    fn is_stopped(&self) -> bool;

    /// A row begins; `text` says what is done first.
    fn begin(&self, text: &str);

    /// The row called `work` has been timed for `gone` of `whole` seconds.
    fn tick(&self, work: &str, gone: f64, whole: f64);

    /// The row that began is timed.
    fn end(&self);

    /// Something that a reader of the rows should know.
    fn note(&self, text: &str);
}

/// Nobody looks on, and nothing stops the measurement.
pub struct Unwatched;

impl Watch for Unwatched {
    fn is_stopped(&self) -> bool {
        false
    }

    fn begin(&self, _: &str) {}

    fn tick(&self, _: &str, _: f64, _: f64) {}

    fn end(&self) {}

    fn note(&self, _: &str) {}
}
