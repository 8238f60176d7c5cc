//! `data check`, and `--without check.csv`: what was found is left out, and only of the set that it is of.

use fairprune::artefact::npy;

use crate::*;

/// `data` with copies: of a training image, of one under another label, of a test image.
fn place_with_copies() -> Place {
    let place = Place::new();
    for (from, to) in [
        ("train/ant/03.png", "train/ant/90.png"),
        ("train/bee/01.png", "train/cat/90.png"),
        ("test/cat/02.png", "train/cat/91.png"),
    ] {
        let [from, to] = [from, to].map(|name| place.path().join("data").join(name));
        fs::copy(from, to).unwrap();
    }
    place
}

const ONLY: &str = "data check --data data --only duplicates --out found";

fn kept(place: &Place, out: &str) -> Vec<usize> {
    let path = place.path().join(out).join("kept.npy");
    npy::read(&path).unwrap().into_positions(39, "kept").unwrap()
}

#[test]
fn copies_are_found_in_all_parts_without_a_network() {
    let place = place_with_copies();
    let text = good(place.path(), ONLY);
    assert!(
        text.out
            .contains("3 images have the pixels of another, in 3 groups (1 with unlike labels)")
            && text.out.contains("1 training images those of a validation or test image")
            && text.out.contains("marked drop       3 of 39 training images"),
        "{}",
        text.out
    );
    let rows = place.read("found/check.csv");
    let rows: Vec<&str> = rows.lines().skip(1).collect();
    let expected = [
        "0,exact-duplicate,train,14,train/ant/90.png,0,train,3,train/ant/03.png,0,,1.0,drop",
        "1,exact-duplicate,train,37,train/cat/90.png,2,train,16,train/bee/01.png,1,,1.0,drop",
        "2,exact-duplicate,train,38,train/cat/91.png,2,test,10,test/cat/02.png,2,,1.0,drop",
    ];
    assert_eq!(rows, expected);
    let stated: Value = serde_json::from_str(&place.read("found/check.json")).unwrap();
    assert_eq!(stated["counts"]["exact_groups_of_unlike_labels"], 1);
    assert_eq!(stated["job"]["looked_for"], serde_json::json!(["exact-duplicate"]));
    assert_eq!(stated["job"]["data"], stated["data"]["fingerprint"]);
    assert!(!place.path().join("found/work").exists(), "a network was trained");
    let page = place.read("found/check.html");
    assert_eq!(page.matches("<figure").count(), 3);
    assert_eq!(page.matches("<img").count(), 6);
    assert!(page.contains("unlike labels") && !page.contains("://"));
    // The same again is the same, and another question is another job.
    let before = files(place.path()).len();
    good(place.path(), ONLY);
    assert_eq!((files(place.path()).len(), place.read("found/check.html")), (before, page));
    refused(place.path(), &ONLY.replace("duplicates", "labels"), &["--force"]);
    let document = json(place.path(), &ONLY.replace("found", "other"));
    assert_eq!(document["counts"]["exact"], 3);
    // Nothing found is a result, too.
    let clean = Place::new();
    good(clean.path(), ONLY);
    assert_eq!(clean.read("found/check.csv").lines().count(), 1);
    let line = "prune --data data --split half-test --density .5 --quota none --out k";
    let text = good(clean.path(), &format!("{line} --without found/check.csv"));
    assert!(text.err.contains("0 of 36 training images are left out"), "{}", text.err);
}

