//! `fairprune data`: info, make, cache, export, fetch.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use fairprune::artefact::npy;
use serde_json::Value;

use super::{TINY, files, good, json, refused};

/// `shapes` as files of a few images a class.
fn make(place: &Path, form: &str, name: &str) {
    let line = format!("data make shapes --as {form} --per-class 4,1,2 --out {name} -q");
    good(place, &line);
}

fn fingerprint(place: &Path, path: &str) -> String {
    json(place, &format!("data info {path}"))["fingerprint"].as_str().unwrap().to_owned()
}

#[test]
fn made_sets_are_read_back_with_the_same_pixels_in_the_same_order() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let mut statistics = Vec::new();
    for (form, format, held_out) in [
        ("imagefolder", "imagefolder", [1, 2]),
        ("cifar", "cifar", [0, 2]),
        ("webdataset", "webdataset", [1, 2]),
    ] {
        make(place, form, form);
        let about = json(place, &format!("data info {form}"));
        assert_eq!(about["format"], format);
        assert_eq!(about["height"], 32);
        assert_eq!(about["classes"].as_array().unwrap().len(), 10);
        assert_eq!(about["parts"]["train"]["class_sizes"], serde_json::json!(vec![4; 10]));
        for (part, n) in ["val", "test"].into_iter().zip(held_out) {
            let sizes = about["parts"].get(part).map(|p| p["images"].as_u64().unwrap());
            assert_eq!(sizes.unwrap_or(0), 10 * n, "{form} {part}");
        }
        assert_eq!(about["groups"], Value::Null);
        statistics.push((about["mean"].clone(), about["std"].clone()));
        // The same command makes the same bytes.
        make(place, form, "again");
        for file in files(&place.join(form)) {
            let (a, b) = (place.join(form).join(&file), place.join("again").join(&file));
            assert_eq!(fs::read(a).unwrap(), fs::read(b).unwrap(), "{}", file.display());
        }
        fs::remove_dir_all(place.join("again")).unwrap();
    }
    assert!(statistics.windows(2).all(|w| w[0] == w[1]), "{statistics:?}");
    refused(place, "data make shapes --out imagefolder", &["imagefolder", "holds something"]);
    refused(place, "data make photos --out x", &["photos", "shapes:extreme"]);
    refused(place, "data make shapes --as tfrecord --out x", &["tfrecord", "webdataset"]);
    refused(place, "data make shapes --per-class 1,2 --out x", &["--per-class", "three numbers"]);
    refused(place, "data make shapes --per-class 0,1,1 --out x", &["no training images"]);
    refused(place, "data make shapes --per-class 1,1,1 --out absent/x", &["absent/x"]);
}

#[test]
fn info_says_what_is_there_for_people() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    make(place, "imagefolder", "set");
    let text = good(place, "data info set").out;
    for part in ["imagefolder", "32x32", "fingerprint", "mean", "cone", "train", "test", "all"] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    fs::write(place.join("set/train/cone/notes.txt"), "x").unwrap();
    let told = good(place, "data info set");
    assert!(told.err.contains("1 files with other extensions"), "{}", told.err);
    assert_eq!(told.out, text);
    let csv = "img_filename,y,split,place\na.png,0,0,0\nb.png,1,0,1\n";
    fs::create_dir(place.join("birds")).unwrap();
    fs::write(place.join("birds/metadata.csv"), csv).unwrap();
    for name in ["a.png", "b.png"] {
        fs::copy(place.join("set/train/cone/00000.png"), place.join("birds").join(name)).unwrap();
    }
    let text = good(place, "data info birds").out;
    assert!(text.contains("class / place") && text.contains("1 / 1"), "{text}");
    let about = json(place, "data info birds");
    assert_eq!(about["parts"]["train"]["group_sizes"], serde_json::json!([1, 0, 0, 1]));
    assert_eq!(about["groups"]["names"][3], "1 / 1");
    refused(place, "data info nowhere", &["nowhere", "nothing"]);
    refused(place, "data info set --format idx", &["no IDX files", "train-images-idx3-ubyte"]);
    refused(place, "data info set/train/cone/00000.png", &["a file", ".fpc", ".tar", ".parquet"]);
}

