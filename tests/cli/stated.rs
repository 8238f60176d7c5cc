//! Data that does not say itself what it is: flags, refusals and notes as people meet them.

use std::io::Write;

use fairprune::artefact::npy;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::*;

/// An archive of samples: key, class.
fn tar(samples: &[(&str, usize)]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    let mut member = |name: String, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        out.append_data(&mut header, name, content).unwrap();
    };
    for (i, (key, class)) in samples.iter().enumerate() {
        member(format!("{key}.png"), &png(*class, i));
        member(format!("{key}.cls"), class.to_string().as_bytes());
    }
    out.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn images(about: &Value) -> Vec<u64> {
    let part = |name: &str| about["parts"][name]["images"].as_u64().unwrap_or(0);
    ["train", "val", "test"].map(part).to_vec()
}

#[test]
fn parts_gaps_and_labels_are_said_by_flags() {
    let place = Place::new();
    let at = place.path();
    place.tree("own", &[("lots", [4, 4, 4]), ("some", [2, 2, 2])]);
    refused(at, "data info own", &["no train folder but 2 folders (lots, some)"]);
    let flags = "--parts train=lots,test=some";
    assert_eq!(images(&json(at, &format!("data info own {flags}"))), [12, 0, 6]);
    refused(at, "data info own --parts train=lots,test=more", &["nothing called more", "--parts"]);
    refused(at, "data info own --parts lots", &["--parts", "train=NAME"]);
    // The same data set under every command that reads one, and under its vocabulary's name.
    fs::rename(at.join("own"), at.join("named")).unwrap();
    good(at, &format!("train --data named {flags} {TINY} --out out"));
    good(at, &format!("eval --data named {flags} --weights out/model.safetensors --threads 1"));
    let done =
        good(at, &format!("prune --data named {flags} --density .5 --quota uniform --out kept"));
    let next = format!("fairprune train --data named {flags} --subset kept/kept.npy");
    assert!((done.out + &done.err).contains(&next), "{next}");
    let line =
        format!("data export --data named {flags} --subset kept/kept.npy --as links --out few");
    good(at, &line);
    // Some of the training images were held out and not kept; everything else comes along.
    assert_eq!(images(&json(at, &format!("data info few {flags}")))[2], 6);
    assert!(names(&at.join("few")).contains(&"some".to_owned()));
    refused(at, "prune --scores out --parts train=x --density .5 --out x", &["no --data"]);
    put(at, "gap/train-0.tar", &tar(&[("a", 1), ("b", 2)]));
    put(at, "gap/train-2.tar", &tar(&[("c", 1), ("d", 2)]));
    refused(at, "data info gap", &["without train-1", "--allow-missing"]);
    let about = json(at, "data info gap --allow-missing");
    assert_eq!((images(&about)[0], &about["classes"]), (4, &serde_json::json!(["1", "2"])));
    let notes = about["notes"].to_string();
    assert!(notes.contains("train-1") && notes.contains("labels start at 1"), "{notes}");
    let about = json(at, "data info gap --allow-missing --labels-from 0");
    assert_eq!(about["classes"].as_array().unwrap().len(), 3);
    refused(at, "data info gap --allow-missing --labels-from 5", &["--labels-from", "0 or 1"]);
    refused(at, "data info named --image-key png", &["--image-key", "webdataset"]);
    // A study's file says the same, under the names of the flags.
    place.write("study.toml", "data = \"gap\"\nparts = \"lots\"\n");
    refused(at, "study study.toml --out s", &["study.toml"]);
}

#[test]
fn a_cache_remembers_what_was_said_of_its_source() {
    let place = Place::new();
    let at = place.path();
    place.tree("own", &[("train", [4, 4, 4]), ("some", [2, 2, 2])]);
    good(at, "data cache own --parts test=some --out own.fpc");
    assert_eq!(images(&json(at, "data info own.fpc")), [12, 0, 6]);
    good(at, "data cache own --parts test=some --out own.fpc");
    refused(at, "data cache own --out own.fpc", &["test=some", "what the files say", "--force"]);
    refused(at, "data info own.fpc --parts test=some", &["--parts", "a cache"]);
}

