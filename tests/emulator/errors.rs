//! Bad arguments get the driver's codes, and harm nothing.

use std::ffi::{CStr, c_char};
use std::ptr::null_mut;

use super::correct::Fill;
use super::device::{Device, Shape, shape};
use super::library::Attribute;

const INVALID_VALUE: u32 = 1;
const OUT_OF_MEMORY: u32 = 2;
const INVALID_IMAGE: u32 = 200;
const NO_BINARY_FOR_GPU: u32 = 209;
const INVALID_HANDLE: u32 = 400;
const NOT_FOUND: u32 = 500;

#[test]
fn launches() {
    let device = Device::fresh();
    let function = device.function("test_correct", "fill");
    let args = Fill { out: device.allocate(4096), len: 0, value: 0.0 };
    let launch =
        |grid, block, shared| device.launch(function, Shape { grid, block, shared }, &args);
    let one = [1, 1, 1];
    assert_eq!(launch(one, [256, 1, 1], 48 << 10), 0);
    assert_eq!(launch([0, 1, 1], [256, 1, 1], 0), INVALID_VALUE, "no blocks");
    assert_eq!(launch([1, 65536, 1], one, 0), INVALID_VALUE, "too many blocks along y");
    assert_eq!(launch(one, [0, 1, 1], 0), INVALID_VALUE, "no threads");
    assert_eq!(launch(one, [257, 1, 1], 0), INVALID_VALUE, "above the launch bounds");
    assert_eq!(launch(one, [2048, 1, 1], 0), INVALID_VALUE, "above the device's limit");
    assert_eq!(launch(one, one, (48 << 10) + 1), INVALID_VALUE, "shared memory not asked for");
    let cuda = device.cuda;
    // SAFETY: the function lives; wrong handles are looked up, not followed.
    unsafe {
        assert_eq!((cuda.cuFuncSetAttribute)(function, 8, 227 << 10), 0);
        assert_eq!(launch(one, one, 227 << 10), 0);
        assert_eq!(launch(one, one, (227 << 10) + 1), INVALID_VALUE);
        assert_eq!((cuda.cuFuncSetAttribute)(function, 8, (227 << 10) + 1), INVALID_VALUE);
        let nothing = null_mut();
        let (no_parameters, no_extra) = (null_mut(), null_mut());
        let code =
            (cuda.cuLaunchKernel)(function, 1, 1, 1, 1, 1, 1, 0, nothing, no_parameters, no_extra);
        assert_eq!(code, INVALID_VALUE, "no parameters");
        // Parameters in one buffer come with its size.
        let mut bytes = size_of::<Fill>();
        let size = &raw mut bytes;
        let buffer = (&raw const args).cast_mut().cast();
        let [a_buffer, a_size] = [1, 2].map(std::ptr::without_provenance_mut);
        let mut extra = [a_buffer, buffer, a_size, size.cast(), nothing];
        let mut launch = || {
            let extra = extra.as_mut_ptr();
            (cuda.cuLaunchKernel)(function, 1, 1, 1, 1, 1, 1, 0, nothing, no_parameters, extra)
        };
        assert_eq!(launch(), 0);
        size.write(size.read() - 4);
        assert_eq!(launch(), INVALID_VALUE, "four bytes short");
    }
    let attribute = |which, value| {
        device.launch_with(&[Attribute::new(which, value)], function, shape(1, 1, 0), &args)
    };
    assert_eq!(attribute(Attribute::EARLY, 0), 0);
    assert_eq!(attribute(Attribute::EARLY, 1), 0);
    assert_eq!(attribute(99, 1), INVALID_VALUE, "an attribute that nothing knows");
    let wrong = (&raw const args).cast_mut().cast();
    assert_eq!(device.launch(wrong, shape(1, 1, 0), &args), INVALID_HANDLE, "not a function");
    let stream = device.launch_on(wrong, function, shape(1, 1, 0), &args);
    assert_eq!(stream, INVALID_HANDLE, "not a stream");
    assert_eq!(device.synchronize(), 0);
}