#[test]
fn what_is_marked_is_neither_kept_nor_trained_on() {
    let place = place_with_copies();
    good(place.path(), ONLY);
    let line = "prune --data data --split half-test --density 1 --quota none";
    let text = good(place.path(), &format!("{line} --without found/check.csv --out a"));
    let says = "3 of 39 training images are left out by found/check.csv: 3 exact duplicates";
    assert!(text.err.contains(says), "{}", text.err);
    let expected: Vec<usize> = (0..39).filter(|i| ![14, 37, 38].contains(i)).collect();
    assert_eq!(kept(&place, "a"), expected);
    let stated: Value = serde_json::from_str(&place.read("a/kept.json")).unwrap();
    let numbers = &stated["methods"][0]["hyper_parameters"];
    assert_eq!((&numbers["without"]["left_out"], &numbers["held_out"]), (&3.into(), &0.into()));
    assert!(place.read("a/report.html").contains("3 left out by a check"));
    // With it, without it and with another one are three jobs.
    refused(place.path(), &format!("{line} --out a"), &["without", "--force"]);
    let table = place.read("found/check.csv");
    place.write("found/check.csv", &table.replacen(",drop", ",keep", 1));
    let edited = format!("{line} --without found/check.csv --out a");
    refused(place.path(), &edited, &["--force"]);
    good(place.path(), &format!("{edited} --force"));
    assert!(kept(&place, "a").contains(&14) && !kept(&place, "a").contains(&37));

    // Scores say that they have none of it, and a folder of scores is pruned without, too.
    place.write("found/check.csv", &table);
    let score = format!("score --data data {TINY} --split half-test --runs 1 --method el2n");
    good(place.path(), &format!("{score} --without found/check.csv --out s"));
    let scores = place.read("s/scores.csv");
    assert_eq!(scores.lines().filter(|l| l.contains(",out,")).count(), 3, "{scores}");
    good(place.path(), "prune --scores s --density 1 --quota none --strategy el2n --out b");
    assert_eq!(kept(&place, "b"), expected);
    // What is gone takes nothing else with it.
    let again = "prune --scores s --without found/check.csv --density 1 --quota none --out c";
    assert!(good(place.path(), again).err.contains("0 of 36 training images are left out"));
    assert_eq!(kept(&place, "c"), expected);
    good(place.path(), &format!("{score} --out all"));
    let line = "prune --scores all --without found/check.csv --density 1 --quota none --out d";
    good(place.path(), line);
    assert_eq!(kept(&place, "d"), expected);
    let queries = format!("prune --data data {TINY} --split half-test --runs 1 --strategy el2n");
    let line = format!("{queries} --quota none --density 1 --without found/check.csv --out e");
    good(place.path(), &line);
    assert_eq!(kept(&place, "e"), expected);
    let train = format!("train --data data {TINY} --split half-test --out t");
    let text = good(place.path(), &format!("{train} --without found/check.csv"));
    assert!(text.err.contains(says), "{}", text.err);
    refused(place.path(), &train, &["without"]);
}

/// Under a split that holds training images out, the copy that is trained on goes.
#[test]
fn no_copy_of_a_validation_image_is_kept() {
    let place = place_with_copies();
    good(place.path(), ONLY);
    let line = "prune --data data --split holdout --density 1 --quota none --strategy random";
    let (mut of_pair, mut seeds) = (Vec::new(), 0..20);
    while of_pair.len() < 2 {
        let seed = seeds.next().expect("one of both is held out under some seed");
        let out = format!("k{seed}");
        good(place.path(), &format!("{line} --seed {seed} --without found/check.csv --out {out}"));
        let all = good(place.path(), &format!("{line} --seed {seed} --out all{seed}"));
        assert_eq!(all.code, 0);
        let (some, all) = (kept(&place, &out), kept(&place, &format!("all{seed}")));
        assert!(!some.contains(&14) && !some.contains(&38));
        // 3 is the original of 14.
        match (all.contains(&3), all.contains(&14)) {
            (true, true) => assert!(some.contains(&3)),
            (true, false) => {
                assert!(!some.contains(&3), "seed {seed}: 14 is held out");
                of_pair.push(seed);
            }
            _ => {}
        }
    }
}

#[test]
fn damaged_and_foreign_findings_are_refused() {
    let place = place_with_copies();
    good(place.path(), ONLY);
    let line = "prune --data data --split half-test --density .5 --quota none --out x";
    let line = format!("{line} --without found/check.csv");
    let refuses = |words: &[&str]| refused(place.path(), &line, words);
    let table = place.read("found/check.csv");
    for (row, words) in [
        (
            "0,exact-duplicate,train,14,train/ant/90.png,0,train,3,train/ant/03.png,0,,1.0,gone",
            &["line 2, column suggestion", "gone", "keep or drop"][..],
        ),
        (
            "0,exact-duplicate,train,13,train/ant/90.png,0,train,3,train/ant/03.png,0,,1.0,drop",
            &["--without", "training sample 13", "ant/90.png", "ant/13.png"],
        ),
        (
            "0,exact-duplicate,train,14,train/ant/90.png,1,train,3,train/ant/03.png,0,,1.0,drop",
            &["training sample 14", "label 1", "label 0"],
        ),
        (
            "0,exact-duplicate,train,99,train/ant/90.png,0,train,3,train/ant/03.png,0,,1.0,drop",
            &["training sample 99", "below 39"],
        ),
        ("0,exact-duplicate", &["line 2", "2 cells"]),
    ] {
        place.write("found/check.csv", &with_line(&table, 2, row));
        refuses(words);
    }
    // A class of which nothing is left.
    let all: String = (0..12)
        .map(|i| format!("{i},label,train,{},train/bee/{i:02}.png,1,,,,,0,0.1,drop\n", 15 + i))
        .collect();
    place.write("found/check.csv", &(table.lines().next().unwrap().to_owned() + "\n" + &all));
    refuses(&["class 1", "all of its 12 training images", "keep"]);
    place.write("found/check.csv", &table);
    // Of another set, and without what says of which.
    place.tree("other", &[("train", [14, 12, 9]), ("test", [4, 4, 4])]);
    good(place.path(), &ONLY.replace("--data data", "--data other").replace("found", "elsewhere"));
    let foreign = line.replace("found", "elsewhere");
    refused(place.path(), &foreign, &["fingerprint", "39 samples", "35 samples"]);
    fs::remove_file(place.path().join("found/check.json")).unwrap();
    refuses(&["--without", "no check.json", "data check"]);
    refused(place.path(), &line.replace("found", "nowhere"), &["nowhere/check.csv"]);
    assert!(!place.path().join("x").exists());
}

