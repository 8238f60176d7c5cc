//! Training on the card, killed with the work under way: the same command goes on and ends with the
//! same bits.
#![cfg(unix)]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::commands::{TINY, data};
use crate::program::on_software_device;

const SIGKILL: i32 = 9;
/// Kills, each after so many more states were written; a state is written inside an epoch of 12
/// steps and at its end.
const KILLS: [usize; 4] = [1, 2, 1, 3];

fn command(folder: &Path, out: &str, more: &str) -> Command {
    let mut command = on_software_device();
    let line =
        format!("train --data data {TINY} --split holdout --dynamics --checkpoint-every 0 -q");
    let line = line.replace("--epochs 2", "--epochs 6").replace("--batch 8", "--batch 3");
    let line = match more {
        "" => line,
        more => format!("{} {more}", line.replace("--width 4", "--width 8")),
    };
    command.current_dir(folder).args(line.split_whitespace()).args(["--out", out]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn finish(folder: &Path, out: &str, more: &str) {
    let output = command(folder, out, more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// When a state was written; each replaces the last one whole.
fn written(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|m| m.modified()).ok()
}

#[test]
fn training_killed_on_the_card_resumes_with_the_same_bits() {
    resumes("");
}

#[test]
fn training_in_bf16_killed_on_the_card_resumes_with_the_same_bits() {
    resumes("--precision bf16");
}

#[test]
fn training_on_streamed_images_killed_on_the_card_resumes_with_the_same_bits() {
    resumes("--images stream --resized-crop --input-size 7");
}

/// With these flags.
fn resumes(more: &str) {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    data(root);
    finish(root, "whole", more);
    let state: PathBuf = root.join("cut").join("work/train/checkpoint.safetensors");
    for states in KILLS {
        let mut child = command(root, "cut", more).spawn().unwrap();
        let (mut seen, mut last) = (0, written(&state));
        let deadline = Instant::now() + Duration::from_secs(120);
        while seen < states && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "no state in {}", state.display());
            std::thread::sleep(Duration::from_millis(2));
            let now = written(&state);
            seen += usize::from(now.is_some() && now != last);
            last = now.or(last);
        }
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(SIGKILL), "it ended before the kill: {message}");
        assert_eq!(message, "", "it was to die without a word");
    }
    assert!(!root.join("cut/model.safetensors").exists(), "there was nothing left to do");
    finish(root, "cut", more);
    let recorded = ["dynamics/loss.npy", "dynamics/divergence.npy", "dynamics/dynamics.json"];
    for name in ["model.safetensors", "recalls.csv"].into_iter().chain(recorded) {
        let [whole, cut] = ["whole", "cut"].map(|out| fs::read(root.join(out).join(name)).unwrap());
        assert!(whole == cut, "{name} differs");
    }
}