#[test]
fn modules_and_functions() {
    let device = Device::fresh();
    let cuda = device.cuda;
    let load = |image: &[u8]| {
        let mut module = null_mut();
        // SAFETY: `module` is writable, every image ends with a NUL.
        unsafe { (cuda.cuModuleLoadData)(&mut module, image.as_ptr().cast()) }
    };
    assert_eq!(load(b"fairprune software image test_correct\n\0"), 0);
    assert_eq!(load(b"fairprune software image test_correct\0"), INVALID_IMAGE, "cut off");
    assert_eq!(load(b"fairprune software image nothing\n\0"), INVALID_IMAGE, "no such family");
    assert_eq!(load(b"fairprune\0"), INVALID_IMAGE);
    assert_eq!(load(b"\0\0\0\0"), INVALID_IMAGE);
    assert_eq!(load(b"\x50\xed\x55\xba\0"), NO_BINARY_FOR_GPU, "a fatbin");
    let module = device.module("test_correct");
    let mut function = null_mut();
    let (mut value, mut offset, mut bytes) = (0, 7, 0);
    // SAFETY: outputs are writable; handles are looked up, not followed.
    unsafe {
        let get = cuda.cuModuleGetFunction;
        assert_eq!(get(&mut function, module, c"nothing".as_ptr()), NOT_FOUND);
        assert_eq!(get(&mut function, module, c"gemm".as_ptr()), NOT_FOUND, "of another family");
        assert_eq!(get(&mut function, module, c"fill".as_ptr()), 0);
        assert_eq!((cuda.cuFuncGetParamInfo)(function, 0, &mut offset, &mut bytes), 0);
        assert_eq!((offset, bytes), (0, 16));
        let second = (cuda.cuFuncGetParamInfo)(function, 1, &mut offset, &mut bytes);
        assert_eq!(second, INVALID_VALUE, "one parameter");
        assert_eq!((cuda.cuFuncGetAttribute)(&mut value, 0, function), 0);
        assert_eq!(value, 256, "launch bounds");
        let blocks = cuda.cuOccupancyMaxActiveBlocksPerMultiprocessor;
        assert_eq!(blocks(&mut value, function, 256, 40 << 10), 0);
        assert_eq!(value, 5, "228 KiB of 41 each");
        assert_eq!((cuda.cuModuleUnload)(module), 0);
        assert_eq!((cuda.cuModuleUnload)(module), INVALID_HANDLE);
    }
    let args = Fill { out: 0, len: 0, value: 0.0 };
    assert_eq!(device.launch(function, shape(1, 1, 0), &args), INVALID_HANDLE, "unloaded");
}

#[test]
fn memory() {
    let device = Device::fresh();
    let cuda = device.cuda;
    let mut host = [0u8; 64];
    let to = host.as_mut_ptr().cast();
    let (a, b, mut address) = (device.upload(&[1u8; 64]), device.allocate(64), 0);
    // SAFETY: `host` has 64 bytes; device addresses are looked up, not followed.
    unsafe {
        assert_eq!((cuda.cuMemAlloc_v2)(&mut address, 0), INVALID_VALUE, "no bytes");
        assert_eq!((cuda.cuMemAlloc_v2)(&mut address, 1 << 50), OUT_OF_MEMORY);
        assert_eq!((cuda.cuMemcpyHtoD_v2)(a + 1, to, 64), INVALID_VALUE, "one too far");
        assert_eq!((cuda.cuMemcpyDtoH_v2)(to, a - 1, 64), INVALID_VALUE, "one too early");
        assert_eq!((cuda.cuMemcpyDtoH_v2)(to, 0, 1), INVALID_VALUE, "null");
        assert_eq!((cuda.cuMemcpyDtoD_v2)(a, a + 8, 16), INVALID_VALUE, "overlap");
        assert_eq!((cuda.cuMemsetD32Async)(a + 2, 0, 1, null_mut()), INVALID_VALUE, "misaligned");
        assert_eq!((cuda.cuMemsetD8_v2)(a, 0, 65), INVALID_VALUE, "one too many");
        assert_eq!((cuda.cuMemFree_v2)(a + 4), INVALID_VALUE, "not a start");
        assert_eq!((cuda.cuMemFree_v2)(0), 0);
        // What was never written stays so in a copy, and may not reach the host.
        assert_eq!((cuda.cuMemcpyDtoD_v2)(b, a, 32), 0);
        assert_eq!((cuda.cuMemcpyDtoH_v2)(to, b, 32), 0);
        assert_eq!((cuda.cuMemFree_v2)(a), 0);
        assert_eq!((cuda.cuMemFree_v2)(a), INVALID_VALUE, "freed before");
        assert_eq!((cuda.cuMemcpyDtoH_v2)(to, a, 1), INVALID_VALUE, "freed");
        assert_eq!((cuda.cuMemcpyDtoH_v2)(to, b + 16, 17), 719, "nothing wrote the last byte");
    }
    assert_eq!(host[..32], [1; 32]);
    let last = *device.findings().last().expect("the copy of what nothing wrote");
    assert_eq!((last.kind, last.kernel(), last.address), (4, "cuMemcpyDtoH", b + 16));
}

