//! Streams run late and in order; captures replay; events tell time.

use std::ffi::c_void;
use std::ptr::null_mut;

use super::correct::{Fill, Map};
use super::device::{Device, shape};
use super::library::Handle;

fn stream(device: &Device) -> Handle {
    let mut stream = null_mut();
    // SAFETY: `stream` is writable; 1 is non-blocking.
    assert_eq!(unsafe { (device.cuda.cuStreamCreate)(&mut stream, 1) }, 0);
    stream
}

fn event(device: &Device) -> Handle {
    let mut event = null_mut();
    // SAFETY: `event` is writable.
    assert_eq!(unsafe { (device.cuda.cuEventCreate)(&mut event, 0) }, 0);
    event
}

fn fill(device: &Device, stream: Handle, out: u64, value: f32) {
    let function = device.function("test_correct", "fill");
    let args = Fill { out, len: 64, value };
    assert_eq!(device.launch_on(stream, function, shape(1, 256, 0), &args), 0);
}

/// Page-locked host memory of 64 values.
fn pinned(device: &Device) -> *mut f32 {
    let mut at = null_mut();
    // SAFETY: `at` is writable.
    assert_eq!(unsafe { (device.cuda.cuMemHostAlloc)(&mut at, 256, 0) }, 0);
    at.cast()
}

/// What is only queued has not happened: a program that forgets to wait sees old values.
#[test]
fn work_runs_when_it_is_waited_for() {
    let device = Device::fresh();
    let (cuda, stream, host) = (device.cuda, stream(&device), pinned(&device));
    let out = device.allocate(256);
    // SAFETY: `host` has 64 values and lives until it is freed below.
    unsafe {
        host.write(-1.0);
        fill(&device, stream, out, 3.0);
        assert_eq!((cuda.cuMemcpyDtoHAsync_v2)(host.cast(), out, 256, stream), 0);
        assert_eq!(host.read(), -1.0);
        assert_eq!((cuda.cuStreamQuery)(stream), 600);
        assert_eq!((cuda.cuStreamQuery)(stream), 0);
        assert_eq!(host.read(), 3.0);
        // Page-locked memory is read when the copy runs, ordinary memory before the call returns.
        let mut ordinary = [5.0f32; 64];
        host.write(6.0);
        let to = device.allocate(256);
        let from = ordinary.as_ptr().cast();
        assert_eq!((cuda.cuMemcpyHtoDAsync_v2)(out, from, 256, stream), 0);
        assert_eq!((cuda.cuMemcpyHtoDAsync_v2)(to, host.cast(), 256, stream), 0);
        ordinary[0] = 7.0;
        host.write(8.0);
        assert_eq!((cuda.cuStreamSynchronize)(stream), 0);
        assert_eq!((device.download::<f32>(out, 64)[0], ordinary[0]), (5.0, 7.0));
        assert_eq!(device.download::<f32>(to, 64)[0], 8.0);
        assert_eq!((cuda.cuMemFreeHost)(host.cast()), 0);
        assert_eq!((cuda.cuStreamDestroy_v2)(stream), 0);
    }
}

unsafe extern "C" fn add_one(number: *mut c_void) {
    // SAFETY: the test below passes a u32 that lives until the stream was waited for.
    unsafe { *number.cast::<u32>() += 1 };
}

#[test]
fn host_functions_run_in_their_stream() {
    let device = Device::fresh();
    let (cuda, stream, mut number) = (device.cuda, stream(&device), 5u32);
    let at = &raw mut number;
    // SAFETY: `number` outlives the stream's work.
    unsafe {
        assert_eq!((cuda.cuLaunchHostFunc)(stream, add_one, at.cast()), 0);
        assert_eq!(at.read(), 5);
        assert_eq!((cuda.cuStreamSynchronize)(stream), 0);
        assert_eq!(at.read(), 6);
    }
}

