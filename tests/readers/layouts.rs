//! Layouts that other programs make: each is read right, or refused with what helps.

use std::fs;
use std::path::{Path, PathBuf};

use fairprune::data::{self, DataSet, Format, LoadOptions, StatedLayout};
use fairprune::error::Result;

use super::packed::{gzip, idx, idx_labels, tar};
use super::{assert_has, load, png, put, quiet, refusal, tree};

fn stated(root: &Path, stated: StatedLayout) -> Result<DataSet> {
    let options = LoadOptions { stated, ..Default::default() };
    data::load(root.to_str().unwrap(), &options, &quiet)
}

fn labels_from(root: &Path, first: u32) -> Result<DataSet> {
    stated(root, StatedLayout { labels_from: Some(first), ..Default::default() })
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layouts").join(name)
}

/// IDX files of three images, called by what stands before the kind.
fn put_idx(root: &Path, stem: &str, labels: &[u8]) {
    let pixels: Vec<u8> = labels.iter().flat_map(|l| [*l; 4]).collect();
    put(root, &format!("{stem}-images-idx3-ubyte"), &idx(labels.len() as u32, 2, 2, &pixels));
    put(root, &format!("{stem}-labels-idx1-ubyte"), &idx_labels(labels));
}

#[test]
fn emnist_is_read_by_its_own_names() {
    let dir = tree(&[]);
    let raw = dir.path().join("EMNIST/raw");
    put_idx(&raw, "emnist-letters-train", &[1, 3, 2]);
    put_idx(&raw, "emnist-letters-test", &[2, 1]);
    let set = load(dir.path(), None).unwrap();
    assert_eq!((set.format, set.classes.concat()), (Format::Idx, "123".to_owned()));
    assert_eq!((&set.train.labels[..], set.train.image(1)[0]), (&[0, 2, 1][..], 3));
    assert_eq!(set.test.as_ref().unwrap().labels, [1, 0]);
    assert_eq!(set.train.ids[1], "emnist-letters-train-images-idx3-ubyte:1");
    assert_has(&set.notes.concat(), &["labels start at 1: there is no class 0"]);
    // Several sets in one folder: nobody guesses.
    put_idx(&raw, "emnist-digits-train", &[0, 1]);
    put_idx(&raw, "emnist-digits-test", &[1, 0]);
    let text = refusal(load(dir.path(), None));
    assert_has(&text, &["emnist-digits-train, emnist-letters-train", "`parts`, such as train="]);
    let parts = Some("train=emnist-digits-train,test=emnist-digits-test".parse().unwrap());
    let set = stated(dir.path(), StatedLayout { parts, ..Default::default() }).unwrap();
    assert_eq!((&set.train.labels[..], set.classes.len()), (&[0, 1][..], 2));
    assert_eq!(set.test.unwrap().labels, [1, 0]);
}

#[test]
fn labels_that_start_at_one_are_told_in_every_format() {
    let one = |set: &DataSet| {
        assert_eq!((&set.train.labels[..], set.classes.concat()), (&[0, 1][..], "12".to_owned()));
        assert_has(&set.notes.concat(), &["labels start at 1"]);
    };
    let dir = tree(&[]);
    put_idx(dir.path(), "train", &[1, 2]);
    one(&load(dir.path(), None).unwrap());
    // Names for the labels alone, or for the missing class 0 as well.
    put(dir.path(), "classes.txt", b"a\nb\n");
    assert_has(&refusal(load(dir.path(), None)), &["2 class names", "`labels_from` 1 says so"]);
    assert_eq!(labels_from(dir.path(), 1).unwrap().classes, ["a", "b"]);
    put(dir.path(), "classes.txt", b"none\na\nb\n");
    let set = load(dir.path(), None).unwrap();
    assert_eq!((&set.train.labels[..], set.classes.len()), (&[1, 2][..], 3));
    assert_has(&set.notes.concat(), &["no sample is of class 0, called none", "`labels_from` 1"]);
    let set = labels_from(dir.path(), 1).unwrap();
    assert_eq!((set.classes.concat(), set.notes.len()), ("ab".to_owned(), 0));
    assert_has(&refusal(labels_from(dir.path(), 2)), &["`labels_from`", "0 or 1"]);
    let image = png(2, 2, [1; 3]);
    let members: [(&str, &[u8]); 4] =
        [("a.cls", b"1"), ("a.png", &image), ("b.cls", b"2"), ("b.png", &image)];
    let dir = tree(&[]);
    put(dir.path(), "train-0.tar", &tar(&members));
    one(&load(dir.path(), None).unwrap());
    let set = labels_from(dir.path(), 0).unwrap();
    assert_eq!((&set.train.labels[..], set.classes.len()), (&[1, 2][..], 3));
    put(dir.path(), "test-0.tar", &tar(&[("c.cls", b"0"), ("c.png", &image)]));
    assert_eq!(load(dir.path(), None).unwrap().classes, ["0", "1", "2"]);
    assert_has(&refusal(labels_from(dir.path(), 1)), &["a label 0"]);
    let dir = tree(&["0.png", "1.png"]);
    put(dir.path(), "metadata.csv", b"filename,y,split\n0.png,1,0\n1.png,2,0\n");
    one(&load(dir.path(), None).unwrap());
}

