//! `prune`: its files, and unusable scores, recalls and subsets.

use crate::*;

use fairprune::artefact::npy;

const ALL: [&str; 9] = [
    "classes.csv",
    "dropped.csv",
    "eligible.npy",
    "job.json",
    "kept.csv",
    "kept.json",
    "kept.npy",
    "mask.npy",
    "report.html",
];

/// The cells of a column.
fn column(csv: &str, name: &str) -> Vec<String> {
    let header = csv.lines().next().unwrap();
    let i = header.split(',').position(|h| h == name).unwrap();
    csv.lines().skip(1).map(|l| l.split(',').nth(i).unwrap().to_owned()).collect()
}

fn positions(path: &Path) -> Vec<usize> {
    npy::read(path).unwrap().into_positions(usize::MAX >> 1, "kept").unwrap()
}

#[test]
fn all_files_agree() {
    let place = Place::new();
    place.score();
    let line = "prune --scores scores --density .5 --strategy el2n --out out";
    let document = json(place.path(), line);
    assert_eq!(names(&place.path().join("out")), ALL);
    let kept = positions(&place.path().join("out/kept.npy"));
    // Half of each class is held out, and half of the 18 others is kept.
    assert_eq!((kept.len(), &document["total"]), (9, &18.into()));
    assert_eq!(document["kept"], 9);
    assert!(kept.is_sorted());
    let table = place.read("out/kept.csv");
    assert_eq!(table.lines().next().unwrap(), "index,id,label,part,score,kept");
    let flags: Vec<bool> = column(&table, "kept").iter().map(|k| k == "1").collect();
    let flagged: Vec<usize> = (0..flags.len()).filter(|&i| flags[i]).collect();
    assert_eq!(flagged, kept);
    let mask = npy::read(&place.path().join("out/mask.npy")).unwrap();
    assert_eq!(mask.values, npy::ArrayValues::Bool(flags));
    // The scores are those of the table, and held-out samples are never kept.
    let scores = place.read("scores/scores.csv");
    assert_eq!(column(&table, "score"), column(&scores, "el2n"));
    assert_eq!(column(&table, "id"), column(&scores, "id"));
    let parts = column(&scores, "part");
    assert!(kept.iter().all(|&i| parts[i] == "train"));
    // Classes: counts follow from the labels, names and recalls from the score folder.
    let classes = place.read("out/classes.csv");
    assert_eq!(classes.lines().next().unwrap(), "class,name,size,recall,density,kept");
    assert_eq!(column(&classes, "name"), ["ant", "bee", "cat"]);
    assert_eq!(column(&classes, "size"), ["7", "6", "5"]);
    assert_eq!(column(&classes, "recall"), column(&place.read("scores/recalls.csv"), "recall"));
    let labels = column(&table, "label");
    for (k, count) in column(&classes, "kept").iter().enumerate() {
        let mine = kept.iter().filter(|&&i| labels[i] == k.to_string()).count();
        assert_eq!(mine.to_string(), *count);
        assert_eq!(document["classes"][k]["kept"], mine);
    }
    let stated: Value = serde_json::from_str(&place.read("out/kept.json")).unwrap();
    assert_eq!(stated["methods"][0]["name"], "el2n+metriq");
    assert_eq!(stated["methods"][0]["hyper_parameters"]["prune_rate"], 0.5);
    assert_eq!(stated["methods"][1]["name"], "el2n");
    assert_eq!(stated["seeds"][0], 0);
    assert!(Path::new(document["files"]["kept"].as_str().unwrap()).ends_with("out/kept.npy"));
}

#[test]
fn the_page_shows_what_was_chosen() {
    let place = Place::new();
    place.score();
    let line = "prune --scores scores --density .5 --strategy margin --out out";
    let document = json(place.path(), line);
    let page = place.read("out/report.html");
    assert!(Path::new(document["files"]["report"].as_str().unwrap()).ends_with("report.html"));
    for text in ["Margin + MetriQ", "The lowest are kept first", "were not at hand", line] {
        assert!(page.contains(text), "no {text}");
    }
    assert!(!page.contains("<img"));
    for class in document["classes"].as_array().unwrap() {
        assert!(page.contains(class["name"].as_str().unwrap()));
    }
    // With the data set at hand, pictures of all 18: at most eight of a class on a side.
    let seen = |line: &str| place_images(&place, line);
    assert_eq!(seen("--scores scores --data data --strategy margin"), 18);
    assert_eq!(seen("--data data --quota uniform --split holdout"), 18);
    // At random nothing is held out: all 36.
    assert_eq!(seen("--data data --quota uniform"), 36);
    // The query run's images, without reading them again; picks are shown, too.
    let line = format!("--data data {TINY} --runs 1 --strategy coreset --quota uniform");
    assert_eq!(seen(&line), 18 + 9);
    // The same command again gives the same page.
    let page = place.read("page/report.html");
    seen(&line);
    assert_eq!(place.read("page/report.html"), page);
}

