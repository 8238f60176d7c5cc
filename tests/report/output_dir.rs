//! One folder, one job, one process.

use fairprune::artefact::{Existing, OutputDir, atomic};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

fn job(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn claim(root: &Path, value: Value, existing: Existing) -> Result<OutputDir, String> {
    OutputDir::claim(root, &job(value), existing).map_err(|e| e.to_string())
}

/// Name and content of everything below `root`, control files included.
fn snapshot(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                all.push((path.display().to_string(), fs::read(&path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn the_same_job_continues_and_another_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("deep/out");
    let settings = json!({"seed": 1, "train": {"lr": 0.1, "epochs": 20}, "densities": [0.3]});
    {
        let out = claim(&root, settings.clone(), Existing::Continue).unwrap();
        assert!(!out.continued() && out.locked());
        out.write("a.txt", |w| std::io::Write::write_all(w, b"a")).unwrap();
    }
    for mode in [Existing::Continue, Existing::Resume] {
        assert!(claim(&root, settings.clone(), mode).unwrap().continued());
    }
    let before = snapshot(&root);
    let other = json!({"seed": 1, "train": {"lr": 0.2}, "densities": [0.3, 0.5], "new": true});
    let error = claim(&root, other.clone(), Existing::Continue).map(|_| ()).unwrap_err();
    for part in ["train.lr: found 0.1", "expected 0.2", "train.epochs, densities, new", "`force`"] {
        assert!(error.contains(part), "{part:?} not in {error}");
    }
    assert!(claim(&root, other, Existing::Resume).is_err());
    assert_eq!(before, snapshot(&root), "a refused folder was changed");
}

#[test]
fn starting_anew_deletes_what_runs_wrote_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let out = claim(root, json!({"seed": 1}), Existing::Continue).unwrap();
    out.write_json("summary.json", &json!({})).unwrap();
    fs::write(out.file("runs/seed-1/log.jsonl").unwrap(), "{}\n").unwrap();
    fs::write(out.file("runs/seed-2/log.jsonl").unwrap(), "{}\n").unwrap();
    out.file("never-written").unwrap();
    drop(out);
    fs::write(root.join("notes.txt"), "mine").unwrap();
    fs::write(root.join("runs/seed-2/notes.txt"), "mine").unwrap();
    let out = claim(root, json!({"seed": 2}), Existing::Restart).unwrap();
    assert!(!out.continued());
    assert!(!root.join("summary.json").exists() && !root.join("runs/seed-1").exists());
    assert!(!root.join("runs/seed-2/log.jsonl").exists());
    assert_eq!(fs::read_to_string(root.join("notes.txt")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(root.join("runs/seed-2/notes.txt")).unwrap(), "mine");
    drop(out);
    // The new job is what is there now.
    assert!(claim(root, json!({"seed": 1}), Existing::Continue).is_err());
    assert!(claim(root, json!({"seed": 2}), Existing::Continue).unwrap().continued());
}

#[test]
fn folders_with_files_of_others_are_refused_even_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("thesis.tex"), "years of work").unwrap();
    let before = snapshot(root);
    for mode in [Existing::Continue, Existing::Resume, Existing::Restart] {
        let error = claim(root, json!({}), mode).map(|_| ()).unwrap_err();
        assert!(error.contains("thesis.tex") && error.contains("`force`"), "{error}");
    }
    assert_eq!(before, snapshot(root), "a refused folder was changed");
    // A job of another program.
    for text in ["{\"job\": 3}", "no json", "{\"tool\":\"fairprune\",\"format_version\":99}"] {
        fs::write(root.join("job.json"), text).unwrap();
        let error = claim(root, json!({}), Existing::Restart).map(|_| ()).unwrap_err();
        assert!(error.contains("job.json"), "{error}");
    }
    // A job of ours whose record is gone: continues, but nothing may be deleted.
    let job = json!({"tool": "fairprune", "format_version": 1, "job": {"seed": 1}});
    fs::write(root.join("job.json"), job.to_string()).unwrap();
    assert!(claim(root, json!({"seed": 1}), Existing::Restart).is_err());
    assert!(claim(root, json!({"seed": 1}), Existing::Continue).unwrap().continued());
    assert!(root.join("thesis.tex").exists());
}

#[test]
fn a_folder_that_cannot_be_is_refused_before_work() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = claim(&file, json!({}), Existing::Continue).map(|_| ()).unwrap_err();
    assert!(error.contains("a file, expected a folder"), "{error}");
    let error = claim(&file.join("out"), json!({}), Existing::Continue).map(|_| ()).unwrap_err();
    assert!(error.contains("file/out"), "{error}");
    let absent = folder.path().join("absent");
    let error = claim(&absent, json!({}), Existing::Resume).map(|_| ()).unwrap_err();
    assert!(error.contains("resume") && !absent.exists(), "{error}");
    fs::create_dir(&absent).unwrap();
    assert!(claim(&absent, json!({}), Existing::Resume).is_err());
    assert_eq!(fs::read_dir(&absent).unwrap().count(), 0);
}

#[test]
fn two_at_once_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = claim(folder.path(), json!({}), Existing::Continue).unwrap();
    for mode in [Existing::Continue, Existing::Restart] {
        let error = claim(folder.path(), json!({}), mode).map(|_| ()).unwrap_err();
        let number = format!("number {}", std::process::id());
        assert!(error.contains("another process") && error.contains(&number), "{error}");
    }
    drop(first);
    claim(folder.path(), json!({}), Existing::Continue).unwrap();
}