#[test]
fn archives_of_classes_are_read_as_the_folders_they_unpack_to() {
    let members = |first: u8| {
        let image = |i: u8| png(2, 2, [first + i, 0, 0]);
        let (a, b, c) = (image(0), image(1), image(2));
        tar(&[("n_9.JPEG", &c), ("n_10.JPEG", &a), ("n_2.JPEG", &b), ("LICENSE", b"x")])
    };
    for folder in ["train/", "ILSVRC/Data/CLS-LOC/train/", ""] {
        let dir = tree(&[]);
        put(dir.path(), &format!("{folder}n01443537.tar"), &members(50));
        put(dir.path(), &format!("{folder}n01440764.tar"), &members(10));
        put(dir.path(), "synset_words.txt", b"n01440764 tench\nn01443537 goldfish\n");
        let set = load(dir.path(), None).unwrap();
        assert_eq!(
            (set.format, &set.classes[..]),
            (Format::ImagenetTars, &["tench", "goldfish"].map(String::from)[..])
        );
        let colours: Vec<u8> = (0..6).map(|i| set.train.image(i)[0]).collect();
        assert_eq!(colours, [10, 11, 12, 50, 51, 52], "the order of the names");
        assert_eq!(set.train.labels, [0, 0, 0, 1, 1, 1]);
        assert_eq!(set.train.ids[1], format!("{folder}n01440764.tar:n_2.JPEG"));
        assert_has(&set.notes.concat(), &["2 members that are no images"]);
        assert!(set.test.is_none());
        if folder != "train/" {
            continue;
        }
        // Validation images, flat or sorted.
        put(dir.path(), "val/ILSVRC2012_val_00000001.JPEG", &png(2, 2, [7; 3]));
        assert_has(&refusal(load(dir.path(), None)), &["no file that says their classes"]);
        put(dir.path(), "val.txt", b"ILSVRC2012_val_00000001.JPEG 1\n");
        assert_eq!(load(dir.path(), None).unwrap().test.unwrap().labels, [1]);
        // A class that is a folder already: the others are not forgotten in silence.
        fs::remove_dir_all(dir.path().join("val")).unwrap();
        for class in ["n01440764", "n09999999"] {
            put(dir.path(), &format!("train/{class}/1.JPEG"), &png(2, 2, [7; 3]));
        }
        let set = load(dir.path(), None).unwrap();
        assert_eq!(set.format, Format::ImageFolder);
        assert_has(&set.notes.concat(), &["classes n01443537 are still archives"]);
    }
    let dir = tree(&[]);
    put(dir.path(), "train/n01440764.tar", &tar(&[("a.txt", b"x")]));
    assert_has(&refusal(load(dir.path(), None)), &["n01440764.tar", "a class without images"]);
    put(dir.path(), "train/n01440764.tar", &members(1)[..1024]);
    assert_has(&load(dir.path(), None).unwrap().notes.concat(), &["n01440764.tar: ends without"]);
    put(dir.path(), "train/n01440764.tar", &members(1)[..520]);
    assert_has(&refusal(load(dir.path(), None)), &["n01440764.tar", "a whole archive"]);
}

