//! What says to which part something belongs, in every format: one vocabulary, names by hand, and files
//! that are missing.

use std::path::Path;

use fairprune::data::{self, DataSet, LoadOptions, StatedLayout, VOCABULARY};
use fairprune::error::Result;

use super::packed::tar;
use super::{GOOD, assert_has, load, png, put, quiet, refusal, tree};

/// Loads with names of parts that are given by hand.
fn with_parts(root: &Path, parts: &str) -> Result<DataSet> {
    load_stated(root, StatedLayout { parts: Some(parts.parse().unwrap()), ..Default::default() })
}

fn load_stated(root: &Path, stated: StatedLayout) -> Result<DataSet> {
    let options = LoadOptions { stated, ..Default::default() };
    data::load(root.to_str().unwrap(), &options, &quiet)
}

fn allowing_gaps(root: &Path) -> Result<DataSet> {
    load_stated(root, StatedLayout { allow_missing: true, ..Default::default() })
}

/// A shard of two samples.
fn shard() -> Vec<u8> {
    let image = png(2, 2, [1; 3]);
    tar(&[("a.cls", b"0"), ("a.png", &image), ("b.cls", b"1"), ("b.png", &image)])
}

fn parquet() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layouts");
    std::fs::read(folder.join("delta.parquet")).unwrap()
}

/// Sizes of the three parts.
fn sizes(set: &DataSet) -> [usize; 3] {
    [Some(&set.train), set.val.as_ref(), set.test.as_ref()].map(|p| p.map_or(0, |p| p.len()))
}

#[test]
fn every_word_says_its_part_in_every_format() {
    let words = VOCABULARY.map(|(_, words)| words);
    for i in 0..4 {
        let [train, val, test] = words.map(|words| words[i.min(words.len() - 1)]);
        let case = format!("{train}, {val}, {test}");
        // Folders of class folders.
        let dir = tree(&[]);
        for (part, count) in [(train, 3), (val, 2), (test, 1)] {
            for n in 0..count {
                put(dir.path(), &format!("{part}/cat/{n}.png"), &png(2, 2, [n as u8; 3]));
                put(dir.path(), &format!("{part}/dog/{n}.png"), &png(2, 2, [n as u8; 3]));
            }
        }
        let set = load(dir.path(), None).unwrap();
        assert_eq!(sizes(&set), [6, 4, 2], "{case}");
        assert_eq!(set.val.unwrap().ids[0], format!("{val}/cat/0.png"));
        // Shards in folders, and shards with names.
        for (ending, bytes) in [("tar", shard()), ("parquet", parquet())] {
            let (in_folders, named) = (tree(&[]), tree(&[]));
            for (part, count) in [(train, 3), (val, 2), (test, 1)] {
                for n in 0..count {
                    put(in_folders.path(), &format!("{part}/{n:04}.{ending}"), &bytes);
                    put(named.path(), &format!("set-{part}-{n:04}.{ending}"), &bytes);
                }
            }
            for dir in [in_folders, named] {
                let set = load(dir.path(), None).unwrap();
                let [a, b, c] = sizes(&set);
                assert_eq!((a, b), (3 * c, 2 * c), "{case} {ending}");
            }
        }
        // A list.
        let dir = tree(&["0.png", "1.png", "2.png", "3.png"]);
        let lines = format!("0.png,0,{train}\n1.png,1,{train}\n2.png,0,{val}\n3.png,1,{test}\n");
        put(dir.path(), "metadata.csv", format!("filename,y,split\n{lines}").as_bytes());
        assert_eq!(sizes(&load(dir.path(), None).unwrap()), [2, 1, 1], "{case}");
    }
}

#[test]
fn two_places_of_one_part_are_refused() {
    let dir = tree(&[&GOOD[..], &["testing/cat/3.png", "testing/dog/3.png"]].concat());
    let text = refusal(load(dir.path(), None));
    assert_has(&text, &["folders test and testing", "both called test", "`parts`"]);
    let set = with_parts(dir.path(), "test=testing").unwrap();
    assert_eq!(set.test.unwrap().ids[0], "testing/cat/3.png");
    assert_has(&set.notes.concat(), &["test was left out"]);
    let dir = tree(&[]);
    for name in ["train/0.tar", "val/0.tar", "valid/0.tar"] {
        put(dir.path(), name, &shard());
    }
    assert_has(&refusal(load(dir.path(), None)), &["folders val and valid"]);
    let dir = tree(&[]);
    for name in ["train-0.tar", "val-0.tar", "val/0.tar"] {
        put(dir.path(), name, &shard());
    }
    assert_has(&refusal(load(dir.path(), None)), &["val-0.tar and val/0.tar", "two places"]);
    std::fs::remove_file(dir.path().join("val-0.tar")).unwrap();
    assert_eq!(sizes(&load(dir.path(), None).unwrap()), [2, 0, 2]);
}