/// Pictures on the page of a selection.
fn place_images(place: &Place, flags: &str) -> usize {
    let out =
        if flags.contains("coreset") { "page".to_owned() } else { flags.replace([' ', '-'], "") };
    good(place.path(), &format!("prune {flags} --density .5 --out {out}"));
    place.read(&format!("{out}/report.html")).matches("<img ").count()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let place = Place::new();
    let kept = |line: &str| {
        let flags = "--density .5 --quota none";
        good(place.path(), &format!("prune --data data {flags} {line}"));
        fs::read(place.path().join(line.split(' ').next_back().unwrap()).join("kept.npy")).unwrap()
    };
    let first = kept("--out a");
    assert_eq!(first, kept("--out a"), "the same job again");
    assert_eq!(first, kept("--threads 3 --out b"));
    assert_ne!(first, kept("--seed 1 --out c"));
}

#[test]
fn the_draw_is_that_of_the_first_repetition_of_run() {
    let place = Place::new();
    let line = format!("run --data data {TINY} --seeds 1 --strategies random --out run");
    good(place.path(), &line);
    good(place.path(), "prune --data data --split holdout --density .5 --quota none --out prune");
    let read = |name: &str| positions(&place.path().join(name));
    assert_eq!(read("run/kept-random-0.npy"), read("prune/kept.npy"));
}

#[test]
fn every_quota_and_strategy() {
    let place = Place::new();
    place.score();
    for quota in ["none", "metriq", "metriq-released", "uniform", "balanced", "from:el2n"] {
        for strategy in ["random", "el2n", "margin"] {
            let out = format!("{strategy}-{}", quota.replace(':', "-"));
            let flags = format!("--strategy {strategy} --quota {quota} --prune-rate .5");
            let document =
                json(place.path(), &format!("prune --scores scores {flags} --out {out}"));
            assert_eq!(document["kept"], 9, "{out}");
            // With the data set beside the scores, the same.
            let line = format!("prune --scores scores --data data {flags} --out {out}-data");
            assert_eq!(json(place.path(), &line)["classes"], document["classes"]);
            let bytes =
                |folder: &str| fs::read(place.path().join(folder).join("kept.npy")).unwrap();
            assert_eq!(bytes(&out), bytes(&format!("{out}-data")));
        }
    }
    let text = good(place.path(), "prune --scores scores --density .5 --smooth laplace --out l");
    assert!(text.err.contains("recalls are smoothed"), "{}", text.err);
    assert!(text.out.contains("keeps 50 %, prunes 50 % (9 of 18"), "{}", text.out);
    let line = "prune --scores scores --density .5 --quota uniform --smooth laplace --out m";
    assert!(good(place.path(), line).err.contains("--smooth does nothing"));
}

#[test]
fn unusable_flags() {
    let place = Place::new();
    place.score();
    for (flags, words) in [
        ("--density .5", ["no data set", "--scores"]),
        ("--scores scores", ["--density", "required"]),
        ("--scores scores --density 0", ["--density", "above 0"]),
        ("--scores scores --prune-rate 1", ["--prune-rate", "below 1"]),
        ("--scores scores --density 1.5", ["--density", "1.5"]),
        ("--scores scores --density -1", ["--density", "-1"]),
        ("--scores scores --density nan", ["--density", "NaN"]),
        ("--scores scores --density .01", ["density", "no sample of 18"]),
        ("--scores scores --density .5 --strategy best", ["--strategy", "best"]),
        ("--scores scores --density .5 --quota best", ["--quota", "best"]),
        ("--scores scores --density .5 --quota from:best", ["--quota", "from:best"]),
        ("--scores scores --density .5 --strategy grand", ["scores.csv", "el2n, margin"]),
        ("--scores scores --density .5 --quota from:grand", ["scores.csv", "grand"]),
        ("--scores scores --density .5 --smooth kernel", ["--smooth", "laplace"]),
        ("--scores scores --density .5 --min-per-class 4", ["minimum", "12"]),
        ("--scores scores --density .5 --split holdout", ["--split", "--scores"]),
        ("--data data --density .5 --recalls nowhere.csv", ["nowhere.csv", "No such file"]),
        ("--scores nowhere --density .5", ["nowhere", "no folder"]),
        ("--scores data --density .5", ["--scores data", "no scores.csv"]),
    ] {
        refused(place.path(), &format!("prune {flags} --out refused"), &words);
        assert!(!place.path().join("refused").exists(), "{flags}");
    }
}

