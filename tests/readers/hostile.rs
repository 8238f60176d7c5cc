//! Wrong layouts and unusable files: every refusal says what was found, what was expected, and where.

use std::fs;
use std::path::Path;

use fairprune::data::{self, DecodeLimits, Format, LoadOptions};

use super::{GOOD, assert_has, load, png, put, quiet, refusal, tree};

#[test]
fn wrong_layouts_are_explained() {
    let message = |names: &[&str]| refusal(load(tree(names).path(), None));
    let text = message(&["cat/1.png", "dog/1.png"]);
    assert_has(&text, &["no train folder", "cat, dog", "is this train itself?"]);
    assert_has(
        &message(&["1.png", "2.png"]),
        &["no train folder", "2 images", "one class folder?"],
    );
    assert_has(&message(&["data/train/cat/1.png"]), &["no train folder", "data", "train/CLASS"]);
    assert_has(&message(&[]), &["an empty folder"]);
    assert_has(&message(&["train/1.png", "train/2.png"]), &["2 images", "a flat train folder"]);
    assert_has(&message(&["train/cat/1.png"]), &["one class folder, cat", "at least two"]);
    let flat = [&GOOD[..4], &["val/1.png", "val/2.png", "val/3.png"]].concat();
    assert_has(&message(&flat), &["val", "3 images", "a flat val folder", "val/CLASS"]);
}

#[test]
fn held_out_classes_must_be_those_of_train() {
    let message = |names: &[&str]| refusal(load(tree(names).path(), None));
    let other = [&GOOD[..4], &["val/cat/1.png", "val/horse/2.png"]].concat();
    assert_has(&message(&other), &["val", "without dog", "with horse, which train lacks"]);
    let fewer = [&GOOD[..4], &["test/cat/1.png"]].concat();
    let text = message(&fewer);
    assert_has(&text, &["test", "1 class folder,", "without dog", "the 2 class folders of train"]);
}

#[test]
fn empty_classes_and_folders_are_named() {
    let dir = tree(&GOOD);
    put(dir.path(), "train/emu/notes.txt", b"x");
    put(dir.path(), "test/emu/1.png", &png(2, 2, [0; 3]));
    let text = refusal(load(dir.path(), None));
    assert_has(&text, &["train/emu", "a class without images, 1 other file,", ".jpg"]);
    fs::create_dir_all(dir.path().join("empty/train")).unwrap();
    assert_has(&refusal(load(&dir.path().join("empty"), None)), &["no class folder"]);
}

#[test]
fn no_folder_at_all_and_unknown_names_are_explained() {
    let dir = tree(&["a.png"]);
    assert_has(&refusal(load(&dir.path().join("nowhere"), None)), &["nothing", "shapes"]);
    assert_has(&refusal(load(&dir.path().join("a.png"), None)), &["a file", "a folder"]);
    let options = LoadOptions { format: Some(Format::Shapes), ..Default::default() };
    assert_has(&refusal(data::load("some/path", &options, &quiet)), &["some/path", "shapes"]);
    assert_has(&refusal(load(Path::new("shapes:hard"), None)), &["shapes:extreme"]);
    assert_has(&refusal("tfrecord".parse::<Format>()), &["tfrecord", "imagefolder, cifar"]);
    for format in Format::ALL {
        assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
    }
}

#[test]
fn files_that_are_no_usable_images_are_named() {
    let with = |bytes: &[u8]| {
        let dir = tree(&GOOD);
        put(dir.path(), "train/dog/1.png", bytes);
        let text = refusal(load(dir.path(), None));
        assert_has(&text, &["train/dog/1.png"]);
        text
    };
    assert_has(&with(b""), &["an empty file"]);
    assert_has(&with(b"GIF89a"), &["a damaged GIF file", "a valid GIF file"]);
    assert_has(&with(&png(2, 2, [0; 3])[..60]), &["truncated"]);
    let text = with(&png(3, 2, [0; 3]));
    assert_has(&text, &["3x2 pixels", "2x2 as in ", "train/cat/1.png", "`image_size`"]);
    let mut huge = png(2, 2, [0; 3]);
    huge[16..24].copy_from_slice(&[0, 0, 0x50, 0, 0, 0, 0x50, 0]);
    assert_has(&with(&huge), &["20480x20480", "16384"]);
}

#[test]
fn limits_hold_for_file_size_image_size_and_thin_images() {
    let dir = tree(&GOOD);
    let limits = DecodeLimits { file_bytes: 50, ..DecodeLimits::default() };
    let options = LoadOptions { limits, ..Default::default() };
    let text = refusal(data::load(dir.path().to_str().unwrap(), &options, &quiet));
    assert_has(&text, &["train/cat/1.png", "at most 50 bytes"]);
    for size in [0, 20_000] {
        assert_has(&refusal(load(dir.path(), Some(size))), &["image size", "1 to 16384"]);
    }
    // Its long side would grow with its short side: 16,000 to 64 x 1,024,000 pixels at 64.
    put(dir.path(), "train/dog/1.png", &png(16_000, 1, [1; 3]));
    assert_eq!(load(dir.path(), Some(64)).unwrap().train.image(2)[0], 1);
    let text = refusal(load(dir.path(), Some(128)));
    assert_has(&text, &["train/dog/1.png", "16000x1 pixels", "128"]);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8_are_refused_for_samples_only() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tree(&GOOD);
    let odd = |name: &[u8]| dir.path().join("train/cat").join(std::ffi::OsStr::from_bytes(name));
    fs::write(odd(b"\xff.txt"), b"").unwrap();
    assert_eq!(load(dir.path(), None).unwrap().train.len(), 4);
    fs::write(odd(b"\xff.png"), b"").unwrap();
    assert_has(&refusal(load(dir.path(), None)), &["train/cat", "\\xFF.png", "UTF-8"]);
}

#[cfg(unix)]
#[test]
fn a_pipe_with_an_image_name_is_refused_not_waited_for() {
    let dir = tree(&GOOD);
    let pipe = dir.path().join("train/dog/3.png");
    if !std::process::Command::new("mkfifo").arg(pipe).status().is_ok_and(|s| s.success()) {
        eprintln!("skipped: no mkfifo here");
        return;
    }
    assert_has(&refusal(load(dir.path(), None)), &["train/dog/3.png", "no regular file"]);
}
