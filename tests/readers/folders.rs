//! Order, parts, fingerprint and threads of folder trees.

use std::fs;
use std::path::Path;

use fairprune::data::{Format, image_folder};

use super::{GOOD, assert_has, golden, load, png, put, refusal, tree, with_threads};

#[test]
fn order_and_classes_are_those_of_torchvision() {
    let golden = golden("order.json");
    let dir = tempfile::tempdir().unwrap();
    let files = golden["files"].as_array().unwrap();
    for name in files {
        put(dir.path(), &format!("train/{}", name.as_str().unwrap()), b"");
    }
    let tree = image_folder::list(dir.path()).unwrap();
    let samples = golden["samples"].as_array().unwrap();
    let expected: Vec<(String, u32)> = samples
        .iter()
        .map(|s| (s[0].as_str().unwrap().to_owned(), s[1].as_u64().unwrap() as u32))
        .collect();
    assert_eq!(tree.ignored, files.len() - expected.len());
    let found: Vec<(String, u32)> = tree.train.ids.into_iter().zip(tree.train.labels).collect();
    assert_eq!(found, expected);
    assert_eq!(serde_json::json!(tree.classes), golden["classes"]);
    assert_eq!((tree.val, tree.test), (None, None));
}

#[test]
fn one_held_out_folder_is_the_test_part_two_are_validation_and_test() {
    for held in ["val", "test"] {
        let names = GOOD.map(|n| n.replace("test/", &format!("{held}/")));
        let dir = tree(&names.each_ref().map(String::as_str));
        let set = load(dir.path(), None).unwrap();
        assert!(set.val.is_none());
        let test = set.test.unwrap();
        assert_eq!(test.ids, [format!("{held}/cat/3.png"), format!("{held}/dog/3.png")]);
        assert_eq!(test.labels, [0, 1]);
    }
    let dir = tree(&[&GOOD[..], &["val/cat/9.png", "val/dog/9.png"]].concat());
    let set = load(dir.path(), None).unwrap();
    assert_eq!(set.val.as_ref().unwrap().ids, ["val/cat/9.png", "val/dog/9.png"]);
    assert_eq!(set.test.as_ref().unwrap().ids, ["test/cat/3.png", "test/dog/3.png"]);
    assert_eq!((set.height, set.width, set.format), (2, 2, Format::ImageFolder));
    assert_eq!(set.classes, ["cat", "dog"]);
    assert_eq!(set.train.image(2), [2, 100, 200].repeat(4));
    assert_eq!(set.train.class_sizes(2), [2, 2]);
    assert_eq!(set.name, dir.path().file_name().unwrap().to_str().unwrap());
    // The shipped validation part is what a split takes when none is named.
    let split = set.split(None, 0).unwrap();
    assert_eq!((split.kind.to_string(), split.val.len()), ("shipped".to_owned(), 2));
}

#[test]
fn fingerprint_changes_with_any_pixel_id_label_or_part_and_not_with_the_place() {
    let print = |dir: &tempfile::TempDir| load(dir.path(), None).unwrap().fingerprint;
    let reference = print(&tree(&GOOD));
    assert_eq!(reference.len(), 32);
    assert_eq!(print(&tree(&GOOD)), reference);
    let changed = |change: &dyn Fn(&Path)| {
        let dir = tree(&GOOD);
        change(dir.path());
        print(&dir)
    };
    let mv = |root: &Path, a: &str, b: &str| fs::rename(root.join(a), root.join(b)).unwrap();
    let mut seen = vec![
        reference.clone(),
        changed(&|r| put(r, "train/dog/2.png", &png(2, 2, [3, 100, 201]))),
        changed(&|r| put(r, "test/dog/3.png", &png(2, 2, [3, 100, 201]))),
        changed(&|r| mv(r, "train/dog/2.png", "train/dog/3.png")),
        changed(&|r| mv(r, "train/cat/2.png", "train/dog/0.png")),
        changed(&|r| mv(r, "test", "val")),
        changed(&|r| fs::remove_dir_all(r.join("test")).unwrap()),
        changed(&|r| {
            mv(r, "train/cat", "train/cow");
            mv(r, "test/cat", "test/cow");
        }),
    ];
    // Other files are no part of the set.
    assert_eq!(changed(&|r| put(r, "train/cat/notes.txt", b"x")), reference);
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn any_thread_count_reads_the_same_and_names_the_same_bad_file() {
    let names: Vec<String> =
        (0..300).map(|i| format!("train/{}/{i}.png", ["a", "b", "c"][i % 3])).collect();
    let dir = tree(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let [one, two, five] = with_threads(|| load(dir.path(), Some(7)).unwrap());
    assert_eq!(one.train, two.train);
    assert_eq!(one.train, five.train);
    assert_eq!(one.fingerprint, five.fingerprint);
    for bad in ["train/b/250.png", "train/a/30.png", "train/c/5.png"] {
        put(dir.path(), bad, b"x");
    }
    for text in with_threads(|| refusal(load(dir.path(), None))) {
        assert_has(&text, &["train/a/30.png"]);
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_loops_and_dead_ends_are_errors() {
    use std::os::unix::fs::symlink;
    let dir = tree(&[&GOOD[..], &["elsewhere/deep/9.png"]].concat());
    let root = dir.path();
    symlink(root.join("elsewhere"), root.join("train/dog/linked")).unwrap();
    symlink(root.join("elsewhere/deep/9.png"), root.join("train/cat/0.png")).unwrap();
    let set = load(root, None).unwrap();
    let expected =
        ["cat/0.png", "cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png", "dog/linked/deep/9.png"];
    assert_eq!(set.train.ids, expected.map(|id| format!("train/{id}")));
    assert_eq!(set.train.image(0), set.train.image(5));
    symlink(root.join("train"), root.join("elsewhere/back")).unwrap();
    assert_has(&refusal(load(root, None)), &["a link back to"]);
    fs::remove_file(root.join("elsewhere/back")).unwrap();
    symlink(root.join("nowhere.png"), root.join("train/cat/x.png")).unwrap();
    assert_has(&refusal(load(root, None)), &["train/cat/x.png"]);
}