#[test]
fn compressed_shards_are_unpacked() {
    let image = png(2, 2, [9; 3]);
    let plain = tar(&[("a.cls", b"0"), ("a.png", &image), ("b.cls", b"1"), ("b.png", &image)]);
    for ending in ["tar.gz", "tgz"] {
        let dir = tree(&[]);
        put(dir.path(), &format!("train-0.{ending}"), &gzip(&plain));
        for path in [dir.path().to_owned(), dir.path().join(format!("train-0.{ending}"))] {
            let set = load(&path, None).unwrap();
            assert_eq!(set.train.ids[1], format!("train-0.{ending}:b"));
            assert_eq!((set.train.image(1)[0], &set.train.labels[..]), (9, &[0, 1][..]));
        }
        let packed = gzip(&plain);
        put(dir.path(), &format!("train-0.{ending}"), &packed[..packed.len() / 2]);
        assert_has(&refusal(load(dir.path(), None)), &[ending, "cannot be unpacked"]);
    }
}

/// The data set of one shard of these members.
fn of_shard(members: &[(&str, &[u8])], image_key: Option<&str>) -> Result<DataSet> {
    let dir = tree(&[]);
    put(dir.path(), "train-0.tar", &tar(members));
    let image_key = image_key.map(str::to_owned);
    stated(dir.path(), StatedLayout { image_key, ..Default::default() })
}

#[test]
fn members_of_other_programs_do_not_disturb_samples() {
    let (one, two) = (png(2, 2, [1; 3]), png(2, 2, [2; 3]));
    // A class in .cls goes before anything in JSON.
    for json in ["{\"class\": \"Aves\"}", "[{\"bbox\": [1]}]", "no JSON", "{\"label\": 7}"] {
        let members: [(&str, &[u8]); 3] =
            [("a.json", json.as_bytes()), ("a.cls", b"2"), ("a.png", &one)];
        assert_eq!(of_shard(&members, None).unwrap().train.labels, [2], "{json}");
    }
    let large = vec![b' '; 1 << 20];
    let members: [(&str, &[u8]); 3] = [("a.json", &large), ("a.cls", b"2"), ("a.png", &one)];
    assert_eq!(of_shard(&members, None).unwrap().train.labels, [2]);
    // Names of inputs and outputs.
    let members: [(&str, &[u8]); 2] = [("a.input.png", &two), ("a.output.cls", b"0")];
    let set = of_shard(&members, None).unwrap();
    assert_eq!((set.train.image(0)[0], set.train.ids[0].as_str()), (2, "train-0.tar:a"));
    assert_has(&set.notes.concat(), &["members called input.png, output.cls"]);
    // A plain extension goes before longer ones; otherwise the person says which.
    let members: [(&str, &[u8]); 3] = [("a.seg.png", &one), ("a.png", &two), ("a.cls", b"0")];
    assert_eq!(of_shard(&members, None).unwrap().train.image(0)[0], 2);
    assert_eq!(of_shard(&members, Some("seg.png")).unwrap().train.image(0)[0], 1);
    let text = refusal(of_shard(&members, Some("depth.png")));
    assert_has(&text, &["sample a", "no member .depth.png but seg.png, png", "`image_key`"]);
    let members: [(&str, &[u8]); 3] = [("a.in.png", &one), ("a.seg.png", &two), ("a.cls", b"0")];
    let text = refusal(of_shard(&members, None));
    assert_has(&text, &["sample a", "two images (in.png, seg.png)", "`image_key`"]);
    assert_eq!(of_shard(&members, Some(".in.png")).unwrap().train.image(0)[0], 1);
    // Dots in names.
    let members: [(&str, &[u8]); 4] =
        [("I.1.png", &one), ("I.1.cls", b"0"), ("I.2.png", &one), ("I.2.cls", b"1")];
    let text = refusal(of_shard(&members, None));
    assert_has(&text, &["sample I", "two images (1.png, 2.png)", "ends at its first dot"]);
    let members: [(&str, &[u8]); 3] = [("a.png", &one), ("a.x.cls", b"0"), ("a.y.cls", b"1")];
    assert_has(&refusal(of_shard(&members, None)), &["2 classes (x.cls, y.cls)"]);
    let text = refusal(of_shard(&[("n01440764.tar", b"x"), ("b.tar", b"x")], None));
    assert_has(&text, &["sample n01440764", "no image but .tar", "unpack those"]);
    assert_has(&refusal(of_shard(&[("README", b"x")], None)), &["no samples but README"]);
}

