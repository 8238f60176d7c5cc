//! `data export` of folders as people have them: links out of the tree, spaces, names of any bytes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use fairprune::artefact::npy;

use crate::*;

/// A set whose training images lie elsewhere: a linked class folder, linked files, spaces.
fn scattered(place: &Path) {
    for i in 0..4 {
        put(place, &format!("elsewhere/big cats/{i} of 4.png"), &png(0, i));
        put(place, &format!("attic/dog {i}.png"), &png(1, 10 + i));
        put(place, &format!("my set/test/big cats/{i}.png"), &png(0, 20 + i));
        put(place, &format!("my set/test/dog/{i}.png"), &png(1, 30 + i));
    }
    fs::create_dir_all(place.join("my set/train/dog")).unwrap();
    symlink(place.join("elsewhere/big cats"), place.join("my set/train/big cats")).unwrap();
    for i in 0..4 {
        let link = place.join(format!("my set/train/dog/link to {i}.png"));
        symlink(format!("../../../attic/dog {i}.png"), link).unwrap();
    }
    // Files that are no samples may be called anything.
    fs::write(place.join("my set").join(OsStr::from_bytes(b"notes \xff\xfe.txt")), "x").unwrap();
    let strange = place.join("my set").join(OsStr::from_bytes(b"extra \xf1"));
    fs::create_dir(&strange).unwrap();
    fs::write(strange.join(OsStr::from_bytes(b"\x80")), "y").unwrap();
    npy::write(&place.join("kept.npy"), &[3], &[1i64, 4, 6]).unwrap();
}

const KEPT: [&str; 3] =
    ["train/big cats/1 of 4.png", "train/dog/link to 0.png", "train/dog/link to 2.png"];

/// The program with words that hold spaces or any bytes.
fn words(place: &Path, words: &[&OsStr]) -> Outcome {
    let output = command(place, &[]).args(words).output().unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn export(place: &Path, form: &str, out: &OsStr) -> Outcome {
    let [data, set, subset, kept, form] =
        ["--data", "my set", "--subset", "kept.npy", form].map(OsStr::new);
    let all = [OsStr::new("data"), OsStr::new("export"), data, set, subset, kept];
    words(place, &[&all[..], &[OsStr::new("--as"), form, OsStr::new("--out"), out]].concat())
}

#[test]
fn trees_of_scattered_files_are_whole() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    scattered(place);
    for form in ["links", "copy"] {
        // The folder's own name: spaces, and bytes that are not UTF-8.
        let out = place.join(OsStr::from_bytes(format!("out {form} ").as_bytes()));
        let out = [out.as_os_str().as_bytes(), b"\xff"].concat();
        let out = Path::new(OsStr::from_bytes(&out));
        let done = export(place, form, out.as_os_str());
        assert_eq!(done.code, 0, "{}", done.err);
        let found: Vec<String> = files(&out.join("train"))
            .iter()
            .map(|f| format!("train/{}", f.to_str().unwrap()))
            .collect();
        assert_eq!(found, KEPT, "{form}");
        for id in KEPT {
            let (copy, original) = (out.join(id), place.join("my set").join(id));
            assert_eq!(fs::read(&copy).unwrap(), fs::read(original).unwrap(), "{form} {id}");
            // Links lead to the files by full paths, copies are files of their own.
            let about = fs::symlink_metadata(&copy).unwrap();
            assert_eq!(about.is_symlink(), form == "links", "{id}");
            if form == "links" {
                assert!(fs::read_link(&copy).unwrap().is_absolute());
            }
        }
        let notes = out.join(OsStr::from_bytes(b"notes \xff\xfe.txt"));
        assert_eq!(fs::read_to_string(notes).unwrap(), "x");
        let inside = out.join(OsStr::from_bytes(b"extra \xf1")).join(OsStr::from_bytes(b"\x80"));
        assert_eq!(fs::read_to_string(inside).unwrap(), "y");
        assert_eq!(files(&out.join("test")).len(), 8);
        // Moved away from, the copy is whole; it is a data set of the kept images.
        fs::rename(out, place.join(form)).unwrap();
        let info = json(place, &format!("data info {form}"));
        assert_eq!(info["parts"]["train"]["class_sizes"], serde_json::json!([1, 2]));
        assert_eq!(info["classes"], serde_json::json!(["big cats", "dog"]));
    }
    fs::remove_dir_all(place.join("elsewhere")).unwrap();
    fs::remove_dir_all(place.join("attic")).unwrap();
    assert_eq!(json(place, "data info copy")["parts"]["train"]["images"], 3);
    assert_ne!(run(place, "data info links").code, 0, "links need their originals");
}