#[test]
fn exports_follow_other_names_and_compressed_shards() {
    let place = Place::new();
    let at = place.path();
    place.tree("set", &[("training", [4, 4, 4]), ("evaluation", [2, 2, 2])]);
    good(at, "prune --data set --density .5 --quota uniform --out kept");
    good(at, "data export --data set --subset kept/kept.npy --as links --out few");
    let about = json(at, "data info few");
    assert_eq!((images(&about)[0] < 12, images(&about)[2]), (true, 6));
    for ending in ["tar.gz", "tgz"] {
        let samples = [("a", 0), ("b", 1), ("c", 0), ("d", 1)];
        let folder = format!("packed-{ending}");
        put(at, &format!("{folder}/train-0.{ending}"), &gzip(&tar(&samples)));
        npy::write(&at.join("two.npy"), &[2], &[1i64, 2]).unwrap();
        let flags = format!("--data {folder} --subset two.npy --as tar");
        good(at, &format!("data export {flags} --out out-{ending}"));
        assert_eq!(names(&at.join(format!("out-{ending}"))), ["classes.txt", "train-0.tar"]);
        assert_eq!(
            json(at, &format!("data info out-{ending}"))["parts"]["train"]["class_sizes"],
            serde_json::json!([1, 1])
        );
        good(at, &format!("data export {flags} --out {ending}.tar"));
        assert_eq!(images(&json(at, &format!("data info {ending}.tar"))), [2, 0, 0]);
    }
}

