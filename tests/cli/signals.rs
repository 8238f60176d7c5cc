//! Signals: SIGUSR1 saves and goes on, SIGTERM saves and ends with a code that schedulers requeue, and only a second
//! SIGINT hurries.

use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use crate::*;

/// A training that takes a while, and that saves nothing by itself.
const LONG: &str = "train --data data --arch resnet8 --width 4 --epochs 400 --batch 8 --threads 1 \
                    --split holdout --checkpoint-every 100000";
const CHECKPOINT: &str = "out/work/train/checkpoint.safetensors";

fn spawn(folder: &Path, line: &str) -> Child {
    std::process::Command::new(env!("CARGO_BIN_EXE_fairprune"))
        .current_dir(folder)
        .args(line.split_whitespace())
        .env("CUDA_VISIBLE_DEVICES", "")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn send(child: &Child, signal: i32) {
    // SAFETY: the child is ours and was not waited for.
    assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, signal) }, 0);
}

/// The code and what the program said.
fn end(child: Child) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

/// Waits until a file is there.
fn wait_for(child: &mut Child, path: &Path) {
    let clock = Instant::now();
    while !path.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended without {}", path.display());
        assert!(clock.elapsed() < Duration::from_secs(100), "no {}", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A training that has begun: its job is written, and its first steps are done.
fn training(folder: &Path) -> Child {
    let mut child = spawn(folder, &format!("{LONG} --out out"));
    wait_for(&mut child, &folder.join("out/job.json"));
    std::thread::sleep(Duration::from_millis(500));
    child
}

#[test]
fn a_request_to_save_leaves_the_state_and_the_run_goes_on() {
    let place = Place::new();
    good(place.path(), &format!("{LONG} --out whole"));
    let mut child = training(place.path());
    for _ in 0..3 {
        send(&child, libc::SIGUSR1);
        wait_for(&mut child, &place.path().join(CHECKPOINT));
        fs::remove_file(place.path().join(CHECKPOINT)).unwrap();
    }
    let (code, text) = end(child);
    assert_eq!(code, Some(0), "{text}");
    let read = |out: &str| fs::read(place.path().join(out).join("model.safetensors")).unwrap();
    assert!(read("out") == read("whole"), "saving moved the weights");
}

#[test]
fn a_scheduler_that_asks_twice_gets_the_state_and_its_code() {
    let place = Place::new();
    good(place.path(), &format!("{LONG} --out whole"));
    let child = training(place.path());
    send(&child, libc::SIGTERM);
    send(&child, libc::SIGTERM);
    std::thread::sleep(Duration::from_millis(1));
    send(&child, libc::SIGTERM);
    let (code, text) = end(child);
    assert_eq!(code, Some(75), "{text}");
    assert!(text.contains("the state is saved"), "{text}");
    assert!(place.path().join(CHECKPOINT).exists(), "{:?}", files(&place.path().join("out")));
    good(place.path(), &format!("{LONG} --out out"));
    let read = |out: &str| fs::read(place.path().join(out).join("model.safetensors")).unwrap();
    assert!(read("out") == read("whole"), "the continued run has other weights");
}

#[test]
fn an_interrupted_run_ends_with_one_and_its_state() {
    let place = Place::new();
    let child = training(place.path());
    send(&child, libc::SIGINT);
    let (code, text) = end(child);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("the state is saved") && text.contains("--resume"), "{text}");
    assert!(place.path().join(CHECKPOINT).exists());
}

#[test]
fn only_a_second_interrupt_hurries_where_nobody_listens() {
    let folder = tempfile::tempdir().unwrap();
    let simulate = || {
        let line = "theory --mu0 0 --mu1 1 --samples 1000000000000 --threads 1";
        let child = spawn(folder.path(), line);
        std::thread::sleep(Duration::from_secs(1));
        child
    };
    // What is not to be ended goes on, and the first of the others is waited for.
    for (signals, code, least) in [
        (&[libc::SIGUSR1, libc::SIGTERM, libc::SIGTERM, libc::SIGTERM][..], 75, 1500),
        (&[libc::SIGTERM, libc::SIGINT], 75, 1500),
        (&[libc::SIGINT, libc::SIGHUP], 1, 1500),
        (&[libc::SIGINT, libc::SIGINT], 1, 0),
    ] {
        let child = simulate();
        let clock = Instant::now();
        for &signal in signals {
            send(&child, signal);
            std::thread::sleep(Duration::from_millis(100));
        }
        let (found, text) = end(child);
        let took = clock.elapsed();
        assert_eq!(found, Some(code), "{signals:?}: {text}");
        assert!(took >= Duration::from_millis(least), "{signals:?} after {took:?}");
        // Two seconds are promised; scripts/limits.sh measures them on an idle machine.
        assert!(took < Duration::from_secs(20), "{signals:?} after {took:?}");
        assert_eq!(text.contains("interrupted"), least > 0, "{signals:?}: {text}");
    }
}
