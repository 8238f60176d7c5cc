//! Killed at any moment, the same command goes on and ends with the same bits.
//!
//! `FAIRPRUNE_KILLS=N` sets the kills of each test (`scripts/soak-resume.sh` does); a few otherwise.
#![cfg(unix)]

mod damage;
#[path = "../common/png.rs"]
#[allow(dead_code)]
mod png_file;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fairprune::artefact::atomic::TEMPORARY;
use fairprune::rng::{Philox, Sequence, Stream};

const FLAGS: &str = "--data data --arch resnet8 --width 4 --batch 16 --threads 2 -q";
/// Stands for the output in lines and results: a folder, or a file's stem.
const OUT: &str = "{out}";

/// A command, what it leaves, and where it was killed.
struct Victim {
    folder: tempfile::TempDir,
    line: String,
    /// Files that must have the same bytes as those of a run that nobody killed.
    results: Vec<&'static str>,
    expected: BTreeMap<&'static str, Vec<u8>>,
    /// Of the run that nobody killed.
    duration: Duration,
    random: Sequence,
}

impl Victim {
    fn new(line: &str, results: &[&'static str]) -> Victim {
        Victim::with_file(line, results, None)
    }

    /// With a file in the working folder: name and text.
    fn with_file(line: &str, results: &[&'static str], file: Option<(&str, &str)>) -> Victim {
        let folder = tempfile::tempdir().unwrap();
        if let Some((name, text)) = file {
            fs::write(folder.path().join(name), text).unwrap();
        }
        for (part, count) in [("train", 60), ("val", 20), ("test", 20)] {
            for class in 0..3u8 {
                for i in 0..count {
                    let name = format!("data/{part}/{}", ["ant", "bee", "cat"][class as usize]);
                    let dir = folder.path().join(name);
                    fs::create_dir_all(&dir).unwrap();
                    let seed = u32::from(class) * 1000 + i + part.len() as u32 * 7919;
                    let image = png_file::png(12, 12, |x, y| {
                        let noise = (x * 131 + y * 71 + seed * 40_503) % 97;
                        [noise as u8 + 50 * class, (x * 9) as u8, (noise * 2) as u8]
                    });
                    fs::write(dir.join(format!("{i:03}.png")), image).unwrap();
                }
            }
        }
        let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        println!("seed of the kills: {seed}");
        let random = Philox::new(seed, Stream::Bootstrap).sequence(0);
        let mut victim = Victim {
            folder,
            line: line.replace("{flags}", FLAGS),
            results: results.to_vec(),
            expected: BTreeMap::new(),
            duration: Duration::ZERO,
            random,
        };
        let start = Instant::now();
        victim.finish("expected");
        victim.duration = start.elapsed();
        victim.expected = victim.read("expected");
        victim
    }

    fn spawn(&self, out: &str) -> Child {
        let line = self.line.replace(OUT, out);
        let words = line.split_whitespace();
        Command::new(env!("CARGO_BIN_EXE_fairprune"))
            .current_dir(self.folder.path())
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn finish(&self, out: &str) {
        let output = self.spawn(out).wait_with_output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} in {out}: {message}", self.line);
    }

    fn read(&self, out: &str) -> BTreeMap<&'static str, Vec<u8>> {
        let read = |name: &&'static str| {
            let path = self.folder.path().join(name.replace(OUT, out));
            (*name, fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
        };
        self.results.iter().map(read).collect()
    }

    /// Kills `kills` times, each new run in the folder that the last one left, a fresh folder when
    /// one has finished; every finished run must have left the same bytes.
    fn kill(&mut self, kills: usize, when: When) {
        let (mut killed, mut runs, mut attempts) = (0, 0, 0);
        let mut out = "out-0".to_owned();
        while killed < kills {
            attempts += 1;
            assert!(attempts < 40 * kills + 40, "{killed} kills in {attempts} attempts");
            let mut child = self.spawn(&out);
            let hit = match when {
                When::AnyTime | When::Asked => {
                    // Late enough to get somewhere, early enough to be killed several times.
                    let share = f64::from(self.random.uniform());
                    std::thread::sleep(self.duration.mul_f64(0.5 * share));
                    child.try_wait().unwrap().is_none()
                }
                When::Writing => {
                    // Not the first write that comes, or it would never get past it.
                    let wait = f64::from(self.random.uniform());
                    std::thread::sleep(self.duration.mul_f64(0.5 * wait));
                    wait_for_write(&mut child, self.folder.path(), &out)
                }
            };
            match when {
                When::Asked => self.ask(&child),
                _ => child.kill().unwrap(),
            }
            let output = child.wait_with_output().unwrap();
            if output.status.success() {
                runs += 1;
                self.compare(&out);
                out = format!("out-{runs}");
            } else if when == When::Asked {
                // A signal that comes before anybody listens ends the program as one.
                let code = output.status.code();
                let message = String::from_utf8_lossy(&output.stderr);
                assert!(matches!(code, Some(75) | None), "{}: {code:?} {message}", self.line);
                killed += usize::from(hit && code.is_some());
            } else {
                let message = String::from_utf8_lossy(&output.stderr);
                assert_eq!(message, "", "{} was to die without a word", self.line);
                let cut = !unfinished(self.folder.path(), &out).is_empty();
                killed += usize::from(hit && (when == When::AnyTime || cut));
            }
        }
        self.finish(&out);
        self.compare(&out);
        println!("{}: {killed} kills, {} runs compared", self.line, runs + 1);
    }

    /// Asks to save a few times, and then to stop, as often as schedulers do.
    fn ask(&mut self, child: &Child) {
        let saves = (3.0 * self.random.uniform()) as usize;
        let signals = std::iter::repeat_n(libc::SIGUSR1, saves).chain([libc::SIGTERM; 2]);
        for signal in signals {
            // SAFETY: the child is ours and was not waited for.
            unsafe { libc::kill(child.id() as libc::pid_t, signal) };
            let wait = f64::from(self.random.uniform());
            std::thread::sleep(Duration::from_millis(10).mul_f64(wait));
        }
    }

    fn compare(&self, out: &str) {
        self.compare_bytes(out);
        let left = unfinished(self.folder.path(), out);
        assert_eq!(left, Vec::<PathBuf>::new(), "a finished run leaves nothing unfinished");
    }

    fn compare_bytes(&self, out: &str) {
        for (name, bytes) in self.read(out) {
            assert!(bytes == self.expected[name], "{name} of {out} has other bytes: {}", self.line);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    AnyTime,
    Writing,
    /// By signals that ask to save and to stop.
    Asked,
}

/// Returns when an unfinished file is there (true), or the process has ended.
fn wait_for_write(child: &mut Child, folder: &Path, out: &str) -> bool {
    loop {
        if !unfinished(folder, out).is_empty() {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
    }
}

/// Unfinished files of the output `out`, which is in `folder` or is named after it.
fn unfinished(folder: &Path, out: &str) -> Vec<PathBuf> {
    let own = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name == out || name.trim_start_matches('.').starts_with(&format!("{out}."))
    };
    let top = fs::read_dir(folder).unwrap().flatten().map(|e| e.path()).filter(|p| own(p));
    let (mut paths, mut found) = (top.collect::<Vec<_>>(), Vec::new());
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.path()));
        } else if path.to_string_lossy().ends_with(TEMPORARY) {
            found.push(path);
        }
    }
    found
}

