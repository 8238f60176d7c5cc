//! `prune --scores FILE`: scores of other programs.

use fairprune::artefact::npy;

use crate::*;

/// Ids of the training images in data-set order, of which `half-test` may keep all 36.
fn ids() -> Vec<String> {
    let sizes = [("ant", 14), ("bee", 12), ("cat", 10)];
    let of = |(class, n): (&'static str, usize)| {
        (0..n).map(move |i| format!("train/{class}/{i:02}.png"))
    };
    sizes.into_iter().flat_map(of).collect()
}

/// A score of each: distinct, and not in data-set order.
fn score(i: usize) -> f64 {
    ((i * 23 + 5) % 36) as f64 / 7.0 - 2.0
}

/// The `n` samples of highest (or lowest) score, ascending.
fn best(n: usize, high: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..36).collect();
    order.sort_by(|&a, &b| score(a).total_cmp(&score(b)));
    if high {
        order.reverse();
    }
    order.truncate(n);
    order.sort_unstable();
    order
}

fn positions(place: &Place, out: &str) -> Vec<usize> {
    let path = place.path().join(out).join("kept.npy");
    npy::read(&path).unwrap().into_positions(usize::MAX >> 1, "kept").unwrap()
}

const LINE: &str = "prune --data data --split half-test --density .25 --quota none";

#[test]
fn tables_are_matched_by_name_whatever_their_order() {
    let place = Place::new();
    let mut rows: Vec<usize> = (0..36).collect();
    rows.rotate_left(11);
    let table = |header: &str, name: &dyn Fn(&str) -> String| {
        let rows = rows.iter().map(|&i| format!("{},{}\n", name(&ids()[i]), score(i)));
        format!("{header}\n{}", rows.collect::<String>())
    };
    // By id, by torchvision's absolute path, by what follows the part; as a score and as AUM.
    place.write("id.csv", &table("filename,score", &str::to_owned));
    place.write("path.csv", &table("path,hardness", &|id| format!("/home/me/set/{id}")));
    place.write(
        "class.csv",
        &table("sample_id,aum", &|id| id.trim_start_matches("train/").to_owned()),
    );
    for (file, flags, high) in [
        ("id.csv", "--direction high", true),
        ("id.csv", "--direction low", false),
        ("path.csv", "--direction high", true),
        ("class.csv", "", false),
        ("class.csv", "--direction high", true),
    ] {
        let out = format!("{file}-{high}");
        let done =
            json(place.path(), &format!("{LINE} --scores {file} {flags} --out {out} --force"));
        assert_eq!(done["strategy"], "given");
        assert_eq!(positions(&place, &out), best(9, high), "{file} {flags}");
    }
    let stated: Value = serde_json::from_str(&place.read("class.csv-false/kept.json")).unwrap();
    let record = &stated["methods"][1];
    assert_eq!((&record["name"], &record["direction"]), (&"given".into(), &"lower-first".into()));
    assert_eq!(record["hyper_parameters"]["column"], "aum");
    let kept = place.read("id.csv-true/kept.csv");
    let first = kept.lines().nth(1).unwrap();
    assert!(first.starts_with(&format!("0,{},0,train,{}", ids()[0], score(0) as f32)), "{first}");
    // Another file under the same flags is another job.
    place.write("id.csv", &table("filename,score", &str::to_owned).replace(",-2\n", ",-2.5\n"));
    let line = format!("{LINE} --scores id.csv --direction high --out id.csv-true");
    refused(place.path(), &line, &["id.csv-true", "given"]);
}

#[test]
fn arrays_need_an_order_and_a_direction() {
    let place = Place::new();
    let values: Vec<f64> = (0..36).map(score).collect();
    npy::write(&place.path().join("s.npy"), &[36], &values).unwrap();
    let line = |flags: &str| format!("{LINE} --scores s.npy {flags} --out out --force");
    refused(place.path(), &line("--direction high"), &["s.npy", "without an order", "imagefolder"]);
    refused(place.path(), &line("--order dataset"), &["without a direction", "high or low"]);
    refused(place.path(), &line("--order name --direction high"), &["--order", "name"]);
    refused(place.path(), &line("--order dataset --direction up"), &["--direction", "up"]);
    refused(place.path(), &line("--order ids:none.txt --direction low"), &["none.txt"]);
    for order in ["dataset", "imagefolder"] {
        good(place.path(), &line(&format!("--order {order} --direction low")));
        assert_eq!(positions(&place, "out"), best(9, false), "{order}");
    }
    // An order of their own, stated by names.
    let order: Vec<usize> = (0..36).map(|j| (j * 5 + 3) % 36).collect();
    place.write("order.txt", &order.iter().map(|&i| ids()[i].clone() + "\n").collect::<String>());
    let shuffled: Vec<f32> = order.iter().map(|&i| score(i) as f32).collect();
    npy::write(&place.path().join("t.npy"), &[36], &shuffled).unwrap();
    let flags = "--scores t.npy --order ids:order.txt --direction high --out out --force";
    good(place.path(), &format!("{LINE} {flags}"));
    assert_eq!(positions(&place, "out"), best(9, true));
    // A CSV whose names are positions says so.
    let numbered: String = (0..36).map(|j| format!("{j},{}\n", score(order[j]))).collect();
    place.write("n.csv", &format!("sample_id,aum\n{numbered}"));
    refused(
        place.path(),
        &format!("{LINE} --scores n.csv --out x"),
        &["\"0\"", "say in which --order"],
    );
    good(place.path(), &format!("{LINE} --scores n.csv --order ids:order.txt --out out --force"));
    assert_eq!(positions(&place, "out"), best(9, false));
    // Lengths, kinds and values.
    npy::write(&place.path().join("s.npy"), &[35], &values[1..]).unwrap();
    refused(place.path(), &line("--order dataset --direction low"), &["35 numbers", "36"]);
    npy::write(&place.path().join("s.npy"), &[6, 6], &values).unwrap();
    refused(place.path(), &line("--order dataset --direction low"), &["[6, 6]", "one axis"]);
    let broken: Vec<f64> = (0..36).map(|i| if i == 7 { f64::NAN } else { 0.0 }).collect();
    npy::write(&place.path().join("s.npy"), &[36], &broken).unwrap();
    refused(place.path(), &line("--order dataset --direction low"), &["position 7", "NaN"]);
    npy::write(&place.path().join("s.npy"), &[36], &[true; 36]).unwrap();
    refused(place.path(), &line("--order dataset --direction low"), &["booleans"]);
    // torchvision's order is that of its own layout alone.
    good(place.path(), "data make shapes --as cifar --per-class 5,0,1 --out bin -q");
    let line = "prune --data bin --scores t.npy --order imagefolder --direction low --density .5 --quota none --out x";
    refused(place.path(), line, &["--order", "format cifar", "dataset"]);
}

