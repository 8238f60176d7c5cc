//! Damaged state: the same command ends with the same bits or refuses it, and `--force` starts anew.
//!
//! `FAIRPRUNE_DAMAGES=N` sets the damages of each test; a few otherwise. `scripts/damage.py` tries many more.

use std::fs;
use std::path::{Path, PathBuf};

use super::{RAN, RUN, SCORE, SCORED, TRAIN, TRAINED, Victim};

fn damages() -> usize {
    match std::env::var("FAIRPRUNE_DAMAGES") {
        Ok(text) => text.parse().expect("FAIRPRUNE_DAMAGES is a number"),
        Err(_) => 10,
    }
}

/// All files below `folder` but the lock.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => folders.push(path),
                false if path.ends_with(".fairprune/lock") => {}
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let new = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(new.parent().unwrap()).unwrap();
        fs::copy(path, new).unwrap();
    }
}

impl Victim {
    /// A number below `count`.
    fn below(&mut self, count: usize) -> usize {
        ((f64::from(self.random.uniform()) * count as f64) as usize).min(count - 1)
    }

    /// Damages one file of `folder`; what was done.
    fn damage(&mut self, folder: &Path) -> String {
        let all = files(folder);
        let path = &all[self.below(all.len())];
        let mut bytes = fs::read(path).unwrap();
        let place = self.below(bytes.len().max(1));
        let kind = ["a bit", "a cut", "zeros", "deleted", "exchanged"][self.below(5)];
        match kind {
            "a bit" if !bytes.is_empty() => bytes[place] ^= 1 << self.below(8),
            "zeros" => bytes.iter_mut().skip(place).take(64).for_each(|b| *b = 0),
            "exchanged" => bytes = fs::read(&all[self.below(all.len())]).unwrap(),
            _ => bytes.truncate(place),
        }
        match kind {
            "deleted" => fs::remove_file(path).unwrap(),
            _ => fs::write(path, bytes).unwrap(),
        }
        format!("{kind}, byte {place} of {}", path.strip_prefix(folder).unwrap().display())
    }

    /// Damages the finished folder and one that was killed half-way, again and again.
    fn damage_again_and_again(&mut self, count: usize) {
        let root = self.folder.path().to_owned();
        let mut child = self.spawn("killed");
        std::thread::sleep(self.duration.mul_f64(0.6));
        child.kill().unwrap();
        child.wait().unwrap();
        for i in 0..count {
            let (state, out) = (["killed", "expected"][i % 2], format!("damaged-{i}"));
            let folder = root.join(&out);
            copy(&root.join(state), &folder);
            let what = format!("{state}: {}", self.damage(&folder));
            let output = self.spawn(&out).wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            match output.status.code() {
                Some(0) => {}
                Some(2) if folder.join(".fairprune/files").is_file() => {
                    let line = self.line.clone();
                    self.line += " --force";
                    self.finish(&out);
                    self.line = line;
                }
                // Files that no record calls ours are never deleted.
                Some(2) => continue,
                code => panic!("{what}: exit code {code:?}: {said}"),
            }
            println!("{what}: {said}");
            // What was unfinished is only removed where the record of files is whole.
            self.compare_bytes(&out);
        }
    }
}

#[test]
fn a_damaged_training() {
    Victim::new(TRAIN, &TRAINED).damage_again_and_again(damages());
}

#[test]
fn a_damaged_scoring() {
    Victim::new(SCORE, &SCORED).damage_again_and_again(damages());
}

#[test]
fn a_damaged_comparison() {
    Victim::new(RUN, &RAN).damage_again_and_again(damages());
}