#[test]
fn names_stay_inside() {
    let folder = tempfile::tempdir().unwrap();
    let out = claim(&folder.path().join("out"), json!({}), Existing::Continue).unwrap();
    for name in
        ["", "/etc/x", "../x", "a/../../x", "a/", "./x/..", "a\nb", "job.json", ".fairprune/x"]
    {
        assert!(out.file(name).is_err(), "{name:?}");
    }
    drop(out);
    // A record that someone changed, and a folder replaced by a link: nothing outside is deleted.
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x"), "mine").unwrap();
    let root = folder.path().join("out");
    let files = root.join(".fairprune/files");
    fs::write(files, format!("../outside/x\n{}\nlink/x\n", outside.join("x").display())).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&outside, root.join("link")).unwrap();
    claim(&root, json!({}), Existing::Restart).unwrap();
    assert!(outside.join("x").exists());
}

const CHILD: &str = "FAIRPRUNE_TEST_CLAIM_FOLDER";

/// Not a test by itself: starts anew and writes files until it is killed.
#[test]
#[ignore = "run by the test that kills it"]
fn child() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    for round in 0.. {
        let out = claim(Path::new(&folder), json!({"round": round}), Existing::Restart).unwrap();
        for name in ["a.json", "sub/b.json", "sub/sub/c.json"] {
            out.write_json(name, &round).unwrap();
        }
    }
}

#[test]
fn killed_at_any_moment_the_folder_can_be_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for round in 0u64..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "report::output_dir::child", "--ignored"])
            .env(CHILD, root)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        super::atomic::wait_for(&root.join("a.json"), &mut child);
        std::thread::sleep(std::time::Duration::from_micros(round * 710));
        child.kill().unwrap();
        child.wait().unwrap();
        // The lock is gone with the process; starting anew leaves nothing of the old run.
        drop(claim(root, json!({"again": true}), Existing::Restart).unwrap());
        let left: Vec<String> = snapshot(root).into_iter().map(|(name, _)| name).collect();
        let ours = |n: &String| n.ends_with("job.json") || n.contains("/.fairprune/");
        assert!(left.iter().all(ours), "left over: {left:?}");
        assert!(!left.iter().any(|n| n.ends_with(atomic::TEMPORARY)), "{left:?}");
    }
}
