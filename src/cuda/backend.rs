//! What the executor asks of a card: memory, copies, waiting, recorded work.

use super::absence::Absence;
use super::card::Cuda;
use super::graph::Graph;
use super::memory::CudaMemory;
use crate::backend::{Backend, View};
use crate::error::{Error, Result};
use crate::tensor::Dtype;

impl Backend for Cuda {
    type Memory = CudaMemory;

    fn name(&self) -> String {
        format!("cuda/{}", self.image())
    }

    fn workers(&self) -> usize {
        1
    }

    fn allocate(&self, sizes: &[usize], poison: bool) -> Result<CudaMemory> {
        CudaMemory::allocate(&self.context, sizes, poison)
    }

    fn upload(&self, memory: &mut CudaMemory, view: View, values: &[f32]) -> Result<()> {
        memory.upload_f32(view, values)
    }

    fn upload_u32(&self, memory: &mut CudaMemory, view: View, values: &[u32]) -> Result<()> {
        memory.upload(view, values, Dtype::U32)
    }

    fn download(&self, memory: &CudaMemory, view: View, values: &mut [f32]) -> Result<()> {
        memory.download_f32(view, values)
    }

    fn download_u32(&self, memory: &CudaMemory, view: View, values: &mut [u32]) -> Result<()> {
        memory.download(view, values, Dtype::U32)
    }

    fn free_bytes(&self) -> Option<u64> {
        self.context.free_bytes()
    }

    fn fill(&self, memory: &mut CudaMemory, view: View, value: f32) -> Result<()> {
        memory.fill(view, value)
    }

    fn synchronize(&self) -> Result<()> {
        self.context.synchronize()
    }

    type Recording = Graph;

    fn record(&self, issue: impl FnOnce() -> Result<()>) -> Result<Option<Graph>> {
        self.capture(issue).map(Some)
    }

    unsafe fn replay(&self, recording: &Graph) -> Result<()> {
        // SAFETY: passed on to the caller.
        unsafe { Cuda::replay(self, recording) }
    }
}

impl From<Absence> for Error {
    fn from(absence: Absence) -> Error {
        Error::DeviceUnavailable { device: "cuda".to_owned(), reason: absence.to_string() }
    }
}
