//! CIFAR-10 and CIFAR-100, binary version.

use std::fs;

use fairprune::data::{self, Format, LoadOptions};

use super::{GOOD, assert_has, load, put, quiet, refusal, tree};

/// Records with `labels` before the planes; plane c of record i holds 40 i + c, its last pixel 200 + c.
fn file(records: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, labels) in records.iter().enumerate() {
        out.extend_from_slice(labels);
        for c in 0..3u8 {
            out.extend(std::iter::repeat_n(40 * i as u8 + c, 1023));
            out.push(200 + c);
        }
    }
    out
}

#[test]
fn batches_in_order_planes_to_pixels() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("cifar-10-batches-bin");
    put(&below, "data_batch_2.bin", &file(&[&[3]]));
    put(&below, "data_batch_1.bin", &file(&[&[9], &[0]]));
    put(&below, "test_batch.bin", &file(&[&[5], &[5], &[1]]));
    put(&below, "batches.meta.txt", b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
    for root in [dir.path(), &below] {
        let set = load(root, None).unwrap();
        assert_eq!(set.format, Format::CifarBinary);
        let ids = ["data_batch_1.bin:0", "data_batch_1.bin:1", "data_batch_2.bin:0"];
        assert_eq!(set.train.ids, ids);
        assert_eq!(set.train.labels, [9, 0, 3]);
        assert_eq!(set.train.image(1)[..6], [40, 41, 42, 40, 41, 42]);
        assert_eq!(set.train.image(1)[3069..], [200, 201, 202]);
        assert_eq!(set.test.unwrap().labels, [5, 5, 1]);
        assert_eq!(set.classes.concat(), "abcdefghij");
        assert!(set.val.is_none());
    }
    let small = load(&below, Some(16)).unwrap();
    assert_eq!((small.height, small.train.image(1)[..3].to_vec()), (16, vec![40, 41, 42]));
    fs::remove_file(below.join("batches.meta.txt")).unwrap();
    fs::remove_file(below.join("test_batch.bin")).unwrap();
    let bare = load(&below, None).unwrap();
    assert_eq!((bare.classes[9].as_str(), bare.test), ("truck", None));
}

#[test]
fn cifar100_takes_the_fine_label() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "train.bin", &file(&[&[19, 99], &[0, 7]]));
    put(dir.path(), "test.bin", &file(&[&[1, 2]]));
    let set = load(dir.path(), None).unwrap();
    assert_eq!(set.train.labels, [99, 7]);
    assert_eq!((set.classes.len(), set.classes[99].as_str()), (100, "worm"));
    assert_eq!(set.train.ids, ["train.bin:0", "train.bin:1"]);
    assert_eq!(set.train.image(0)[..3], [0, 1, 2]);
    put(dir.path(), "fine_label_names.txt", b"just one\n");
    let text = refusal(load(dir.path(), None));
    assert_has(&text, &["fine_label_names.txt", "1 class name,", "100"]);
}

#[test]
fn bad_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    put(root, "data_batch_1.bin", &file(&[&[1], &[2]])[..6145]);
    assert_has(&refusal(load(root, None)), &["data_batch_1.bin", "6145 bytes", "3073"]);
    put(root, "data_batch_1.bin", b"");
    assert_has(&refusal(load(root, None)), &["an empty file"]);
    put(root, "data_batch_1.bin", &file(&[&[1], &[10]]));
    assert_has(&refusal(load(root, None)), &["record 1", "label 10", "below 10"]);
    put(root, "data_batch_1.bin", &file(&[&[1], &[9]]));
    put(root, "data_batch_3.bin", &file(&[&[1]]));
    assert_has(&refusal(load(root, None)), &["without data_batch_2"]);
    let options = LoadOptions { format: Some(Format::CifarBinary), ..Default::default() };
    let other = tree(&GOOD);
    let text = refusal(data::load(other.path().to_str().unwrap(), &options, &quiet));
    assert_has(&text, &["no CIFAR binary files", "data_batch_1.bin"]);
}