#[test]
fn a_cache_is_its_source_until_the_source_changes() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    make(place, "imagefolder", "set");
    let made = json(place, "data cache set --out small.fpc --image-size 16");
    assert_eq!(made["made"], true);
    let direct = json(place, "data info set --image-size 16");
    let mut cached = json(place, "data info small.fpc");
    assert!(cached["cache_of"].as_str().unwrap().ends_with("set"));
    cached["cache_of"] = Value::Null;
    assert_eq!(cached, direct);
    // Training sees the same bits.
    for data in ["set --image-size 16", "small.fpc"] {
        let out = if data.starts_with("set") { "a" } else { "b" };
        good(place, &format!("train --data {data} {TINY} --out {out} -q"));
    }
    let model = |out: &str| fs::read(place.join(out).join("model.safetensors")).unwrap();
    assert_eq!(model("a"), model("b"));
    // Up to date: nothing to do; other settings or another source: refused.
    let before = fs::metadata(place.join("small.fpc")).unwrap().modified().unwrap();
    assert_eq!(json(place, "data cache set --out small.fpc --image-size 16")["made"], false);
    assert_eq!(fs::metadata(place.join("small.fpc")).unwrap().modified().unwrap(), before);
    refused(place, "data cache set --out small.fpc", &["size 16", "the stored size", "--force"]);
    refused(
        place,
        "data cache shapes --out small.fpc --image-size 16",
        &["a cache of", "set", "--force"],
    );
    refused(place, "data info small.fpc --image-size 32", &["16x16", "32x32", "data cache"]);
    refused(place, "data cache small.fpc --out other.fpc", &["not a cache of it"]);
    refused(place, "data cache set --out set.bin", &[".fpc"]);
    // A file that is no cache is never replaced.
    fs::write(
        place.join("mine.fpc"),
        "my own notes, more than sixty-four bytes of them, for later use by me",
    )
    .unwrap();
    refused(place, "data cache set --out mine.fpc --force", &["mine.fpc", "another kind"]);
    refused(place, "data info mine.fpc", &["mine.fpc", "another kind"]);

    let image = place.join("set/train/cone/00000.png");
    let old = fs::read(&image).unwrap();
    fs::copy(place.join("set/train/cone/00001.png"), &image).unwrap();
    let words = ["small.fpc", "changed since", "--force"];
    refused(place, "data info small.fpc", &words);
    refused(place, "data cache set --out small.fpc --image-size 16", &words);
    assert_eq!(json(place, "data cache set --out small.fpc --image-size 16 --force")["made"], true);
    assert_ne!(fingerprint(place, "small.fpc"), direct["fingerprint"].as_str().unwrap());
    fs::write(&image, old).unwrap();
    json(place, "data cache set --out small.fpc --image-size 16 --force");
    assert_eq!(fingerprint(place, "small.fpc"), direct["fingerprint"].as_str().unwrap());
    // An added file changes the source; a cache inside it does not.
    fs::copy(place.join("small.fpc"), place.join("set/inside.fpc")).unwrap();
    good(place, "data info small.fpc -q");
    fs::write(place.join("set/more.txt"), "x").unwrap();
    refused(place, "data info small.fpc", &words);
    // Without its source the cache says so, and serves.
    fs::rename(place.join("set"), place.join("gone")).unwrap();
    let told = good(place, "data info small.fpc");
    assert!(told.err.contains("not there to compare with"), "{}", told.err);
}

#[test]
fn a_damaged_cache_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    good(place, "data cache shapes --out shapes.fpc -q");
    let whole = fs::read(place.join("shapes.fpc")).unwrap();
    assert_eq!(fingerprint(place, "shapes.fpc"), fingerprint(place, "shapes"));
    let with = |name: &str, change: &dyn Fn(&mut Vec<u8>), words: &[&str]| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        fs::write(place.join("shapes.fpc"), bytes).unwrap();
        let text = refused(place, "data info shapes.fpc", words);
        assert!(text.contains("shapes.fpc"), "{name}: {text}");
    };
    let pixels = whole.len() - 100;
    with("a pixel", &|b| b[pixels] ^= 1, &["damaged content", "make the cache again"]);
    with("the end", &|b| b.truncate(pixels), &["it says it has"]);
    with("more", &|b| b.push(0), &["it says it has"]);
    with("the version", &|b| b[8] = 2, &["format_version 2", "format_version 1"]);
    with("the start", &|b| b.truncate(30), &["a file of 30 bytes"]);
    with("the header", &|b| b[64] = b'x', &["malformed"]);
    with(
        "a label",
        &|b| {
            let at = 64 * (b[64..].chunks(64).position(|c| c[0] == 0).unwrap() + 1);
            b[at] ^= 0x10;
        },
        &["shapes"],
    );
}