/// Everything that was allocated is accounted for, and given back.
#[test]
fn accounts() {
    let device = Device::fresh();
    let cuda = device.cuda;
    let (mut free, mut total, mut count, mut bytes) = (0, 0, 9, 9);
    let addresses: Vec<u64> = (1..100).map(|i| device.allocate(i * 1000)).collect();
    // SAFETY: outputs are writable, addresses were allocated above.
    unsafe {
        (cuda.fairprune_emulator_allocations)(&mut count, &mut bytes);
        assert_eq!((count, bytes % 256), (99, 0));
        assert!((4_950_000..5_000_000).contains(&bytes), "{bytes}");
        assert_eq!((cuda.cuMemGetInfo_v2)(&mut free, &mut total), 0);
        assert_eq!((total - free) as u64, bytes);
        for &address in &addresses {
            assert_eq!(address % 256, 0);
            assert_eq!((cuda.cuMemFree_v2)(address), 0);
        }
        (cuda.fairprune_emulator_allocations)(&mut count, &mut bytes);
        assert_eq!((count, bytes), (0, 0));
    }
}

#[test]
fn errors_have_names() {
    let device = Device::fresh();
    let mut text: *const c_char = std::ptr::null();
    // SAFETY: `text` is writable; the strings are static.
    unsafe {
        assert_eq!((device.cuda.cuGetErrorName)(700, &mut text), 0);
        assert_eq!(CStr::from_ptr(text), c"CUDA_ERROR_ILLEGAL_ADDRESS");
        assert_eq!((device.cuda.cuGetErrorString)(2, &mut text), 0);
        assert_eq!(CStr::from_ptr(text), c"out of memory");
        assert_eq!((device.cuda.cuGetErrorName)(12345, &mut text), INVALID_VALUE);
        assert!(text.is_null());
    }
}

#[test]
fn the_device_describes_itself() {
    let device = Device::fresh();
    let cuda = device.cuda;
    let mut name = [0; 64];
    let (mut bytes, mut other) = (0, 0);
    let attribute = |which| {
        let mut value = -1;
        // SAFETY: `value` is writable.
        assert_eq!(unsafe { (cuda.cuDeviceGetAttribute)(&mut value, which, 0) }, 0, "{which}");
        value
    };
    // Threads a block, warp, multiprocessors, capability, shared memory a block may ask for.
    let values = [1, 10, 16, 75, 76, 97].map(attribute);
    assert_eq!(values, [1024, 32, 132, 9, 0, 227 << 10]);
    // SAFETY: outputs are writable for the lengths given.
    unsafe {
        assert_eq!((cuda.cuDeviceGetName)(name.as_mut_ptr(), 64, 0), 0);
        assert_eq!(CStr::from_ptr(name.as_ptr()), c"fairprune software device");
        assert_eq!((cuda.cuDeviceGetAttribute)(&mut other, 9999, 0), INVALID_VALUE);
        assert_eq!((cuda.cuDeviceGet)(&mut other, 1), 101);
        assert_eq!((cuda.cuDeviceTotalMem_v2)(&mut bytes, 0), 0);
        assert!(bytes >= 1 << 20);
    }
}
