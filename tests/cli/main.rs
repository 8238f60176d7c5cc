//! The command line as scripts use it: exit codes, streams, files, and what hostile input meets.

mod artefacts;
mod chances;
mod check;
mod damage;
mod data;
mod dynamics;
mod export;
mod extrapolate;
mod flow;
mod folders;
mod given;
mod groups;
mod guide;
mod held_out;
mod interop;
mod large;
#[cfg(target_os = "linux")]
mod limits;
mod long_tail;
mod manual;
mod mistakes;
mod nucs;
mod out_of_fold;
mod pickers;
#[path = "../common/png.rs"]
#[allow(dead_code)]
mod png_file;
mod predicted;
mod prune;
mod quota;
mod selftest;
mod sets;
#[cfg(unix)]
mod signals;
mod stated;
mod streams;
mod study;
mod theory;
mod weights;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

/// Flags of the smallest network and the shortest training.
const TINY: &str = "--arch resnet8 --width 4 --epochs 1 --batch 8 --threads 1";

/// What a finished process left.
struct Outcome {
    code: i32,
    out: String,
    err: String,
}

/// The program in `folder`, as a script without a terminal calls it.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairprune"));
    command.current_dir(folder).args(arguments).env_remove("NO_COLOR").env_remove("RUST_BACKTRACE");
    // The same everywhere: a card, where there is one, is hidden.
    command.env("CUDA_VISIBLE_DEVICES", "").env_remove("FAIRPRUNE_KERNELS");
    command
}

/// Runs the program with the words of `line`; `{}` are none of a path's characters here.
fn run(folder: &Path, line: &str) -> Outcome {
    let words: Vec<&str> = line.split_whitespace().collect();
    let output = command(folder, &words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    let code = output.status.code().unwrap_or_else(|| panic!("{line}: {:?}", output.status));
    let outcome = Outcome { code, out: text(output.stdout), err: text(output.stderr) };
    assert!(!outcome.err.contains("panicked"), "{line}\n{}", outcome.err);
    outcome
}

/// A run that must succeed.
fn good(folder: &Path, line: &str) -> Outcome {
    let outcome = run(folder, line);
    assert_eq!(outcome.code, 0, "{line}\n{}{}", outcome.out, outcome.err);
    outcome
}

/// A run with `--json` that must succeed; its document.
fn json(folder: &Path, line: &str) -> Value {
    let outcome = good(folder, &format!("{line} --json"));
    serde_json::from_str(&outcome.out).unwrap_or_else(|e| panic!("{line}: {e}\n{}", outcome.out))
}

/// A run that must be refused as unusable, with these words, nothing on stdout and no rubbish left.
fn refused(folder: &Path, line: &str, words: &[&str]) -> String {
    let outcome = run(folder, line);
    assert_eq!(outcome.code, 2, "{line}\n{}{}", outcome.out, outcome.err);
    for word in words {
        assert!(
            outcome.err.contains(word),
            "`{word}` is not in the message of {line}:\n{}",
            outcome.err
        );
    }
    assert_eq!(outcome.out, "", "{line}");
    assert_eq!(rubbish(folder), Vec::<PathBuf>::new(), "{line}");
    outcome.err
}

/// Unfinished files below `folder`.
fn rubbish(folder: &Path) -> Vec<PathBuf> {
    let all = files(folder).into_iter();
    all.filter(|p| p.to_string_lossy().contains("tmp")).collect()
}

/// All files below `folder`, relative to it, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                walk(&entry, root, found);
            } else {
                found.push(entry.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found.sort();
    found
}

/// The names of `folder`'s entries, hidden ones left out.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).map(|e| e.map(|e| e.unwrap().file_name()).collect());
    let mut names: Vec<String> =
        entries.unwrap_or_else(|_| Vec::new()).iter().map(|n| n.to_string_lossy().into()).collect();
    names.retain(|n| !n.starts_with('.'));
    names.sort();
    names
}

fn put(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// An 8 x 8 PNG: the class's colour, and a pattern that differs from image to image.
fn png(class: usize, number: usize) -> Vec<u8> {
    png_file::png(8, 8, |x, y| {
        let pattern = ((x as usize * 31 + y as usize * 17 + number * 47) % 64) as u8;
        let mut pixel = [pattern; 3];
        pixel[class % 3] += 60 + 60 * (class / 3) as u8;
        pixel
    })
}

/// A working folder with `data/train` and `data/test` of three classes, and `other`, the same with
/// one more training image.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        place.tree("data", &[("train", [14, 12, 10]), ("test", [4, 4, 4])]);
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Class folders of the given sizes.
    fn tree(&self, name: &str, parts: &[(&str, [usize; 3])]) {
        for (p, (part, sizes)) in parts.iter().enumerate() {
            for (class, size) in sizes.iter().enumerate() {
                for i in 0..*size {
                    let file = format!("{name}/{part}/{}/{i:02}.png", ["ant", "bee", "cat"][class]);
                    put(self.path(), &file, &png(class, 100 * p + i));
                }
            }
        }
    }

    /// `out/model.safetensors` and `out/recalls.csv` of a tiny network on `data`.
    fn train(&self) {
        good(self.path(), &format!("train --data data {TINY} --split holdout --out out"));
    }

    /// `scores` of two tiny query runs on `data`.
    fn score(&self) {
        let line = format!("score --data data {TINY} --runs 2 --method el2n,margin --out scores");
        good(self.path(), &line);
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn write(&self, name: &str, text: &str) {
        put(self.path(), name, text.as_bytes());
    }
}

/// A document as an earlier version of the program wrote it, or somebody by hand: without digests.
fn without_digests(text: &str) -> String {
    let lines =
        text.lines().filter(|l| !l.contains("content_digest") && !l.contains("samples_digest"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// `text` with its `line` (from 1) replaced.
fn with_line(text: &str, line: usize, new: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines[line - 1] = new;
    lines.join("\n") + "\n"
}