/// Kills a test.
fn kills() -> usize {
    match std::env::var("FAIRPRUNE_KILLS") {
        Ok(text) => text.parse().expect("FAIRPRUNE_KILLS is a number"),
        Err(_) => 3,
    }
}

const TRAIN: &str =
    "train --split holdout --epochs 24 --dynamics --checkpoint-every 0 {flags} --out {out}";
const TRAINED: [&str; 9] = [
    "{out}/model.safetensors",
    "{out}/recalls.csv",
    "{out}/dynamics/loss.npy",
    "{out}/dynamics/label-probability.npy",
    "{out}/dynamics/correct.npy",
    "{out}/dynamics/logit-margin.npy",
    "{out}/dynamics/divergence.npy",
    "{out}/dynamics/samples.csv",
    "{out}/dynamics/dynamics.json",
];

#[test]
fn training_killed_at_any_time() {
    Victim::new(TRAIN, &TRAINED).kill(kills(), When::AnyTime);
}

#[test]
fn training_killed_while_it_writes() {
    Victim::new(TRAIN, &TRAINED).kill(kills(), When::Writing);
}

#[test]
fn training_asked_to_save_and_to_stop() {
    Victim::new(TRAIN, &TRAINED).kill(kills(), When::Asked);
}

const SCORE: &str = "score --epochs 10 --runs 2 --method el2n,grand,forgetting,tdds,ssp \
                     --save-features --checkpoint-every 0 {flags} --out {out}";
