//! Mistakes that anybody makes: a folder for a file, an empty file, numbers beyond reason.

use fairprune::artefact::npy;

use crate::*;

/// More than anybody means, and more than sums of it can hold.
const MOST: u64 = u64::MAX;

#[test]
fn unusable_input_is_named_in_words() {
    let place = Place::new();
    place.score();
    good(place.path(), "prune --scores scores --density .5 --out kept");
    place.write("empty.csv", "");
    put(place.path(), "junk.toml", &[0xff; 40]);
    let train = |rest: &str| format!("train --data data {TINY} --out no {rest}");
    let long = TINY.replace("--epochs 1", "--epochs 18446744073709551615");
    for (line, words) in [
        (train("--subset kept"), &["--subset kept", "a folder", "kept/kept.npy"][..]),
        (train("--subset kept/kept.csv"), &["kept/kept.csv", "numpy.save"]),
        (train("--subset nowhere.npy"), &["nowhere.npy", "No such file"]),
        (format!("train --data data {long} --out no"), &["--epochs", "1 to 1000000"]),
        (
            "quota --recalls-from empty.csv --density .5".to_owned(),
            &["an empty file", "class,name"],
        ),
        ("study junk.toml --out no".to_owned(), &["junk.toml", "UTF-8", "TOML"]),
        (format!("run --data data {TINY} --strategies= --out no"), &["found nothing", "full"]),
        (train("").replace("--batch 8", &format!("--batch {MOST}")), &["--batch", "1000000000"]),
        (format!("score --data data {TINY} --runs {MOST} --out no"), &["--runs", "at most 10000"]),
        (format!("run --data data {TINY} --seeds {MOST} --out no"), &["--seeds", "at most 10000"]),
        (format!("run --data data {TINY} --query-runs {MOST} --out no"), &["--query-runs"]),
        (format!("run --data data {TINY} --seeds 0 --out no"), &["--seeds", "at least 1"]),
        (format!("data make shapes --per-class {MOST},1,1 --out no"), &["--per-class", "1000000"]),
    ] {
        let err = refused(place.path(), &line, words);
        assert!(!err.contains("is unknown"), "first things first: {err}");
        assert!(!place.path().join("no").exists(), "{line}");
    }
}

/// A subset is a set: whoever writes positions in another order means the same.
#[test]
fn positions_may_come_in_any_order() {
    let place = Place::new();
    good(place.path(), "prune --data data --quota uniform --density .5 --out kept");
    let path = place.path().join("kept/kept.npy");
    let mut positions = npy::read(&path).unwrap().into_positions(36, "kept").unwrap();
    good(place.path(), &format!("train --data data {TINY} --subset kept/kept.npy --out a"));
    positions.reverse();
    positions.swap(0, 3);
    let values: Vec<i64> = positions.iter().map(|&i| i as i64).collect();
    npy::write(&path, &[values.len()], &values).unwrap();
    good(place.path(), &format!("train --data data {TINY} --subset kept/kept.npy --out b"));
    let model = |out: &str| fs::read(place.path().join(out).join("model.safetensors")).unwrap();
    assert!(model("a") == model("b"));
    // Other positions are another subset.
    npy::write(&path, &[values.len() - 1], &values[1..]).unwrap();
    let line = format!("train --data data {TINY} --subset kept/kept.npy --out c");
    refused(place.path(), &line, &["kept.npy", "positions of another subset"]);
}
