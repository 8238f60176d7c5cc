//! Weight files for `eval` and `score`: what fits is used, what does not is named.

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::*;

/// Tensors of a file: name to shape and bytes, as f32 and i64 they are stored in.
type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn tensors(place: &Place) -> Tensors {
    let bytes = fs::read(place.path().join("out/model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let owned = |v: TensorView| (v.dtype(), v.shape().to_vec(), v.data().to_vec());
    file.tensors().into_iter().map(|(name, view)| (name, owned(view))).collect()
}

/// Writes `bad.safetensors` without metadata.
fn store(place: &Place, tensors: &Tensors) {
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    put(place.path(), "bad.safetensors", &bytes);
}

#[test]
fn a_trained_network_evaluates_to_its_own_summary() {
    let place = Place::new();
    place.train();
    let line = "eval --data data --weights out/model.safetensors";
    let found = json(place.path(), line);
    let stored: Value = serde_json::from_str(&place.read("out/summary.json")).unwrap();
    for key in ["average_accuracy", "worst_class", "worst_recall", "gap", "std", "recalls"] {
        assert_eq!(found[key], stored[key], "{key}");
    }
    // What was taken for what: the diagonal is correct, and a row is all images of its class.
    good(place.path(), &format!("{line} --confusion c.csv"));
    let written = place.read("c.csv");
    let mut rows = written.lines().map(|row| row.split(',').collect::<Vec<_>>());
    assert_eq!(rows.next().unwrap()[..2], ["class", "name"]);
    let recalls = found["recalls"].as_array().unwrap();
    assert_eq!(rows.clone().count(), recalls.len());
    for ((k, row), recall) in rows.enumerate().zip(recalls) {
        let counts: Vec<u64> = row[2..].iter().map(|n| n.parse().unwrap()).collect();
        assert_eq!(row[..2], [&k.to_string(), recall["name"].as_str().unwrap()]);
        assert_eq!(counts[k], recall["correct"]);
        assert_eq!(counts.iter().sum::<u64>(), recall["total"]);
    }
    // Without metadata the flags say it all, and the counters of batches are not needed.
    let mut bare = tensors(&place);
    bare.retain(|name, _| !name.ends_with("num_batches_tracked"));
    store(&place, &bare);
    let line = "eval --data data --weights bad.safetensors --arch resnet8 --width 4";
    let train = json(place.path(), &format!("{line} --split train"));
    assert_eq!(train["recalls"][0]["total"], 14);
    // Without flags the tensors say what network they are of.
    let line = "eval --data data --weights bad.safetensors --split train";
    assert_eq!(json(place.path(), line)["loss"], train["loss"]);
    let outcome = good(place.path(), line);
    let says = "bad.safetensors states no network: its tensors are those of resnet8 (stem cifar, \
                width 4, 3 classes)";
    assert!(outcome.err.contains(says), "{}", outcome.err);
    place.tree("two", &[("train", [4, 4, 0]), ("test", [2, 2, 0])]);
    let line = "eval --data two --weights bad.safetensors";
    refused(place.path(), line, &["a network of 3 classes", "expected 2, as in the data set"]);
    put(place.path(), "w.pth", b"PK\x03\x04 weights");
    refused(place.path(), "eval --data data --weights w.pth", &["scripts/pth_to_safetensors.py"]);
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let place = Place::new();
    place.train();
    let whole = tensors(&place);
    let lines = |flags: &str| {
        let flags = format!("--data data --weights bad.safetensors --arch resnet8 {flags}");
        [format!("eval {flags}"), format!("score {flags} --out refused")]
    };
    let check = |tensors: &Tensors, flags: &str, words: &[&str]| {
        store(&place, tensors);
        for line in lines(flags) {
            refused(place.path(), &line, words);
            assert!(!place.path().join("refused").exists());
        }
    };
    let mut missing = whole.clone();
    missing.remove("layer1.0.conv1.weight").unwrap();
    check(&missing, "--width 4", &["layer1.0.conv1.weight", "none of that name"]);
    let mut shaped = whole.clone();
    let bytes = vec![0; 4 * 7];
    shaped.insert("fc.bias".to_owned(), (Dtype::F32, vec![7], bytes));
    check(&shaped, "--width 4", &["fc.bias", "[7]", "[3]"]);
    let mut extra = whole.clone();
    extra.insert("head.bias".to_owned(), (Dtype::F32, vec![1], vec![0; 4]));
    check(&extra, "--width 4", &["head.bias", "extra"]);
    let mut nan = whole.clone();
    nan.get_mut("fc.bias").unwrap().2[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    check(&nan, "--width 4", &["fc.bias", "NaN", "element 0"]);
    let mut integers = whole.clone();
    integers.insert("fc.bias".to_owned(), (Dtype::I32, vec![3], vec![0; 12]));
    check(&integers, "--width 4", &["fc.bias", "I32"]);
    check(&whole, "--width 8", &["shape [4]", "expected [8]"]);
    check(&Tensors::new(), "--width 4", &["none of that name among 0"]);
}

#[test]
fn files_that_are_no_weights() {
    let place = Place::new();
    place.train();
    let whole = fs::read(place.path().join("out/model.safetensors")).unwrap();
    let cases: [(&[u8], &str); 5] = [
        (b"", "safetensors"),
        (b"PK\x03\x04 a pickle in a zip", "safetensors"),
        (&[0xff; 64], "safetensors"),
        (&whole[..whole.len() - 1], "safetensors"),
        (&whole[..100], "safetensors"),
    ];
    for (bytes, word) in cases {
        put(place.path(), "bad.safetensors", bytes);
        let line = "eval --data data --weights bad.safetensors";
        refused(place.path(), line, &["bad.safetensors", word]);
        let line = "score --data data --weights bad.safetensors --out refused";
        refused(place.path(), line, &["bad.safetensors", word]);
    }
    let line = "eval --data data --weights nowhere.safetensors";
    refused(place.path(), line, &["nowhere.safetensors", "No such file"]);
    refused(place.path(), "eval --data data --weights data", &["data"]);
    refused(place.path(), "eval --data data", &["--weights", "required"]);
    let line = "eval --data data --weights out/model.safetensors --split all";
    refused(place.path(), line, &["--split", "all", "half-test"]);
    let line = "eval --data data --weights out/model.safetensors --split val";
    refused(place.path(), line, &["no val part"]);
}

#[test]
fn weights_of_other_classes_are_refused() {
    let place = Place::new();
    place.train();
    fs::rename(place.path().join("data/train/cat"), place.path().join("data/train/dog")).unwrap();
    fs::rename(place.path().join("data/test/cat"), place.path().join("data/test/dog")).unwrap();
    for line in [
        "eval --data data --weights out/model.safetensors",
        "score --data data --weights out/model.safetensors --out refused",
    ] {
        refused(place.path(), line, &["model.safetensors", "class 2 is cat", "dog"]);
    }
    let line = "eval --data shapes --weights out/model.safetensors";
    refused(place.path(), line, &["8", "32"]);
}

#[test]
fn weights_of_another_data_set_with_the_same_classes() {
    let place = Place::new();
    place.train();
    let weights = "--weights out/model.safetensors";
    let own = good(place.path(), &format!("eval --data data {weights}"));
    assert!(!own.err.contains("warning"), "{}", own.err);
    // The same classes, in brighter colours.
    for (part, count) in [("train", 9), ("test", 5)] {
        for (class, name) in ["ant", "bee", "cat"].iter().enumerate() {
            for i in 0..count {
                let file = format!("other/{part}/{name}/{i:02}.png");
                put(place.path(), &file, &png(class + 3, 40 + i));
            }
        }
    }
    let eval = |rest: &str| json(place.path(), &format!("eval --data other {rest}"));
    for line in
        [format!("eval --data other {weights}"), format!("score --data other {weights} --out s")]
    {
        let outcome = good(place.path(), &line);
        for word in ["warning: out/model.safetensors", "another data set", "fingerprint"] {
            assert!(outcome.err.contains(word), "{line}: {}", outcome.err);
        }
    }
    let found = eval(weights);
    assert_eq!(found["data_of_weights"], "other");
    let own: Value = json(place.path(), &format!("eval --data data {weights}"));
    assert_eq!(own["data_of_weights"], "same");
    // The normalisation is the file's, not that of the images at hand.
    let job: Value = serde_json::from_str(&place.read("out/job.json")).unwrap();
    let list = |key: &str| -> String {
        let values = job["job"][key].as_array().unwrap().iter().map(Value::to_string);
        values.collect::<Vec<_>>().join(",")
    };
    store(&place, &tensors(&place));
    let bare = "--weights bad.safetensors --arch resnet8 --width 4";
    let given = eval(&format!("{bare} --mean {} --std {}", list("mean"), list("std")));
    assert_eq!(given["loss"], found["loss"]);
    assert_eq!(given["data_of_weights"], "unknown");
    let outcome = good(place.path(), &format!("eval --data other {bare}"));
    let words = ["note: bad.safetensors states no normalisation", "--mean"];
    assert!(words.iter().all(|w| outcome.err.contains(w)), "{}", outcome.err);
    assert_ne!(eval(bare)["loss"], found["loss"]);
    let scores: Value = serde_json::from_str(&place.read("s/scores.json")).unwrap();
    let stated = &scores["methods"][0]["hyper_parameters"]["data_of_weights"];
    assert_eq!(*stated, job["job"]["data"]);
    assert_ne!(*stated, scores["data"]["fingerprint"]);
}

/// Both forms of a bottleneck have the same tensors: what the file says decides.
#[test]
fn the_two_forms_of_resnet50_are_not_taken_for_each_other() {
    let place = Place::new();
    let tiny = "--width 2 --stem cifar --epochs 1 --lr .001 --batch 16 --threads 1";
    let train = |rest: &str| good(place.path(), &format!("train --data data {tiny} {rest}"));
    train("--arch resnet50 --resnet-v1 --out v1");
    train("--arch resnet50 --out plain");
    let file = |out: &str| fs::read(place.path().join(out).join("model.safetensors")).unwrap();
    let stated = |out: &str| {
        let bytes = file(out);
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        header.metadata().as_ref().unwrap()["arch"].clone()
    };
    assert_eq!([stated("v1"), stated("plain")], ["resnet50-v1", "resnet50"]);
    train("--arch resnet50-v1 --out named");
    assert!(file("named") == file("v1"), "two ways to say it");
    let eval = |out: &str, rest: &str| {
        let line = format!("eval --data data --threads 1 --weights {out}/model.safetensors {rest}");
        json(place.path(), &line)["loss"].as_f64().unwrap()
    };
    // The file's own word is enough; the flags may repeat it.
    let own = eval("v1", "");
    assert_eq!(eval("v1", "--resnet-v1"), own);
    for (out, flags) in
        [("v1", "--arch resnet50"), ("plain", "--resnet-v1"), ("plain", "--arch resnet50-v1")]
    {
        for command in ["eval", "score --out no"] {
            let line = format!("{command} --data data --weights {out}/model.safetensors {flags}");
            refused(place.path(), &line, &["network of the weights", "resnet50-v1"]);
        }
    }
    // Without metadata the flags say it, and it makes a difference.
    fs::create_dir_all(place.path().join("out")).unwrap();
    fs::copy(place.path().join("v1/model.safetensors"), place.path().join("out/model.safetensors"))
        .unwrap();
    store(&place, &tensors(&place));
    let job: Value = serde_json::from_str(&place.read("v1/job.json")).unwrap();
    let list = |key: &str| -> String {
        let values = job["job"][key].as_array().unwrap().iter().map(Value::to_string);
        values.collect::<Vec<_>>().join(",")
    };
    let bare = format!(
        "--weights bad.safetensors --arch resnet50 --width 2 --stem cifar --mean {} --std {}",
        list("mean"),
        list("std")
    );
    let eval = |rest: &str| {
        json(place.path(), &format!("eval --data data --threads 1 {bare} {rest}"))["loss"].as_f64()
    };
    assert_eq!(eval("--resnet-v1"), Some(own));
    assert_ne!(eval(""), Some(own));
    let line = "train --data data --arch resnet18 --resnet-v1 --out no";
    refused(place.path(), line, &["--resnet-v1", "resnet18", "--arch resnet50"]);
    refused(place.path(), "bench --resnet-v1", &["--resnet-v1", "resnet20"]);
    refused(place.path(), "run --data data --resnet-v1 --out no", &["--resnet-v1", "resnet8"]);
}

#[test]
fn given_weights_score_every_training_image() {
    let place = Place::new();
    place.train();
    let line = "score --data data --weights out/model.safetensors --method loss,el2n --out s";
    let outcome = good(place.path(), line);
    assert!(outcome.err.contains("recalls.csv is left out"), "{}", outcome.err);
    assert!(!place.path().join("s/recalls.csv").exists());
    let csv = place.read("s/scores.csv");
    assert_eq!(csv.lines().next().unwrap(), "index,id,label,part,el2n,loss");
    assert_eq!(csv.lines().filter(|l| l.contains(",train,")).count(), 36);
    refused(
        place.path(),
        "prune --scores s --density .5 --out refused",
        &["no recalls.csv in s", "--recalls"],
    );
    good(place.path(), "prune --scores s --density .5 --quota none --strategy loss --out kept");
    let line = "score --data data --weights out/model.safetensors --split half-test --out h";
    good(place.path(), line);
    good(place.path(), "prune --scores h --density .5 --out kept-h");
    let line = "score --data data --weights out/model.safetensors --split holdout --out refused";
    refused(place.path(), line, &["--split", "holdout", "nothing is held out"]);
    let line = "score --data data --weights out/model.safetensors --val data/test --out v";
    good(place.path(), line);
    assert!(place.path().join("v/recalls.csv").is_file());
    let line =
        "score --data data --weights out/model.safetensors --val data/train/ant --out refused";
    refused(place.path(), line, &["data/train/ant"]);
    let line = "score --data data --method el2n,best --out refused";
    refused(place.path(), line, &["best", "el2n, grand"]);
}
