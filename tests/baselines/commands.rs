//! Baselines on the command line: `train --baseline`, `run --strategies`, study files.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

const TINY: &str = "--arch resnet8 --width 4 --epochs 2 --batch 8 --threads 1";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (part, count) in [("train", 24), ("test", 6)] {
        for class in 0..3u8 {
            let dir = folder
                .path()
                .join(format!("data/{part}/{}", ["ant", "bee", "cat"][class as usize]));
            fs::create_dir_all(&dir).unwrap();
            // Classes of 24, 16 and 8 images.
            for i in 0..count * (3 - u32::from(class)) / 3 {
                let image = image::RgbImage::from_fn(8, 8, |x, y| {
                    let noise = (x * 31 + y * 17 + i * 47 + part.len() as u32 * 13) % 97;
                    image::Rgb([noise as u8 + 30 * class, (x * 9) as u8, (noise * 2) as u8])
                });
                image.save(dir.join(format!("{i:03}.png"))).unwrap();
            }
        }
    }
    folder
}

fn program(folder: &Path, line: &str) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fairprune"))
        .current_dir(folder)
        .args(line.split_whitespace())
        .env("CUDA_VISIBLE_DEVICES", "")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn good(folder: &Path, line: &str) -> Value {
    let (code, out, err) = program(folder, &format!("{line} --json"));
    assert_eq!(code, 0, "{line}\n{err}");
    serde_json::from_str(&out).unwrap()
}

fn refused(folder: &Path, line: &str, words: &[&str]) {
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
    let of = |name: &str| strategies.iter().find(|s| s["name"] == name).unwrap();
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
