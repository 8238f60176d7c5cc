//! Output folders: one job each, never mixed, never half-written; and training that diverges.

use std::process::Command as Process;

use crate::*;

/// The smallest job of each command that writes a folder, without its `--out`.
fn jobs() -> [String; 4] {
    [
        format!("train --data data {TINY}"),
        format!("score --data data {TINY} --runs 1"),
        "prune --data data --density .5 --quota none".to_owned(),
        format!("run --data data {TINY} --seeds 1 --strategies full,random"),
    ]
}

#[test]
fn an_unwritable_folder() {
    let place = Place::new();
    put(place.path(), "file", b"mine");
    for job in jobs() {
        refused(place.path(), &format!("{job} --out file"), &["file", "a file", "a folder"]);
        refused(
            place.path(),
            &format!("{job} --out file/below"),
            &["file/below", "Not a directory"],
        );
        refused(place.path(), &format!("{job} --out /proc/fairprune"), &["/proc/fairprune"]);
        refused(place.path(), &format!("{job} --out x --resume"), &["x", "no folder", "to resume"]);
        refused(place.path(), &format!("{job} --resume"), &["--out"]);
        refused(place.path(), &format!("{job} --out x --resume --force"), &["--resume", "--force"]);
    }
    assert_eq!(place.read("file"), "mine");
    assert_eq!(names(place.path()), ["data", "file"]);
}

#[test]
fn a_folder_of_the_users_own_is_never_touched() {
    let place = Place::new();
    put(place.path(), "own/thesis.tex", b"years of work");
    for job in jobs() {
        for flag in ["", " --force"] {
            let line = format!("{job} --out own{flag}");
            refused(place.path(), &line, &["own", "thesis.tex", "an empty folder"]);
        }
    }
    assert_eq!(files(&place.path().join("own")), [PathBuf::from("thesis.tex")]);
}

#[test]
fn another_job_in_the_folder_is_refused_by_its_key() {
    let place = Place::new();
    for (job, flag, key) in [
        (&jobs()[0], "--lr .2", "recipe.lr"),
        (&jobs()[0], "--seed 1", "seed"),
        (&jobs()[1], "--method grand", "methods"),
        (&jobs()[2], "--density .5 --strategy random --seed 5", "seed"),
        (&jobs()[3], "--budget fixed", "budget"),
    ] {
        let out = format!("{}-{key}", job.split(' ').next().unwrap());
        good(place.path(), &format!("{job} --out {out}"));
        let at = place.path().join(&out);
        // All but the lock, which names the last process.
        let contents = || -> Vec<(PathBuf, Vec<u8>)> {
            let all = files(&at).into_iter().filter(|f| !f.ends_with("lock"));
            all.map(|f| (f.clone(), fs::read(at.join(f)).unwrap())).collect()
        };
        let before = contents();
        let other = match job.contains("prune") {
            true => "prune --data data --density .5 --quota none --seed 5".to_owned(),
            false => format!("{job} {flag}"),
        };
        let text = refused(place.path(), &format!("{other} --out {out}"), &[key, "--force"]);
        assert!(text.contains("there") && text.contains("as asked now"), "{text}");
        assert!(before == contents(), "{other} changed {out}");
        // The same job continues (here: is done already), and force starts the other one.
        good(place.path(), &format!("{job} --out {out} --resume"));
        good(place.path(), &format!("{other} --out {out} --force"));
    }
    // A folder of another command is another job, too.
    let text = refused(place.path(), &format!("{} --out prune-seed", jobs()[0]), &["command"]);
    assert!(text.contains("\"prune\"") && text.contains("\"train\""), "{text}");
}

