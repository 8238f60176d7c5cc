//! Files that are not what their names say: every reader says what they are, and what to do.

use fairprune::data::Format;

use super::packed::{gzip, tar};
use super::{GOOD, assert_has, load, png, put, refusal, tree};

const POINTER: &[u8] =
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 46807446\n";
const PAGE: &[u8] = b"<!DOCTYPE html>\n<html><body>404</body></html>";

#[test]
fn every_reader_names_other_kinds_of_files() {
    let kinds: [(&[u8], &str, &str); 5] = [
        (POINTER, "a Git LFS pointer", "git lfs pull"),
        (PAGE, "an HTML page", "fetch the file again"),
        (b"PK\x03\x04....", "a zip archive", "unpack it first"),
        (b"7z\xbc\xaf\x27\x1c..", "a compressed archive", "unpack it first"),
        (b"", "an empty file", "fetch the file again"),
    ];
    let files = [
        "train-0.tar",
        "train-0.tar.gz",
        "train-0.parquet",
        "data_batch_1.bin",
        "data_batch_1",
        "train-images-idx3-ubyte",
        "train/cat/1.png",
        "metadata.csv",
    ];
    for (bytes, kind, remedy) in kinds {
        for file in files {
            let dir = if file == "train/cat/1.png" { tree(&GOOD) } else { tree(&[]) };
            put(dir.path(), file, bytes);
            let root = match file {
                "train-images-idx3-ubyte" => {
                    put(dir.path(), "train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 0]);
                    dir.path().to_owned()
                }
                _ => dir.path().to_owned(),
            };
            if file == "metadata.csv" {
                let options = fairprune::data::LoadOptions {
                    format: Some(Format::Metadata),
                    ..Default::default()
                };
                let text =
                    refusal(fairprune::data::load(root.to_str().unwrap(), &options, &super::quiet));
                assert_has(&text, &[file, kind, remedy]);
                continue;
            }
            assert_has(&refusal(load(&root, None)), &[file, kind, remedy]);
        }
        // A file of no known name, as the data set itself.
        let dir = tree(&[]);
        put(dir.path(), "set.bin", bytes);
        assert_has(&refusal(load(&dir.path().join("set.bin"), None)), &["set.bin", kind]);
        put(dir.path(), "set.fpc", bytes);
        assert_has(&refusal(load(&dir.path().join("set.fpc"), None)), &["set.fpc", kind]);
    }
    // Names beside the data.
    let dir = tree(&[]);
    let image = png(2, 2, [1; 3]);
    put(dir.path(), "train-0.tar", &tar(&[("a.cls", b"0"), ("a.png", &image)]));
    put(dir.path(), "classes.txt", POINTER);
    assert_has(&refusal(load(dir.path(), None)), &["classes.txt", "a Git LFS pointer"]);
    put(dir.path(), "train-0.tar", &gzip(b"x"));
    assert_has(&refusal(load(dir.path(), None)), &["train-0.tar", "a gzip file", ".tar.gz"]);
}

#[test]
fn what_fits_no_format_is_described() {
    let message = |names: &[&str]| {
        let dir = tree(&[]);
        names.iter().for_each(|name| put(dir.path(), name, b"x"));
        refusal(load(dir.path(), None))
    };
    let text = message(&["a.tfrecord", "b.tfrecord", "c.tfrecord", "d.tfrecord", "notes.txt"]);
    let seen = "5 files (a.tfrecord, b.tfrecord, c.tfrecord and 2 more: 4 .tfrecord, 1 .txt)";
    assert_has(&text, &[seen, "TFRecord files are not read"]);
    assert_has(&message(&["train.zip", "test.zip"]), &["2 .zip", "unpack archives first"]);
    let saved = message(&["state.json", "dataset_info.json", "data-00000-of-00001.arrow"]);
    assert_has(&saved, &[".arrow", "save_to_disk", "to_parquet"]);
    let saved = message(&["dataset_dict.json", "train/state.json", "train/data-0.arrow"]);
    assert_has(&saved, &["to_parquet"]);
    assert_has(&message(&["data.mdb", "lock.mdb"]), &["LMDB"]);
    let listed = message(&["train/metadata.csv", "train/1.png", "train/2.png"]);
    assert_has(&listed, &["2 images", "one metadata.csv, beside train"]);
    let dir = tree(&[]);
    put(dir.path(), "data-00000.arrow", &[0xff; 40]);
    assert_has(&refusal(load(&dir.path().join("data-00000.arrow"), None)), &["to_parquet"]);
}

#[test]
fn what_programs_leave_behind_gets_a_note() {
    let names = [
        &GOOD[..],
        &["train/cat/.ipynb_checkpoints/1-checkpoint.png", "train/__MACOSX/1.png"],
        &["test/__MACOSX/1.png", "__MACOSX/train/x.png"],
    ];
    let set = load(tree(&names.concat()).path(), None).unwrap();
    assert_eq!((set.train.len(), set.classes[0].as_str()), (6, "__MACOSX"));
    let notes = set.notes.join("\n");
    assert_has(&notes, &["1 image in folders .ipynb_checkpoints, which Jupyter leaves behind"]);
    assert_has(&notes, &["2 images in folders __MACOSX", "__MACOSX, which the archiver of macOS"]);
    let dir = tree(&GOOD);
    put(dir.path(), "train/cat/._1.png", b"\0\x05\x16\x07\0\x02\0\0Mac OS X");
    assert_has(&refusal(load(dir.path(), None)), &["._1.png", "AppleDouble", "delete it"]);
    let dir = tree(&[]);
    let image = png(2, 2, [1; 3]);
    let members: [(&str, &[u8]); 3] = [("a.cls", b"0"), ("a.png", &image), ("._a.png", b"x")];
    put(dir.path(), "x.tar", &tar(&members));
    let set = load(dir.path(), None).unwrap();
    assert_has(&set.notes.concat(), &["x.tar: has 1 files of macOS (._*)"]);
}
