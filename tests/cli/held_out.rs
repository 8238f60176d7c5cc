//! What is held out, and what is said of it: nothing unless it is measured on or asked for.

use fairprune::artefact::npy;
use fairprune::artefact::tables::{self, DroppedRow, KeptRow, Reason, SamplePart};

use crate::*;

fn kept_rows(place: &Place, out: &str) -> Vec<KeptRow> {
    tables::read(&place.path().join(out).join("kept.csv")).unwrap()
}

fn dropped_rows(place: &Place, out: &str) -> Vec<DroppedRow> {
    tables::read(&place.path().join(out).join("dropped.csv")).unwrap()
}

fn flags(place: &Place, file: &str) -> Vec<bool> {
    match npy::read(&place.path().join(file)).unwrap().values {
        npy::ArrayValues::Bool(flags) => flags,
        other => panic!("{file}: {other:?}"),
    }
}

/// A row a training image, but for those of `without`; its score is its position.
fn scores(place: &Place, name: &str, without: impl Fn(usize) -> bool) {
    let sizes = [("ant", 14), ("bee", 12), ("cat", 10)];
    let of = |(class, n): (&'static str, usize)| (0..n).map(move |i| format!("{class}/{i:02}.png"));
    let names: Vec<String> = sizes.into_iter().flat_map(of).collect();
    let rows = names.iter().enumerate().filter(|(i, _)| !without(*i));
    let rows: String = rows.map(|(i, name)| format!("{name},{i}\n")).collect();
    place.write(name, &format!("path,score\n{rows}"));
}

#[test]
fn nothing_is_held_out_where_nothing_is_measured() {
    let place = Place::new();
    scores(&place, "s.csv", |_| false);
    npy::write(&place.path().join("f.npy"), &[36, 2], &vec![0.5f32; 72]).unwrap();
    let given = "--scores s.csv --direction high --quota uniform";
    for (flags, out) in [
        ("--quota none", "random"),
        (given, "given"),
        ("--features f.npy --strategy herding --quota balanced", "features"),
    ] {
        let line = format!("prune --data data --density .5 {flags} --out {out}");
        let done = json(place.path(), &line);
        assert_eq!((&done["kept"], &done["total"]), (&18.into(), &36.into()), "{out}");
        assert_eq!((&done["held_out"], &done["split"]), (&0.into(), &"none".into()), "{out}");
    }
    let text = good(place.path(), &format!("prune --data data --density .5 {given} --out given"));
    assert!(text.out.contains("(18 of 36 training images)"), "{}", text.out);
    // What is asked for is held out, and every count says what it is of.
    let line = format!("prune --data data --density .5 --split holdout {given} --out asked");
    let text = good(place.path(), &line).out;
    let says = "(9 of 18 training images that may be kept; 18 of 36 are held out by split holdout)";
    assert!(text.contains(says), "{text}");
    // Recalls of a training that held a part out: the same part, of which they tell.
    place.train();
    let line = "prune --data data --recalls out/recalls.csv --density .5 --out recalls";
    assert_eq!(json(place.path(), line)["split"], "holdout");
    // A folder that was begun when half was held out is another job, and the message says why.
    let line = format!("prune --data data --density .5 {given} --out asked");
    refused(place.path(), &line, &["asked", "another job", "split"]);
}

#[test]
fn every_dropped_sample_has_its_reason() {
    let place = Place::new();
    // The scores rise with the position: without quotas all of "ant" goes.
    scores(&place, "s.csv", |_| false);
    let line = "prune --data data --scores s.csv --direction high --split holdout --density .5";
    good(place.path(), &format!("{line} --quota uniform --out out"));
    let (kept, dropped) = (kept_rows(&place, "out"), dropped_rows(&place, "out"));
    let mask = flags(&place, "out/mask.npy");
    let eligible = flags(&place, "out/eligible.npy");
    assert_eq!((kept.len(), dropped.len()), (36, 27));
    let best = |i: usize| {
        let better = |j: &usize| *j > i && eligible[*j];
        (0..36).filter(better).count() < 9
    };
    for row in &kept {
        let i = row.index as usize;
        assert_eq!((row.kept, row.part == SamplePart::Train), (mask[i], eligible[i]), "{i}");
        let why = dropped.iter().find(|d| d.index == row.index).map(|d| d.reason);
        let expected = match (mask[i], eligible[i]) {
            (true, _) => None,
            (false, false) => Some(Reason::HeldOut),
            (false, true) if best(i) => Some(Reason::Quota),
            (false, true) => Some(Reason::Score),
        };
        assert_eq!(why, expected, "{i}");
    }
    let count = |reason: Reason| dropped.iter().filter(|d| d.reason == reason).count();
    assert_eq!(count(Reason::HeldOut), 18);
    assert!(count(Reason::Quota) > 0 && count(Reason::Score) > 0);
    // Random draws and picks have no score to blame.
    good(place.path(), "prune --data data --density .5 --quota none --out random");
    let why = dropped_rows(&place, "random");
    assert_eq!((why.len(), why.iter().all(|d| d.reason == Reason::Draw)), (18, true));
    good(place.path(), "prune --data data --density 1 --quota none --out all");
    assert_eq!(dropped_rows(&place, "all"), []);
    // A long tail is no hold-out.
    let line = "prune --data data --long-tail 2 --density 1 --quota none --out tail";
    let done = json(place.path(), line);
    assert_eq!(done["held_out"], 0);
    let left_out = done["left_out"].as_u64().unwrap() as usize;
    let why = dropped_rows(&place, "tail");
    assert_eq!((why.len(), why.iter().all(|d| d.reason == Reason::LeftOut)), (left_out, true));
    assert!(left_out > 0);
}

#[test]
fn scores_of_a_part_and_lists_hold_the_others_out() {
    let place = Place::new();
    scores(&place, "part.csv", |i| i % 6 == 0);
    let line = "prune --data data --direction high --density .5 --quota none";
    let text = refused(
        place.path(),
        &format!("{line} --scores part.csv --out no"),
        &["6 names without a row", "\"train/ant/00.png\"", "--partial"],
    );
    assert!(text.contains("and 1 more"), "{text}");
    let text = good(place.path(), &format!("{line} --scores part.csv --partial --out part"));
    assert!(text.err.contains("6 of 36 training images have no row in part.csv: held out"));
    assert!(text.out.contains("(15 of 30 training images that may be kept; 6 of 36 are held out"));
    let held = |out: &str| -> Vec<u64> {
        let held = |r: &&KeptRow| r.part == SamplePart::Val;
        kept_rows(&place, out).iter().filter(held).map(|r| r.index).collect()
    };
    assert_eq!(held("part"), [0, 6, 12, 18, 24, 30]);
    // The same by a list of names, by positions, and by a column.
    scores(&place, "all.csv", |_| false);
    place.write("names.txt", "ant/00.png\n./train/ant/06.png\n\n/home/me/data/train/ant/12.png\n");
    npy::write(&place.path().join("held.npy"), &[3], &[12i64, 0, 6]).unwrap();
    let split = |i: usize| if i.is_multiple_of(6) && i < 18 { "valid" } else { "Train" };
    let table = place
        .read("all.csv")
        .lines()
        .skip(1)
        .enumerate()
        .map(|(i, l)| format!("{l},{}\n", split(i)))
        .collect::<String>();
    place.write("split.csv", &format!("path,score,split\n{table}"));
    for (flags, out) in [
        ("--scores all.csv --held-out names.txt", "names"),
        ("--scores all.csv --held-out held.npy", "positions"),
        ("--scores split.csv --held-out part", "column"),
    ] {
        good(place.path(), &format!("{line} {flags} --out {out}"));
        assert_eq!(held(out), [0, 6, 12], "{out}");
        let bytes = |out: &str| fs::read(place.path().join(out).join("kept.npy")).unwrap();
        assert_eq!(bytes(out), bytes("names"), "{out}");
    }
    // Another list is another job.
    place.write("names.txt", "ant/01.png\n");
    let again = format!("{line} --scores all.csv --held-out names.txt --out names");
    refused(place.path(), &again, &["names", "eligible"]);
    for (flags, words) in [
        ("--scores all.csv --held-out nowhere.txt", ["nowhere.txt", "No such file"]),
        ("--scores all.csv --held-out part", ["all.csv", "one column part or split"]),
        ("--scores all.csv --held-out names.txt --split none", ["--held-out", "--split"]),
        ("--scores all.csv --held-out all.csv", ["--held-out all.csv", "path,score"]),
    ] {
        refused(place.path(), &format!("{line} {flags} --out no"), &words);
    }
    let line = "prune --data data --density .5 --quota none --held-out part --out no";
    refused(place.path(), line, &["--held-out part", "no file of scores"]);
}

#[test]
fn our_own_table_of_scores_can_be_fed_back() {
    let place = Place::new();
    place.score();
    fs::create_dir(place.path().join("mine")).unwrap();
    fs::copy(place.path().join("scores/scores.csv"), place.path().join("mine/scores.csv")).unwrap();
    let line = "prune --data data --density .5 --quota none";
    good(place.path(), &format!("{line} --scores scores --strategy el2n --out folder"));
    let of_folder = fs::read(place.path().join("folder/kept.npy")).unwrap();
    // Its parts hold out, and its columns say themselves which end is hard.
    refused(
        place.path(),
        &format!("{line} --scores mine/scores.csv --out no"),
        &["el2n or margin"],
    );
    for (file, out) in [("mine/scores.csv", "copy"), ("scores/scores.csv", "place")] {
        let flags = format!("--scores {file} --score-column el2n");
        let text = good(place.path(), &format!("{line} {flags} --out {out}"));
        assert!(text.err.contains("18 of 36 training images are not of the part train"));
        assert_eq!(fs::read(place.path().join(out).join("kept.npy")).unwrap(), of_folder, "{out}");
    }
    good(place.path(), &format!("{line} --scores scores --strategy margin --out margins"));
    let flags = "--scores mine/scores.csv --score-column margin";
    good(place.path(), &format!("{line} {flags} --out m"));
    let bytes = |out: &str| fs::read(place.path().join(out).join("kept.npy")).unwrap();
    assert_eq!(bytes("m"), bytes("margins"));
}

#[test]
fn training_holds_nothing_out_of_a_subset_or_a_small_set() {
    let place = Place::new();
    good(place.path(), "prune --data data --density .5 --quota none --out kept");
    let line = format!("train --data data {TINY}");
    let text = good(place.path(), &format!("{line} --out small")).err;
    let says =
        "36 of 36 training images, no validation images (--split holdout or crossfit takes some)";
    assert!(text.contains(says), "{text}");
    assert!(!place.path().join("small/recalls.csv").exists());
    let text = good(place.path(), &format!("{line} --split holdout --out asked")).err;
    assert!(text.contains("18 of 18 training images (18 more are not trained on), 18 validation"));
    assert!(place.path().join("asked/recalls.csv").exists());
    let text = good(place.path(), &format!("{line} --subset kept/kept.npy --out subset")).err;
    assert!(text.contains("18 of 36 training images, no validation"), "{text}");
    // A subset that was made under a split is trained under it: that costs none of its images.
    good(place.path(), "prune --data data --split holdout --density .5 --quota none --out held");
    let text = good(place.path(), &format!("{line} --subset held/kept.npy --out of-held")).err;
    assert!(text.contains("9 of 18 training images (18 more"), "{text}");
    // The test images are there either way.
    let summary = json(place.path(), &format!("{line} --out small"));
    assert_eq!(summary["data"]["samples"], 36);
    assert!(summary["average_accuracy"].is_number());
    // A baseline that looks at validation images asks for some.
    let text = good(place.path(), &format!("{line} --baseline dfr --out dfr")).err;
    assert!(text.contains("18 validation (holdout)"), "{text}");
}

#[test]
fn what_a_pruning_lacks_is_computed() {
    let place = Place::new();
    // Recalls alone, for the default strategy and quota.
    let line = format!("prune --data data --density .5 {TINY} --runs 2");
    let text = good(place.path(), &format!("{line} --out plain"));
    for word in ["query     2 runs of 1 epochs, no augmentation: recalls", "memory ", "time "] {
        assert!(text.err.contains(word), "no {word} in {}", text.err);
    }
    assert!(text.out.contains("18 of 36 are held out by split holdout"), "{}", text.out);
    assert_eq!(
        names(&place.path().join("plain/scores")).iter().filter(|n| *n == "recalls.csv").count(),
        1
    );
    let stated: Value = serde_json::from_str(&place.read("plain/kept.json")).unwrap();
    assert_eq!(stated["methods"][0]["name"], "metriq");
    // The same recalls from a folder of scores give the same subset.
    let score = format!("score --data data {TINY} --runs 2 --method el2n --out scores");
    good(place.path(), &score);
    let line = "prune --data data --recalls scores/recalls.csv --density .5 --out by-recalls";
    good(place.path(), line);
    let bytes = |out: &str| fs::read(place.path().join(out).join("kept.npy")).unwrap();
    assert_eq!(bytes("plain"), bytes("by-recalls"));
    // Dynamics: one set of recalls, that of the recorded run, and it is said.
    let longer = TINY.replace("--epochs 1", "--epochs 2");
    let line = format!("prune --data data --density .5 {longer} --strategy aum --out aum");
    let text = good(place.path(), &line).err;
    assert!(text.contains("those of the recorded run"), "{text}");
    assert!(!place.path().join("aum/scores/recalls-dynamics.csv").exists());
    // Nothing can be measured on nothing.
    let line = format!("prune --data data --split none --density .5 {TINY} --out none");
    refused(place.path(), &line, &["strategy metriq", "--split none", "another --split"]);
    let line = format!("run --data data --split none {TINY} --seeds 1 --out none");
    refused(place.path(), &line, &["--split none", "another --split"]);
    assert!(!place.path().join("none").exists());
}
