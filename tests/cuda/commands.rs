//! Every command that computes, on the card: it works, repeats bit for bit, and fails cleanly.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::program::{Outcome, on_software_device, run};

/// The smallest network on a batch that leaves a rest.
pub const TINY: &str = "--arch resnet8 --width 4 --epochs 2 --batch 8 --device cuda --threads 1";

/// `data/train` and `data/test`: three classes of 8 x 8 images, 36 and 12.
pub fn data(root: &Path) {
    for (part, images) in [("train", 12u32), ("test", 4)] {
        for class in 0..3u32 {
            let folder = root.join(format!("data/{part}/{class}"));
            fs::create_dir_all(&folder).unwrap();
            for i in 0..images {
                let image = crate::png_file::png(8, 8, |x, y| {
                    let noise = ((x * 31 + y * 17 + i * 47 + class * 5) % 64) as u8;
                    let mut pixel = [noise; 3];
                    pixel[class as usize] += 80;
                    pixel
                });
                fs::write(folder.join(format!("{i}.png")), image).unwrap();
            }
        }
    }
}

/// The program in `folder` on the software device, with settings of it.
fn program(folder: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = on_software_device();
    command.current_dir(folder);
    for (name, value) in settings {
        command.env(format!("FAIRPRUNE_EMULATOR_{name}"), value);
    }
    command
}

fn good(folder: &Path, line: &str) -> Outcome {
    let outcome = run(&mut program(folder, &[]), line);
    assert_eq!(outcome.code, 0, "{line}\n{}{}", outcome.out, outcome.err);
    outcome
}

fn json(folder: &Path, line: &str) -> Value {
    serde_json::from_str(&good(folder, &format!("{line} --json")).out).unwrap()
}

#[test]
fn training_repeats_bit_for_bit_and_goes_on_after_a_fault() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    data(root);
    let train = |out: &str| {
        format!("train --data data {TINY} --split holdout --checkpoint-every 0 --out {out}")
    };
    let model = |out: &str| fs::read(root.join(out).join("model.safetensors")).unwrap();
    let first = good(root, &train("a"));
    assert!(first.err.contains("on cuda/"), "{}", first.err);
    good(root, &train("b"));
    assert!(model("a") == model("b"), "two runs differ");

    // Late in the run, of a kernel like any other.
    let failed = run(&mut program(root, &[("FAIL_LAUNCH", "500")]), &train("c"));
    assert_eq!(failed.code, 1, "{}{}", failed.out, failed.err);
    assert!(failed.err.contains("device cuda:0: "), "{}", failed.err);
    assert!(failed.err.contains("kernel launched last is "), "{}", failed.err);
    good(root, &format!("{} --resume", train("c")));
    assert!(model("a") == model("c"), "the resumed run differs");

    let line =
        format!("score --data data --weights a/model.safetensors --method el2n,grand,ssp {TINY}");
    good(root, &format!("{line} --out scores"));
    let scores = fs::read_to_string(root.join("scores/scores.csv")).unwrap();
    assert_eq!(scores.lines().count(), 37);
    assert!(!scores.contains("NaN"), "{scores}");
    let line = format!(
        "score --data data --method forgetting,aum,tdds,least-confidence,grand --grand-layers last \
         --runs 1 --window 3 --trajectory 3 {} --save-features --out dynamics",
        TINY.replace("--epochs 2", "--epochs 3 --query-epochs 1")
    );
    good(root, &line);
    let scores = fs::read_to_string(root.join("dynamics/scores.csv")).unwrap();
    let header = "index,id,label,part,grand,least-confidence,forgetting,aum,tdds";
    assert_eq!(scores.lines().next().unwrap(), header);
    good(root, "score --dynamics dynamics/dynamics --method aum --out again");
    let [aum, again] =
        ["dynamics", "again"].map(|f| fs::read(root.join(f).join("aum.npy")).unwrap());
    assert!(aum == again, "the recorded run gives other scores");
    let recalls = json(root, "eval --data data --weights a/model.safetensors --device cuda");
    assert_eq!(recalls["images"], 12);
}

#[test]
fn the_whole_comparison_runs_on_the_card() {
    let root = tempfile::tempdir().unwrap();
    data(root.path());
    let line = format!("run --data data {TINY} --strategies full,random --seeds 1 --out out");
    let summary = json(root.path(), &line);
    assert!(summary.to_string().contains("cuda/"), "{summary}");
}

#[test]
fn the_benchmark_verifies_on_the_card() {
    let root = tempfile::tempdir().unwrap();
    let line = "bench --arch resnet8 --width 4 --image-size 8 --batch 8 --samples 17 --seconds 0 \
                --threads 1 --device cuda";
    let document = json(root.path(), line);
    assert_eq!(document["rows"].as_array().unwrap().len(), 3);
    let device = document["machine"]["device"].as_str().unwrap();
    assert_eq!(device, "fairprune software device (cuda/sm_90a)");
}

/// Images on the host: the same rows under names of their own, with what the host pins.
#[test]
fn the_benchmark_streams() {
    let root = tempfile::tempdir().unwrap();
    let line = "bench --arch resnet8 --width 4 --image-size 8 --batch 8 --samples 17 --seconds 0 \
                --threads 1 --device cuda";
    let document = json(root.path(), &format!("{line} --images stream"));
    let rows = document["rows"].as_array().unwrap();
    // Twice the numbers, rounded up to 256 bytes, and eight images.
    let pinned = 2 * (256 + 8 * 3 * 8 * 8);
    for row in rows {
        assert_eq!((&row["images"], &row["pinned_bytes"]), (&"stream".into(), &pinned.into()));
        assert!(row["images_per_second"]["median"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(rows.len(), 3);
    // With no room for the images beside the plan they are left on the host, unless that is forbidden.
    let many = line.replace("17", "9000");
    let memory = [("MEMORY", "2000000")];
    let roomy = run(&mut program(root.path(), &memory), &format!("{many} --suite train --json"));
    assert_eq!(roomy.code, 0, "{}", roomy.err);
    let document: serde_json::Value = serde_json::from_str(&roomy.out).unwrap();
    assert_eq!(document["rows"][0]["images"], "stream");
    let refused =
        run(&mut program(root.path(), &memory), &format!("{many} --suite train --images device"));
    assert!(refused.code == 2 && refused.err.contains("out of memory"), "{}", refused.err);
    let number = run(&mut program(root.path(), &[]), "bench --images 500");
    assert!(number.code == 2 && number.err.contains("--samples 500"), "{}", number.err);
}

#[test]
fn too_little_memory_is_refused_before_the_first_step() {
    let root = tempfile::tempdir().unwrap();
    data(root.path());
    let line = format!(
        "train --data data {} --split holdout --out out",
        TINY.replace("width 4", "width 32")
    );
    // Quietly: else the time is guessed first, and a guess may fail.
    let line = format!("{line} --quiet");
    let refused = run(&mut program(root.path(), &[("MEMORY", "1048576")]), &line);
    assert_eq!(refused.code, 2, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("out of memory: ") && refused.err.contains(" bytes free"));
    assert!(!root.path().join("out").exists());
    // The planner was wrong: an allocation fails all the same.
    let failed = run(&mut program(root.path(), &[("FAIL_ALLOCATION", "5")]), &line);
    assert_eq!(failed.code, 2, "{}{}", failed.out, failed.err);
    assert!(failed.err.contains("out of memory: "), "{}", failed.err);
}