#[test]
fn weight_files_of_other_kinds_are_named() {
    let place = Place::new();
    let at = place.path();
    let line =
        format!("eval --data data --weights w.pth {}", "--arch resnet8 --width 4 --threads 1");
    for (bytes, words) in [
        (&b"PK\x03\x04rest"[..], &["a zip archive", "scripts/pth_to_safetensors.py"][..]),
        (b"\x80\x02}q\x00.", &["a Python pickle", "scripts/pth_to_safetensors.py"]),
        (b"version https://git-lfs.github.com/spec/v1\n", &["a Git LFS pointer", "git lfs pull"]),
        (b"<html>404</html>", &["an HTML page"]),
        (b"\x89HDF\r\n\x1a\n", &["an HDF5 file", "a safetensors file"]),
        (b"", &["an empty file"]),
    ] {
        put(at, "w.pth", bytes);
        refused(at, &line, words);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/pth_to_safetensors.py");
    assert!(script.is_file());
    // Arrays and tables of earlier jobs.
    let pointer = b"version https://git-lfs.github.com/spec/v1\n";
    put(at, "kept.npy", pointer);
    put(at, "s.csv", pointer);
    refused(
        at,
        &format!("train --data data {TINY} --subset kept.npy --out x"),
        &["kept.npy", "a Git LFS pointer"],
    );
    let line = "prune --data data --density .5 --quota none --scores s.csv --direction low --out x";
    refused(at, line, &["s.csv", "a Git LFS pointer"]);
}

#[test]
fn names_and_metadata_of_other_programs_do_not_hinder_weights() {
    let place = Place::new();
    let at = place.path();
    place.train();
    let whole = fs::read(at.join("out/model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&whole).unwrap();
    let line = "eval --data data --arch resnet8 --width 4 --threads 1 --weights w.safetensors";
    let store = |prefix: &str, metadata: &[(&str, &str)]| {
        let views =
            file.tensors().into_iter().map(|(name, view)| (format!("{prefix}{name}"), view));
        let metadata = metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        put(at, "w.safetensors", &safetensors::serialize(views, Some(metadata)).unwrap());
    };
    store("", &[]);
    let plain = good(at, line);
    for prefix in ["module.", "_orig_mod.", "model_ema.module."] {
        store(prefix, &[]);
        let done = good(at, line);
        assert_eq!(done.out, plain.out, "{prefix}");
        assert!(
            done.err.contains(&format!("begin with {prefix}, which was left out")),
            "{}",
            done.err
        );
    }
    for (key, value) in [
        ("arch", "ResNet-8"),
        ("classes", "['cat', 'dog']"),
        ("classes", "3"),
        ("mean", "(0.485, 0.456, 0.406)"),
        ("size", "224"),
        ("data", "imagenet-1k"),
    ] {
        store("", &[("format", "pt"), (key, value)]);
        let done = good(at, line);
        assert_eq!(done.out, plain.out, "{key}");
        let note = format!("metadata key {key}: {value:?} is not read");
        assert!(done.err.contains(&note), "{}", done.err);
        // What this program writes must be right.
        store("", &[("tool", "fairprune 0.1.0"), (key, value)]);
        refused(at, line, &[&format!("metadata key {key}")]);
    }
}

const LINE: &str = "prune --data data --split half-test --density .25 --quota none";

/// The positions that a pruning kept.
fn kept(place: &Place) -> Vec<usize> {
    let path = place.path().join("out/kept.npy");
    npy::read(&path).unwrap().into_positions(usize::MAX >> 1, "kept").unwrap()
}

#[test]
fn positions_are_not_taken_for_scores() {
    let place = Place::new();
    let at = place.path();
    let order: Vec<i64> = (0..36).map(|i| (i * 5 + 3) % 36).collect();
    npy::write(&at.join("order.npy"), &[36], &order).unwrap();
    let line =
        format!("{LINE} --scores order.npy --order dataset --direction high --out out --force");
    refused(at, &line, &["order.npy", "the numbers 0 to 35, each once", "--as-ranks", "argsort"]);
    good(at, &format!("{line} --as-ranks"));
    assert_eq!(kept(&place), (0..36).filter(|&i| order[i] >= 27).collect::<Vec<_>>());
    // One number less, and nobody can mean positions.
    let scores: Vec<i64> = order.iter().map(|&i| i + i64::from(i == 35)).collect();
    npy::write(&at.join("order.npy"), &[36], &scores).unwrap();
    good(at, &line);
    // By name there is nothing to mistake.
    let ids = [("ant", 14), ("bee", 12), ("cat", 10)];
    let ids =
        ids.into_iter().flat_map(|(c, n)| (0..n).map(move |i| format!("train/{c}/{i:02}.png")));
    let rows: Vec<String> = ids.zip(&order).map(|(id, rank)| format!("{id},{rank}\n")).collect();
    place.write("ranks.csv", &format!("id,score\n{}", rows.concat()));
    good(at, &format!("{LINE} --scores ranks.csv --direction high --out out --force"));
    refused(at, &format!("{LINE} --as-ranks --out x"), &["--as-ranks", "--scores FILE"]);
}

/// A zip archive of stored arrays, as `numpy.savez` writes it. Checksums are not looked at.
fn npz(place: &Place, name: &str, arrays: &[(&str, &[f64])]) {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (array, values) in arrays {
        let path = place.path().join("one.npy");
        npy::write(&path, &[values.len()], values).unwrap();
        let content = fs::read(&path).unwrap();
        let at = out.len() as u32;
        let member = format!("{array}.npy");
        let mut sizes = [0; 10].to_vec();
        sizes.extend([0; 4]);
        sizes.extend((content.len() as u32).to_le_bytes());
        sizes.extend((content.len() as u32).to_le_bytes());
        sizes.extend((member.len() as u16).to_le_bytes());
        sizes.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&sizes);
        out.extend(member.as_bytes());
        out.extend(&content);
        directory.extend(b"PK\x01\x02\0\0");
        directory.extend(&sizes);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(member.as_bytes());
        fs::remove_file(path).unwrap();
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0\0\0");
    out.extend((arrays.len() as u16).to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    put(place.path(), name, &out);
}

#[test]
fn score_files_of_other_programs_have_keys_columns_and_paths_of_their_own() {
    let place = Place::new();
    let at = place.path();
    let scores: Vec<f64> = (0..36).map(|i| f64::from((i * 5 + 3) % 36) / 7.0).collect();
    let labels = [0.0; 36];
    npz(&place, "c.npz", &[("labels", &labels), ("scores", &scores)]);
    let best: Vec<usize> = (0..36).filter(|&i| (i * 5 + 3) % 36 >= 27).collect();
    let flags = "--order dataset --direction high --out out --force";
    let line = |rest: &str| format!("{LINE} --scores {rest} {flags}");
    refused(at, &line("c.npz"), &["the arrays labels, scores", "--score-column"]);
    refused(at, &line("c.npz --score-column loss"), &["an array \"loss\""]);
    refused(at, &line("c.npz --score-column scores --name-column x"), &["--name-column", "a CSV"]);
    good(at, &line("c.npz --score-column scores"));
    assert_eq!(kept(&place), best);
    npz(&place, "one.npz", &[("s", &scores)]);
    good(at, &line("one.npz"));
    assert_eq!(kept(&place), best);
    // Tables: an index without a header, another name's column, paths of Windows.
    let rows = |name: &dyn Fn(usize) -> String| -> String {
        (0..36).map(|i| format!("{},{}\n", name(i), scores[i])).collect()
    };
    place.write("index.csv", &format!(",quality\n{}", rows(&|i| i.to_string())));
    refused(at, &line("index.csv"), &["--name-column"]);
    let text = line("index.csv");
    let words: Vec<&str> = text.split(' ').chain(["--name-column", ""]).collect();
    let done = command(at, &words).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(kept(&place), best);
    let ids: Vec<String> = [("ant", 14), ("bee", 12), ("cat", 10)]
        .into_iter()
        .flat_map(|(c, n)| (0..n).map(move |i| format!("train/{c}/{i:02}.png")))
        .collect();
    let windows = |i: usize| format!("D:\\data\\set\\{}", ids[i].replace('/', "\\"));
    place.write("windows.csv", &format!("filepath,score\n{}", rows(&windows)));
    let line = format!("{LINE} --direction high --out out --force --scores windows.csv");
    refused(at, &line, &["\"filepath,score\"", "--name-column"]);
    good(at, &format!("{line} --name-column filepath"));
    assert_eq!(kept(&place), best);
}