#[test]
fn lists_tables_and_archives_of_scattered_files() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    scattered(place);
    for (form, out) in [
        ("list", "l.txt"),
        ("csv", "t.csv"),
        ("tar", "t.tar"),
        ("index", "i.npy"),
        ("mask", "m.npy"),
    ] {
        let done = export(place, form, OsStr::new(out));
        assert_eq!(done.code, 0, "{form}: {}", done.err);
    }
    assert_eq!(fs::read_to_string(place.join("l.txt")).unwrap(), KEPT.join("\n") + "\n");
    let table = fs::read_to_string(place.join("t.csv")).unwrap();
    assert_eq!(table.lines().nth(1).unwrap(), "1,train/big cats/1 of 4.png,0,big cats");
    let mask = npy::read(&place.join("m.npy")).unwrap().into_positions(8, "m").unwrap();
    assert_eq!(mask, [1, 4, 6]);
    // The files as they are, and nothing but samples and classes.
    let mut archive = tar::Archive::new(fs::File::open(place.join("t.tar")).unwrap());
    let mut images = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        if entry.path().unwrap().extension() == Some(OsStr::new("png")) {
            images.push(bytes);
        }
    }
    let originals = KEPT.map(|id| fs::read(place.join("my set").join(id)).unwrap());
    assert_eq!(images, originals);
    // The archive is a data set, whose pixels are those of the kept images.
    assert_eq!(json(place, "data info t.tar")["parts"]["train"]["images"], 3);
}

#[test]
fn a_sample_without_a_name_in_utf8_is_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    scattered(place);
    let strange = place.join("my set/train/dog").join(OsStr::from_bytes(b"\xe9t\xe9.png"));
    fs::write(strange, png(1, 99)).unwrap();
    let done = export(place, "links", OsStr::new("out"));
    assert_eq!(done.code, 2, "{}", done.err);
    assert!(done.err.contains("UTF-8") && done.err.contains("train/dog"), "{}", done.err);
    assert!(!place.join("out").exists());
}

#[test]
fn exports_of_groups_name_the_attribute() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    good(place, "data make shapes:spurious --as metadata --per-class 20,2,2 --out set -q");
    good(
        place,
        "prune --data set --groups background --density .25 --quota balanced --out kept -q",
    );
    let export = "data export --data set --subset kept/kept.npy -q";
    good(place, &format!("{export} --as csv --out t.csv"));
    let table = fs::read_to_string(place.join("t.csv")).unwrap();
    assert_eq!(table.lines().next().unwrap(), "index,id,label,class,background");
    assert!(table.lines().skip(1).all(|l| l.ends_with(",warm") || l.ends_with(",cool")), "{table}");
    // Of 20 over eight groups, four of one image each: those whole, and four of each other.
    for form in ["links", "copy"] {
        good(place, &format!("{export} --as {form} --out {form}"));
        let info = json(place, &format!("data info {form}"));
        assert_eq!(info["groups"]["names"][0], "pentagon / warm", "{form}");
        let sizes = &info["parts"]["train"]["group_sizes"];
        assert_eq!(*sizes, serde_json::json!([4, 1, 1, 4, 4, 1, 1, 4]), "{form}");
        assert_eq!(info["parts"]["test"]["group_sizes"], serde_json::json!(vec![1; 8]), "{form}");
    }
}
