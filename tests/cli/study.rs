//! `study`: the grid, its files, kills, shared work, failures, unusable files.

use std::process::{Command as Process, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::*;

const FLAGS: &str =
    "[flags]\nepochs = 2\nbatch = 8\nwidth = 4\nquery-runs = 1\nsplit = 'holdout'\n";
const PANEL: &str = "[[panel]]\ndata = 'data'\narch = ['resnet8', 'resnet14']\n";
const BLOCKS: &str = "\
[[panel.block]]\nstrategies = ['full', 'random', 'metriq']\ndensity = [0.5, 0.8]\nseeds = 2\n\
[[panel.block]]\nstrategies = ['el2n', 'forgetting+uniform']\ndensity = [0.5]\nseeds = 1\n";
const CLAIM: &str = "\
[[claim]]\ntext = 'Quotas help'\nmetric = 'worst_class'\nmethod = 'metriq'\ndirection = 'higher'\n";

/// A place with a study of two panels and seven cells each.
fn place(extra: &str) -> Place {
    let place = Place::new();
    put(place.path(), "study.toml", format!("{FLAGS}{PANEL}{BLOCKS}{CLAIM}{extra}").as_bytes());
    place
}

fn spawn(folder: &Path, out: &str) -> std::process::Child {
    Process::new(env!("CARGO_BIN_EXE_fairprune"))
        .current_dir(folder)
        .args(["study", "study.toml", "--threads", "1", "--quiet", "--out", out])
        .env("CUDA_VISIBLE_DEVICES", "")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Everything that must not depend on how the work was done.
fn results(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let wanted = |p: &PathBuf| {
        let text = p.to_string_lossy();
        ["cells.csv", "classes.csv", "failures.csv"].contains(&text.as_ref())
            || text.contains("/cells/")
            || text.contains("/kept-")
    };
    let all = files(folder).into_iter().filter(wanted);
    all.map(|p| (p.clone(), fs::read(folder.join(&p)).unwrap())).collect()
}

#[test]
fn a_grid_with_everything_it_writes() {
    let place = place("");
    let plan = json(place.path(), "study study.toml --dry-run --threads 1");
    assert_eq!(plan["panels"].as_array().unwrap().len(), 2);
    // A short query run, a recorded one, 2 full, 8 random and metriq, 2 others.
    assert_eq!(plan["panels"][0]["runs"], 14);
    assert!(!place.path().join("fairprune-out").exists(), "a dry run writes nothing");

    let document = json(place.path(), "study study.toml --threads 1 --out out");
    let names: Vec<&str> = document["panels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["data-resnet8", "data-resnet14"]);
    // Two panels at two densities.
    assert_eq!(document["claims"].as_array().unwrap().len(), 4);
    let out = place.path().join("out");
    let cells = fs::read_to_string(out.join("cells.csv")).unwrap();
    assert_eq!(cells.lines().count(), 1 + 2 * (2 + 8 + 2), "{cells}");
    let header = cells.lines().next().unwrap();
    assert!(header.starts_with("panel,data,fingerprint,arch,width,split,budget,strategy"));
    let columns = header.split(',').count();
    assert!(cells.lines().all(|l| l.split(',').count() == columns), "{cells}");
    let classes = fs::read_to_string(out.join("classes.csv")).unwrap();
    assert_eq!(classes.lines().count(), 1 + 3 * 2 * 12);
    let failures = fs::read_to_string(out.join("failures.csv")).unwrap();
    assert_eq!(failures, "panel,task,error\n");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    for text in [
        "Quotas help",
        "data-resnet14",
        "undecided",
        "study.toml",
        "Accuracy against total time",
        "Kept and dropped",
        "<img ",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let cell = out.join("panels/data-resnet8/cells/metriq-d0.8-s1.json");
    let cell: Value = serde_json::from_slice(&fs::read(cell).unwrap()).unwrap();
    assert_eq!(cell["settings"]["recipe"]["schedule"], "cosine");
    assert_eq!(cell["settings"]["data"]["fingerprint"].as_str().unwrap().len(), 32);

    // Once more: nothing is trained again, nothing changes.
    let before = results(&out);
    good(place.path(), "study study.toml --threads 1 --out out");
    assert!(results(&out) == before);
    // The study grows: what is there stays.
    let more = format!("{FLAGS}{PANEL}{BLOCKS}{CLAIM}").replace("seeds = 1", "seeds = 2");
    put(place.path(), "study.toml", more.as_bytes());
    let cells_before = cells;
    good(place.path(), "study study.toml --threads 1 --out out");
    let cells = fs::read_to_string(out.join("cells.csv")).unwrap();
    assert!(cells_before.lines().all(|l| cells.contains(l)), "{cells}");
    assert_eq!(cells.lines().count(), 1 + 2 * (2 + 8 + 4));
}

#[test]
fn killed_and_shared_studies_end_with_the_same_bytes() {
    let place = place("");
    good(place.path(), "study study.toml --threads 1 --out whole");
    let whole = results(&place.path().join("whole"));
    assert!(whole.len() > 30);

    let mut wait = 40;
    for _ in 0..60 {
        let mut child = spawn(place.path(), "killed");
        sleep(Duration::from_millis(wait));
        wait = (wait * 7) % 211 + 20;
        let over = child.try_wait().unwrap().is_some();
        let _ = child.kill();
        child.wait().unwrap();
        if over {
            break;
        }
    }
    good(place.path(), "study study.toml --threads 1 --out killed");
    assert!(results(&place.path().join("killed")) == whole, "killed");

    // Two processes at the same time share the panels.
    let mut both = [spawn(place.path(), "shared"), spawn(place.path(), "shared")];
    for child in &mut both {
        assert!(child.wait().unwrap().success());
    }
    assert!(results(&place.path().join("shared")) == whole, "shared");
}

#[test]
fn a_cell_that_fails_does_not_stop_the_others() {
    // A learning rate that blows up, in one of two panels.
    let bad = "[[panel]]\nname = 'wild'\ndata = 'data'\nlr = 1e30\n\
               [[panel.block]]\nstrategies = ['random']\ndensity = [0.5]\nseeds = 2\n\
               [[panel]]\ndata = 'nowhere'\n\
               [[panel.block]]\nstrategies = ['random']\ndensity = [0.5]\nseeds = 2\n";
    let place = place(bad);
    let outcome = run(place.path(), "study study.toml --threads 1 --out out");
    assert_eq!(outcome.code, 1, "{}", outcome.err);
    let failures = fs::read_to_string(place.path().join("out/failures.csv")).unwrap();
    assert_eq!(failures.lines().count(), 4, "{failures}");
    assert!(failures.contains("wild,\"Random at density 0.5, seed 1\""), "{failures}");
    assert!(failures.contains("diverged"), "{failures}");
    assert!(failures.contains("nowhere-resnet8,the panel,"), "{failures}");
    let cells = fs::read_to_string(place.path().join("out/cells.csv")).unwrap();
    assert_eq!(cells.lines().count(), 1 + 2 * (2 + 8 + 2), "{cells}");
    let page = fs::read_to_string(place.path().join("out/report.html")).unwrap();
    assert!(page.contains("Failed runs"));
}

#[test]
fn unusable_studies() {
    let place = Place::new();
    let folder = place.path();
    let refuse = |text: &str, words: &[&str]| {
        put(folder, "study.toml", text.as_bytes());
        refused(folder, "study study.toml --threads 1 --out out", words);
        assert!(!folder.join("out").exists(), "{text}");
    };
    let block = "[[panel.block]]\nstrategies = ['random']\ndensity = [0.5]\nseeds = 1\n";
    refuse("", &["study study.toml", "panel"]);
    refuse("panel = []", &["no panel"]);
    refuse("[[panel]\n", &["study.toml", "line 1"]);
    refuse(&format!("[[panel]]\nepoch = 3\n{block}"), &["the flag epoch"]);
    refuse(&format!("[[panel]]\nwidth = 'x'\n{block}"), &["--width", "x"]);
    refuse(&format!("[[panel]]\nout = 'x'\n{block}"), &["the flag out"]);
    refuse(&format!("[[panel]]\nseeds = 2\n{block}"), &["the flag seeds", "[[panel.block]]"]);
    refuse(&format!("[[panel]]\n{}", block.replace("0.5", "1.5")), &["density", "1.5"]);
    refuse(&format!("[[panel]]\n{}", block.replace("random", "randon")), &["randon", "el2n"]);
    refuse(&format!("[[panel]]\n{}", block.replace("= 1", "= 0")), &["0 seeds"]);
    refuse(&format!("[[panel]]\n{block}more = 1\n"), &["more"]);
    refuse(&format!("[[panel]]\ndata = 'data'\n{block}{CLAIM}"), &["Quotas help", "metriq"]);
    let elsewhere = format!("[[panel]]\ndata = 'data'\n{block}{CLAIM}panels = ['x']\n");
    refuse(&elsewhere.replace("metriq", "random"), &["a panel: data-resnet8"]);
    refuse(&format!("[[panel]]\ndata = 'nowhere'\n{block}"), &["nowhere"]);
    refused(folder, "study nothing.toml", &["nothing.toml"]);
    // What the file states is not taken from the command line, and not ignored there.
    put(folder, "study.toml", format!("[[panel]]\n{block}").as_bytes());
    for (flag, value) in [("--seed", "3"), ("--seed", "0"), ("--precision", "bf16")] {
        let study = format!("study study.toml --dry-run {flag} {value}");
        refused(folder, &study, &[flag, "cannot be used with", "FILE.toml"]);
    }
    // A folder with somebody's files.
    put(folder, "mine/letter.txt", b"dear");
    put(folder, "study.toml", format!("[[panel]]\ndata = 'data'\n{block}").as_bytes());
    refused(folder, "study study.toml --out mine", &["no study.json"]);
    assert_eq!(names(&folder.join("mine")), ["letter.txt"]);
}

#[test]
fn the_studies_that_come_with_the_program_can_be_planned() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let plan = json(folder, "study studies/shapes.toml --dry-run");
    let panels = plan["panels"].as_array().unwrap();
    assert_eq!(panels.len(), 2);
    // 3 short query runs and a recorded one, 4 full, 24 of random and metriq, 30 others.
    assert!(panels.iter().all(|p| p["runs"] == 62), "{plan}");
    assert!(plan["seconds"].as_f64().unwrap() > 1.0, "{plan}");
    let text = fs::read_to_string(folder.join("studies/cifar10.toml")).unwrap();
    let place = Place::new();
    put(place.path(), "cifar10.toml", text.replace("data/cifar10-10000", "data").as_bytes());
    let plan = json(place.path(), "study cifar10.toml --dry-run");
    // 8 short query runs and 3 recorded ones, 8 full, 48, 27, 72, 16 and 9 of a tenth, 3 of CDB-W.
    assert_eq!(plan["panels"][0]["runs"], 194, "{plan}");
    // 3 short query runs, 3 full, 18 others.
    assert_eq!(plan["panels"][1]["runs"], 24, "{plan}");
}

/// What a block could name decides a panel, the weights of picks included, in words of its own.
#[test]
fn another_options_in_the_same_folder_are_refused() {
    let place = Place::new();
    let study = |flags: &str| {
        let block = "[[panel.block]]\nstrategies = ['craig']\ndensity = [0.5]\nseeds = 1\n";
        let text = format!("{FLAGS}{flags}[[panel]]\ndata = 'data'\n{block}");
        put(place.path(), "study.toml", text.as_bytes());
    };
    study("pick-weights = 'none'\nlambda = 0.7\n");
    good(place.path(), "study study.toml --threads 1 --out out");
    let job = fs::read_to_string(place.path().join("out/panels/data-resnet8/job.json")).unwrap();
    let job: Value = serde_json::from_str(&job).unwrap();
    assert_eq!(job["job"]["pickers"]["lambda"], 0.7, "{job}");
    assert_eq!(job["job"]["pick_weights"], "none");
    assert!(!job.to_string().contains("Some("), "Rust's debugging text decides nothing: {job}");
    let failures = |flags: &str| {
        study(flags);
        let outcome = run(place.path(), "study study.toml --threads 1 --out out");
        assert_eq!(outcome.code, 1, "{}", outcome.err);
        fs::read_to_string(place.path().join("out/failures.csv")).unwrap()
    };
    let text = failures("pick-weights = 'method'\nlambda = 0.7\n");
    assert!(text.contains("holds another job, pick_weights"), "{text}");
    let text = failures("pick-weights = 'none'\nlambda = 0.8\n");
    assert!(text.contains("holds another job, pickers"), "{text}");
}
