//! Times on the device.

use std::sync::Arc;
use std::time::Duration;

use super::bindings::CUevent;

use super::card::Cuda;
use super::context::Context;
use crate::error::Result;

/// A point in the stream of work.
pub struct Event {
    context: Arc<Context>,
    event: CUevent,
}

// SAFETY: a handle of the driver, whose functions may be called from any thread.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Cuda {
    /// Marks the place behind everything issued so far.
    pub fn record(&self) -> Result<Event> {
        let context = Arc::clone(&self.context);
        let mut event = Event { context, event: std::ptr::null_mut() };
        let what = || "creating an event".to_owned();
        // SAFETY: the handle is writable; destroyed in `drop`. Flags 0: an event with a time.
        self.context.call(what, |d| unsafe { d.cuEventCreate(&mut event.event, 0) })?;
        let (what, stream) = (|| "recording an event".to_owned(), self.context.stream);
        // SAFETY: event and stream are alive, and of one context.
        self.context.call(what, |d| unsafe { d.cuEventRecord(event.event, stream) })?;
        Ok(event)
    }
}

impl Event {
    /// The device's time from `start` to this event; waits for both.
    pub fn since(&self, start: &Event) -> Result<Duration> {
        let what = || "waiting for an event".to_owned();
        for event in [start, self] {
            // SAFETY: recorded before.
            self.context.call(what, |d| unsafe { d.cuEventSynchronize(event.event) })?;
        }
        let mut milliseconds = 0.0;
        let what = || "reading a time".to_owned();
        let call = |d: &super::driver::Driver| {
            // SAFETY: the time is writable, both events are completed.
            unsafe { d.cuEventElapsedTime(&mut milliseconds, start.event, self.event) }
        };
        self.context.call(what, call)?;
        Ok(Duration::from_secs_f64(f64::from(milliseconds.max(0.0)) / 1e3))
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if !self.event.is_null() {
            // Nothing can be done about a failure here.
            // SAFETY: created in `record`.
            let _ = self.context.try_call(|d| unsafe { d.cuEventDestroy_v2(self.event) });
        }
    }
}