#[test]
fn shards_that_are_empty_cut_or_joined_get_a_note() {
    let image = png(2, 2, [1; 3]);
    let whole = tar(&[("a.cls", b"0"), ("a.png", &image), ("b.cls", b"1"), ("b.png", &image)]);
    let other = tar(&[("c.cls", b"0"), ("c.png", &image)]);
    let dir = tree(&[]);
    put(dir.path(), "train-0.tar", &tar(&[]));
    assert_has(&refusal(load(dir.path(), None)), &["no samples"]);
    put(dir.path(), "train-1.tar", &whole);
    let set = load(dir.path(), None).unwrap();
    assert_eq!(set.train.ids, ["train-1.tar:a", "train-1.tar:b"]);
    assert_has(&set.notes.concat(), &["train-0.tar: is an archive without members"]);
    let dir = tree(&[]);
    // The header and content of both members of the first sample.
    put(dir.path(), "train-0.tar", &whole[..4 * 512]);
    let set = load(dir.path(), None).unwrap();
    assert_eq!(set.train.ids, ["train-0.tar:a"]);
    assert_has(&set.notes.concat(), &["train-0.tar: ends without the mark"]);
    put(dir.path(), "train-0.tar", &[whole.clone(), other].concat());
    let set = load(dir.path(), None).unwrap();
    assert_eq!(set.train.len(), 2);
    assert_has(&set.notes.concat(), &["train-0.tar: has more behind its end"]);
    put(dir.path(), "train-0.tar", &[&whole[..], &[0; 9000]].concat());
    assert!(load(dir.path(), None).unwrap().notes.is_empty());
}

#[test]
fn codecs_and_encodings_of_parquet_are_read_or_named() {
    let set = load(&golden("delta.parquet"), None).unwrap();
    assert_eq!(set.train.labels, [0, 1, 0, 1, 0, 1, 0, 1]);
    assert_eq!(set.train.image(5), [5, 100, 200].repeat(4));
    for (name, what) in
        [("lz4", "LZ4"), ("brotli", "BROTLI"), ("delta-strings", "DELTA_BYTE_ARRAY")]
    {
        let file = format!("{name}.parquet");
        let text = refusal(load(&golden(&file), None));
        assert_has(&text, &[&file, what, "not supported", "Zstandard"]);
        assert!(!text.contains("damaged"), "{text}");
    }
    // Damaged deltas are errors, whatever they announce.
    let whole = fs::read(golden("delta.parquet")).unwrap();
    let dir = tree(&[]);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        put(dir.path(), "x.parquet", &bytes);
        let _ = load(&dir.path().join("x.parquet"), None);
    }
}

#[test]
fn columns_of_parquet_are_found_by_type_or_said() {
    let set = load(&golden("odd-columns.parquet"), None).unwrap();
    assert_eq!((set.train.labels[1], set.train.image(3)[0]), (1, 3));
    assert_has(&set.notes.concat(), &["images are those of column photo", "column kind"]);
    let path = golden("two-columns.parquet");
    assert_has(&refusal(load(&path, None)), &["photo, mask, kind, year", "`image_column`"]);
    let columns = |image: &str, label: Option<&str>| {
        let (image_column, label_column) = (Some(image.to_owned()), label.map(str::to_owned));
        stated(&path, StatedLayout { image_column, label_column, ..Default::default() })
    };
    assert_has(&refusal(columns("photo", None)), &["`label_column`"]);
    assert_has(&refusal(columns("none", Some("kind"))), &["the `image_column` among them"]);
    assert_has(&refusal(columns("photo", Some("none"))), &["the `label_column` among them"]);
    assert_has(&refusal(columns("kind", Some("kind"))), &["kind of type INT64", "as bytes"]);
    let set = columns("photo", Some("kind")).unwrap();
    assert_eq!((set.train.len(), set.notes.len()), (8, 0));
}

