//! Every reader against the ecosystem's own: the sets of `tests/golden/formats`, read by torchvision,
//! `webdataset` and `datasets`.

use std::path::{Path, PathBuf};

use fairprune::data::{self, DataSet, Format, LoadOptions, Part, image_folder};
use md5::{Digest, Md5};
use serde_json::Value;

use super::{load, png, put, quiet, with_threads};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/formats")
}

fn expected(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    assert!(all[name].is_object(), "{name}");
    all[name].clone()
}

fn same_part(what: &str, set: &DataSet, part: Option<&Part>, expected: &Value) {
    let Some(part) = part else { panic!("{what}: the part is missing") };
    let labels: Vec<u64> = part.labels.iter().map(|&l| u64::from(l)).collect();
    assert_eq!(serde_json::json!(labels), expected["labels"], "{what}");
    let shape = serde_json::json!([part.len(), set.height, set.width, 3]);
    assert_eq!(shape, expected["shape"], "{what}");
    let digest: String = Md5::digest(&part.images).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(expected["md5"], digest, "{what}");
    if let Some(keys) = expected.get("keys") {
        assert_eq!(serde_json::json!(part.ids), *keys, "{what}");
    }
}

/// Loads the set and holds classes, order, labels and pixels against what the other reader has.
fn same(name: &str, format: Format) -> DataSet {
    let golden = expected(name);
    let set = load(&folder().join(name), None).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(set.format, format, "{name}");
    // A class that no sample has is not known to readers of numbers.
    let classes = golden["classes"].as_array().unwrap();
    assert_eq!(serde_json::json!(set.classes), golden["classes"], "{name}: {}", classes.len());
    same_part(name, &set, Some(&set.train), &golden["train"]);
    match golden.get("test") {
        Some(test) => same_part(name, &set, set.test.as_ref(), test),
        None => assert!(set.test.is_none()),
    }
    assert!(set.val.is_none() && set.attributes.is_none());
    let again = with_threads(|| load(&folder().join(name), None).unwrap().fingerprint);
    assert_eq!(again, [(); 3].map(|()| set.fingerprint.clone()));
    set
}

#[test]
fn cifar_pickles_as_torchvision() {
    let set = same("cifar-python/cifar-10-batches-py", Format::CifarPython);
    let ids = ["data_batch_1:0", "data_batch_1:1", "data_batch_2:0", "data_batch_2:1"];
    assert_eq!(set.train.ids, ids);
    same("cifar-python/cifar-100-python", Format::CifarPython);
    for protocol in 2..=5 {
        same(&format!("cifar-protocol-{protocol}"), Format::CifarPython);
    }
}

#[test]
fn idx_files_as_torchvision_raw_and_gzipped() {
    let raw = same("idx", Format::Idx);
    assert_eq!(raw.train.ids[3], "train-images-idx3-ubyte:3");
    assert_eq!(same("idx-gz", Format::Idx).fingerprint, raw.fingerprint);
    let small = load(&folder().join("idx"), Some(14)).unwrap();
    assert_eq!((small.height, small.width, small.train.len()), (14, 14, 4));
}

#[test]
fn tar_shards_as_webdataset() {
    let set = same("webdataset", Format::Webdataset);
    assert_eq!(set.train.ids[3], "train-000001.tar:000003");
    for odd in ["webdataset-gnu", "webdataset-pax"] {
        let set = same(odd, Format::Webdataset);
        let file = folder().join(odd).join("only.tar");
        // The archive itself is the same set as the folder that holds nothing else.
        assert_eq!(load(&file, None).unwrap().fingerprint, set.fingerprint);
    }
}

#[test]
fn parquet_as_datasets() {
    let set = same("parquet", Format::Parquet);
    assert_eq!(set.train.ids[6], "data/train-00001-of-00002.parquet:1");
    assert_eq!(set.notes.len(), 1);
    assert!(set.notes[0].contains("2 test images have no labels"), "{}", set.notes[0]);
    let converted = same("parquet-converted", Format::Parquet);
    let inside = load(&folder().join("parquet-converted/plain_text"), None).unwrap();
    assert_eq!(inside.train.images, converted.train.images);
    same("parquet-plain", Format::Parquet);
    let small = load(&folder().join("parquet-plain"), Some(3)).unwrap();
    assert_eq!((small.height, small.train.len()), (3, 7));
}

#[test]
fn tiny_imagenet_trains_in_the_order_of_image_folder() {
    let golden = expected("tiny-imagenet");
    let dir = tempfile::tempdir().unwrap();
    for (i, name) in golden["files"].as_array().unwrap().iter().enumerate() {
        let name = name.as_str().unwrap();
        put(dir.path(), &format!("train/{name}"), &png(2, 2, [i as u8; 3]));
    }
    put(dir.path(), "val/images/val_0.JPEG", &png(2, 2, [7; 3]));
    put(dir.path(), "val/images/val_1.JPEG", &png(2, 2, [8; 3]));
    let annotations = b"val_1.JPEG\tn02124075\t0\t32\t44\t62\nval_0.JPEG\tn01443537\t0\t1\t2\t3\n";
    put(dir.path(), "val/val_annotations.txt", annotations);
    put(dir.path(), "test/images/test_0.JPEG", &png(2, 2, [9; 3]));
    put(dir.path(), "wnids.txt", b"n02124075\nn01443537\nn01629819\n");
    put(
        dir.path(),
        "words.txt",
        b"n01443537\tgoldfish, Carassius auratus\nn02124075\tEgyptian cat\n",
    );
    let set = load(dir.path(), None).unwrap();
    assert_eq!(set.format, Format::TinyImagenet);
    let samples: Vec<(String, u32)> =
        set.train.ids.iter().cloned().zip(set.train.labels.clone()).collect();
    let samples: Vec<Value> = samples
        .iter()
        .map(|(id, l)| serde_json::json!([id.strip_prefix("train/").unwrap(), l]))
        .collect();
    assert_eq!(Value::Array(samples), golden["samples"]);
    assert_eq!(set.classes, ["goldfish", "n01629819", "Egyptian cat"]);
    let test = set.test.as_ref().unwrap();
    assert_eq!(test.ids, ["val/images/val_1.JPEG", "val/images/val_0.JPEG"]);
    assert_eq!((&test.labels[..], test.image(0)[0]), (&[2, 0][..], 8));
    assert!(set.notes.iter().any(|n| n.contains("1 images without labels")), "{:?}", set.notes);
    // The same training images as a folder of folders.
    let tree = image_folder::list(dir.path());
    assert!(tree.unwrap_err().to_string().contains("val"));
    let options = LoadOptions { format: Some(Format::TinyImagenet), ..Default::default() };
    let forced = data::load(dir.path().to_str().unwrap(), &options, &quiet).unwrap();
    assert_eq!(forced.fingerprint, set.fingerprint);
}
