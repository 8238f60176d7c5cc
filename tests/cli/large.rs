//! Sets larger than the memory that a process may have.
#![cfg(target_os = "linux")]

use std::os::unix::process::CommandExt;

use fairprune::data::{LoadOptions, load};

use crate::*;

/// Bytes of private memory that the program may have in these tests.
const MEMORY: u64 = 80 << 20;

/// The program with at most [`MEMORY`] bytes of private writable memory: mapped files are not of it.
fn short_of_memory(folder: &Path, line: &str) -> Outcome {
    let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_fairprune"));
    process.args(line.split_whitespace()).current_dir(folder).env("CUDA_VISIBLE_DEVICES", "");
    // SAFETY: one system call, which may be made between fork and exec.
    unsafe {
        process.pre_exec(|| {
            let limit = libc::rlimit { rlim_cur: MEMORY, rlim_max: MEMORY };
            match libc::setrlimit(libc::RLIMIT_DATA, &limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let output = Command::from_std(process).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    let code = output.status.code().unwrap_or_else(|| panic!("{line}: {:?}", output.status));
    Outcome { code, out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn a_set_beyond_memory_is_cached_and_read() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    good(place, "data make shapes --per-class 20,0,2 --out set -q");
    // 220 images of .6 MB.
    let size = "--image-size 448";
    let plain = short_of_memory(place, &format!("data info set {size}"));
    assert_eq!(plain.code, 2, "{}{}", plain.out, plain.err);
    for word in ["200 images of 602112 bytes", "data cache"] {
        assert!(plain.err.contains(word), "`{word}` is not in {}", plain.err);
    }
    let made = short_of_memory(place, &format!("data cache set {size} --out big.fpc -q"));
    assert_eq!(made.code, 0, "{}{}", made.out, made.err);
    assert_eq!(rubbish(place), Vec::<PathBuf>::new());
    assert!(fs::metadata(place.join("big.fpc")).unwrap().len() > 3 * MEMORY / 2);
    let read = short_of_memory(place, "data info big.fpc --json");
    assert_eq!(read.code, 0, "{}{}", read.out, read.err);
    let read: Value = serde_json::from_str(&read.out).unwrap();
    // What memory would have held.
    let options = LoadOptions { image_size: Some(448), ..LoadOptions::default() };
    let set = load(place.join("set").to_str().unwrap(), &options, &|_, _| {}).unwrap();
    assert_eq!(read["fingerprint"], set.fingerprint.as_str());
}