#[test]
fn networks_give_features_and_probabilities_that_can_be_given_back() {
    let place = place_with_copies();
    let line = format!("data check --data data {TINY} --near .5 --alike .9");
    let text = good(place.path(), &format!("{line} --out a"));
    assert!(
        text.err.contains("5 runs of 1 epochs") && text.err.contains("crossfit:5"),
        "{}",
        text.err
    );
    assert!(
        text.out.contains("near-duplicates") && text.out.contains("estimated to be wrong"),
        "{}",
        text.out
    );
    for name in ["features.npy", "features-test.npy", "features.json"] {
        assert!(place.path().join("a/network").join(name).is_file(), "{name}");
    }
    // The same on any number of threads, and again.
    good(place.path(), &format!("{} --out b", line.replace("--threads 1", "--threads 3")));
    for name in ["check.csv", "out-of-fold-probabilities.npy", "network/features-test.npy"] {
        let read = |out: &str| fs::read(place.path().join(out).join(name)).unwrap();
        assert!(read("a") == read("b"), "{name} depends on threads");
    }
    // Given back, they find the same, but for other parts, whose features are not given.
    let own = "--features a/network/features.npy --probabilities a/out-of-fold-probabilities.npy";
    let text = good(place.path(), &format!("{line} {own} --out c"));
    assert!(text.out.contains("training images alone were compared"), "{}", text.out);
    assert!(!place.path().join("c/work").exists(), "a network was trained");
    let of = |out: &str, kind: &str| -> Vec<String> {
        let rows = place.read(&format!("{out}/check.csv"));
        let tail = |l: &str| l.split_once(',').unwrap().1.to_owned();
        rows.lines().map(tail).filter(|l| l.starts_with(kind)).collect()
    };
    assert_eq!(of("c", "label"), of("a", "label"));
    assert_eq!(of("c", "exact"), of("a", "exact"));
    // Ranked otherwise, the same suspects have other values.
    let own = "--probabilities a/out-of-fold-probabilities.npy";
    let ranked =
        format!("data check --data data {own} --only labels --rank self-confidence --out d");
    let document = json(place.path(), &ranked);
    assert_eq!(document["counts"]["suspects"], of("a", "label").len());
    assert!(document["near_across_parts"].is_null());
}

#[test]
fn what_cannot_be_checked_is_refused() {
    let place = Place::new();
    let line = format!("data check --data data {TINY} --out x");
    npy::write(&place.path().join("p.npy"), &[36, 2], &[0.5f32; 72]).unwrap();
    npy::write(&place.path().join("q.npy"), &[36, 3], &[0.5f32; 108]).unwrap();
    for (flags, words) in [
        ("--only copies", &["--only", "copies", "near-duplicates"][..]),
        ("--near 0", &["--near", "above 0"]),
        ("--alike 1.5", &["--alike", "1.5"]),
        ("--rank best", &["--rank", "best", "self-confidence"]),
        ("--split holdout", &["--split", "holdout", "crossfit:R"]),
        ("--query-epochs 0", &["--query-epochs", "at least 1"]),
        ("--only labels --near .9", &["--near", "--only labels", "near-duplicates"]),
        ("--only duplicates --probabilities p.npy", &["--probabilities", "labels"]),
        ("--only labels --probabilities p.npy", &["--probabilities", "2 columns", "3"]),
        ("--only labels --probabilities q.npy", &["training sample 0", "a sum of 1.5"]),
        ("--only near-duplicates --features no.npy", &["no.npy"]),
    ] {
        refused(place.path(), &format!("{line} {flags}"), words);
    }
}
