//! The library's functions, called as they are: what a program sees through its CUDA bindings.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::OnceLock;

#[path = "../common/software_device.rs"]
mod software_device;

#[link(name = "dl")]
unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

const RTLD_NOW: c_int = 2;

macro_rules! functions {
    ($($name:ident($($type:ty),*) -> $out:ty;)*) => {
        /// Every function that the tests call, by its name.
        #[allow(non_snake_case)]
        pub struct Library {
            $(pub $name: unsafe extern "C" fn($($type),*) -> $out,)*
        }

        impl Library {
            /// # Safety
            /// `handle` is an open libcuda whose functions have these types.
            unsafe fn resolve(handle: *mut c_void) -> Library {
                // SAFETY: a function's address, or null, which is refused.
                let find = |name: &str| unsafe {
                    let text = CString::new(name).expect("no NUL");
                    let address = dlsym(handle, text.as_ptr());
                    assert!(!address.is_null(), "libcuda.so has no {name}");
                    address
                };
                // SAFETY: the types are the header's (control.h) and the driver API reference's.
                unsafe { Library { $($name: std::mem::transmute::<*mut c_void,
                    unsafe extern "C" fn($($type),*) -> $out>(find(stringify!($name))),)* } }
            }
        }
    };
}

pub type Handle = *mut c_void;

/// CUlaunchConfig.
#[repr(C)]
pub struct Config {
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub shared: u32,
    pub stream: Handle,
    pub attributes: *const Attribute,
    pub count: u32,
}

/// CUlaunchAttribute with a number as its value.
#[repr(C, align(8))]
pub struct Attribute {
    pub which: u32,
    pub padding: u32,
    pub value: [u32; 16],
}

impl Attribute {
    /// CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION.
    pub const EARLY: u32 = 6;

    pub fn new(which: u32, number: u32) -> Attribute {
        let mut value = [0; 16];
        value[0] = number;
        Attribute { which, padding: 0, value }
    }
}

functions! {
    cuInit(u32) -> u32;
    cuDriverGetVersion(*mut c_int) -> u32;
    cuGetErrorName(u32, *mut *const c_char) -> u32;
    cuGetErrorString(u32, *mut *const c_char) -> u32;
    cuDeviceGetCount(*mut c_int) -> u32;
    cuDeviceGet(*mut c_int, c_int) -> u32;
    cuDeviceGetName(*mut c_char, c_int, c_int) -> u32;
    cuDeviceGetAttribute(*mut c_int, c_int, c_int) -> u32;
    cuDeviceTotalMem_v2(*mut usize, c_int) -> u32;
    cuDevicePrimaryCtxRetain(*mut Handle, c_int) -> u32;
    cuDevicePrimaryCtxRelease_v2(c_int) -> u32;
    cuCtxSetCurrent(Handle) -> u32;
    cuCtxSynchronize() -> u32;
    cuMemGetInfo_v2(*mut usize, *mut usize) -> u32;
    cuMemAlloc_v2(*mut u64, usize) -> u32;
    cuMemAllocAsync(*mut u64, usize, Handle) -> u32;
    cuMemFree_v2(u64) -> u32;
    cuMemFreeAsync(u64, Handle) -> u32;
    cuMemHostAlloc(*mut Handle, usize, u32) -> u32;
    cuMemFreeHost(Handle) -> u32;
    cuMemcpyHtoD_v2(u64, *const c_void, usize) -> u32;
    cuMemcpyHtoDAsync_v2(u64, *const c_void, usize, Handle) -> u32;
    cuMemcpyDtoH_v2(*mut c_void, u64, usize) -> u32;
    cuMemcpyDtoHAsync_v2(*mut c_void, u64, usize, Handle) -> u32;
    cuMemcpyDtoD_v2(u64, u64, usize) -> u32;
    cuMemsetD8_v2(u64, u8, usize) -> u32;
    cuMemsetD32Async(u64, u32, usize, Handle) -> u32;
    cuStreamCreate(*mut Handle, u32) -> u32;
    cuStreamDestroy_v2(Handle) -> u32;
    cuStreamSynchronize(Handle) -> u32;
    cuStreamQuery(Handle) -> u32;
    cuStreamWaitEvent(Handle, Handle, u32) -> u32;
    cuStreamBeginCapture_v2(Handle, c_int) -> u32;
    cuStreamEndCapture(Handle, *mut Handle) -> u32;
    cuStreamIsCapturing(Handle, *mut c_int) -> u32;
    cuGraphInstantiateWithFlags(*mut Handle, Handle, u64) -> u32;
    cuGraphLaunch(Handle, Handle) -> u32;
    cuGraphExecDestroy(Handle) -> u32;
    cuGraphDestroy(Handle) -> u32;
    cuEventCreate(*mut Handle, u32) -> u32;
    cuEventDestroy_v2(Handle) -> u32;
    cuEventRecord(Handle, Handle) -> u32;
    cuEventQuery(Handle) -> u32;
    cuEventSynchronize(Handle) -> u32;
    cuEventElapsedTime(*mut f32, Handle, Handle) -> u32;
    cuModuleLoadData(*mut Handle, *const c_void) -> u32;
    cuModuleUnload(Handle) -> u32;
    cuModuleGetFunction(*mut Handle, Handle, *const c_char) -> u32;
    cuFuncGetAttribute(*mut c_int, c_int, Handle) -> u32;
    cuFuncSetAttribute(Handle, c_int, c_int) -> u32;
    cuFuncGetParamInfo(Handle, usize, *mut usize, *mut usize) -> u32;
    cuOccupancyMaxActiveBlocksPerMultiprocessor(*mut c_int, Handle, c_int, usize) -> u32;
    cuLaunchKernel(Handle, u32, u32, u32, u32, u32, u32, u32, Handle, *mut Handle, *mut Handle)
        -> u32;
    cuLaunchKernelEx(*const Config, Handle, *mut Handle, *mut Handle) -> u32;
    cuLaunchHostFunc(Handle, unsafe extern "C" fn(*mut c_void), *mut c_void) -> u32;
    fairprune_emulator_findings() -> u32;
    fairprune_emulator_get_finding(u32, *mut Finding) -> c_int;
    fairprune_emulator_get_counters(*const c_char, *mut Counters) -> c_int;
    fairprune_emulator_set_order(u32) -> ();
    fairprune_emulator_count_bank_conflicts(c_int) -> ();
    fairprune_emulator_print_findings(c_int) -> ();
    fairprune_emulator_allocations(*mut u64, *mut u64) -> ();
    fairprune_emulator_reset() -> ();
}