#[test]
fn unusable_recalls_are_named_with_their_line() {
    let place = Place::new();
    place.score();
    let whole = place.read("scores/recalls.csv");
    let line = |cells: &str| with_line(&whole, 3, cells);
    let cases: [(&str, String, &[&str]); 14] = [
        ("nan", line("1,bee,6,6,12,NaN,"), &["line 3", "recall", "NaN", "from 0 to 1"]),
        ("high", line("1,bee,6,6,12,1.5,"), &["line 3", "recall", "1.5"]),
        ("low", line("1,bee,6,6,12,-0.5,"), &["line 3", "recall", "-0.5"]),
        ("text", line("1,bee,6,6,12,half,"), &["line 3", "recall", "half"]),
        ("correct", line("1,bee,6,13,12,0.5,"), &["line 3", "val_correct", "13"]),
        ("cells", line("1,bee,6"), &["line 3", "3 cells", "7"]),
        ("apart", line("1,bee,6,12,12,0.5,"), &["line 3", "recall", "val_correct of val_total"]),
        ("twice", line("0,ant,6,6,12,0.5,"), &["line 3", "class", "0 again"]),
        ("name", line("1,wasp,6,6,12,0.5,"), &["class 1", "wasp", "bee"]),
        ("short", whole.lines().take(3).collect::<Vec<_>>().join("\n"), &["2 rows", "3"]),
        ("more", format!("{whole}3,dog,1,1,2,0.5,\n"), &["4 rows", "3, the classes of the data"]),
        ("header", whole.replace("val_total", "total"), &["line 1", "val_total"]),
        ("rows", whole.lines().next().unwrap().to_owned(), &["no rows"]),
        ("empty", String::new(), &["line 1", "an empty file"]),
    ];
    for (name, text, words) in cases {
        place.write("bad.csv", &text);
        for source in ["--data data", "--scores scores"] {
            let line = format!("prune {source} --recalls bad.csv --density .5 --out refused");
            refused(place.path(), &line, &[&["bad.csv"], words].concat());
            assert!(!place.path().join("refused").exists(), "{name}");
        }
    }
    put(place.path(), "bad.csv", &[whole.as_bytes(), b"3,\xff,1,1,1,0.5,\n"].concat());
    let line = "prune --data data --recalls bad.csv --density .5 --out refused";
    refused(place.path(), line, &["bad.csv", "line 5", "UTF-8"]);
    // Swapped classes would silently swap the quotas.
    let mut lines: Vec<&str> = whole.lines().collect();
    let swapped = [lines[1].replace("ant", "bee"), lines[2].replace("bee", "ant")];
    (lines[1], lines[2]) = (&swapped[0], &swapped[1]);
    place.write("bad.csv", &lines.join("\n"));
    refused(place.path(), line, &["class 0", "bee", "ant"]);
    fs::remove_file(place.path().join("scores/recalls.csv")).unwrap();
    let line = "prune --scores scores --density .5 --out refused";
    refused(place.path(), line, &["--quota metriq", "no recalls.csv in scores", "--recalls"]);
    good(place.path(), "prune --scores scores --density .5 --quota none --out none");
}

#[test]
fn recalls_of_other_data_are_refused_or_said_to_be() {
    let place = Place::new();
    place.score();
    place.tree("other", &[("train", [20, 20, 20])]);
    let line = "prune --data other --recalls scores/recalls.csv --density .5 --out out";
    refused(place.path(), line, &["scores/recalls.csv", "36 samples", "60 samples", "fingerprint"]);
    fs::copy(place.path().join("scores/recalls.csv"), place.path().join("alone.csv")).unwrap();
    let line = "prune --data other --recalls alone.csv --density .5 --out alone";
    let outcome = good(place.path(), line);
    assert!(outcome.err.contains("7 of class \"ant\" there, 20 here"), "{}", outcome.err);
}

