//! Help, exit codes, and what goes to stdout and to stderr.

use std::io::Read;
use std::process::{Command as Process, Stdio};

use fairprune::cuda::{Absence, Cuda};
use fairprune::isa::bf16::Bf16Form;

use crate::*;

const COMMANDS: [&str; 7] = ["run", "train", "score", "prune", "quota", "eval", "doctor"];

#[test]
fn every_command_explains_itself() {
    let folder = tempfile::tempdir().unwrap();
    let all = good(folder.path(), "--help");
    assert_eq!(all.err, "");
    for name in COMMANDS {
        assert!(all.out.contains(&format!("\n  {name} ")), "{name}: {}", all.out);
        let help = good(folder.path(), &format!("{name} --help"));
        for flag in ["--json", "--seed", "--device", "--threads", "--quiet", "--verbose"] {
            assert!(help.out.contains(flag), "{name} {flag}: {}", help.out);
        }
        let wide = help.out.lines().filter(|l| !l.starts_with("Usage")).map(|l| l.chars().count());
        assert!(wide.max().unwrap() <= 100, "{}", help.out);
        assert_eq!(good(folder.path(), &format!("help {name}")).out, help.out);
    }
    assert!(good(folder.path(), "--version").out.starts_with("fairprune 0."));
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn unknown_words_are_refused_with_a_hint() {
    // A small set: what a command refuses after it has read the data should not wait for a large one.
    let place = Place::new();
    let before = (names(place.path()), files(place.path()));
    refused(place.path(), "trian", &["trian", "train"]);
    refused(place.path(), "train --epocs 3", &["--epocs", "--epochs"]);
    refused(place.path(), "train --epochs three", &["three", "--epochs"]);
    refused(place.path(), "train --epochs -1", &["-1"]);
    refused(place.path(), "train --data data --device gpu", &["--device", "gpu", "cuda:N"]);
    refused(place.path(), "train --data data --arch resnet9", &["resnet9", "resnet20"]);
    refused(place.path(), "train --data data --split thirds", &["thirds", "holdout"]);
    refused(place.path(), "train --data data --schedule wild", &["--schedule", "wild", "cosine"]);
    refused(place.path(), "train --data data --budget none", &["none", "matched"]);
    refused(place.path(), "train --data data --recipe slow", &["--recipe", "slow", "quick"]);
    refused(place.path(), "train --format tar", &["tar", "imagefolder"]);
    refused(place.path(), "train --data data --mean .5,.5", &["--mean", "three"]);
    refused(place.path(), "train --data data --std .5,.5,0", &["--std", "positive"]);
    refused(place.path(), "train --data shapes --image-size 40", &["40", "32"]);
    refused(place.path(), "run --data data --strategies full,best", &["best", "random"]);
    refused(place.path(), "run --data data --strategies random,random", &["random twice"]);
    refused(place.path(), "run --data data --density 0", &["--density", "0"]);
    refused(place.path(), "run --data data --density 1.5", &["--density", "1.5"]);
    refused(place.path(), "run --data data --density nan", &["--density", "NaN"]);
    refused(place.path(), "run --data data --prune-rate 2", &["prune rate", "2"]);
    refused(place.path(), "run --data data --seeds 0", &["--seeds", "0"]);
    refused(place.path(), "run --data data --query-runs 0", &["--query-runs", "0"]);
    let after = (names(place.path()), files(place.path()));
    assert_eq!(after, before, "a refused command leaves nothing behind");
}

#[test]
fn bad_numbers_of_a_recipe_are_refused() {
    let place = Place::new();
    for (flags, words) in [
        ("--lr nan", ["lr", "NaN"]),
        ("--lr -1", ["lr", "-1"]),
        ("--epochs 0", ["epochs", "0"]),
        ("--batch 0", ["batch", "0"]),
        ("--batch 1", ["batch", "1"]),
        ("--momentum 1.5", ["momentum", "1.5"]),
        ("--label-smoothing 1", ["smoothing", "1"]),
        ("--class-weights 1,2", ["--class-weights", "3"]),
        ("--class-weights 1,-2,1", ["--class-weights", "-2"]),
        ("--class-weights 0,0,0", ["--class-weights", "0"]),
        ("--width 0", ["width", "0"]),
        ("--score-batch 0", ["--score-batch", "0"]),
        ("--image-size 0", ["image", "0"]),
        ("--threads 1000000", ["--threads", "1000000"]),
    ] {
        let flag = flags.split(' ').next().unwrap();
        let tiny = TINY.split(" --").filter(|f| !flag.ends_with(f.split(' ').next().unwrap()));
        let tiny = tiny.collect::<Vec<_>>().join(" --");
        let line = format!("train --data data {tiny} {flags} --out refused");
        refused(place.path(), &line, &words);
        assert!(!place.path().join("refused").exists(), "{flags}");
    }
}

/// Why the program can use no card here: none is visible, and there may be less than that.
fn no_cuda() -> &'static str {
    match Cuda::open(0) {
        Err(Absence::NotBuilt) => "not built",
        Err(Absence::NoDriver) => "no driver",
        _ => "no device",
    }
}

