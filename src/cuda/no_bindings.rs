//! What stands for the bindings of NVIDIA's driver in a program that was built without the feature `cuda`: the
//! types and numbers that this program uses, under the names that they have in `cuda.h`. Nothing calls a
//! driver with them.
#![allow(non_camel_case_types, non_snake_case)]

use std::ffi::{c_char, c_int, c_uint, c_ulonglong};
use std::marker::{PhantomData, PhantomPinned};

/// An object that only the driver looks into.
#[repr(C)]
pub struct Opaque<const KIND: u8> {
    nothing: [u8; 0],
    held: PhantomData<(*mut u8, PhantomPinned)>,
}

pub type CUdevice = c_int;
pub type CUdeviceptr = c_ulonglong;
pub type CUcontext = *mut Opaque<0>;
pub type CUstream = *mut Opaque<1>;
pub type CUevent = *mut Opaque<2>;
pub type CUmodule = *mut Opaque<3>;
pub type CUfunction = *mut Opaque<4>;
pub type CUgraph = *mut Opaque<5>;
pub type CUgraphExec = *mut Opaque<6>;

#[repr(u32)]
#[derive(Clone, Copy, Debug)]
pub enum CUdevice_attribute {
    CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
    CU_DEVICE_ATTRIBUTE_PCI_BUS_ID = 33,
    CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID = 34,
    CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID = 50,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
    CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
}

#[repr(u32)]
#[derive(Clone, Copy, Debug)]
pub enum CUfunction_attribute {
    CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 0,
    CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES = 1,
    CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES = 3,
    CU_FUNC_ATTRIBUTE_NUM_REGS = 4,
    CU_FUNC_ATTRIBUTE_PTX_VERSION = 5,
    CU_FUNC_ATTRIBUTE_BINARY_VERSION = 6,
    CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
}

#[repr(u32)]
#[derive(Clone, Copy, Debug)]
pub enum CUstreamCaptureMode {
    CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1,
}

#[repr(u32)]
#[derive(Clone, Copy, Debug)]
pub enum CUlaunchAttributeID {
    CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION = 6,
}

/// 64 bytes, aligned as pointers are.
#[repr(C)]
#[derive(Clone, Copy)]
pub union CUlaunchAttributeValue {
    pub programmaticStreamSerializationAllowed: c_int,
    pub pad: [u64; 8],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct CUlaunchAttribute {
    pub id: CUlaunchAttributeID,
    pub pad: [c_char; 4],
    pub value: CUlaunchAttributeValue,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CUlaunchConfig {
    pub gridDimX: c_uint,
    pub gridDimY: c_uint,
    pub gridDimZ: c_uint,
    pub blockDimX: c_uint,
    pub blockDimY: c_uint,
    pub blockDimZ: c_uint,
    pub sharedMemBytes: c_uint,
    pub hStream: CUstream,
    pub attrs: *mut CUlaunchAttribute,
    pub numAttrs: c_uint,
}
