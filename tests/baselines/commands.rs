//! Baselines on the command line: `train --baseline`, `run --strategies`, study files.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

pub const TINY: &str = "--arch resnet8 --width 4 --epochs 2 --batch 8 --threads 1";

pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (part, count) in [("train", 24), ("test", 6)] {
        for class in 0..3u8 {
            let dir = folder
                .path()
                .join(format!("data/{part}/{}", ["ant", "bee", "cat"][class as usize]));
            fs::create_dir_all(&dir).unwrap();
            // Classes of 24, 16 and 8 images.
            for i in 0..count * (3 - u32::from(class)) / 3 {
                let image = crate::png_file::png(8, 8, |x, y| {
                    let noise = (x * 31 + y * 17 + i * 47 + part.len() as u32 * 13) % 97;
                    [noise as u8 + 30 * class, (x * 9) as u8, (noise * 2) as u8]
                });
                fs::write(dir.join(format!("{i:03}.png")), image).unwrap();
            }
        }
    }
    folder
}

pub fn program(folder: &Path, line: &str) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fairprune"))
        .current_dir(folder)
        .args(line.split_whitespace())
        .env("CUDA_VISIBLE_DEVICES", "")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

pub fn good(folder: &Path, line: &str) -> Value {
    let (code, out, err) = program(folder, &format!("{line} --json"));
    assert_eq!(code, 0, "{line}\n{err}");
    serde_json::from_str(&out).unwrap()
}

pub fn refused(folder: &Path, line: &str, words: &[&str]) {
    let (code, _, err) = program(folder, line);
    assert_eq!(code, 2, "{line}\n{err}");
    words
        .iter()
        .for_each(|w| assert!(err.contains(w), "{w} is not in the message of {line}: {err}"));
}

#[test]
fn train_takes_baselines_and_refuses_what_they_cannot_use() {
    let place = folder();
    let root = place.path();
    let line = format!("train --data data {TINY} --split holdout --baseline");
    let model = |out: &str| fs::read(root.join(out).join("model.safetensors")).unwrap();
    good(root, &format!("train --data data {TINY} --split holdout --out plain"));
    for (i, name) in ["cdb-w", "class-balanced:beta=.99"].into_iter().enumerate() {
        good(root, &format!("{line} {name} --out b{i}"));
        assert!(model(&format!("b{i}")) != model("plain"), "{name} changes nothing");
    }
    refused(root, &format!("{line} cdbw --out x"), &["cdb-w, class-balanced"]);
    refused(root, &format!("{line} cdb-w:tau=1 --out x"), &["dynamic"]);
    refused(root, &format!("{line} class-balanced:beta=1 --out x"), &["beta", "below 1"]);
    refused(root, &format!("{line} cdb-w --class-weights 1,2,3 --out x"), &["--class-weights"]);
    // The same folder with another baseline is another job.
    refused(root, &format!("{line} cdb-w:dynamic --out b0"), &["baseline"]);
    let crossfit = format!("train --data data {TINY} --split crossfit:2 --baseline cdb-w --out x");
    refused(root, &crossfit, &["no validation images under --split crossfit:2", "--split holdout"]);
    assert!(!root.join("x").exists(), "what is refused writes nothing");
}

#[test]
fn run_shows_baselines_beside_every_density() {
    let place = folder();
    let root = place.path();
    let line = format!(
        "run --data data {TINY} --split holdout --strategies full,random,cdb-w:dynamic --density .5,.8 --seeds 2 --out out"
    );
    let summary = good(root, &line);
    let strategies = summary["strategies"].as_array().unwrap();
    let of = |name: &str| {
        let find = strategies.iter().find(|s| s["name"] == name);
        find.unwrap_or_else(|| panic!("{name} is not in {strategies:?}"))
    };
    let cdb = of("cdb-w:dynamic");
    assert_eq!(cdb["label"], "CDB-W (dynamic)");
    assert_eq!(
        (&cdb["every_density"], &cdb["full_data"]),
        (&Value::Bool(true), &Value::Bool(false))
    );
    let points = cdb["points"].as_array().unwrap();
    assert_eq!((points.len(), points[0]["planned"].as_u64()), (1, Some(2)));
    assert_eq!(points[0]["runs"][0]["steps"], of("full")["points"][0]["runs"][0]["steps"]);
    // Compared with random at both densities, four metrics each.
    let verdicts = summary["verdicts"].as_array().unwrap();
    let own = verdicts.iter().filter(|v| v["strategy"] == "cdb-w:dynamic");
    assert_eq!(own.count(), 8);
    let (_, table, _) = program(root, &line);
    assert_eq!(table.matches("CDB-W (dynamic)").count(), 2, "{table}");
    assert!(root.join("out/kept-cdb-w-dynamic-0.npy").is_file());
    let page = fs::read_to_string(root.join("out/report.html")).unwrap();
    assert!(page.contains("CDB-W (dynamic)"));

    let crossfit = line.replace("holdout", "crossfit:2").replace("--out out", "--out x");
    refused(root, &crossfit, &["no validation images"]);
    assert!(!root.join("x/work").exists(), "refused before anything is trained");
    let unknown = line.replace("cdb-w:dynamic", "cdbw").replace("--out out", "--out x");
    refused(root, &unknown, &["cdbw", "el2n", "cdb-w"]);
}

