//! Data sets that cannot be used: exit 2, what was found, what was expected, where, nothing written.

use png::{BitDepth, ColorType};

use crate::png_file::encoded;
use crate::*;

/// `train` on `data` is refused with these words, and no output folder is made.
fn refused_data(place: &Path, data: &str, words: &[&str]) {
    for command in [format!("train {TINY}"), format!("score {TINY}"), format!("run {TINY}")] {
        refused(place, &format!("{command} --data {data} --out refused"), words);
    }
    let line = format!("prune --data {data} --density .5 --quota none --out refused");
    refused(place, &line, words);
    assert!(!place.join("refused").exists());
}

#[test]
fn wrong_layouts() {
    let place = Place::new();
    let at = place.path();
    refused_data(at, "nowhere", &["nowhere", "nothing", "shapes"]);
    refused_data(at, "shapes:hard", &["shapes:hard", "shapes:extreme"]);
    refused_data(at, "data/train/ant/00.png", &["a file", "a folder"]);
    refused_data(at, "data/train", &["no train folder", "is this train itself?"]);
    refused_data(at, "data/train/ant", &["no train folder", "one class folder?"]);
    refused_data(at, ".", &["no train folder", "data", "train/CLASS"]);
    fs::create_dir(at.join("empty")).unwrap();
    refused_data(at, "empty", &["an empty folder", "train/CLASS"]);
    fs::create_dir_all(at.join("hollow/train")).unwrap();
    refused_data(at, "hollow", &["no class folder"]);
}

#[test]
fn flat_and_foreign_val_folders() {
    let place = Place::new();
    let at = place.path();
    place.tree("flat", &[("train", [4, 4, 4])]);
    for i in 0..5 {
        put(at, &format!("flat/val/{i}.png"), &png(0, i));
    }
    refused_data(at, "flat", &["flat/val", "5 images", "a flat val folder", "val/CLASS"]);
    place.tree("fewer", &[("train", [4, 4, 4]), ("val", [2, 2, 0])]);
    refused_data(at, "fewer", &["fewer/val", "without cat", "the 3 class folders of train"]);
    place.tree("other", &[("train", [4, 4, 4]), ("test", [2, 2, 2])]);
    fs::rename(at.join("other/test/cat"), at.join("other/test/dog")).unwrap();
    refused_data(at, "other", &["other/test", "without cat", "with dog, which train lacks"]);
}

#[test]
fn empty_single_and_tiny_classes() {
    let place = Place::new();
    let at = place.path();
    place.tree("hole", &[("train", [4, 4, 4])]);
    fs::remove_dir_all(at.join("hole/train/bee")).unwrap();
    put(at, "hole/train/bee/notes.txt", b"none yet");
    refused_data(at, "hole", &["hole/train/bee", "a class without images", "1 other file", ".png"]);
    place.tree("single", &[("train", [4, 0, 0])]);
    refused_data(at, "single", &["one class folder, ant", "at least two"]);
    // Nothing of a class of one image can be held out.
    place.tree("tiny", &[("train", [4, 4, 1]), ("test", [2, 2, 2])]);
    let asked = "--data tiny --split holdout --out refused";
    let commands = [
        format!("score --data tiny {TINY} --out refused"),
        format!("run --data tiny {TINY} --out refused"),
        format!("train {TINY} {asked}"),
        format!("prune {asked} --density .5 --quota none"),
    ];
    for line in commands {
        refused(at, &line, &["split holdout", "cat", "1 training images", "at least 2"]);
    }
    // Where nothing is held out, one image is enough.
    good(at, "prune --data tiny --density .5 --quota none --out kept");
    let line = format!("train --data tiny {TINY} --split shipped --out refused");
    refused(at, &line, &["split shipped", "no validation part", "holdout"]);
    let line = format!("train --data hole/.. {TINY} --split half-test --out refused");
    refused(at, &line, &["no train folder"]);
}

