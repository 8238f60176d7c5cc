//! What a device is to the executor: memory addressed by views, and (in `ops`) operators on them.
//!
//! A [`View`] is plain data, so a plan built from views is the same for every backend. The
//! operators themselves are traits in `ops`, each implemented next to its problem description.

pub mod cpu;
pub mod host;
pub mod kernel_sets;
pub mod pool;

use crate::error::Result;
use crate::tensor::Dtype;

pub use crate::isa::Isa;
pub(crate) use crate::isa::multiversion;
pub use crate::isa::simd;
pub use cpu::Cpu;

/// A tensor's place in a backend's memory: buffer, byte offset, number of elements, element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    pub buffer: u32,
    /// Bytes from the buffer's start; a multiple of [`ALIGN`].
    pub offset: usize,
    /// Elements, not bytes.
    pub len: usize,
    pub dtype: Dtype,
}

/// Every tensor starts at a multiple of this many bytes.
pub const ALIGN: usize = 256;

impl View {
    /// An empty view: what an absent optional workspace is given as.
    pub const EMPTY: View = View { buffer: 0, offset: 0, len: 0, dtype: Dtype::F32 };

    /// Bytes covered.
    pub fn bytes(&self) -> usize {
        self.len * self.dtype.size()
    }

    /// The first `len` elements. `len` must not exceed the view's.
    pub fn prefix(self, len: usize) -> View {
        assert!(len <= self.len, "prefix of {len} elements of a view of {}", self.len);
        View { len, ..self }
    }
}

/// A device: its identity, its memory and the way in and out of it.
pub trait Backend: Send + Sync {
    /// The allocations behind views; buffers are numbered in the order of `allocate`'s sizes.
    type Memory: Send;

    /// For people and fingerprints: `cpu/avx512`, `cuda/sm_90a`, ...
    fn name(&self) -> String;

    /// The same for results in bf16, where the order of their sums is another one on some devices.
    fn bf16_name(&self) -> String {
        self.name()
    }

    /// Workers whose private scratch an operator's workspace must hold (1 on a GPU).
    fn workers(&self) -> usize;

    /// Allocates one buffer a size (bytes). `poison` fills them with NaN, else with zeros.
    fn allocate(&self, sizes: &[usize], poison: bool) -> Result<Self::Memory>;

    /// Copies host f32 values into a view of the same length; also
    /// into one of bf16, each value rounded to nearest.
    fn upload(&self, memory: &mut Self::Memory, view: View, values: &[f32]) -> Result<()>;

    /// Copies host u32 values into a view of the same length.
    fn upload_u32(&self, memory: &mut Self::Memory, view: View, values: &[u32]) -> Result<()>;

    /// Copies a view of f32 (or bf16) into a host slice of the same
    /// length.
    fn download(&self, memory: &Self::Memory, view: View, values: &mut [f32]) -> Result<()>;

    /// Copies a u32 view into a host slice of the same length.
    fn download_u32(&self, memory: &Self::Memory, view: View, values: &mut [u32]) -> Result<()>;

    /// Bytes that can still be allocated, where the system tells.
    fn free_bytes(&self) -> Option<u64>;

    /// Bytes of one activation up to which consecutive layers find each other's output in a cache;
    /// passes without updates are cut to that. None where only the number of images counts.
    fn activation_bytes(&self, _stored: Dtype) -> Option<usize> {
        None
    }

    /// Fills a view with one value; one of bf16 has an even number of elements.
    fn fill(&self, memory: &mut Self::Memory, view: View, value: f32) -> Result<()>;

    /// Waits for all work issued so far.
    fn synchronize(&self) -> Result<()>;

    /// Work that was recorded once, to be repeated with one call.
    type Recording: Send;

    /// Records what `issue` issues, none of which runs now. None where the backend records nothing;
    /// `issue` is not called then. No other thread may use the backend meanwhile.
    fn record(&self, issue: impl FnOnce() -> Result<()>) -> Result<Option<Self::Recording>>;

    /// Repeats recorded work after all work issued so far.
    ///
    /// # Safety
    /// All memory and images that the work uses still exist.
    unsafe fn replay(&self, recording: &Self::Recording) -> Result<()>;
}
