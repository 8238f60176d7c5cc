//! Absence, little memory and failures on demand: the environment is read once a process, so each
//! case runs in a process of its own, this test binary with the case's name.

use std::process::Command;

use bytemuck::{Pod, Zeroable};

use super::correct::{Fill, tickets};
use super::device::{Device, shape};
use super::library::library;

const CHILD: &str = "FAIRPRUNE_EMULATOR_TEST_CHILD";

/// Runs the test `name` of this file again, in a process with these variables.
fn child(name: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().expect("this test has a path"));
    command.args(["--exact", &format!("environment::{name}"), "--test-threads", "1"]);
    command.env(CHILD, "1").envs(variables.iter().copied());
    let output = command.output().expect("this test runs again");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{name} was not run: {said}");
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

#[test]
fn no_device() {
    if !is_child() {
        return child("no_device", &[("FAIRPRUNE_EMULATOR_DEVICES", "0")]);
    }
    let mut count = -1;
    // SAFETY: `count` is writable.
    unsafe {
        assert_eq!((library().cuInit)(0), 100);
        assert_eq!((library().cuDeviceGetCount)(&mut count), 3, "not initialised");
    }
}

#[test]
fn stub() {
    if !is_child() {
        return child("stub", &[("FAIRPRUNE_EMULATOR_INIT", "34")]);
    }
    // SAFETY: takes 0.
    assert_eq!(unsafe { (library().cuInit)(0) }, 34);
}

#[test]
fn old_driver_and_card() {
    if !is_child() {
        let variables =
            [("FAIRPRUNE_EMULATOR_DRIVER", "11080"), ("FAIRPRUNE_EMULATOR_CAPABILITY", "75")];
        return child("old_driver_and_card", &variables);
    }
    let cuda = library();
    let (mut version, mut major, mut minor) = (0, 0, 0);
    // SAFETY: outputs are writable.
    unsafe {
        assert_eq!((cuda.cuInit)(0), 0);
        assert_eq!((cuda.cuDriverGetVersion)(&mut version), 0);
        assert_eq!((cuda.cuDeviceGetAttribute)(&mut major, 75, 0), 0);
        assert_eq!((cuda.cuDeviceGetAttribute)(&mut minor, 76, 0), 0);
    }
    assert_eq!((version, major, minor), (11080, 7, 5));
}

#[test]
fn little_memory() {
    if !is_child() {
        return child("little_memory", &[("FAIRPRUNE_EMULATOR_MEMORY", "2097152")]);
    }
    let device = Device::fresh();
    let cuda = device.cuda;
    let (mut free, mut total, mut address) = (0, 0, 0);
    // SAFETY: outputs are writable, addresses were allocated here.
    unsafe {
        let first = device.allocate(1 << 20);
        assert_eq!((cuda.cuMemAlloc_v2)(&mut address, (1 << 20) + 1), 2);
        assert_eq!((cuda.cuMemGetInfo_v2)(&mut free, &mut total), 0);
        assert_eq!((free, total), (1 << 20, 2 << 20));
        let second = device.allocate(1 << 20);
        assert_eq!((cuda.cuMemAlloc_v2)(&mut address, 1), 2);
        assert_eq!((cuda.cuMemFree_v2)(first), 0);
        device.allocate(1 << 20);
        assert_eq!((cuda.cuMemFree_v2)(second), 0);
        // Addresses are used again once there are no others, without traces of before.
        for round in 0..200 {
            let at = device.allocate(1 << 20);
            let args = Fill { out: at, len: 256, value: round as f32 };
            assert_eq!(device.run("test_correct", "fill", shape(1, 256, 0), &args), 0);
            assert_eq!(device.download::<f32>(at, 256), [round as f32; 256]);
            assert_eq!((cuda.cuMemFree_v2)(at), 0);
        }
        let at = device.allocate(1 << 20);
        let mut host = [0u8; 4];
        assert_eq!((cuda.cuMemcpyDtoH_v2)(host.as_mut_ptr().cast(), at, 4), 719, "not written");
    }
}

#[test]
fn failures_on_demand() {
    if !is_child() {
        let variables = [
            ("FAIRPRUNE_EMULATOR_FAIL_LAUNCH", "3"),
            ("FAIRPRUNE_EMULATOR_FAIL_ALLOCATION", "2"),
            ("FAIRPRUNE_EMULATOR_PRINT", "0"),
        ];
        return child("failures_on_demand", &variables);
    }
    let device = Device::fresh();
    let out = device.allocate(1024);
    let mut address = 0;
    // SAFETY: `address` is writable.
    assert_eq!(unsafe { (device.cuda.cuMemAlloc_v2)(&mut address, 16) }, 2);
    device.allocate(16);
    let args = Fill { out, len: 256, value: 1.0 };
    let function = device.function("test_correct", "fill");
    for expected in [0, 0, 719, 719] {
        let launched = device.launch(function, shape(1, 256, 0), &args);
        let code = if launched == 0 { device.synchronize() } else { launched };
        assert_eq!(code, expected);
    }
    let finding = device.findings()[0];
    assert_eq!((finding.kind, finding.kernel()), (14, "fill"));
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Words {
    unused: [u64; 2],
    words: u64,
    filler: u64,
}

#[test]
fn endless_kernels_end() {
    if !is_child() {
        let variables =
            [("FAIRPRUNE_EMULATOR_ACCESSES", "100000"), ("FAIRPRUNE_EMULATOR_PRINT", "0")];
        return child("endless_kernels_end", &variables);
    }
    let device = Device::fresh();
    let args = Words { unused: [0; 2], words: device.upload(&[0u32]), filler: 0 };
    assert_eq!(device.run("test_faults", "endless", shape(1, 32, 0), &args), 702);
    let finding = device.findings()[0];
    assert_eq!((finding.kind, finding.kernel(), finding.thread), (13, "endless", [0; 3]));
}

#[test]
fn orders_are_read() {
    if !is_child() {
        return child("orders_are_read", &[("FAIRPRUNE_EMULATOR_ORDER", "1")]);
    }
    assert_eq!(tickets(&Device::as_started(), 3), [2, 1, 0]);
}

#[test]
fn nonsense_in_the_environment_is_refused() {
    if is_child() {
        // SAFETY: takes 0; the process ends within.
        unsafe { (library().cuInit)(0) };
        return;
    }
    let mut command = Command::new(std::env::current_exe().expect("this test has a path"));
    command.args(["--exact", "environment::nonsense_in_the_environment_is_refused"]);
    let output = command.env(CHILD, "1").env("FAIRPRUNE_EMULATOR_ORDER", "3").output();
    let output = output.expect("this test runs again");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("FAIRPRUNE_EMULATOR_ORDER: found '3', expected a number from 0 to 2"));
}