#[test]
fn an_explicit_cuda_device_never_falls_back() {
    let place = Place::new();
    for line in [
        format!("train --data data {TINY} --out x"),
        format!("run --data data {TINY} --out x"),
        format!("score --data data {TINY} --out x"),
        "prune --data data --density .5 --quota none --out x".to_owned(),
        "quota --sizes 5,5 --recalls .5,.6 --density .5".to_owned(),
    ] {
        for device in ["cuda", "cuda:1"] {
            let line = format!("{line} --device {device}");
            refused(place.path(), &line, &[device, no_cuda(), "--device cpu"]);
        }
    }
    assert_eq!(names(place.path()), ["data"]);
    place.train();
    let line = "eval --data data --weights out/model.safetensors --device cuda";
    refused(place.path(), line, &[no_cuda()]);
}

#[test]
fn doctor_says_what_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let text = good(folder.path(), "doctor").out;
    for word in ["commit", "memory", "cores", "bf16", "cuda", no_cuda(), "cpu/portable", "in use"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let document = json(folder.path(), "doctor --threads 3");
    assert_eq!(document["cpu"]["threads"], 3);
    let form = Bf16Form::detect();
    let expected = serde_json::json!({ "sums": form.name(), "native": form.is_native() });
    assert_eq!(document["cpu"]["bf16"], expected);
    assert!(text.contains(form.means()), "{text}");
    let devices = document["devices"].as_array().unwrap();
    let of = |name: &str| devices.iter().find(|d| d["device"] == name).unwrap();
    assert_eq!(of("cuda")["usable"], false);
    assert!(of("cuda")["reason"].as_str().unwrap().contains(no_cuda()));
    assert_eq!(of("cpu/portable")["usable"], true);
    assert_eq!(devices.iter().filter(|d| d["in_use"] == true).count(), 1);
    // The report is printed, and the device refused.
    let outcome = run(folder.path(), "doctor --device cuda");
    assert_eq!(outcome.code, 2);
    assert!(outcome.out.contains("cpu/portable") && outcome.err.contains(no_cuda()));
}

#[test]
fn json_is_one_document_and_the_rest_goes_to_stderr() {
    let place = Place::new();
    let line = format!("train --data data {TINY} --out a --json");
    let outcome = good(place.path(), &line);
    let summary: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(summary, serde_json::from_str::<Value>(&place.read("a/summary.json")).unwrap());
    for key in
        ["average_accuracy", "balanced_accuracy", "worst_class", "worst_recall", "gap", "std"]
    {
        assert!(!summary[key].is_null(), "{key}: {summary}");
    }
    assert_eq!(summary["recalls"][1]["name"], "bee");
    assert_eq!(summary["recalls"][1]["total"], 4);
    assert!(outcome.err.contains("network") && outcome.err.contains("output"), "{}", outcome.err);
    // Neither colours nor a bar where there is no terminal.
    assert!(!outcome.err.contains(['\u{1b}', '\r']), "{:?}", outcome.err);
}