#[test]
fn images_that_cannot_be_used() {
    let place = Place::new();
    let whole = png(1, 3);
    let grow = |width: u32, height: u32| png_file::png(width, height, |_, _| [9; 3]);
    let mut corrupt = whole.clone();
    let middle = corrupt.len() / 2;
    corrupt[middle] ^= 0xff;
    let mut vast = whole.clone();
    vast[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let cases: [(&str, &[u8], &[&str]); 8] = [
        ("empty", b"", &["an empty file"]),
        ("text", b"these are not the pixels", &["a JPEG, PNG, WebP"]),
        ("gif", b"GIF89a.......", &["a damaged GIF file"]),
        ("cut", &whole[..whole.len() / 2], &["truncated"]),
        ("cut-at-end", &whole[..whole.len() - 12], &["truncated"]),
        ("corrupt", &corrupt, &["PNG"]),
        ("vast", &vast, &["65536x65536", "16384"]),
        ("larger", &grow(9, 8), &["9x8 pixels", "8x8", "--image-size"]),
    ];
    for (name, bytes, words) in cases {
        place.tree(name, &[("train", [3, 3, 3])]);
        let file = format!("{name}/train/bee/01.png");
        put(place.path(), &file, bytes);
        refused_data(place.path(), name, &[&[file.as_str()], words].concat());
    }
}

#[test]
fn odd_but_readable_images_are_used() {
    let place = Place::new();
    let at = place.path();
    place.tree("odd", &[("train", [3, 3, 3])]);
    // Grey, grey of 16 bits, colour of 16 bits, with transparency, of one pixel, long.
    let high_first = |values: [u16; 3]| values.map(u16::to_be_bytes).as_flattened().to_vec();
    let images = [
        encoded((8, 8), ColorType::Grayscale, BitDepth::Eight, &[80; 64]),
        encoded(
            (5, 9),
            ColorType::Grayscale,
            BitDepth::Sixteen,
            &high_first([40_000; 3]).repeat(15),
        ),
        encoded((8, 8), ColorType::Rgb, BitDepth::Sixteen, &high_first([1, 50_000, 9]).repeat(64)),
        encoded((8, 8), ColorType::Rgba, BitDepth::Eight, &[9, 80, 3, 100].repeat(64)),
        png_file::png(1, 1, |_, _| [200, 3, 3]),
        png_file::png(90, 8, |_, _| [7, 3, 3]),
    ];
    for (i, image) in images.iter().enumerate() {
        put(at, &format!("odd/train/ant/odd{i}.png"), image);
    }
    // A PNG under a JPEG's name, as in ImageNet.
    put(at, "odd/train/bee/really-a-png.JPEG", &png(1, 7));
    let line = format!("train --data odd --image-size 16 {TINY} --out out");
    good(at, &line);
    assert!(at.join("out/model.safetensors").is_file());
}

#[test]
fn cifar_files_that_are_cut_or_wrong() {
    let place = Place::new();
    let at = place.path();
    let record = |label: u8| [vec![label], vec![7; 3072]].concat();
    let all: Vec<u8> = (0..10u8).cycle().take(20).flat_map(record).collect();
    for i in 1..=5 {
        put(at, &format!("cifar/data_batch_{i}.bin"), &all);
    }
    put(at, "cifar/test_batch.bin", &all[..all.len() - 100]);
    refused_data(at, "cifar", &["test_batch.bin", "3073"]);
    put(at, "cifar/test_batch.bin", &[all.clone(), record(10)].concat());
    refused_data(at, "cifar", &["test_batch.bin", "10"]);
    put(at, "python/data_batch_1", b"pickle");
    refused_data(at, "python", &["data_batch_1", "Python version"]);
}

#[test]
fn images_of_one_colour_have_no_deviation() {
    let place = Place::new();
    for class in ["a", "b"] {
        for i in 0..4 {
            let image = png_file::png(8, 8, |_, _| [100; 3]);
            put(place.path(), &format!("plain/train/{class}/{i}.png"), &image);
        }
    }
    let line = format!("train --data plain {TINY} --out refused");
    refused(place.path(), &line, &["standard deviation of channel 0", "--mean and --std"]);
    good(place.path(), &format!("{line} --mean .5,.5,.5 --std .2,.2,.2"));
}
