//! Launches: parameters and indices arrive as they were sent, and what a kernel cannot take is
//! refused by name.

use fairprune::backend::Backend;
use fairprune::cuda::args::EchoArgs;
use fairprune::cuda::{Cuda, DevicePointer, tiles};
use fairprune::error::Error;

use crate::{cuda_device, words};

const RECORD: usize = tiles::ECHO_WORDS as usize;
const THREADS: usize = tiles::ECHO_THREADS as usize;

/// A value of its own in every field.
pub fn echo_args(out: DevicePointer) -> EchoArgs {
    EchoArgs {
        out,
        wide: 0x0102_0304_0506_0708,
        real: -1.25e-3,
        negative: -123_456_789,
        word: 0xdead_beef,
        last: 0x1234_5678,
    }
}

/// Launches echo on a grid with room for its records.
pub fn echo(cuda: &Cuda, grid: [u32; 3], args: &EchoArgs) -> Result<(), Error> {
    let kernel = &cuda.kernels().echo_fields;
    // SAFETY: callers give room for all records.
    unsafe { cuda.launch(kernel, grid, tiles::ECHO_THREADS, 0, args) }
}

#[test]
fn every_field_and_index_arrives_as_it_was_sent() {
    let cuda = cuda_device::open();
    let grid = [3u32, 2, 4];
    let len = 24 * THREADS * RECORD;
    let mut memory = cuda.allocate(&[len * 4], true).unwrap();
    let view = words(0, len);
    cuda.upload_u32(&mut memory, view, &vec![u32::MAX; len]).unwrap();
    let args = echo_args(cuda.pointer(&memory, view).unwrap());
    echo(&cuda, grid, &args).unwrap();
    let mut out = vec![0; len];
    cuda.download_u32(&memory, view, &mut out).unwrap();
    let DevicePointer(address) = args.out;
    for (t, record) in out.chunks_exact(RECORD).enumerate() {
        let (block, thread) = ((t / THREADS) as u32, (t % THREADS) as u32);
        let expected: [u32; RECORD] = [
            address as u32,
            (address >> 32) as u32,
            0x0506_0708,
            0x0102_0304,
            (-1.25e-3f32).to_bits(),
            -123_456_789i32 as u32,
            0xdead_beef,
            0x1234_5678,
            size_of::<EchoArgs>() as u32,
            block % 3,
            block / 3 % 2,
            block / 6,
            thread,
            24,
            tiles::ECHO_THREADS,
        ];
        assert_eq!(record, expected, "thread {t}");
    }
}

#[test]
fn an_empty_grid_is_no_launch() {
    let cuda = cuda_device::open();
    for grid in [[0, 1, 1], [1, 0, 1], [1, 1, 0]] {
        // The null pointer would be a fault.
        echo(&cuda, grid, &echo_args(DevicePointer(0))).unwrap();
    }
    cuda.synchronize().unwrap();
}

#[test]
fn what_a_kernel_cannot_take_is_refused_by_name() {
    let cuda = cuda_device::open();
    let kernel = &cuda.kernels().echo_fields;
    let args = echo_args(DevicePointer(0));
    let most = kernel.limits().shared_bytes;
    for (grid, threads, shared_bytes, expected) in [
        ([1, 65_536, 1], 32, 0, "at most [2147483647, 65535, 65535] blocks"),
        ([1, 1, 65_536], 32, 0, "blocks"),
        ([u32::MAX, 1, 1], 32, 0, "blocks"),
        ([1, 1, 1], 0, 0, "1 to 32 threads"),
        ([1, 1, 1], 33, 0, "1 to 32 threads"),
        ([1, 1, 1], 32, most + 1, "bytes of shared memory"),
    ] {
        // SAFETY: refused, so that nothing runs.
        let refused = unsafe { cuda.launch(kernel, grid, threads, shared_bytes, &args) };
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("kernel echo_fields"), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    cuda.synchronize().unwrap();
}

#[test]
fn events_measure_the_work_between_them() {
    let cuda = cuda_device::open();
    let len = 256 * THREADS * RECORD;
    let memory = cuda.allocate(&[len * 4], false).unwrap();
    let args = echo_args(cuda.pointer(&memory, words(0, len)).unwrap());
    let start = cuda.record().unwrap();
    let between = cuda.record().unwrap();
    for _ in 0..20 {
        echo(&cuda, [256, 1, 1], &args).unwrap();
    }
    let end = cuda.record().unwrap();
    let all = end.since(&start).unwrap();
    assert!(all > std::time::Duration::ZERO, "{all:?}");
    assert!(end.since(&between).unwrap() <= all && between.since(&start).unwrap() <= all);
}

#[test]
fn a_device_says_what_it_is() {
    let cuda = cuda_device::open();
    let properties = cuda.properties();
    assert_eq!(cuda.name(), format!("cuda/{}", cuda.image()));
    assert!(properties.capability >= fairprune::cuda::Version(8, 0));
    assert!(properties.shared_bytes >= 48 << 10 && properties.multiprocessors > 0);
    assert!(cuda.free_bytes().unwrap() <= properties.memory_bytes);
    assert_eq!(cuda.workers(), 1);
    if !cuda_device::real() {
        assert_eq!(properties.card, "fairprune software device");
        assert_eq!(cuda.name(), "cuda/sm_90a");
    }
}