#[test]
fn a_study_judges_claims_about_baselines() {
    let place = folder();
    let root = place.path();
    let study = "[flags]\nepochs = 2\nbatch = 8\nwidth = 4\nquery-runs = 1\nsplit = 'holdout'\n\
        [[panel]]\ndata = 'data'\narch = 'resnet8'\n\
        [[panel.block]]\nstrategies = ['full', 'random', 'cdb-w']\ndensity = [0.5, 0.8]\nseeds = 2\n\
        [[claim]]\ntext = 'A'\nmetric = 'worst_class'\nmethod = 'cdb-w'\ndirection = 'higher'\n\
        [[claim]]\ntext = 'B'\nmetric = 'gap'\nmethod = 'random'\nbaseline = 'cdb-w'\ndirection = 'lower'\n\
        [[claim]]\ntext = 'C'\nmetric = 'gap'\nmethod = 'cdb-w'\nbaseline = 'full'\ndirection = 'lower'\n";
    fs::write(root.join("study.toml"), study).unwrap();
    let document = good(root, "study study.toml --threads 1 --out out");
    let claims = document["claims"].as_array().unwrap();
    let of = |text: &str| claims.iter().filter(|c| c["claim"]["text"] == text).count();
    assert_eq!((of("A"), of("B"), of("C")), (2, 2, 1));
    assert!(root.join("out/panels/data-resnet8/cells/cdb-w-d1-s1.json").is_file());
    let cells = fs::read_to_string(root.join("out/cells.csv")).unwrap();
    assert_eq!(cells.lines().filter(|l| l.contains(",cdb-w,")).count(), 2);
}

/// Baselines as short as the data, in the order of their parameters' documentation.
const ALL: [&str; 7] = [
    "infobatch",
    "rho:candidates=12:keep=.25",
    "subg",
    "rwg",
    "jtt:lambda=5:epochs=1",
    "groupdro",
    "dfr:resamples=2",
];

#[test]
fn train_does_every_baseline_and_says_what_it_presented() {
    let place = folder();
    let root = place.path();
    let line = format!("train --data data {TINY} --split holdout --baseline");
    let mut models = Vec::new();
    for (i, name) in ALL.into_iter().enumerate() {
        let summary = good(root, &format!("{line} {name} --out b{i}"));
        let of = |key: &str| summary["presentations"][key].as_u64().unwrap();
        let (trained, plain) = (of("trained"), of("plain"));
        match name.split(':').next().unwrap() {
            "rho" => {
                assert!(of("selection") > 0 && of("before") > 0, "{summary}");
                assert!(trained * 3 < plain, "{summary}");
            }
            "jtt" => assert!(of("before") > 0 && trained == plain, "{summary}"),
            _ => assert!(trained <= plain && of("selection") == 0, "{summary}"),
        }
        models.push(fs::read(root.join(format!("b{i}/model.safetensors"))).unwrap());
        // Run again, it has nothing to do; without its model, it makes the same one.
        fs::remove_file(root.join(format!("b{i}/model.safetensors"))).unwrap();
        good(root, &format!("{line} {name} --out b{i}"));
        let again = fs::read(root.join(format!("b{i}/model.safetensors"))).unwrap();
        assert!(again == models[i], "{name}: another model");
        assert!(!root.join(format!("b{i}/work/train/first-stage.safetensors")).exists());
    }
    // Two epochs of InfoBatch drop nothing in the first; all others differ from each other.
    for (i, model) in models.iter().enumerate() {
        assert!(!models[..i].contains(model), "{} is another baseline", ALL[i]);
    }
    for (name, words) in [
        ("rwg --dynamics", &["--dynamics", "more than once"][..]),
        ("groupdro --dynamics", &["--dynamics=plain"]),
        ("rho:keep=.0063", &["enough for one step"]),
        ("full-short", &["infobatch"]),
    ] {
        refused(root, &format!("{line} {name} --out x"), words);
    }
    good(root, &format!("{line} groupdro --dynamics=plain --out d"));
    good(root, &format!("{line} rho:candidates=12:keep=.25 --dynamics --out r"));
    for name in ["rho:candidates=12:keep=.25", "dfr"] {
        let crossfit =
            format!("train --data data {TINY} --split crossfit:2 --baseline {name} --out x");
        refused(root, &crossfit, &["no validation images"]);
    }
}