#[test]
fn json_is_there_without_test_images_too() {
    let place = Place::new();
    place.tree("bare", &[("train", [6, 6, 6])]);
    let summary = json(place.path(), &format!("train --data bare {TINY} --out a"));
    assert_eq!(summary["steps"], 3);
    assert!(summary.get("average_accuracy").is_none(), "{summary}");
    assert!(place.path().join("a/model.safetensors").is_file());
}

#[test]
fn quiet_is_silent() {
    let place = Place::new();
    let outcome =
        good(place.path(), &format!("train --data data {TINY} --split holdout --out a -q"));
    assert_eq!(outcome.err, "");
    assert!(outcome.out.contains("worst class"), "{}", outcome.out);
    let line = "prune --data data --recalls a/recalls.csv --density .5 --out b -q";
    assert_eq!(good(place.path(), line).err, "");
}

#[test]
fn tables_fit_a_hundred_columns_whatever_the_names() {
    let place = Place::new();
    for class in ["w".repeat(180), "a".to_owned(), "名前".repeat(30)] {
        for i in 0..4 {
            put(place.path(), &format!("long/train/{class}/{i}.png"), &png(0, i));
            put(place.path(), &format!("long/test/{class}/{i}.png"), &png(0, 9 + i));
        }
    }
    let trained = good(place.path(), &format!("train --data long {TINY} --out a")).out;
    let pruned = good(place.path(), "prune --data long --density .5 --quota balanced --out b").out;
    for text in [trained, pruned] {
        let table = text.lines().filter(|l| !l.contains(':') && !l.starts_with("average"));
        assert!(table.clone().count() > 3, "{text}");
        table.for_each(|l| assert!(l.chars().count() <= 100, "{l}"));
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    let lines = [
        format!("train --data data {TINY} --out a"),
        "quota --sizes 5000,500 --recalls .9,.5 --density .1".to_owned(),
        "--help".to_owned(),
        "doctor".to_owned(),
    ];
    for line in &lines {
        for stream in ["out", "err"] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut process = Process::new(env!("CARGO_BIN_EXE_fairprune"));
            process.current_dir(place.path()).args(line.split(' '));
            process.stdout(Stdio::null()).stderr(Stdio::piped());
            if stream == "out" {
                process.stdout(writer);
            } else {
                process.stderr(writer).arg("-v");
            }
            let mut child = process.spawn().unwrap();
            let mut text = String::new();
            if let Some(mut err) = child.stderr.take() {
                err.read_to_string(&mut text).unwrap();
            }
            assert_eq!(child.wait().unwrap().code(), Some(0), "{line}, std{stream}: {text}");
            assert!(!text.contains("panicked"), "{line}: {text}");
        }
    }
    assert!(place.path().join("a/model.safetensors").is_file());
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_colours_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let on_terminal = |no_color: bool| {
        let line = format!("{} trian", env!("CARGO_BIN_EXE_fairprune"));
        let mut script = Process::new("script");
        script.args(["-qec", &line, "/dev/null"]).current_dir(folder.path()).stdin(Stdio::null());
        script.env("TERM", "xterm").env_remove("NO_COLOR");
        if no_color {
            script.env("NO_COLOR", "1");
        }
        Some(String::from_utf8_lossy(&script.output().ok()?.stdout).into_owned())
    };
    let (Some(coloured), Some(plain)) = (on_terminal(false), on_terminal(true)) else {
        eprintln!("skipped: no `script` command here");
        return;
    };
    assert!(coloured.contains("trian") && coloured.contains('\u{1b}'), "{coloured:?}");
    assert!(plain.contains("trian") && !plain.contains('\u{1b}'), "{plain:?}");
}

#[test]
fn quiet_leaves_hints_out_and_results_in() {
    let place = Place::new();
    let made = good(place.path(), "data make shapes --per-class 2,1,1 --out loud");
    assert!(made.out.contains("written: loud") && made.out.contains("next: "), "{}", made.out);
    let made = good(place.path(), "data make shapes --per-class 2,1,1 --out calm -q");
    assert!(made.out.contains("written: calm") && !made.out.contains("next: "), "{}", made.out);
}
