//! What lies in the way of a run: pipes, devices, links, other people's folders, limits of the system, signals,
//! and names that mean something to a terminal or a spreadsheet. Each ends in one message.

use std::os::unix::fs::symlink;
use std::time::Duration;

use crate::*;

/// Longer than anything here takes on a busy machine; a wait for a pipe would take for ever.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs a line of the shell with the program as `$FAIRPRUNE`; code and both streams.
fn shell(folder: &Path, line: &str) -> (Option<i32>, String) {
    let output = Command::new("bash")
        .args(["-c", line])
        .current_dir(folder)
        .env("FAIRPRUNE", env!("CARGO_BIN_EXE_fairprune"))
        .env("CUDA_VISIBLE_DEVICES", "")
        .timeout(PATIENCE)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
    (output.status.code(), text.concat())
}

fn pipe(path: &Path) {
    let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the path is a text that ends with NUL.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

#[test]
fn pipes_and_devices_are_refused_wherever_a_file_is_read() {
    let place = Place::new();
    let folder = place.path();
    pipe(&folder.join("pipe.csv"));
    symlink("/dev/zero", folder.join("zero.csv")).unwrap();
    for file in ["pipe.csv", "zero.csv"] {
        for line in [
            "quota --recalls-from FILE --density .5",
            "prune --data data --density .5 --scores FILE --direction high --out out",
            "prune --data data --density .5 --recalls FILE --quota metriq --out out",
            "prune --data data --density .5 --features FILE --strategy coreset --quota none --out out",
            "prune --data data --density .5 --quota none --without FILE --out out",
            "eval --weights FILE --data data",
            "score --weights FILE --data data --method el2n --out out",
            "train --data data --subset FILE --out out",
            "data info FILE",
            "data export --data data --subset FILE --as list --out list.txt",
            "study FILE",
            "bench compare FILE FILE",
        ] {
            let line = format!("timeout 100 $FAIRPRUNE {}", line.replace("FILE", file));
            let (code, text) = shell(folder, &line);
            assert_eq!(code, Some(2), "{line}: {text}");
            assert!(text.contains("no regular file"), "{line}: {text}");
        }
    }
    // State is input, too.
    good(folder, "prune --data data --density .5 --quota none --out out");
    fs::remove_file(folder.join("out/job.json")).unwrap();
    pipe(&folder.join("out/job.json"));
    let again = "prune --data data --density .5 --quota none --out out";
    refused(folder, again, &["job.json", "a pipe"]);
    good(folder, &format!("{again} --force"));
    // A sparse file of any length is as good as an endless one.
    fs::File::create(folder.join("large.csv")).unwrap().set_len(1 << 43).unwrap();
    refused(folder, "quota --recalls-from large.csv --density .5", &["memory"]);
}

#[test]
fn control_files_are_never_those_behind_links() {
    let place = Place::new();
    let folder = place.path();
    let line = "prune --data data --density .5 --quota none --out out";
    for name in ["lock", "files"] {
        fs::remove_dir_all(folder.join("out")).ok();
        good(folder, line);
        put(folder, "theirs", b"theirs\n");
        fs::remove_file(folder.join("out/.fairprune").join(name)).unwrap();
        symlink(folder.join("theirs"), folder.join("out/.fairprune").join(name)).unwrap();
        for flag in ["", " --force"] {
            refused(folder, &format!("{line}{flag}"), &[name, "a symbolic link"]);
        }
        assert_eq!(place.read("theirs"), "theirs\n");
    }
    // The folder of control files itself.
    fs::remove_dir_all(folder.join("out")).unwrap();
    fs::create_dir_all(folder.join("out")).unwrap();
    fs::create_dir_all(folder.join("elsewhere")).unwrap();
    symlink(folder.join("elsewhere"), folder.join("out/.fairprune")).unwrap();
    refused(folder, line, &[".fairprune", "a symbolic link"]);
    assert_eq!(names(&folder.join("elsewhere")), Vec::<String>::new());
}

#[test]
fn folders_that_hold_only_control_files_of_others_are_not_taken_over() {
    let place = Place::new();
    let folder = place.path();
    for (name, text) in [("lock", "my notes\n"), ("files", "../up\n"), ("notes.txt", "x\n")] {
        fs::remove_dir_all(folder.join("own")).ok();
        put(folder, &format!("own/.fairprune/{name}"), text.as_bytes());
        for flag in ["", " --force"] {
            let line = format!("prune --data data --density .5 --quota none --out own{flag}");
            refused(folder, &line, &[name, "somebody else's"]);
        }
        assert_eq!(place.read(&format!("own/.fairprune/{name}")), text);
    }
    // What a killed run leaves is its own.
    fs::remove_dir_all(folder.join("own")).unwrap();
    put(folder, "own/.fairprune/lock", b"12345\n");
    put(folder, "own/.fairprune/files", b"kept.npy\n");
    good(folder, "prune --data data --density .5 --quota none --out own");
}

/// A tar archive whose names no writer would write.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        out.append(&header, *content).unwrap();
    }
    out.into_inner().unwrap()
}