#[test]
fn unusable_scores_are_named_with_their_line() {
    let place = Place::new();
    place.score();
    let whole = place.read("scores/scores.csv");
    let trained = column(&whole, "part").iter().position(|p| p == "train").unwrap();
    let mut cells: Vec<&str> = whole.lines().nth(trained + 1).unwrap().split(',').collect();
    let at = format!("line {}", trained + 2);
    cells[4] = "NaN";
    let nan = with_line(&whole, trained + 2, &cells.join(","));
    cells[4] = "";
    let gap = with_line(&whole, trained + 2, &cells.join(","));
    let cases: [(String, &[&str]); 8] = [
        (nan, &[at.as_str(), "el2n", "NaN"]),
        (gap, &[at.as_str(), "el2n", "a number"]),
        (with_line(&whole, 2, "0,a,9,train,.5,.5"), &["line 2", "label", "below 3"]),
        (with_line(&whole, 2, "0,a,x,train,.5,.5"), &["line 2", "label", "a class index"]),
        (with_line(&whole, 2, "0,a,0,test,.5,.5"), &["line 2", "part", "train, val or out"]),
        (with_line(&whole, 2, "1,a,0,train,.5,.5"), &["line 2", "index", "data-set order"]),
        (whole.lines().take(9).collect::<Vec<_>>().join("\n"), &["8 samples", "36"]),
        (whole.replacen("el2n", "margin", 1), &["line 1", "different names"]),
    ];
    let line = "prune --scores scores --density .5 --strategy el2n --out refused";
    for (text, words) in cases {
        place.write("scores/scores.csv", &text);
        refused(place.path(), line, &[&["scores.csv"], words].concat());
    }
    place.write("scores/scores.csv", &whole);
    let json = without_digests(&place.read("scores/scores.json"));
    for (text, words) in [
        ("{".to_owned(), &["scores.json", "JSON"][..]),
        ("{}".to_owned(), &["scores.json", "no format_version"]),
        (json.replacen("\"format_version\": 1", "\"format_version\": 2", 1), &["format_version 2"]),
        (json.replacen("higher-first", "lower-first", 1), &["direction of el2n", "HigherFirst"]),
        (json.replacen("\"ant\",", "", 1), &["2 class names", "3, one a class"]),
    ] {
        assert_ne!(text, json);
        place.write("scores/scores.json", &text);
        refused(place.path(), line, words);
    }
    fs::remove_file(place.path().join("scores/scores.json")).unwrap();
    refused(place.path(), line, &["--scores scores", "no scores.json"]);
    assert!(!place.path().join("refused").exists());
}

#[test]
fn scores_of_another_data_set_are_refused() {
    let place = Place::new();
    place.score();
    place.tree("other", &[("train", [14, 12, 11]), ("test", [4, 4, 4])]);
    let line = "prune --scores scores --data other --density .5 --out refused";
    refused(place.path(), line, &["scores scores", "36 samples", "37 samples", "fingerprint"]);
}

#[test]
fn a_subset_must_belong_to_the_data_set() {
    let place = Place::new();
    let line = "prune --data data --split holdout --density .5 --quota none --out kept";
    good(place.path(), line);
    let line = format!("train --data data {TINY} --subset kept/kept.npy --out trained");
    let trained = good(place.path(), &line);
    assert!(trained.err.contains("9 of 18 training images"), "{}", trained.err);
    place.tree("other", &[("train", [14, 12, 11]), ("test", [4, 4, 4])]);
    let refused_subset = |flags: &str, words: &[&str]| {
        let line = format!("train --data data {TINY} {flags} --out refused");
        refused(place.path(), &line, words);
        assert!(!place.path().join("refused").exists());
    };
    let line = format!("train --data other {TINY} --subset kept/kept.npy --out refused");
    refused(place.path(), &line, &["kept/kept.npy", "36 samples", "37 samples", "fingerprint"]);
    refused_subset(
        "--subset kept/kept.npy --seed 1",
        &["held out", "seed 1", "made under --split holdout"],
    );
    refused_subset("--subset kept/nothing.npy", &["nothing.npy", "No such file"]);
    refused_subset("--subset kept/kept.csv", &["kept.csv", "numpy.save"]);
}

#[test]
fn bare_index_lists_are_checked_too() {
    let place = Place::new();
    let subset = |values: &[i64]| {
        let path = place.path().join("bare.npy");
        npy::write(&path, &[values.len()], values).unwrap();
    };
    let line = format!("train --data data {TINY} --split half-test --subset bare.npy --out out");
    for (values, words) in [
        (&[0, 1, 36][..], ["bare.npy", "36"]),
        (&[0, -1], ["bare.npy", "-1"]),
        (&[3, 1, 3], ["bare.npy", "3 a second time"]),
        (&[], ["bare.npy", "no index"]),
        (&[5], ["1 samples", "at least 2"]),
    ] {
        subset(values);
        refused(place.path(), &line, &words);
    }
    npy::write(&place.path().join("bare.npy"), &[2], &[0.5f64, 1.0]).unwrap();
    refused(place.path(), &line, &["bare.npy", "floating-point"]);
    subset(&(0..20).collect::<Vec<_>>());
    let outcome = good(place.path(), &line);
    assert!(outcome.err.contains("without bare.json"), "{}", outcome.err);
    let bytes = fs::read(place.path().join("bare.npy")).unwrap();
    fs::write(place.path().join("bare.npy"), &bytes[..bytes.len() - 5]).unwrap();
    refused(place.path(), &line, &["bare.npy", "bytes"]);
}
