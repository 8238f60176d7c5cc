//! A sequence of launches and fills, captured once and replayed with one call.

use std::sync::Arc;

use super::bindings::{CUgraph, CUgraphExec, CUstreamCaptureMode};

use super::card::Cuda;
use super::context::Context;
use crate::error::{Error, Result};

/// Captured work, ready to be replayed.
pub struct Graph {
    context: Arc<Context>,
    exec: CUgraphExec,
}

// SAFETY: a handle of the driver, whose functions may be called from any thread.
unsafe impl Send for Graph {}
// SAFETY: as above.
unsafe impl Sync for Graph {}

impl Cuda {
    /// Captures what `issue` launches and fills; none of it runs now. Allocations, copies and
    /// waits cannot be captured and make this an error, after which the device works as before.
    /// No other thread may use the device meanwhile: its work would be captured, too.
    pub fn capture(&self, issue: impl FnOnce() -> Result<()>) -> Result<Graph> {
        let capture = Capture::begin(&self.context)?;
        issue()?;
        let recorded = capture.end()?;
        let mut graph = Graph { context: Arc::clone(&self.context), exec: std::ptr::null_mut() };
        let what = || "making a graph executable".to_owned();
        // SAFETY: the handle is writable, the graph alive.
        self.context.call(what, |d| unsafe {
            d.cuGraphInstantiateWithFlags(&mut graph.exec, recorded.graph, 0)
        })?;
        Ok(graph)
    }

    /// Runs captured work after everything issued before. Returns before it runs.
    ///
    /// # Safety
    /// All memory and images that the captured work uses still exist.
    pub unsafe fn replay(&self, graph: &Graph) -> Result<()> {
        if !Arc::ptr_eq(&self.context, &graph.context) {
            return Err(Error::Internal("a graph of another device".to_owned()));
        }
        let (what, stream) = (|| "replaying a graph".to_owned(), self.context.stream);
        // SAFETY: both are alive; the memory is the caller's promise.
        self.context.call(what, |d| unsafe { d.cuGraphLaunch(graph.exec, stream) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if !self.exec.is_null() {
            // Nothing can be done about a failure here.
            // SAFETY: instantiated in `capture`; a running replay finishes all the same.
            let _ = self.context.try_call(|d| unsafe { d.cuGraphExecDestroy(self.exec) });
        }
    }
}

/// A capture that has begun. It ends whatever happens, so that the stream works again.
struct Capture<'a> {
    context: &'a Context,
    open: bool,
}

impl<'a> Capture<'a> {
    fn begin(context: &'a Context) -> Result<Self> {
        // Calls that cannot be captured are errors in this thread; others are left alone.
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        let what = || "beginning a capture".to_owned();
        // SAFETY: a stream of our own, not the NULL stream.
        context.call(what, |d| unsafe { d.cuStreamBeginCapture_v2(context.stream, mode) })?;
        Ok(Capture { context, open: true })
    }

    fn end(mut self) -> Result<CapturedGraph<'a>> {
        self.open = false;
        let context = self.context;
        let mut recorded = CapturedGraph { context, graph: std::ptr::null_mut() };
        let what = || "ending a capture".to_owned();
        let graph = &mut recorded.graph;
        // SAFETY: the handle is writable, the stream captures since `begin`.
        context.call(what, |d| unsafe { d.cuStreamEndCapture(context.stream, graph) })?;
        if recorded.graph.is_null() {
            return Err(Error::Internal("a capture without a graph".to_owned()));
        }
        Ok(recorded)
    }
}

impl Drop for Capture<'_> {
    fn drop(&mut self) {
        if self.open {
            let mut recorded = CapturedGraph { context: self.context, graph: std::ptr::null_mut() };
            let (stream, graph) = (self.context.stream, &mut recorded.graph);
            // The error that led here is the one to report.
            // SAFETY: as in `end`.
            let _ = self.context.try_call(|d| unsafe { d.cuStreamEndCapture(stream, graph) });
        }
    }
}

/// What was captured, not executable yet.
struct CapturedGraph<'a> {
    context: &'a Context,
    graph: CUgraph,
}

impl Drop for CapturedGraph<'_> {
    fn drop(&mut self) {
        if !self.graph.is_null() {
            // Nothing can be done about a failure here.
            // SAFETY: from the end of a capture.
            let _ = self.context.try_call(|d| unsafe { d.cuGraphDestroy(self.graph) });
        }
    }
}
