//! Every way not to have a card: said in words that tell what to do, by a clean exit with code 2,
//! and no hindrance to `auto`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fairprune::cuda::{Absence, Cuda, FAMILIES, built};
use serde_json::Value;

use crate::cuda_device::{self, software_device};
use crate::program::{on_software_device, run, with_driver};

/// The program refuses `--device cuda` with all of `words`, and computes on the CPU by `auto`.
fn absent(make: impl Fn() -> Command, words: &[&str]) {
    absent_device(make, "cuda", words);
}

fn absent_device(make: impl Fn() -> Command, device: &str, words: &[&str]) {
    let line = format!("quota --sizes 5,5 --recalls .5,.6 --density .5 --device {device}");
    let refused = run(&mut make(), &line);
    assert_eq!(refused.code, 2, "{}{}", refused.out, refused.err);
    assert_eq!(refused.out, "");
    for word in words.iter().copied().chain([device, "--device cpu"]) {
        assert!(refused.err.contains(word), "`{word}` is not in: {}", refused.err);
    }
    if device == "cuda" {
        let doctor = run(&mut make(), "doctor --json");
        assert_eq!(doctor.code, 0, "{}", doctor.err);
        let document: Value = serde_json::from_str(&doctor.out).unwrap();
        let card = &document["devices"][0];
        assert_eq!((&card["usable"], &card["in_use"]), (&false.into(), &false.into()));
        let reason = card["reason"].as_str().unwrap();
        assert!(refused.err.contains(reason), "doctor: {reason}\nquota: {}", refused.err);
        let auto = run(&mut make(), &line.replace("--device cuda", "--device auto"));
        assert_eq!(auto.code, 0, "{}", auto.err);
    }
}

/// The software device with one of its settings.
fn with(setting: &'static str, value: &'static str) -> impl Fn() -> Command {
    move || {
        let mut command = on_software_device();
        command.env(format!("FAIRPRUNE_EMULATOR_{setting}"), value);
        command
    }
}

#[test]
fn without_kernels_or_a_driver_the_machine_says_so() {
    let plain = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fairprune"));
        command.env_remove("FAIRPRUNE_KERNELS");
        command
    };
    // In a process of its own, since this one may have the software device.
    let doctor = run(&mut plain(), "doctor --json");
    let document: Value = serde_json::from_str(&doctor.out).unwrap();
    if document["devices"][0]["usable"] == true {
        println!("skipped: this machine has a card");
    } else if built().is_none() {
        absent(plain, &["not built", "scripts/cuda-toolkit.sh"]);
    } else if document["cuda"]["driver"].is_null() {
        absent(plain, &["no driver", "LD_LIBRARY_PATH"]);
    } else {
        println!("skipped: this machine has a driver");
    }
}

#[test]
fn a_file_that_is_no_library_is_no_driver() {
    if Path::new("/usr/lib/x86_64-linux-gnu/libcuda.so.1").exists() {
        println!("skipped: this machine has a driver, which is found instead");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("libcuda.so"), "not a library").unwrap();
    let make = || {
        let mut command = with_driver(folder.path());
        command.env("FAIRPRUNE_KERNELS", software_device::directory().join("images"));
        command
    };
    absent(make, &["no driver"]);
}

#[test]
fn a_stub_a_refusal_and_no_card_are_told_apart() {
    absent(with("INIT", "34"), &["stub", "LD_LIBRARY_PATH"]);
    absent(with("INIT", "803"), &["does not start", "error 803", "reboot"]);
    absent(with("INIT", "999"), &["does not start", "error 999", "nvidia-smi"]);
    absent(with("INIT", "100"), &["no device", "nvidia-smi"]);
    absent(with("DEVICES", "0"), &["no device", "CUDA_VISIBLE_DEVICES"]);
    absent(with("CAPABILITY", "75"), &["software device", "7.5", "8.0"]);
    absent_device(on_software_device, "cuda:1", &["no device 1", "sees 1,"]);
}

#[test]
fn a_driver_without_a_function_is_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("old.c");
    let text = "int cuDriverGetVersion(int* v) { *v = 11040; return 0; }\n\
                int cuInit(unsigned f) { return f; }\n";
    fs::write(&source, text).unwrap();
    let library = folder.path().join("libcuda.so");
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".to_owned());
    let built = Command::new(compiler)
        .args(["-x", "c", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    assert!(built.unwrap().success());
    let make = || {
        let mut command = with_driver(folder.path());
        command.env("FAIRPRUNE_KERNELS", software_device::directory().join("images"));
        command
    };
    absent(make, &["driver too old", "CUDA 11.4", "lacks cu", "update"]);
}

#[test]
fn images_that_cannot_be_used_are_named() {
    let images = software_device::directory().join("images");
    let folder = tempfile::tempdir().unwrap();
    let path = |family: &str| folder.path().join(format!("{family}.fatbin"));
    let make = || {
        let mut command = on_software_device();
        command.env("FAIRPRUNE_KERNELS", folder.path());
        command
    };
    let (first, kernels) = FAMILIES[0];
    absent(make, &["no image", first, "No such file"]);
    for (family, _) in FAMILIES {
        fs::copy(images.join(format!("{family}.fatbin")), path(family)).unwrap();
    }
    assert_eq!(run(make().env("FAIRPRUNE_EMULATOR_DEVICES", "1"), "doctor").code, 0);
    // Code for cards, none of it for this one.
    fs::write(path(first), [0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0]).unwrap();
    absent(make, &["no image for this card", first, "9.0", "FAIRPRUNE_CUDA_ARCHS"]);
    fs::write(path(first), ".version 9.9\n.target sm_80\n").unwrap();
    absent(make, &["driver too old", first, "newer compiler", "update"]);
    fs::write(path(first), "rubbish").unwrap();
    absent(make, &["broken image", first, "error 200"]);
    fs::write(path(first), "").unwrap();
    absent(make, &["broken image", first]);
    // An image of other sources has other kernels: here those that test the software device.
    let names = fs::read_dir(&images).unwrap().map(|entry| entry.unwrap().path());
    let is_test = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("test_");
    fs::copy(names.into_iter().find(is_test).unwrap(), path(first)).unwrap();
    absent(make, &["no kernel", kernels[0], first, "build again"]);
}

#[test]
fn absences_are_values() {
    let cuda = cuda_device::open();
    let far = Cuda::open(99).map(|_| ());
    assert!(matches!(far, Err(Absence::NoSuchDevice { ordinal: 99, count: 1.. })), "{far:?}");
    let error = fairprune::error::Error::from(far.unwrap_err());
    assert_eq!(error.exit_code(), 2);
    drop(cuda);
}