const SCORED: [&str; 9] = [
    "{out}/el2n.npy",
    "{out}/grand.npy",
    "{out}/tdds.npy",
    "{out}/features.npy",
    "{out}/scores.csv",
    "{out}/recalls.csv",
    "{out}/recalls-dynamics.csv",
    "{out}/dynamics/divergence.npy",
    "{out}/dynamics/dynamics.json",
];

#[test]
fn scoring_killed_at_any_time() {
    Victim::new(SCORE, &SCORED).kill(kills(), When::AnyTime);
}

#[test]
fn scoring_killed_while_it_writes() {
    Victim::new(SCORE, &SCORED).kill(kills(), When::Writing);
}

#[test]
fn scoring_asked_to_save_and_to_stop() {
    Victim::new(SCORE, &SCORED).kill(kills(), When::Asked);
}

const PRUNE: &str = "prune --strategy coreset --density .5 --runs 2 --epochs 5 \
                     --checkpoint-every 0 {flags} --out {out}";
const PRUNED: [&str; 6] = [
    "{out}/kept.npy",
    "{out}/kept.csv",
    "{out}/kept.json",
    "{out}/picks.csv",
    "{out}/classes.csv",
    "{out}/scores/features.npy",
];

#[test]
fn pruning_killed_at_any_time() {
    Victim::new(PRUNE, &PRUNED).kill(kills(), When::AnyTime);
}

#[test]
fn pruning_killed_while_it_writes() {
    Victim::new(PRUNE, &PRUNED).kill(kills(), When::Writing);
}

const RUN: &str = "run --epochs 5 --seeds 2 --density .5 --checkpoint-every 0 {flags} --out {out}";
const RAN: [&str; 4] = [
    "{out}/kept-el2n-0.npy",
    "{out}/kept-metriq-1.npy",
    "{out}/classes-el2n-1.csv",
    "{out}/classes-random-0.csv",
];

#[test]
fn a_comparison_killed_at_any_time() {
    Victim::new(RUN, &RAN).kill(kills(), When::AnyTime);
}

/// Runs of two stages are killed in either of them.
const BASELINES: [&str; 9] = [
    "infobatch",
    "rcap",
    "micro-batch-clipping:size=8",
    "rho:candidates=32:keep=.25",
    "jtt:epochs=8",
    "lff",
    "bam:epochs=8",
    "groupdro:balanced",
    "dfr",
];

#[test]
fn baselines_killed_at_any_time() {
    for name in BASELINES {
        let line = format!(
            "train --split holdout --epochs 24 --baseline {name} --checkpoint-every 0 {{flags}} --out {{out}}"
        );
        let results = ["{out}/model.safetensors", "{out}/recalls.csv"];
        Victim::new(&line, &results).kill(kills(), When::AnyTime);
    }
}

const STUDY: &str = r#"
    [flags]
    data = "data"
    arch = "resnet8"
    width = 4
    batch = 16
    epochs = 4
    query-runs = 1
    query-epochs = 3
    query-per-seed = true
    checkpoint-every = 0
    [[panel]]
    [[panel.block]]
    strategies = ["full", "random", "metriq", "el2n+metriq"]
    density = [0.3, 0.6]
    seeds = 2
    [[claim]]
    text = "higher"
    metric = "worst_class"
    method = "metriq"
    direction = "higher"
"#;

#[test]
fn a_study_killed_at_any_time() {
    let line = "study study.toml --threads 2 -q --out {out}";
    let results = ["{out}/cells.csv", "{out}/classes.csv", "{out}/failures.csv"];
    Victim::with_file(line, &results, Some(("study.toml", STUDY))).kill(kills(), When::AnyTime);
}

#[test]
fn a_cache_killed_at_any_time() {
    let line = "data cache data --image-size 300 -q --out {out}.fpc";
    Victim::new(line, &["{out}.fpc"]).kill(kills(), When::AnyTime);
}

#[test]
fn a_cache_killed_while_it_is_written() {
    let line = "data cache data --image-size 300 -q --out {out}.fpc";
    Victim::new(line, &["{out}.fpc"]).kill(kills(), When::Writing);
}