#[test]
fn exports_hold_the_kept_samples() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    make(place, "imagefolder", "set");
    good(
        place,
        "prune --data set --density .5 --strategy random --quota uniform --split holdout --out kept -q",
    );
    let kept: Vec<i64> = match npy::read(&place.join("kept/kept.npy")).unwrap().values {
        npy::ArrayValues::Int(v) => v,
        other => panic!("{other:?}"),
    };
    let export = |form: &str, out: &str| {
        let line =
            format!("data export --data set --subset kept/kept.npy --as {form} --out {out} -q");
        good(place, &line);
    };
    for form in ["index.npy", "mask.npy", "list.txt", "csv.csv", "links", "copy", "tar", "one.tar"]
    {
        let name = form.split('.').next().unwrap();
        export(if name == "one" { "tar" } else { name }, form);
    }
    assert_eq!(
        fs::read(place.join("index.npy")).unwrap(),
        fs::read(place.join("kept/kept.npy")).unwrap()
    );
    assert_eq!(
        fs::read(place.join("mask.npy")).unwrap(),
        fs::read(place.join("kept/mask.npy")).unwrap()
    );
    let list = fs::read_to_string(place.join("list.txt")).unwrap();
    assert_eq!(list.lines().count(), kept.len());
    assert!(list.lines().all(|l| place.join("set").join(l).is_file()), "{list}");
    let csv = fs::read_to_string(place.join("csv.csv")).unwrap();
    assert!(csv.starts_with("index,id,label,class\n"), "{csv}");
    for ((line, id), i) in csv.lines().skip(1).zip(list.lines()).zip(&kept) {
        assert!(line.starts_with(&format!("{i},{id},")), "{line}");
    }
    // Trees are data sets: the kept images, and the same test part.
    let (links, copy) = (json(place, "data info links"), json(place, "data info copy"));
    assert_eq!(links["fingerprint"], copy["fingerprint"]);
    assert_eq!(links["parts"]["train"]["images"].as_u64(), Some(kept.len() as u64));
    let whole = json(place, "data info set");
    assert_eq!(links["parts"]["test"], whole["parts"]["test"]);
    assert_eq!(links["classes"], whole["classes"]);
    assert!(
        fs::symlink_metadata(place.join("links").join(list.lines().next().unwrap()))
            .unwrap()
            .is_symlink()
    );
    assert!(
        fs::symlink_metadata(place.join("copy").join(list.lines().next().unwrap()))
            .unwrap()
            .is_file()
    );
    // Shards and the single archive hold the same samples.
    let (tar, one) = (json(place, "data info tar"), json(place, "data info one.tar"));
    assert_eq!(
        (&tar["mean"], &tar["parts"]),
        (&links["mean"], &serde_json::json!({"train": links["parts"]["train"]}))
    );
    assert_eq!((&one["mean"], &one["std"]), (&tar["mean"], &tar["std"]));
    assert_eq!(tar["classes"], whole["classes"]);

    // Places that are taken, and forms that do not fit.
    let line = |rest: &str| format!("data export --data set --subset kept/kept.npy {rest}");
    refused(place, &line("--as index --out index.npy"), &["index.npy", "already"]);
    good(place, &line("--as index --out index.npy --force -q"));
    refused(place, &line("--as copy --out copy --force"), &["copy", "holds something"]);
    refused(place, &line("--as index --out index.txt"), &[".npy"]);
    refused(place, &line("--as copy --out set/inside"), &["inside the data set"]);
    refused(place, &line("--as tree --out x"), &["tree", "links"]);
    refused(place, &line("--as index --out kept/kept.npy --force"), &["what is read"]);
    // A subset of another data set.
    fs::copy(place.join("set/train/cone/00000.png"), place.join("set/train/cone/00001.png"))
        .unwrap();
    for (form, out) in [("index", "x.npy"), ("links", "x"), ("tar", "x.tar")] {
        let text = refused(
            place,
            &line(&format!("--as {form} --out {out}")),
            &["kept/kept.npy", "fingerprint"],
        );
        assert!(!place.join(out).exists(), "{text}");
    }
    good(place, "data make shapes --as cifar --per-class 3,0,1 --out bin -q");
    let mask = vec![true; 30];
    npy::write(&place.join("all.npy"), &[30], &mask).unwrap();
    let bin = "data export --data bin --subset all.npy";
    refused(place, &format!("{bin} --as links --out x"), &["no files of their own", "--as tar"]);
    good(place, &format!("{bin} --as tar --out packed -q"));
    assert_eq!(json(place, "data info packed")["mean"], json(place, "data info bin")["mean"]);
    npy::write(&place.join("all.npy"), &[31], &[true; 31]).unwrap();
    refused(place, &format!("{bin} --as list --out x.txt"), &["all.npy", "31", "30"]);
}