#[test]
fn what_no_part_is_called_is_left_out_with_a_note() {
    let dir = tree(&[&GOOD[..], &["extra/cat/9.png", "docs/a/9.png"]].concat());
    let set = load(dir.path(), None).unwrap();
    assert_eq!(sizes(&set), [4, 0, 2]);
    assert_has(&set.notes.concat(), &["extra was left out", "`parts`"]);
    assert!(!set.notes.concat().contains("docs"), "{:?}", set.notes);
    for ending in ["tar", "parquet"] {
        let bytes = if ending == "tar" { shard() } else { parquet() };
        let dir = tree(&[]);
        for name in ["train-00000-of-00001", "test-00000-of-00001", "extra-00000-of-00001"] {
            put(dir.path(), &format!("{name}.{ending}"), &bytes);
        }
        let set = load(dir.path(), None).unwrap();
        assert_eq!(sizes(&set)[0], sizes(&set)[2], "{ending}");
        assert_has(&set.notes.concat(), &["extra was left out"]);
        let set = with_parts(dir.path(), "val=extra").unwrap();
        assert_eq!(sizes(&set)[0], sizes(&set)[1], "{ending}");
        assert!(set.notes.is_empty(), "{:?}", set.notes);
        // Names that differ and say nothing are not merged.
        std::fs::remove_file(dir.path().join(format!("train-00000-of-00001.{ending}"))).unwrap();
        std::fs::remove_file(dir.path().join(format!("test-00000-of-00001.{ending}"))).unwrap();
        put(dir.path(), &format!("more-00000-of-00001.{ending}"), &bytes);
        let text = refusal(load(dir.path(), None));
        assert_has(&text, &["extra-00000", "more-00000", "say no part", "`parts`"]);
    }
    let dir = tree(&["0.png", "1.png", "2.png"]);
    let list = b"filename,y,split\n0.png,0,train\n1.png,1,train\n2.png,0,mixed_rand\n";
    put(dir.path(), "metadata.csv", list);
    let set = load(dir.path(), None).unwrap();
    assert_has(&set.notes.concat(), &["1 lines of split mixed_rand were left out", "`parts`"]);
    assert_eq!(sizes(&with_parts(dir.path(), "test=mixed_rand").unwrap()), [2, 0, 1]);
}

#[test]
fn parts_are_said_by_hand_and_wrong_names_are_refused() {
    let names = GOOD.map(|n| n.replace("train/", "seg_train/").replace("test/", "seg_test/"));
    let dir = tree(&names.each_ref().map(String::as_str));
    let text = refusal(load(dir.path(), None));
    assert_has(
        &text,
        &["2 folders (seg_test, seg_train)", "`parts` test=seg_test,train=seg_train"],
    );
    let set = with_parts(dir.path(), "train=seg_train,test=seg_test").unwrap();
    assert_eq!((sizes(&set), set.train.ids[0].as_str()), ([4, 0, 2], "seg_train/cat/1.png"));
    let text = refusal(with_parts(dir.path(), "train=seg_train,test=none"));
    assert_has(&text, &["nothing called none", "for test", "seg_train"]);
    let dir = tree(&[]);
    for name in ["a-0.tar", "b-0.tar", "c-0.tar"] {
        put(dir.path(), name, &shard());
    }
    let set = with_parts(dir.path(), "train=a,test=b").unwrap();
    assert_eq!(sizes(&set), [2, 0, 2]);
    assert_has(&set.notes.concat(), &["c was left out"]);
    // What a format does not have is refused, not passed over.
    let options = StatedLayout { image_key: Some("jpg".to_owned()), ..Default::default() };
    let text = refusal(load_stated(tree(&GOOD).path(), options));
    assert_has(&text, &["`image_key`", "format imagefolder", "webdataset"]);
    let options = StatedLayout { allow_missing: true, ..Default::default() };
    assert_has(&refusal(load_stated(Path::new("shapes"), options)), &["`allow_missing`", "shapes"]);
}

#[test]
fn gaps_among_shards_are_refused_and_may_be_allowed() {
    for (ending, bytes) in [("tar", shard()), ("parquet", parquet())] {
        for (names, missing) in [
            (&["train-000000", "train-000001", "train-000003"][..], "train-000002"),
            (&["train-7", "train-9"], "train-8"),
            (&["train-00000-of-00003", "train-00002-of-00003"], "train-00001-of-00003"),
            (&["train-00000-of-00002"], "train-00001-of-00002"),
            (&["train-0", "test-1", "test-3"], "test-2"),
            (&["train/3", "train/5"], "without 4"),
            (&["0001", "0003"], "without 0002"),
        ] {
            let dir = tree(&[]);
            for name in names {
                put(dir.path(), &format!("{name}.{ending}"), &bytes);
            }
            assert_has(&refusal(load(dir.path(), None)), &[missing, "`allow_missing`"]);
            let set = allowing_gaps(dir.path()).unwrap();
            assert_has(&set.notes.concat(), &[missing, "what is there was read"]);
        }
    }
    let dir = tree(&[]);
    put(dir.path(), "train-5-of-3.tar", &shard());
    assert_has(&refusal(allowing_gaps(dir.path())), &["train-5-of-3", "beyond its total"]);
}

#[test]
fn gaps_among_batches_of_cifar_are_refused_and_may_be_allowed() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layouts/array-labels");
    let pickle = std::fs::read(source).unwrap();
    let binary = [&[3][..], &[7; 3072]].concat();
    for (ending, bytes) in [("", pickle), (".bin", binary)] {
        for (numbers, missing) in [
            (&[1, 3][..], Some("data_batch_2")),
            (&[0, 1, 4], Some("data_batch_2")),
            (&[7, 9], Some("data_batch_8")),
            (&[2, 3], Some("data_batch_1")),
            (&[0, 1], None),
            (&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], None),
        ] {
            let dir = tree(&[]);
            for n in numbers {
                put(dir.path(), &format!("data_batch_{n}{ending}"), &bytes);
            }
            let set = match missing {
                None => load(dir.path(), None).unwrap(),
                Some(missing) => {
                    let text = refusal(load(dir.path(), None));
                    assert!(text.contains("`allow_missing`"), "{text}");
                    let set = allowing_gaps(dir.path()).unwrap();
                    assert_has(&set.notes.concat(), &[missing]);
                    set
                }
            };
            let last = set.train.ids.last().unwrap();
            let expected = format!("data_batch_{}{ending}:", numbers.last().unwrap());
            assert!(last.starts_with(&expected), "{last}");
        }
    }
}