/// Builds the library at the first call, and opens it.
fn open() -> Handle {
    let path = software_device::directory().join("libcuda.so");
    let text = CString::new(path.to_str().expect("UTF-8")).expect("no NUL");
    // SAFETY: a library that this project built; its initialisers only fill tables.
    let handle = unsafe { dlopen(text.as_ptr(), RTLD_NOW) };
    assert!(!handle.is_null(), "{} does not open", path.display());
    handle
}

/// The library, never closed.
pub fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    // SAFETY: the handle is that of an open library.
    LIBRARY.get_or_init(|| unsafe { Library::resolve(open()) })
}

/// A program that loads the device sees the driver's functions and the tests' alone.
#[test]
fn the_inside_is_hidden() {
    let handle = open();
    let names = [c"__tsan_read4", c"emulator_memcpy", c"emulator_switch", c"threadIdx", c"fill"];
    for name in names {
        // SAFETY: an open library.
        assert!(unsafe { dlsym(handle, name.as_ptr()) }.is_null(), "{name:?}");
    }
    // SAFETY: as above.
    assert!(!unsafe { dlsym(handle, c"cuInit".as_ptr()) }.is_null());
}

/// `struct fairprune_emulator_finding`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    pub kind: u32,
    pub space: u32,
    pub address: u64,
    pub size: u32,
    pub block: [u32; 3],
    pub thread: [u32; 3],
    pub other_block: [u32; 3],
    pub other_thread: [u32; 3],
    kernel: [u8; 64],
    text: [u8; 400],
}

fn until_nul(bytes: &[u8]) -> &str {
    let length = bytes.iter().position(|&b| b == 0).expect("NUL-terminated");
    std::str::from_utf8(&bytes[..length]).expect("UTF-8")
}

impl Finding {
    pub fn kernel(&self) -> &str {
        until_nul(&self.kernel)
    }

    pub fn text(&self) -> &str {
        until_nul(&self.text)
    }
}

/// `struct fairprune_emulator_counters`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub launches: u64,
    pub blocks: u64,
    pub threads: u64,
    pub global_read_bytes: u64,
    pub global_read_unique_bytes: u64,
    pub global_written_bytes: u64,
    pub global_written_unique_bytes: u64,
    pub shared_read_bytes: u64,
    pub shared_written_bytes: u64,
    pub block_barriers: u64,
    pub warp_instructions: u64,
    pub atomics: u64,
    pub async_copies: u64,
    pub bank_requests: u64,
    pub bank_passes: u64,
    pub bank_conflicts: u64,
    pub early: u64,
}
