//! The device as the tests use it: one test at a time, each from a fresh state.

use std::ffi::{CString, c_void};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytemuck::Pod;

use super::library::{Attribute, Config, Counters, Finding, Handle, Library, library};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The opened device, reset. Held for a whole test.
pub struct Device {
    pub cuda: &'static Library,
    _alone: MutexGuard<'static, ()>,
}

/// Blocks, threads of a block, bytes of shared memory.
#[derive(Clone, Copy)]
pub struct Shape {
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub shared: u32,
}

/// A shape in one dimension.
pub fn shape(blocks: u32, threads: u32, shared: u32) -> Shape {
    Shape { grid: [blocks, 1, 1], block: [threads, 1, 1], shared }
}

impl Device {
    /// With what the environment asks for.
    pub fn as_started() -> Device {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let cuda = library();
        let mut context = null_mut();
        // SAFETY: the driver's start, then its only context made current; outputs are writable.
        unsafe {
            assert_eq!((cuda.cuInit)(0), 0);
            assert_eq!((cuda.cuDevicePrimaryCtxRetain)(&mut context, 0), 0);
            assert_eq!((cuda.cuCtxSetCurrent)(context), 0);
        }
        Device { cuda, _alone: alone }
    }

    /// As if nothing had happened before. Findings are kept but not printed.
    pub fn fresh() -> Device {
        let device = Device::as_started();
        device.reset();
        device.set_order(0);
        // SAFETY: take any number.
        unsafe {
            (device.cuda.fairprune_emulator_count_bank_conflicts)(0);
            (device.cuda.fairprune_emulator_print_findings)(0);
        }
        device
    }

    pub fn reset(&self) {
        // SAFETY: no pointer of before is used after.
        unsafe { (self.cuda.fairprune_emulator_reset)() }
    }

    pub fn set_order(&self, order: u32) {
        // SAFETY: takes any number.
        unsafe { (self.cuda.fairprune_emulator_set_order)(order) }
    }

    /// Device memory that nothing wrote.
    pub fn allocate(&self, bytes: usize) -> u64 {
        let mut address = 0;
        // SAFETY: `address` is writable.
        assert_eq!(unsafe { (self.cuda.cuMemAlloc_v2)(&mut address, bytes) }, 0);
        address
    }

    /// Device memory with these values.
    pub fn upload<T: Pod>(&self, values: &[T]) -> u64 {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let address = self.allocate(bytes.len());
        // SAFETY: both sides have that many bytes.
        let code =
            unsafe { (self.cuda.cuMemcpyHtoD_v2)(address, bytes.as_ptr().cast(), bytes.len()) };
        assert_eq!(code, 0);
        address
    }

    /// Waits for the device and reads `len` values.
    pub fn download<T: Pod>(&self, address: u64, len: usize) -> Vec<T> {
        let mut values = vec![T::zeroed(); len];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
        // SAFETY: `bytes` is writable for its length.
        let code =
            unsafe { (self.cuda.cuMemcpyDtoH_v2)(bytes.as_mut_ptr().cast(), address, bytes.len()) };
        assert_eq!(
            code,
            0,
            "{:?}",
            self.findings().iter().map(|f| f.text().to_owned()).collect::<Vec<_>>()
        );
        values
    }

    pub fn module(&self, family: &str) -> Handle {
        let image = format!("fairprune software image {family}\n");
        let mut module = null_mut();
        // SAFETY: `module` is writable, the image ends with its line.
        let code = unsafe { (self.cuda.cuModuleLoadData)(&mut module, image.as_ptr().cast()) };
        assert_eq!(code, 0, "{family}");
        module
    }

    pub fn function(&self, family: &str, name: &str) -> Handle {
        let text = CString::new(name).expect("no NUL");
        let mut function = null_mut();
        // SAFETY: a module that was just loaded; `function` is writable.
        let code = unsafe {
            (self.cuda.cuModuleGetFunction)(&mut function, self.module(family), text.as_ptr())
        };
        assert_eq!(code, 0, "{name}");
        function
    }

