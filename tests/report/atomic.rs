//! A reader sees the old file or the new one.

use fairprune::artefact::atomic;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const CHILD: &str = "FAIRPRUNE_TEST_CHILD_FOLDER";

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn writes_and_replaces() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    atomic::write_bytes(&path, b"one").unwrap();
    let returned = atomic::write(&path, |out| out.write_all(b"two").map(|()| 42)).unwrap();
    assert_eq!(returned, 42);
    assert_eq!(fs::read(&path).unwrap(), b"two");
    atomic::write_json(&path, &serde_json::json!({"a": 0.1})).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\n  \"a\": 0.1\n}\n");
    assert_eq!(names(folder.path()), ["a.txt"]);
}

/// File systems allow 255 bytes; temporary names must fit, too, and be found again.
#[test]
fn the_longest_names_are_written() {
    let folder = tempfile::tempdir().unwrap();
    for (length, letter) in [(160, "a"), (161, "b"), (240, "c"), (255, "d")] {
        let path = folder.path().join(letter.repeat(length));
        atomic::write(&path, |out| {
            let unfinished =
                names(folder.path()).iter().filter(|n| n.ends_with(atomic::TEMPORARY)).count();
            assert_eq!(unfinished, 1);
            // Its writer is alive.
            atomic::remove_abandoned(&path);
            out.write_all(b"whole")
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        let inside = folder.path().join(letter.to_uppercase().repeat(length));
        atomic::write_folder(&inside, |place| {
            fs::write(place.join("x"), "x").unwrap();
            Ok(())
        })
        .unwrap();
        assert_eq!(names(&inside), ["x"]);
    }
    assert_eq!(names(folder.path()).len(), 8);
    // What a killed process left of a long name goes.
    let path = folder.path().join("e".repeat(250));
    atomic::write(&path, |_| {
        let name =
            names(folder.path()).into_iter().find(|n| n.ends_with(atomic::TEMPORARY)).unwrap();
        fs::copy(folder.path().join(&name), folder.path().join(name.replacen("-", "-9", 1)))
            .unwrap();
        Ok(())
    })
    .unwrap();
    assert_eq!(names(folder.path()).len(), 10);
    atomic::remove_abandoned(&path);
    assert_eq!(names(folder.path()).len(), 9);
}

#[test]
fn a_failure_leaves_the_old_file_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    atomic::write_bytes(&path, b"old").unwrap();
    let error = atomic::write(&path, |out| {
        out.write_all(&[7; 100_000])?;
        Err::<(), _>(io::Error::new(io::ErrorKind::StorageFull, "no space left on device"))
    })
    .unwrap_err()
    .to_string();
    assert!(error.contains("a.txt") && error.contains("no space"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(folder.path()), ["a.txt"]);
}

#[test]
fn a_path_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    for path in [file.join("below.txt"), folder.path().join("absent/a.txt")] {
        let error = atomic::write_bytes(&path, b"x").unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
    // A folder where the file should go: the rename fails, the temporary file goes.
    let error = atomic::write_bytes(folder.path().join("file").parent().unwrap(), b"x");
    assert!(error.is_err());
    assert_eq!(names(folder.path()), ["file"]);
    assert!(atomic::write_bytes(Path::new("/"), b"x").is_err());
    assert!(atomic::write_bytes(Path::new(".."), b"x").is_err());
}

/// Not a test by itself: writes one file again and again until it is killed, or once beyond the
/// size that the shell allows, as told by the environment.
#[test]
#[ignore = "run by the tests that kill it"]
fn child() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let path = Path::new(&folder).join("state.bin");
    if let Some(size) = std::env::var_os("FAIRPRUNE_TEST_CHILD_SIZE") {
        let size: usize = size.to_str().unwrap().parse().unwrap();
        let error = atomic::write_bytes(&path, &vec![1; size]).unwrap_err().to_string();
        assert!(error.contains("state.bin"), "{error}");
        return;
    }
    for round in 0u64.. {
        let byte = (round % 251) as u8;
        atomic::write_bytes(&path, &vec![byte; 50_000 + round as usize % 7]).unwrap();
    }
}

fn child_command(folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "report::atomic::child", "--ignored", "--nocapture"])
        .env(CHILD, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Waits until the child has written `path`.
pub fn wait_for(path: &Path, child: &mut Child) {
    for _ in 0..60_000 {
        if path.exists() {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("nothing was written in a minute");
}

#[test]
fn killed_at_any_moment_the_file_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.bin");
    for round in 0u64..24 {
        let _ = fs::remove_file(&path);
        let mut child = child_command(folder.path()).spawn().unwrap();
        wait_for(&path, &mut child);
        // Somewhere in the stream of writes, another place each time.
        std::thread::sleep(Duration::from_micros(round * 370));
        child.kill().unwrap();
        child.wait().unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!((50_000..50_007).contains(&bytes.len()), "{} bytes", bytes.len());
        assert!(bytes.iter().all(|&b| b == bytes[0]), "two contents in one file");
        for name in names(folder.path()) {
            assert!(name == "state.bin" || name.ends_with(atomic::TEMPORARY), "{name}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_refused_write_of_the_system_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.bin");
    fs::write(&path, "old").unwrap();
    // A limit of 64 blocks stands for a full disk: both fail in write(2). Buffered or at the end.
    for size in ["1000000", "66000"] {
        let child = child_command(folder.path());
        let script = "ulimit -f 64; trap '' XFSZ; exec \"$0\" \"$@\"";
        let status = Command::new("bash")
            .args(["-c", script])
            .arg(child.get_program())
            .args(child.get_args())
            .env(CHILD, folder.path())
            .env("FAIRPRUNE_TEST_CHILD_SIZE", size)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "the child saw no error, or another, for {size} bytes");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["state.bin"]);
    }
}

#[test]
fn a_folder_is_whole_or_not_there() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("tree");
    let fill = |folder: &Path| {
        fs::create_dir(folder.join("a")).unwrap();
        fs::write(folder.join("a/b"), "x").unwrap();
        // Under its name there is nothing yet.
        assert!(!path.join("a").exists());
        Ok(7)
    };
    assert_eq!(atomic::write_folder(&path, fill).unwrap(), 7);
    assert_eq!(fs::read_to_string(path.join("a/b")).unwrap(), "x");
    assert_eq!(names(place.path()), ["tree"]);
    // Taken places are refused, empty folders are filled.
    let error = atomic::write_folder(&path, fill).unwrap_err().to_string();
    assert!(error.contains("holds something"), "{error}");
    let file = place.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(atomic::write_folder(&file, fill).unwrap_err().to_string().contains("a file"));
    fs::remove_dir_all(&path).unwrap();
    fs::create_dir(&path).unwrap();
    atomic::write_folder(&path, fill).unwrap();
    // What fails half-way leaves nothing.
    let broken = place.path().join("broken");
    let error = atomic::write_folder(&broken, |folder| -> fairprune::error::Result<()> {
        fs::write(folder.join("half"), "x").unwrap();
        Err(fairprune::error::Error::invalid("x", "y", "z"))
    });
    assert!(error.is_err());
    assert_eq!(names(place.path()), ["file", "tree"]);
}

#[test]
fn a_refused_content_leaves_the_old_one() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("file");
    fs::write(&path, "old").unwrap();
    let refused = atomic::write_with(&path, |out| -> fairprune::error::Result<()> {
        std::io::Write::write_all(out, b"new").unwrap();
        Err(fairprune::error::Error::invalid("x", "y", "z"))
    });
    assert!(refused.is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(place.path()), ["file"]);
}

#[test]
fn what_a_killed_process_left_is_removed_and_what_another_writes_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let tmp = atomic::TEMPORARY;
    fs::write(at(&format!(".state.bin.77-0{tmp}")), b"half").unwrap();
    fs::create_dir_all(at(&format!(".state.bin.77-1{tmp}/deep"))).unwrap();
    fs::write(at(&format!(".other.bin.77-0{tmp}")), b"half").unwrap();
    fs::write(at(".state.bin.bak"), b"the user's").unwrap();
    let path = at("state.bin");
    atomic::write(&path, |out| {
        out.write_all(b"new")?;
        // Another command with the same output starts meanwhile.
        atomic::remove_abandoned(&path);
        Ok(())
    })
    .unwrap();
    let mut names: Vec<String> = fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [format!(".other.bin.77-0{tmp}").as_str(), ".state.bin.bak", "state.bin"]);
    assert_eq!(fs::read(&path).unwrap(), b"new");
}