#[test]
fn members_of_archives_stay_inside() {
    let place = Place::new();
    let (a, b) = (png(0, 0), png(1, 1));
    let whole = [("0.png", &a[..]), ("0.cls", b"0"), ("1.png", &b), ("1.cls", b"1")];
    put(place.path(), "whole-000.tar", &archive(&whole));
    good(place.path(), "data info whole-000.tar");
    for bad in ["../x.txt", "/etc/x.txt", "a/../../x.txt", "..\\x.txt", "C:\\x.txt"] {
        let members = [&whole[..], &[(bad, &b"x"[..])]].concat();
        put(place.path(), "bad-000.tar", &archive(&members));
        refused(place.path(), "data info bad-000.tar", &["bad-000.tar", "the member", "relative"]);
    }
}

#[test]
fn limits_of_the_system_end_in_a_message() {
    let place = Place::new();
    let folder = place.path();
    let train = format!("train --data data {TINY} --out out");
    for limit in ["ulimit -v 150000", "ulimit -v 250000", "ulimit -v 400000"] {
        let (code, text) = shell(folder, &format!("{limit}; exec $FAIRPRUNE {train} --force"));
        // 127: the loader of the system found no room for the program itself.
        assert!(matches!(code, Some(0 | 1 | 2 | 127)), "{limit}: {code:?} {text}");
        assert!(!text.contains("panicked"), "{limit}: {text}");
    }
    // What a step of RHO-loss looks at is planned, said and held against what there is.
    let rho = format!("{train}-rho --baseline rho:candidates=1000000");
    let (code, text) = shell(folder, &format!("ulimit -v 900000; exec $FAIRPRUNE {rho}"));
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("out of memory") && text.contains("the largest batch that fits"),
        "{text}"
    );
    let line = "ulimit -f 1; exec $FAIRPRUNE data cache data --out ./made.fpc";
    let (code, text) = shell(folder, line);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("File too large") && text.contains("decoded images"), "{text}");
    assert_eq!(rubbish(folder), Vec::<PathBuf>::new());
    refused(folder, "train --data data --threads 9999", &["--threads", "9999", "1024"]);
}

#[test]
fn names_do_nothing_to_terminals_and_spreadsheets() {
    let place = tempfile::tempdir().unwrap();
    let classes = ["\u{1b}[2Jred\u{7}", "=cmd|'C calc'!A0", "@sum"];
    for (k, class) in classes.iter().enumerate() {
        for part in ["train", "test"] {
            for i in 0..6 {
                put(place.path(), &format!("data/{part}/{class}/{i}.png"), &png(k, i));
            }
        }
    }
    let told = good(place.path(), "data info data");
    for text in [&told.out, &told.err] {
        assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
    }
    assert!(told.out.contains("\\u{1b}[2Jred"), "{}", told.out);
    let document = json(place.path(), "data info data");
    assert!(document.to_string().contains("\\u001b[2Jred"), "{document}");
    good(place.path(), "prune --data data --density .5 --quota none --out out");
    let table = fs::read_to_string(place.path().join("out/classes.csv")).unwrap();
    for cell in [",'=cmd|'C calc'!A0,", ",'@sum,"] {
        assert!(table.contains(cell), "{cell} is not in\n{table}");
    }
    // What is read again is what was written.
    let score = format!("score --data data {TINY} --runs 1 --out scores");
    good(place.path(), &score);
    let line =
        "prune --data data --density .5 --recalls scores/recalls.csv --smooth laplace --out by";
    good(place.path(), line);
    fs::create_dir(place.path().join("none\u{1b}[31m")).unwrap();
    let words = ["data", "info", "none\u{1b}[31m"];
    let output = command(place.path(), &words).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!output.stderr.contains(&0x1b), "{:?}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn recalls_that_contradict_themselves_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let table = |row: &str| {
        let head = "class,name,train_size,val_correct,val_total,recall,recall_sd";
        put(place.path(), "recalls.csv", format!("{head}\n0,ant,9,3,4,0.75,\n{row}\n").as_bytes());
    };
    let line = "quota --recalls-from recalls.csv --density .5";
    table("1,bee,9,2,4,0.5,");
    good(place.path(), line);
    for row in ["1,bee,9,0,4,0.5,", "1,bee,9,4,4,0.5,", "1,bee,9,0,0,0.5,", "1,bee,9,2,4,1,"] {
        table(row);
        refused(place.path(), line, &["line 3", "recall"]);
    }
}

#[test]
fn a_study_that_waits_says_for_whom() {
    let place = Place::new();
    let flags = "[flags]\nepochs = 1\nbatch = 8\nwidth = 4\nquery-runs = 1\n";
    let panel =
        "[[panel]]\ndata = 'data'\narch = 'resnet8'\n[[panel.block]]\nstrategies = ['random']\n";
    place.write("study.toml", &format!("{flags}{panel}density = [0.5]\nseeds = 1\n"));
    good(place.path(), "study study.toml --threads 1 --out out");
    let panel = names(&place.path().join("out/panels")).remove(0);
    let lock = place.path().join("out/panels").join(panel).join(".fairprune/lock");
    fs::write(&lock, b"4242\n").unwrap();
    let held = fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_fairprune"))
        .args(["study", "study.toml", "--threads", "1", "--out", "out"])
        .current_dir(place.path())
        .env("CUDA_VISIBLE_DEVICES", "")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(6));
    // SAFETY: the child is ours and was not waited for.
    assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) }, 0);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{text}");
    assert!(text.contains("process 4242 works on it") && text.contains("waiting"), "{text}");
}