/// A version that stated otherwise what decides a result began it: said so, and nothing is done again.
#[test]
fn a_folder_of_an_earlier_version_is_refused_with_that_reason() {
    let place = Place::new();
    let job = &jobs()[0];
    good(place.path(), &format!("{job} --out out"));
    let path = place.path().join("out/job.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    document["job"].as_object_mut().unwrap().remove("identity").expect("a version of its own");
    fs::write(&path, document.to_string()).unwrap();
    let model = fs::read(place.path().join("out/model.safetensors")).unwrap();
    let line = format!("{job} --out out");
    refused(place.path(), &line, &["an earlier version of this program", "--out", "--force"]);
    assert!(fs::read(place.path().join("out/model.safetensors")).unwrap() == model);
    document["job"]["identity"] = 99.into();
    fs::write(&path, document.to_string()).unwrap();
    refused(place.path(), &line, &["another version of this program"]);
    good(place.path(), &format!("{line} --force"));
}

#[test]
fn force_deletes_what_runs_wrote_and_nothing_else() {
    let place = Place::new();
    let job = &jobs()[0];
    good(place.path(), &format!("{job} --out out"));
    put(place.path(), "out/notes.txt", b"mine");
    good(place.path(), "prune --data data --density .5 --quota none --out out --force");
    assert_eq!(place.read("out/notes.txt"), "mine");
    assert!(!place.path().join("out/model.safetensors").exists());
    assert!(place.path().join("out/kept.npy").is_file());
}

#[test]
fn a_finished_job_is_not_done_again_and_lost_weights_are() {
    let place = Place::new();
    place.train();
    let model = place.path().join("out/model.safetensors");
    let (first, time) =
        (fs::read(&model).unwrap(), fs::metadata(&model).unwrap().modified().unwrap());
    place.train();
    assert_eq!(fs::metadata(&model).unwrap().modified().unwrap(), time);
    fs::remove_file(&model).unwrap();
    place.train();
    assert!(fs::read(&model).unwrap() == first, "the same weights again");
    assert_eq!(names(&place.path().join("out/work/train")), ["result.json"]);
}

#[test]
fn the_default_folder_is_named_after_command_and_time() {
    let place = Place::new();
    good(place.path(), &jobs()[2]);
    let name = names(&place.path().join("fairprune-out")).remove(0);
    let (command, time) = name.split_once('-').unwrap();
    assert_eq!(command, "prune");
    let digits = |text: &str, n| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let (day, second) = time.split_once('-').unwrap();
    assert!(digits(day, 8) && digits(second, 6), "{name}");
}

#[test]
fn diverged_training_names_the_step_and_keeps_the_last_good_state() {
    let place = Place::new();
    // The first step's loss is finite; what it makes of the weights is not worth keeping.
    let line = format!("train --data data {TINY} --checkpoint-every 0 --out out");
    let text =
        refused(place.path(), &format!("{line} --lr 1e30"), &["diverged", "at step", "--lr"]);
    assert!(text.contains("not finite"), "{text}");
    let out = place.path().join("out");
    for name in ["model.safetensors", "summary.json", "recalls.csv", "log.jsonl"] {
        assert!(!out.join(name).exists(), "{name}");
    }
    assert!(!out.join("work/train/result.json").exists());
    // The first epoch's end is fine and kept, then validation shows what became of it.
    let line = format!("train --data data {TINY} --schedule constant --lr 100")
        .replace("--epochs 1", "--epochs 20")
        + " --checkpoint-every 0 --out late";
    let text = refused(place.path(), &line, &["diverged", "at step"]);
    let checkpoint = fs::read(out.with_file_name("late").join("work/train/checkpoint.safetensors"));
    let checkpoint = checkpoint.unwrap_or_else(|e| panic!("{e}: {text}"));
    let file = safetensors::SafeTensors::deserialize(&checkpoint).unwrap();
    for (name, view) in file.tensors() {
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(view.data());
        assert!(values.iter().all(|v| v.is_finite()), "{name}");
    }
    // The same again, from that state.
    refused(place.path(), &line, &["diverged", "at step"]);
}

/// Files may not grow beyond 8 KiB, as on a full disk: an error, not a signal.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let place = Place::new();
    // Outputs that take more than that.
    place.tree("wide", &[("train", [150, 150, 150]), ("test", [4, 4, 4])]);
    for (i, job) in jobs().iter().enumerate() {
        let job = job.replace("--data data", "--data wide");
        let out = format!("out{i}");
        let script = format!(
            "trap '' XFSZ; ulimit -f 8; exec {} {job} --out {out}",
            env!("CARGO_BIN_EXE_fairprune")
        );
        let output = Process::new("bash").args(["-c", &script]).current_dir(place.path()).output();
        let Ok(output) = output else {
            eprintln!("skipped: no bash here");
            return;
        };
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{job}: {text}");
        assert!(text.contains(&out) && text.contains("File too large"), "{job}: {text}");
        assert_eq!(text.matches("File too large").count(), 1, "{text}");
        assert_eq!(rubbish(place.path()), Vec::<PathBuf>::new());
        for name in ["model.safetensors", "kept.npy", "scores.csv", "report.html", "summary.json"] {
            assert!(!place.path().join(&out).join(name).exists(), "{job}: {name}");
        }
        // With room again, the same command continues.
        good(place.path(), &format!("{job} --out {out} --resume"));
    }
}

/// A file system of 64 KiB, where this machine lets a test mount one.
#[cfg(target_os = "linux")]
#[test]
fn a_file_system_without_room() {
    let place = Place::new();
    fs::create_dir(place.path().join("small")).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=64k none small || exit 77; \
         {} {} --out small/out; code=$?; find small -name '*tmp*' >&2; exit $code",
        env!("CARGO_BIN_EXE_fairprune"),
        jobs()[0].replace("--width 4", "--width 16"),
    );
    let unshare = ["--user", "--map-root-user", "--mount", "bash", "-c", &script];
    let output = Process::new("unshare").args(unshare).current_dir(place.path()).output();
    let code = output.as_ref().ok().and_then(|o| o.status.code());
    let text = output.map(|o| String::from_utf8_lossy(&o.stderr).into_owned()).unwrap_or_default();
    if code.is_none_or(|c| c == 77) || text.contains("unshare:") {
        eprintln!("skipped: no permission to mount a file system ({})", text.trim());
        return;
    }
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("No space left on device") && !text.contains("-tmp"), "{text}");
}

/// Clocks jump, and files are copied without their times.
#[test]
fn the_times_of_files_decide_nothing() {
    use std::time::{Duration, UNIX_EPOCH};
    let place = Place::new();
    let line = format!("score --data data {TINY} --epochs 2 --runs 2 --method el2n --out out")
        .replacen("--epochs 1 ", "", 1);
    good(place.path(), &line);
    let read = |name: &str| fs::read(place.path().join("out").join(name)).unwrap();
    let expected = read("scores.csv");
    for year in [0u64, 130] {
        for name in files(place.path()) {
            let file = fs::File::options().write(true).open(place.path().join(name)).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(year * 31_557_600)).unwrap();
        }
        // The second run is lost and done again; the first is taken as it is.
        fs::remove_file(place.path().join("out/work/query-r1/result.json")).unwrap();
        good(place.path(), &line);
        assert!(read("scores.csv") == expected, "files of {}", 1970 + year);
    }
}
