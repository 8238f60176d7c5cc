//! `fairprune bench` and `bench compare` as programs see them: documents, exit codes, an injected
//! slowdown that is found.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Mutex, PoisonError};

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A network small enough for a development build.
const SMALL: [&str; 12] = [
    "--arch",
    "resnet8",
    "--width",
    "4",
    "--image-size",
    "16",
    "--batch",
    "16",
    "--samples",
    "64",
    "--seconds",
    "0.2",
];

/// Programs that are timed must not run side by side.
static ALONE: Mutex<()> = Mutex::new(());

fn fairprune(words: &[&str]) -> Output {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Command::cargo_bin("fairprune").unwrap().args(words).output().unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn message(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn works(document: &Value) -> Vec<&str> {
    document["rows"].as_array().unwrap().iter().map(|r| r["work"].as_str().unwrap()).collect()
}

#[test]
fn the_document_has_the_promised_keys() {
    let output = fairprune(&[&["bench", "--json"], &SMALL[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", message(&output));
    let document = json_of(&output);
    assert_eq!(works(&document), ["train", "forward", "grand"]);
    for row in document["rows"].as_array().unwrap() {
        let rates = &row["images_per_second"];
        let [p10, median, p90] = ["p10", "median", "p90"].map(|k| rates[k].as_f64().unwrap());
        assert!(0.0 < p10 && p10 <= median && median <= p90, "{row}");
        assert!(row["peak_bytes"].as_u64().unwrap() > 1_000_000, "{row}");
        assert!(row["repeats"].as_u64().unwrap() >= 3, "{row}");
    }
    assert_eq!(document["arch"], "resnet8");
    assert_eq!(document["batch"], 16);
    assert_eq!(document["precision"], "f32");
    assert_eq!(document["format_version"], 1);
    for key in ["cpu", "cores", "threads", "isa", "os", "fingerprint"] {
        assert!(!document["machine"][key].is_null(), "{key}");
    }
}

#[test]
fn suites_choose_the_rows() {
    let score = fairprune(&[&["bench", "--json", "--suite", "score"], &SMALL[..]].concat());
    assert_eq!(works(&json_of(&score)), ["forward", "grand"]);
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/readers");
    let missing = data.join("nothing-here");
    let read = fairprune(&["bench", "--suite", "read", "--data", missing.to_str().unwrap()]);
    assert_eq!(read.status.code(), Some(2), "{}", message(&read));
    let unnamed = fairprune(&["bench", "--suite", "read"]);
    assert_eq!(unnamed.status.code(), Some(2));
    assert!(message(&unnamed).contains("--data"), "{}", message(&unnamed));
}

#[test]
fn reading_is_timed_over_all_images() {
    let output =
        fairprune(&["bench", "--suite", "read", "--data", "shapes", "--seconds", "0", "--json"]);
    let document = json_of(&output);
    assert_eq!(works(&document), ["read"]);
    assert!(document["rows"][0]["images_a_repeat"].as_u64().unwrap() > 1000);
}

/// The shapes as a folder of images.
fn make_shapes(data: &str, per_class: &str) {
    let words = ["data", "make", "shapes", "--as", "imagefolder", "--out", data];
    let made = fairprune(&[&words[..], &["--per-class", per_class]].concat());
    assert!(made.status.success(), "{}", message(&made));
}

#[test]
fn a_pipeline_is_timed_stage_by_stage_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("set");
    let data = data.to_str().unwrap();
    make_shapes(data, "6,2,3");
    let flags = ["--data", data, "--seconds", "0", "--json", "--arch", "resnet8", "--width", "4"];
    let output =
        fairprune(&[&["bench", "--suite", "pipeline", "--batch", "7"], &flags[..]].concat());
    let document = json_of(&output);
    let stages = ["decode", "augment", "forward", "grand", "disk-el2n", "disk-grand"];
    assert_eq!(works(&document), stages.map(|s| format!("pipeline-{s}")));
    let images: Vec<u64> =
        (0..6).map(|i| document["rows"][i]["images_a_repeat"].as_u64().unwrap()).collect();
    assert_eq!(images, [110, 60, 110, 110, 110, 110]);
    let rate = |i: usize| document["rows"][i]["images_per_second"]["median"].as_f64().unwrap();
    // A whole takes longer than its parts; twice as long is more than noise.
    assert!(rate(4) < rate(0) && rate(5) < 2.0 * rate(3), "{document}");
    assert!(document["classes"].is_null() && document["images"].is_null());
    let unnamed = fairprune(&["bench", "--suite", "pipeline"]);
    assert!(message(&unnamed).contains("--suite pipeline"), "{}", message(&unnamed));
}

/// Whatever the folder is called. Long names of processors and cards are planted where the table is made, in
/// the command line's unit tests.
#[test]
fn tables_fit_100_columns() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("a-folder-with-a-name-that-is-as-wide-as-a-table".repeat(3));
    let data = data.to_str().unwrap();
    make_shapes(data, "2,1,1");
    let words = ["bench", "--suite", "score", "--suite", "pipeline", "--data", data];
    let output = fairprune(&[&words[..], &SMALL[..]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let named: String = text.split_whitespace().collect();
    assert!(named.contains(&format!("pipeline{data}:resnet8")), "{text}");
    assert!(text.contains("grand") && text.contains("images/s"), "{text}");
    assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
}

/// 50,000 images of CIFAR's size, their pixels included.
#[test]
#[cfg(target_os = "linux")]
fn forward_scoring_of_50_000_images_stays_below_1500_megabytes() {
    let words = ["bench", "--suite", "score", "--arch", "resnet20", "--samples", "50000"];
    let output = fairprune(&[&words[..], &["--seconds", "0", "--json"]].concat());
    let document = json_of(&output);
    assert!(document["images"].as_u64().unwrap() >= 50_000);
    let row = &document["rows"][0];
    assert_eq!(row["work"], "forward");
    let peak = row["peak_bytes"].as_u64().unwrap();
    // Less than the pixels alone would mean that nothing was measured.
    assert!((150_000_000..1_500_000_000).contains(&peak), "{peak}");
}

/// The same program under a name of its own, slowed down in one row.
#[cfg(unix)]
fn slowed(dir: &TempDir, slowdown: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.path().join("slowed");
    let program = assert_cmd::cargo::cargo_bin("fairprune");
    let script = format!(
        "#!/bin/sh\nFAIRPRUNE_BENCH_SLOWDOWN={slowdown} exec '{}' \"$@\"\n",
        program.display()
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The slowdown is large and the threshold wide, so that a busy machine rarely changes a verdict.
#[test]
#[cfg(unix)]
fn an_injected_slowdown_is_found_and_its_row_is_named() {
    let dir = TempDir::new().unwrap();
    let program = assert_cmd::cargo::cargo_bin("fairprune");
    let slow = slowed(&dir, "grand=80");
    let out = dir.path().join("runs");
    let compare = |new: &Path| {
        let [old, new, out] = [&program, new, &out].map(|p: &Path| p.to_str().unwrap());
        let words = ["bench", "compare", "--run", old, new, "--repeats", "3", "--threshold", "90%"];
        let rest = ["--suite", "score", "--threads", "1", "--json", "--out", out];
        fairprune(&[&words[..], &rest, &SMALL].concat())
    };
    // Rows that nobody slowed down: a machine that stalls for seconds may stall in all of one side's
    // runs, hardly three times.
    let quiet = |new: &Path, expected: Value| {
        let mut attempts = (0..3).map(|_| compare(new));
        let outcome = attempts.find(|o| json_of(o)["regressed"] == expected);
        outcome.unwrap_or_else(|| panic!("three times something else than {expected}"))
    };
    let same = quiet(&program, json!([]));
    assert_eq!(same.status.code(), Some(0), "{}", message(&same));

    let regressed = quiet(&slow, json!(["grand"]));
    assert_eq!(regressed.status.code(), Some(3), "{}", message(&regressed));
    let document = json_of(&regressed);
    assert_eq!(document["rows"][1]["verdict"], "regressed");
    assert!(document["rows"][0]["verdict"] != "regressed", "{document}");
    assert!(message(&regressed).contains("regressed: grand"), "{}", message(&regressed));

    // The kept files give the same verdict.
    let [old, new] = ["old.jsonl", "new.jsonl"].map(|n| out.join(n));
    let lines = std::fs::read_to_string(&new).unwrap();
    assert_eq!(lines.lines().count(), 3);
    assert!(lines.contains("injected_slowdown"));
    let words = ["bench", "compare", old.to_str().unwrap(), new.to_str().unwrap()];
    let again = fairprune(&[&words[..], &["--threshold", "90%", "-q"]].concat());
    assert_eq!(again.status.code(), Some(3));
    assert!(message(&again).contains("regressed: grand"), "{}", message(&again));
}

fn result(machine: &str, grand: f64) -> Value {
    let row = |work: &str, m: f64| {
        let rates = json!({ "median": m, "p10": 0.99 * m, "p90": 1.01 * m });
        json!({ "work": work, "images_per_second": rates, "peak_bytes": 1_000_000 })
    };
    json!({
        "rows": [row("train", 100.0), row("grand", grand)],
        "machine": { "cpu": machine, "cores": 2 },
        "arch": "resnet20",
        "batch": 128,
        "precision": "f32",
    })
}

/// What a document of `bench --json` says when it is asked to stop: the rows so far, and that they are not all.
#[test]
#[cfg(unix)]
fn a_benchmark_that_is_stopped_prints_what_it_has() {
    use std::process::{Command, Stdio};
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let words = ["bench", "--json", "--suite", "train", "--suite", "score", "--threads", "1"];
    let long = SMALL.map(|word| if word == "0.2" { "3000" } else { word });
    let child = Command::new(assert_cmd::cargo::cargo_bin("fairprune"))
        .args([&words[..], &long].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_secs(4));
    // SAFETY: the child is ours and was not waited for.
    assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) }, 0);
    let output = child.wait_with_output().unwrap();
    let document = json_of(&output);
    assert_eq!(output.status.code(), Some(1), "{}", message(&output));
    assert_eq!((works(&document), &document["stopped"]), (vec!["train"], &json!(true)));
    assert!(message(&output).contains("stopped"), "{}", message(&output));
}

/// Programs under comparison are called with every flag that was given.
#[test]
#[cfg(unix)]
fn compared_programs_get_all_flags() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let (program, log) = (dir.path().join("program"), dir.path().join("log"));
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> '{}'\ncat <<'END'\n{}\nEND\n",
        log.display(),
        result("a", 50.0)
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = program.to_str().unwrap();
    let given = "--suite train --arch resnet18 --batch 64 --samples 100 --images stream --fuse none \
                 --no-graphs --precision bf16 --device cuda --seed 3 --threads 2";
    let words: Vec<&str> = given.split_whitespace().collect();
    let outcome = fairprune(
        &[&["bench", "compare", "--run", path, path, "--repeats", "1"], &words[..]].concat(),
    );
    assert_eq!(outcome.status.code(), Some(0), "{}", message(&outcome));
    let log = std::fs::read_to_string(log).unwrap();
    assert_eq!(log.lines().count(), 2);
    for line in log.lines() {
        let called: Vec<&str> = line.split_whitespace().collect();
        for (i, word) in words.iter().enumerate().filter(|(_, word)| word.starts_with("--")) {
            let at =
                called.iter().position(|w| w == word).unwrap_or_else(|| panic!("{word}: {line}"));
            if let Some(value) = words.get(i + 1).filter(|value| !value.starts_with("--")) {
                assert_eq!(called[at + 1], *value, "{line}");
            }
        }
    }
}

/// Rows of one file alone are named, whatever else is compared.
#[test]
fn rows_that_are_gone_are_named_and_refused() {
    let dir = TempDir::new().unwrap();
    let file = |name: &str, values: &[Value]| {
        let path = dir.path().join(name);
        let lines: Vec<String> = values.iter().map(Value::to_string).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let with = |key: &str, value: Value| {
        let mut document = result("a", 50.0);
        document[key] = value;
        document
    };
    let mut one = result("a", 50.0);
    one["rows"].as_array_mut().unwrap().pop();
    let both = [result("a", 50.0), with("precision", json!("bf16"))];
    let (both, f32_only) = (file("both.jsonl", &both), file("f32.jsonl", &both[..1]));
    let one = file("one.jsonl", &[one]);
    let compare = |old: &str, new: &str| {
        let output = fairprune(&["bench", "compare", old, new, "--json"]);
        (output.status.code().unwrap(), json_of(&output), message(&output))
    };
    let (code, document, text) = compare(&f32_only, &one);
    assert_eq!((code, &document["only_old"]), (2, &json!(["grand"])), "{text}");
    assert!(document["rows"].as_array().unwrap().len() == 1 && text.contains("grand"), "{text}");
    // What is new needs no explanation.
    let (code, document, text) = compare(&one, &f32_only);
    assert_eq!((code, &document["only_new"]), (0, &json!(["grand"])), "{text}");
    assert!(text.contains("only in NEW, not compared: grand"), "{text}");
    let (code, document, text) = compare(&both, &f32_only);
    assert_eq!((code, &document["only_old"]), (2, &json!(["precision bf16"])), "{text}");
    let (code, document, _) = compare(&both, &both);
    let kinds: Vec<&str> =
        document["rows"].as_array().unwrap().iter().map(|r| r["kind"].as_str().unwrap()).collect();
    assert_eq!((code, kinds.len()), (0, 4));
    assert_eq!((kinds[0], kinds[3]), ("precision f32", "precision bf16"));
}

#[test]
fn files_are_compared_and_refused() {
    let dir = TempDir::new().unwrap();
    let file = |name: &str, value: &Value| {
        let path = dir.path().join(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let old = file("old.json", &result("a", 50.0));
    let slower = file("slower.json", &result("a", 40.0));
    let other = file("other.json", &result("b", 50.0));
    let mut batch = result("a", 50.0);
    batch["batch"] = json!(64);
    let batch = file("batch.json", &batch);
    let broken = file("broken.json", &json!({ "rows": 3 }));
    let several = json!([result("a", 50.0), result("a", 50.4), result("a", 49.8)]);
    let several = file("several.json", &several);

    let code = |words: &[&str]| {
        let output = fairprune(&[&["bench", "compare"], words].concat());
        (output.status.code().unwrap(), message(&output))
    };
    assert_eq!(code(&[&old, &old]).0, 0);
    assert_eq!(code(&[&old, &several]).0, 0);
    assert_eq!(code(&[&slower, &old]).0, 0);
    let (status, text) = code(&[&old, &slower]);
    assert!(status == 3 && text.contains("grand") && !text.contains("train"), "{text}");
    assert_eq!(code(&[&old, &slower, "--threshold", "25%"]).0, 0);
    for (words, named) in [
        (&[old.as_str(), &other][..], "machine.cpu"),
        (&[&old, &batch], "batch"),
        (&[&old, &broken], "broken.json"),
        (&[&old, "no-such-file"], "no-such-file"),
        (&[&old, &old, "--threshold", "5"], "--threshold"),
        (&[&old, &old, "--batch", "64"], "--run"),
        (&[&old], "NEW"),
    ] {
        let (status, text) = code(words);
        assert!(status == 2 && text.contains(named), "{words:?}: {status} {text}");
    }
}