#[test]
fn shards_are_filtered_byte_for_byte() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/formats");
    for name in ["webdataset", "webdataset-pax", "webdataset-gnu"] {
        let set = golden.join(name);
        let set = set.to_str().unwrap();
        let images =
            json(place, &format!("data info {set}"))["parts"]["train"]["images"].as_u64().unwrap();
        // Everything: the same set again.
        let all: Vec<i64> = (0..images as i64).collect();
        npy::write(&place.join("all.npy"), &[all.len()], &all).unwrap();
        let out = format!("all-{name}");
        good(place, &format!("data export --data {set} --subset all.npy --as tar --out {out} -q"));
        let (a, b) =
            (json(place, &format!("data info {out}")), json(place, &format!("data info {set}")));
        assert_eq!(
            (&a["mean"], &a["parts"]["train"], &a["classes"]),
            (&b["mean"], &b["parts"]["train"], &b["classes"])
        );
        // Two of them: their members as they were, long names included.
        let few = [1i64, images as i64 - 1];
        npy::write(&place.join("few.npy"), &[2], &few).unwrap();
        good(
            place,
            &format!("data export --data {set} --subset few.npy --as tar --out {name}.tar -q"),
        );
        good(
            place,
            &format!("data export --data {set} --subset few.npy --as list --out {name}.txt -q"),
        );
        assert_eq!(json(place, &format!("data info {name}.tar"))["parts"]["train"]["images"], 2);
        let members = |path: &Path| {
            let mut archive = tar::Archive::new(fs::File::open(path).unwrap());
            let mut found = Vec::new();
            for entry in archive.entries().unwrap() {
                let mut entry = entry.unwrap();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                found.push((entry.path_bytes().into_owned(), content));
            }
            found
        };
        let source: Vec<_> = files(Path::new(set))
            .into_iter()
            .filter(|f| {
                f.to_string_lossy().contains("train") || f.to_string_lossy().contains("only")
            })
            .flat_map(|f| members(&Path::new(set).join(f)))
            .collect();
        let list = fs::read_to_string(place.join(format!("{name}.txt"))).unwrap();
        let exported = members(&place.join(format!("{name}.tar")));
        assert!(exported.iter().all(|m| source.contains(m)));
        for id in list.lines() {
            let key = id.split_once(".tar:").unwrap().1;
            let of_key = |m: &&(Vec<u8>, Vec<u8>)| {
                String::from_utf8_lossy(&m.0).starts_with(&format!("{key}."))
            };
            assert_eq!(
                exported.iter().filter(of_key).count(),
                source.iter().filter(of_key).count()
            );
        }
    }
}

#[test]
fn lists_with_attributes_are_filtered() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    make(place, "imagefolder", "set");
    fs::create_dir(place.join("birds")).unwrap();
    let mut csv = "img_id,img_filename,y,split,place,place_filename\n".to_owned();
    for i in 0..6 {
        fs::copy(place.join("set/train/cone/00000.png"), place.join(format!("birds/b {i}.png")))
            .unwrap();
        csv += &format!("{i},b {i}.png,{},{},{},\"x, y\"\n", i % 2, i / 4, i % 2);
    }
    fs::write(place.join("birds/metadata.csv"), csv).unwrap();
    npy::write(&place.join("kept.npy"), &[2], &[1i64, 2]).unwrap();
    good(place, "data export --data birds --subset kept.npy --as links --out fewer -q");
    let about = json(place, "data info fewer");
    assert_eq!(about["parts"]["train"]["group_sizes"], serde_json::json!([1, 0, 0, 1]));
    assert_eq!(about["parts"]["test"]["images"], 2);
    assert_eq!(about["classes"], serde_json::json!(["landbird", "waterbird"]));
    let text = fs::read_to_string(place.join("fewer/metadata.csv")).unwrap();
    assert_eq!(text.lines().count(), 5, "{text}");
    // From a cache of it, the files are those of its source.
    good(place, "data cache birds --out birds.fpc -q");
    good(place, "data export --data birds.fpc --subset kept.npy --as copy --out again -q");
    assert_eq!(fingerprint(place, "again"), fingerprint(place, "fewer"));
}

#[test]
fn fetch_refuses_other_bytes_and_unknown_names() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    refused(place, "data fetch imagenet", &["imagenet", "cifar10 or cifar100"]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwrong");
    });
    let line = format!("data fetch cifar10 --to sets --url http://127.0.0.1:{port}/x.tar.gz");
    refused(place, &line, &["127.0.0.1", "a file of 5 bytes", "170052171 bytes"]);
    server.join().unwrap();
    assert!(!place.join("sets/cifar-10-batches-bin").exists());
    // What is there already is not fetched again.
    good(place, "data make shapes --as cifar --per-class 3,0,1 --out sets/cifar-10-batches-bin -q");
    let told = json(place, "data fetch cifar10 --to sets");
    assert_eq!((told["was_there"].as_bool(), told["downloaded"].as_u64()), (Some(true), Some(0)));
}
