//! ImageNet with flat validation images, and what is said where their classes are not.

use std::fs;
use std::path::Path;

use fairprune::data::Format;

use super::{assert_has, load, png, put, refusal};

const WNIDS: [&str; 3] = ["n01440764", "n01443537", "n02012849"];

/// Three classes of two images, and four validation images in one folder.
fn make(base: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (k, wnid) in WNIDS.iter().enumerate() {
        for i in 0..2 {
            let name = format!("{base}train/{wnid}/{wnid}_{i}.JPEG");
            put(dir.path(), &name, &png(2, 2, [k as u8, i, 9]));
        }
    }
    for i in 1..=4u8 {
        put(dir.path(), &val(base, i), &png(2, 2, [100 + i, 0, 0]));
    }
    dir
}

fn val(base: &str, i: u8) -> String {
    format!("{base}val/ILSVRC2012_val_0000000{i}.JPEG")
}

fn labels(root: &Path) -> Vec<u32> {
    let set = load(root, None).unwrap();
    assert_eq!(set.format, Format::Imagenet);
    assert_eq!(set.train.labels, [0, 0, 1, 1, 2, 2]);
    assert!(set.val.is_none());
    set.test.unwrap().labels
}

#[test]
fn every_form_of_the_map_says_the_same() {
    let dir = make("");
    let root = dir.path();
    let expected = [2, 0, 0, 1];
    let forms: [(&str, &str); 6] = [
        (
            "imagenet_2012_validation_synset_labels.txt",
            "n02012849\nn01440764\nn01440764\nn01443537\n",
        ),
        (
            "LOC_val_solution.csv",
            "ImageId,PredictionString\nILSVRC2012_val_00000004,n01443537 1 2 3 4 \n\
          ILSVRC2012_val_00000001,n02012849 1 2 3 4 n02012849 5 6 7 8 \nILSVRC2012_val_00000002,n01440764 1 1 1 1\n\
          ILSVRC2012_val_00000003,n01440764 1 2 3 4\n",
        ),
        (
            "val.txt",
            "ILSVRC2012_val_00000001.JPEG 2\nILSVRC2012_val_00000003.JPEG 0\nILSVRC2012_val_00000002.JPEG 0\n\
          ILSVRC2012_val_00000004.JPEG 1\n",
        ),
        (
            "val.txt",
            "val/ILSVRC2012_val_00000001.JPEG n02012849\nval/ILSVRC2012_val_00000003.JPEG n01440764\n\
          val/ILSVRC2012_val_00000002.JPEG n01440764\nval/ILSVRC2012_val_00000004.JPEG n01443537\n",
        ),
        ("val/synset_labels.txt", "n02012849\nn01440764\nn01440764\nn01443537"),
        ("devkit/data/ILSVRC2012_validation_ground_truth.txt", "7\n490\n490\n3\n"),
    ];
    put(
        root,
        "devkit/data/map_clsloc.txt",
        b"n02012849 7 crane\nn01440764 490 tench\nn01443537 3 goldfish\n",
    );
    for (name, text) in forms {
        put(root, name, text.as_bytes());
        assert_eq!(labels(root), expected, "{name}");
        fs::remove_file(root.join(name)).unwrap();
    }
}

#[test]
fn names_and_kaggles_layout() {
    let dir = make("ILSVRC/Data/CLS-LOC/");
    let root = dir.path();
    put(root, "LOC_val_solution.csv", b"ImageId,PredictionString\nILSVRC2012_val_00000001,n01440764 1\n\
        ILSVRC2012_val_00000002,n01440764 1\nILSVRC2012_val_00000003,n01440764 1\nILSVRC2012_val_00000004,n01440764 1\n");
    put(
        root,
        "LOC_synset_mapping.txt",
        b"n01440764 tench, Tinca tinca\nn01443537 goldfish\nn02012849 crane\n",
    );
    put(root, "ILSVRC/Data/CLS-LOC/test/ILSVRC2012_test_00000001.JPEG", &png(2, 2, [0; 3]));
    let set = load(root, None).unwrap();
    assert_eq!(set.classes, ["tench", "goldfish", "crane"]);
    assert_eq!(set.train.ids[0], "ILSVRC/Data/CLS-LOC/train/n01440764/n01440764_0.JPEG");
    assert_eq!(set.test.unwrap().ids[3], val("ILSVRC/Data/CLS-LOC/", 4));
    assert!(set.notes[0].contains("1 images without labels"), "{:?}", set.notes);
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let dir = make("");
    let root = dir.path();
    let text = refusal(load(root, None));
    assert_has(
        &text,
        &["4 flat validation images", "no file that says", "LOC_val_solution.csv", "val/WNID"],
    );
    let with = |name: &str, text: &str| {
        put(root, name, text.as_bytes());
        let text = refusal(load(root, None));
        fs::remove_file(root.join(name)).unwrap();
        text
    };
    let truth = "ILSVRC2012_validation_ground_truth.txt";
    assert_has(&with(truth, "7\n490\n490\n3\n"), &["devkit's own class numbers", "map_clsloc.txt"]);
    assert_has(&with("synset_labels.txt", "n02012849\n"), &["1 lines", "4, one an image"]);
    assert_has(&with("synset_labels.txt", "n02012849\nx\n"), &["line 2", "\"x\""]);
    let other = "n02012849\nn01440764\nn01440764\nn09999999\n";
    assert_has(&with("synset_labels.txt", other), &["00000004", "n09999999", "train has a folder"]);
    let list = |last: &str| {
        format!(
            "ILSVRC2012_val_00000001.JPEG 0\nILSVRC2012_val_00000002.JPEG 1\nILSVRC2012_val_00000003.JPEG 2\n{last}"
        )
    };
    assert_has(&with("val.txt", &list("")), &["no line of ILSVRC2012_val_00000004.JPEG"]);
    assert_has(&with("val.txt", &list("ILSVRC2012_val_00000004.JPEG 3")), &["class 3", "below 3"]);
    assert_has(&with("val.txt", &list("ILSVRC2012_val_00000003.JPEG 1")), &["line 4", "again"]);
    assert_has(&with("val.txt", &list("ILSVRC2012_val_00000004.JPEG")), &["line 4"]);
    put(root, "map_clsloc.txt", b"n02012849 7 crane\nn01440764 x\n");
    assert_has(&with(truth, "7\n7\n7\n7\n"), &["map_clsloc.txt, line 2"]);
    put(root, "map_clsloc.txt", b"n02012849 7 crane\n");
    assert_has(&with(truth, "7\n7\n8\n7\n"), &["00000003", "number 8"]);
}