#[test]
fn events_order_streams() {
    let device = Device::fresh();
    let (cuda, first, second) = (device.cuda, stream(&device), stream(&device));
    let (out, copy, event) = (device.allocate(256), device.allocate(256), event(&device));
    let function = device.function("test_correct", "rotate_in_place");
    fill(&device, first, out, 3.0);
    // SAFETY: handles made above.
    unsafe {
        assert_eq!((cuda.cuEventRecord)(event, first), 0);
        assert_eq!((cuda.cuStreamWaitEvent)(second, event, 0), 0);
    }
    // Reads what the other stream writes.
    let args = Map { x: 0, y: out, len: 64, filler: 0 };
    assert_eq!(device.launch_on(second, function, shape(1, 64, 0), &args), 0);
    fill(&device, second, copy, 1.0);
    // SAFETY: as above.
    unsafe {
        assert_eq!((cuda.cuStreamSynchronize)(second), 0);
        assert_eq!((cuda.cuEventQuery)(event), 0);
    }
    assert_eq!(device.download::<f32>(out, 64), [3.0; 64]);
}

#[test]
fn events_measure_time() {
    let device = Device::fresh();
    let (cuda, stream) = (device.cuda, stream(&device));
    let (start, end, mut elapsed) = (event(&device), event(&device), -1.0);
    let out = device.allocate(256);
    // SAFETY: handles made above; `elapsed` is writable.
    unsafe {
        assert_eq!((cuda.cuEventElapsedTime)(&mut elapsed, start, end), 400, "never recorded");
        assert_eq!((cuda.cuEventRecord)(start, stream), 0);
        fill(&device, stream, out, 1.0);
        assert_eq!((cuda.cuEventRecord)(end, stream), 0);
        assert_eq!((cuda.cuEventElapsedTime)(&mut elapsed, start, end), 600, "not there yet");
        assert_eq!((cuda.cuEventSynchronize)(end), 0);
        assert_eq!((cuda.cuEventElapsedTime)(&mut elapsed, start, end), 0);
        assert!(elapsed > 0.0 && elapsed < 60_000.0, "{elapsed}");
        assert_eq!((cuda.cuEventDestroy_v2)(start), 0);
        assert_eq!((cuda.cuEventDestroy_v2)(start), 400, "destroyed before");
    }
}

/// A captured step adds one to a counter, twice: nothing runs at capture, everything at each launch.
#[test]
fn a_capture_replays() {
    let device = Device::fresh();
    let (cuda, stream) = (device.cuda, stream(&device));
    let x: Vec<f32> = (0..64).map(|i| i as f32).collect();
    let y = device.upload(&x);
    let function = device.function("test_correct", "rotate_in_place");
    let (mut graph, mut exec, mut status) = (null_mut(), null_mut(), -1);
    // SAFETY: handles made here; outputs are writable.
    unsafe {
        assert_eq!((cuda.cuStreamBeginCapture_v2)(stream, 1), 0);
        assert_eq!((cuda.cuStreamIsCapturing)(stream, &mut status), 0);
        assert_eq!(status, 1);
        for _ in 0..2 {
            // The parameters are those of the capture, whatever happens to this copy.
            let mut args = Map { x: 0, y, len: 64, filler: 0 };
            assert_eq!(device.launch_on(stream, function, shape(1, 64, 0), &args), 0);
            args.y = 0;
            std::hint::black_box(&args);
        }
        assert_eq!((cuda.cuMemsetD32Async)(y + 4 * 63, 0, 1, stream), 0);
        assert_eq!((cuda.cuStreamEndCapture)(stream, &mut graph), 0);
        assert_eq!((cuda.cuGraphInstantiateWithFlags)(&mut exec, graph, 0), 0);
        assert_eq!((cuda.cuGraphDestroy)(graph), 0);
        assert_eq!(device.download::<f32>(y, 64), x, "capturing runs nothing");
        for _ in 0..3 {
            assert_eq!((cuda.cuGraphLaunch)(exec, stream), 0);
        }
        assert_eq!((cuda.cuStreamSynchronize)(stream), 0);
        assert_eq!((cuda.cuGraphExecDestroy)(exec), 0);
        assert_eq!((cuda.cuGraphLaunch)(exec, stream), 1, "destroyed before");
    }
    let mut expected = x;
    for _ in 0..3 {
        expected.rotate_left(2);
        expected[63] = 0.0;
    }
    assert_eq!(device.download::<f32>(y, 64), expected);
}