    /// Launches on the NULL stream: the driver's answer.
    pub fn launch<A: Pod>(&self, function: Handle, shape: Shape, args: &A) -> u32 {
        self.launch_on(null_mut(), function, shape, args)
    }

    pub fn launch_on<A: Pod>(
        &self,
        stream: Handle,
        function: Handle,
        shape: Shape,
        args: &A,
    ) -> u32 {
        let mut bytes = 0;
        let mut offset = 0;
        // SAFETY: both are writable.
        let code = unsafe { (self.cuda.cuFuncGetParamInfo)(function, 0, &mut offset, &mut bytes) };
        assert!(code != 0 || bytes == size_of::<A>(), "{} bytes of {bytes}", size_of::<A>());
        let mut parameter = (&raw const *args).cast_mut().cast::<c_void>();
        let ([gx, gy, gz], [bx, by, bz]) = (shape.grid, shape.block);
        // SAFETY: one parameter of the kernel's size, read before the call returns. What the kernel
        // does to memory is checked by the device.
        unsafe {
            (self.cuda.cuLaunchKernel)(
                function,
                gx,
                gy,
                gz,
                bx,
                by,
                bz,
                shape.shared,
                stream,
                &mut parameter,
                null_mut(),
            )
        }
    }

    /// As [`Device::launch`], with attributes.
    pub fn launch_with<A: Pod>(
        &self,
        attributes: &[Attribute],
        function: Handle,
        shape: Shape,
        args: &A,
    ) -> u32 {
        let mut parameter = (&raw const *args).cast_mut().cast::<c_void>();
        let Shape { grid, block, shared } = shape;
        let (count, attributes) = (attributes.len() as u32, attributes.as_ptr());
        let config = Config { grid, block, shared, stream: null_mut(), attributes, count };
        // SAFETY: as in `launch_on`; as many attributes as stated.
        unsafe { (self.cuda.cuLaunchKernelEx)(&config, function, &mut parameter, null_mut()) }
    }

    /// As [`Device::run`], of a kernel that may begin before what was launched before has ended.
    pub fn run_early<A: Pod>(&self, family: &str, name: &str, shape: Shape, args: &A) -> u32 {
        let attributes = [Attribute::new(Attribute::EARLY, 1)];
        let function = self.function(family, name);
        assert_eq!(self.launch_with(&attributes, function, shape, args), 0, "{name}");
        self.synchronize()
    }

    /// Launches a kernel and waits: what the device answers then.
    pub fn run<A: Pod>(&self, family: &str, name: &str, shape: Shape, args: &A) -> u32 {
        assert_eq!(self.launch(self.function(family, name), shape, args), 0, "{name}");
        self.synchronize()
    }

    pub fn synchronize(&self) -> u32 {
        // SAFETY: takes nothing.
        unsafe { (self.cuda.cuCtxSynchronize)() }
    }

    pub fn findings(&self) -> Vec<Finding> {
        // SAFETY: takes nothing.
        let count = unsafe { (self.cuda.fairprune_emulator_findings)() };
        (0..count)
            .map(|i| {
                // SAFETY: numbers and bytes, for which zero is a value.
                let mut finding = unsafe { std::mem::zeroed() };
                // SAFETY: writable, and of the header's layout.
                let found = unsafe { (self.cuda.fairprune_emulator_get_finding)(i, &mut finding) };
                assert_eq!(found, 1);
                finding
            })
            .collect()
    }

    /// Sums over a kernel's launches; of the last launch without a name.
    pub fn counters(&self, kernel: Option<&str>) -> Counters {
        let text = kernel.map(|k| CString::new(k).expect("no NUL"));
        let name = text.as_ref().map_or(std::ptr::null(), |t| t.as_ptr());
        let mut counters = Counters::default();
        // SAFETY: a string or null; writable, and of the header's layout.
        let found = unsafe { (self.cuda.fairprune_emulator_get_counters)(name, &mut counters) };
        assert_eq!(found, 1, "{kernel:?}");
        counters
    }
}