#[test]
fn run_gives_subg_its_density_and_full_short_the_steps_of_a_pruned_run() {
    let place = folder();
    let root = place.path();
    let line = format!(
        "run --data data {TINY} --split holdout --strategies random,full-short,subg,infobatch,rho:candidates=12:keep=.25 \
         --density .5,.8 --seeds 2 --out out"
    );
    let summary = good(root, &line);
    let strategies = summary["strategies"].as_array().unwrap();
    let of = |name: &str| {
        let find = strategies.iter().find(|s| s["name"] == name);
        find.unwrap_or_else(|| panic!("{name} is not in {strategies:?}"))
    };
    let run = |name: &str, point: usize| of(name)["points"][point]["runs"][0].clone();
    for point in 0..2 {
        assert_eq!(run("full-short", point)["steps"], run("random", point)["steps"]);
        assert_ne!(run("full-short", point)["kept"], run("random", point)["kept"]);
        assert_eq!(
            of("full-short")["points"][point]["density"],
            of("random")["points"][point]["density"]
        );
    }
    // Groups are classes here: as many of each as the smallest has.
    let counts: Vec<u64> = run("subg", 0)["class_counts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_u64().unwrap())
        .collect();
    assert!(counts[0] > 0 && counts.iter().all(|&n| n == counts[0]), "{counts:?}");
    let sizes: Vec<u64> = summary["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["train_size"].as_u64().unwrap())
        .collect();
    assert_eq!(counts[0], *sizes.iter().min().unwrap());
    let density = of("subg")["points"][0]["density"].as_f64().unwrap();
    let exact = counts.iter().sum::<u64>() as f64 / sizes.iter().sum::<u64>() as f64;
    assert!((density - exact).abs() < 1e-12, "{density}");
    assert_eq!(of("subg")["every_density"], true);
    assert!(
        run("rho:candidates=12:keep=0.25", 0)["presentations"]["selection"].as_u64().unwrap() > 0
    );
    let (_, table, _) = program(root, &line);
    assert_eq!(table.matches("\nSUBG").count(), 2, "{table}");
    assert_eq!(table.matches("\nFull data, fewer").count(), 2, "{table}");
    assert!(table.contains("RHO-loss (candidates 12, keep 0.25): trained with"), "{table}");
    assert!(root.join("out/kept-rho-candidates-12-keep-0.25-0.npy").is_file());
}

/// A set with an attribute: groups are class x attribute.
#[test]
fn groups_are_class_and_attribute_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut list = String::from("img_filename,y,split,place\n");
    // Sizes of the four groups in training; four of each in test, ten in validation.
    for (group, size) in [20u32, 6, 3, 11].into_iter().enumerate() {
        for (part, count) in [(0, size), (1, 10), (2, 4)] {
            for i in 0..count {
                let (y, place) = (group / 2, group % 2);
                let name = format!("g{group}-{part}-{i}.png");
                let image = crate::png_file::png(8, 8, |x, py| {
                    let noise = (x * 31 + py * 17 + i * 47 + part * 13) % 97;
                    [noise as u8 + 60 * y as u8, 80 * place as u8, (noise * 2) as u8]
                });
                fs::write(root.join(&name), image).unwrap();
                list += &format!("{name},{y},{part},{place}\n");
            }
        }
    }
    fs::write(root.join("metadata.csv"), list).unwrap();
    let line = format!(
        "run --data . --image-size 8 {TINY} --strategies random,subg,rwg,groupdro:balanced,dfr --density .5 --seeds 1 --out ../{}-out",
        root.file_name().unwrap().to_string_lossy()
    );
    let summary = good(root, &line);
    let subg =
        summary["strategies"].as_array().unwrap().iter().find(|s| s["name"] == "subg").unwrap();
    let kept = &subg["points"][0]["runs"][0];
    assert_eq!(
        (kept["kept"].as_u64(), &kept["class_counts"]),
        (Some(12), &serde_json::json!([6, 6]))
    );
    fs::remove_dir_all(format!("{}-out", root.display())).unwrap();
}