/// What a graph cannot hold ends the capture.
#[test]
fn captures_refuse_what_they_cannot_hold() {
    let device = Device::fresh();
    let (cuda, stream) = (device.cuda, stream(&device));
    let (out, other) = (device.upload(&[0.0f32; 64]), device.upload(&[0.0f32; 64]));
    let host = [1.0f32; 64];
    let from: *const c_void = host.as_ptr().cast();
    let mut graph = null_mut();
    let mut refused = |what: &str, call: &dyn Fn() -> u32| {
        // SAFETY: handles made above; `graph` is writable.
        unsafe {
            assert_eq!((cuda.cuStreamBeginCapture_v2)(stream, 1), 0);
            assert_eq!(call(), 900, "{what}");
            assert_eq!((cuda.cuStreamEndCapture)(stream, &mut graph), 901, "{what}");
            assert!(graph.is_null());
        }
    };
    // SAFETY: handles and memory made above.
    refused("waiting", &|| unsafe { (cuda.cuStreamSynchronize)(stream) });
    refused("a copy from ordinary memory", &|| {
        // SAFETY: as above.
        unsafe { (cuda.cuMemcpyHtoDAsync_v2)(out, from, 256, stream) }
    });
    // SAFETY: as above.
    refused("a copy at once", &|| unsafe { (cuda.cuMemcpyDtoD_v2)(out, other, 256) });
    refused("an allocation", &|| {
        let mut address = 0;
        // SAFETY: `address` is writable.
        unsafe { (cuda.cuMemAlloc_v2)(&mut address, 256) }
    });
    // SAFETY: as above.
    unsafe {
        assert_eq!((cuda.cuStreamEndCapture)(stream, &mut graph), 903);
        assert_eq!((cuda.cuStreamBeginCapture_v2)(null_mut(), 1), 900, "the NULL stream");
        assert_eq!((cuda.cuStreamBeginCapture_v2)(stream, 1), 0);
        assert_eq!((cuda.cuStreamBeginCapture_v2)(stream, 1), 401, "twice");
        // An event of a capture belongs to the graph.
        let event = event(&device);
        assert_eq!((cuda.cuEventRecord)(event, stream), 0);
        assert_eq!((cuda.cuEventSynchronize)(event), 907);
        assert_eq!((cuda.cuStreamEndCapture)(stream, &mut graph), 0);
    }
}

/// Memory freed in a stream is there for what was queued before, and gone for what comes after.
#[test]
fn frees_are_ordered_in_their_stream() {
    let device = Device::fresh();
    let (cuda, stream) = (device.cuda, stream(&device));
    let mut out = 0;
    // SAFETY: handles made above; `out` is writable.
    unsafe {
        assert_eq!((cuda.cuMemAllocAsync)(&mut out, 256, stream), 0);
        fill(&device, stream, out, 1.0);
        assert_eq!((cuda.cuMemFreeAsync)(out, stream), 0);
        assert_eq!((cuda.cuStreamSynchronize)(stream), 0);
        assert_eq!((cuda.cuMemAllocAsync)(&mut out, 256, stream), 0);
        assert_eq!((cuda.cuMemFreeAsync)(out, stream), 0);
        fill(&device, stream, out, 1.0);
        assert_eq!((cuda.cuStreamSynchronize)(stream), 700);
    }
    assert_eq!(device.findings()[0].kind, 2);
}