#[test]
fn lists_of_other_programs_are_read() {
    let of = |list: &str| {
        let dir = tree(&["img/0.png", "img/1.png", "img/2.png", "img/3.png"]);
        put(dir.path(), "metadata.csv", list.as_bytes());
        load(dir.path(), None)
    };
    let plain = "filename,y,split\nimg/0.png,0,0\nimg/1.png,1,0\nimg/2.png,0,2\nimg/3.png,1,1\n";
    let reference = of(plain).unwrap();
    assert_eq!(reference.train.ids, ["img/0.png", "img/1.png"]);
    for other in [
        plain
            .replace(",0,0\n", ",0,train\n")
            .replace(",0,2\n", ",0,test\n")
            .replace(",1,1\n", ",1,dev\n"),
        plain.replace("img/", "./img/"),
        plain.replace("img/", "img/./"),
        plain.replace(',', ";"),
        plain.replace(',', "\t"),
        plain.replace("filename,y", "file_name,label"),
        format!("\u{feff}{plain}"),
    ] {
        let set = of(&other).unwrap_or_else(|e| panic!("{other}{e}"));
        assert_eq!(set.fingerprint, reference.fingerprint, "{other}");
    }
    // Texts as classes, sorted; no parts at all.
    let set = of("file_name,label\nimg/0.png,wren\nimg/1.png,gull\nimg/2.png,wren\n").unwrap();
    assert_eq!(
        (set.classes.concat(), &set.train.labels[..]),
        ("gullwren".to_owned(), &[1, 0, 1][..])
    );
    assert_has(&set.notes.concat(), &["no column split", "all images are training images"]);
    assert_has(
        &refusal(of("file_name,label\nimg/0.png,wren\nimg/1.png,\n")),
        &["line 3", "a text"],
    );
    assert_has(
        &refusal(of("file_name,label\nimg/0.png,1\nimg/1.png,gull\n")),
        &["line 3", "\"gull\""],
    );
    for (path, words) in [
        ("/data/img/0.png", ["an absolute path", "below the folder of the list"]),
        ("C:\\\\img\\\\0.png", ["an absolute path", "with slashes"]),
        ("img\\0.png", ["a path with backslashes", "with slashes"]),
        ("../0.png", ["../0.png", "below the folder of the list"]),
    ] {
        let text = refusal(of(&plain.replace("img/1.png", path)));
        assert_has(&text, &["metadata.csv, line 3"]);
        assert_has(&text, &words);
    }
}

#[test]
fn lists_without_a_column_of_parts_go_by_folders() {
    let dir = tree(&["train/0.png", "train/1.png", "validation/2.png", "test/3.png"]);
    let list = "file_name,label\ntrain/0.png,a\nvalidation/2.png,a\ntrain/1.png,b\ntest/3.png,b\n";
    put(dir.path(), "metadata.csv", list.as_bytes());
    let set = load(dir.path(), None).unwrap();
    assert_eq!(set.train.ids, ["train/0.png", "train/1.png"]);
    assert_eq!((set.val.unwrap().labels, set.test.unwrap().labels), (vec![0], vec![1]));
    assert!(set.notes.is_empty(), "{:?}", set.notes);
    put(dir.path(), "5.png", &png(2, 2, [0; 3]));
    put(dir.path(), "metadata.csv", format!("{list}5.png,a\n").as_bytes());
    assert_has(&refusal(load(dir.path(), None)), &["5.png, whose first folder says no part"]);
    // Beside class folders a list without parts is somebody else's.
    let dir = tree(&super::GOOD);
    put(dir.path(), "metadata.csv", b"file_name,label\ntrain/cat/1.png,a\n");
    assert_eq!(load(dir.path(), None).unwrap().format, Format::ImageFolder);
}

#[test]
fn pickles_of_other_tools_are_read() {
    for name in ["protocol-0", "array-labels", "scalar-labels", "big-endian-labels"] {
        let dir = tree(&[]);
        put(dir.path(), "data_batch_1", &fs::read(golden(name)).unwrap());
        let set = load(dir.path(), None).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(set.train.labels, [3, 4], "{name}");
        assert_eq!(set.train.image(1)[..6], [211, 221, 231, 211, 221, 231], "{name}");
    }
    let whole = fs::read(golden("array-labels")).unwrap();
    let at = whole.windows(2).rposition(|w| w == b"i8").unwrap();
    for (to, words) in [(b"f8", "whole numbers"), (b"i4", "16 bytes for shape [2, 1]")] {
        let dir = tree(&[]);
        put(dir.path(), "data_batch_1", &[&whole[..at], to, &whole[at + 2..]].concat());
        assert_has(&refusal(load(dir.path(), None)), &["data_batch_1", words]);
    }
}
