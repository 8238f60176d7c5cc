//! A kernel that fails: a clean error that names it, and no hang. A fault takes the whole process's
//! context with it, so it happens in a child.

use std::process::Command;

use fairprune::backend::Backend;
use fairprune::cuda::DevicePointer;
use fairprune::error::Error;

use crate::launch::{echo, echo_args};
use crate::{cuda_device, floats};

#[test]
fn a_fault_names_the_kernel_and_ends_cleanly() {
    let name = "faults::a_kernel_writes_to_the_null_pointer";
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&child.stdout), text(&child.stderr));
    assert!(child.status.success() && out.contains("1 passed"), "{out}{err}");
}

#[test]
#[ignore = "faults; run in a child by the test above"]
fn a_kernel_writes_to_the_null_pointer() {
    let cuda = cuda_device::open();
    let mut memory = cuda.allocate(&[256], false).unwrap();
    let launched = echo(&cuda, [1, 1, 1], &echo_args(DevicePointer(0)));
    let fault = launched.and_then(|()| cuda.synchronize()).unwrap_err();
    let message = fault.to_string();
    assert!(matches!(fault, Error::Device { .. }), "{message}");
    assert_eq!(fault.exit_code(), 1);
    for word in ["cuda:0", "echo_fields", "CUDA_LAUNCH_BLOCKING", "error 7"] {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    // Nothing works any more, and nothing hangs or panics, dropping included.
    assert!(cuda.synchronize().is_err());
    assert!(cuda.allocate(&[256], false).is_err());
    assert!(cuda.fill(&mut memory, floats(0, 4), 0.0).is_err());
    assert!(cuda.record().is_err());
    assert!(cuda.capture(|| Ok(())).is_err());
}