#[test]
fn what_does_not_fit_the_data_set_is_refused() {
    let place = Place::new();
    let all: Vec<String> = (0..36).map(|i| format!("{},{}", ids()[i], score(i))).collect();
    let with = |rows: &[String]| place.write("s.csv", &format!("id,score\n{}\n", rows.join("\n")));
    let line = format!("{LINE} --scores s.csv --direction high --out refused");
    with(&all[..34]);
    refused(
        place.path(),
        &line,
        &["2 names without a row", "train/cat/08.png", "train/cat/09.png"],
    );
    with(&[&all[..], &["train/cat/10.png,1".to_owned()]].concat());
    refused(place.path(), &line, &["1 names that no training sample has", "train/cat/10.png"]);
    with(&[&all[..], &all[3..5]].concat());
    refused(place.path(), &line, &["2 names more than once", "train/ant/03.png"]);
    let bare: Vec<String> = all.iter().map(|r| r.rsplit('/').next().unwrap().to_owned()).collect();
    with(&bare);
    refused(place.path(), &line, &["train/ant/00.png or train/bee/00.png"]);
    with(&all);
    place.write("s.txt", "x");
    for (flags, words) in [
        ("--scores s.txt --direction high", &["s.txt", "a .csv, a .npz or a .npy"][..]),
        ("--scores s.csv", &["without a direction"]),
        ("--scores s.csv --direction high --strategy el2n", &["el2n", "given"]),
        ("--scores s.csv --direction high --score-column loss", &["\"loss\""]),
        ("--strategy given", &["no given scores", "--scores FILE"]),
        ("--direction high", &["--direction", "--scores FILE"]),
        ("--order dataset", &["--order", "--scores FILE"]),
    ] {
        refused(place.path(), &format!("{LINE} {flags} --out refused"), words);
    }
    let alone = "prune --scores s.csv --direction high --density .5 --quota none --out refused";
    refused(place.path(), alone, &["s.csv", "--data"]);
    assert!(!place.path().join("refused").exists());
    // A score that another command cannot have.
    let line = format!("run --data data {TINY} --strategies full,given --out refused");
    refused(place.path(), &line, &["given", "prune --scores FILE"]);
    // Held-out samples need no row.
    good(
        place.path(),
        "prune --data data --split holdout --density 1 --quota none --out everything",
    );
    let eligible = positions(&place, "everything");
    assert_eq!(eligible.len(), 18);
    with(&eligible.iter().map(|&i| all[i].clone()).collect::<Vec<_>>());
    let line = "prune --data data --split holdout --scores s.csv --direction low --density .5 \
                --quota none --out some";
    good(place.path(), line);
    let mut order = eligible.clone();
    order.sort_by(|&a, &b| score(a).total_cmp(&score(b)));
    order.truncate(9);
    order.sort_unstable();
    assert_eq!(positions(&place, "some"), order);
    with(&eligible[1..].iter().map(|&i| all[i].clone()).collect::<Vec<_>>());
    refused(
        place.path(),
        &line.replace("some", "refused"),
        &["1 names without a row", &ids()[eligible[0]]],
    );
    with(&all);
    // Quotas take the given ranking.
    let line = "prune --data data --scores s.csv --direction high --density .5 --quota from:given --strategy random --out counts";
    let counts = json(place.path(), line);
    assert_eq!(counts["strategy"], "random+givenq");
    let line = "prune --data data --scores s.csv --direction high --density .5 --quota uniform --out uniform";
    assert_eq!(json(place.path(), line)["strategy"], "given+uniform");
}

#[test]
fn an_array_beside_its_provenance_is_checked_against_it() {
    let place = Place::new();
    place.score();
    place.tree("other", &[("train", [14, 12, 11]), ("test", [4, 4, 4])]);
    let flags = "--order dataset --direction high --density .5 --quota none --out out --force";
    let array = place.path().join("scores/el2n.npy");
    good(place.path(), &format!("prune --data data --scores scores/el2n.npy {flags}"));
    // The same length, and another data set.
    place.tree("same", &[("train", [12, 14, 10]), ("test", [4, 4, 4])]);
    for data in ["other", "same"] {
        let line = format!("prune --data {data} --scores {} {flags}", array.display());
        refused(place.path(), &line, &["el2n.npy", "fingerprint"]);
    }
}
