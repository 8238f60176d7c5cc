//! This file tests flags of recorded scores that are refused, and recordings that cannot be used.

use fairprune::artefact::npy;

use super::{SHORT, array, bytes, floats};
use crate::*;

#[test]
fn unusable_flags_of_recorded_scores() {
    let place = Place::new();
    place.train();
    for (flags, words) in [
        (
            "--method dynamic-uncertainty",
            &["dynamic-uncertainty", "4 epochs", "at least 10", "--window"][..],
        ),
        ("--method tdds --window 3", &["tdds", "4 epochs", "at least 10", "--trajectory"]),
        ("--method dual --window 3", &["dual", "4 epochs", "at least 30"]),
        ("--method el2n --el2n sum", &["el2n", "4 epochs", "at least 10"]),
        ("--method tdds --window 2 --trajectory 4", &["--window", "2", "at least 3"]),
        ("--method dynamic-uncertainty --window 1", &["--window", "1", "at least 2"]),
        ("--method dual --window 3 --trajectory 2", &["--trajectory", "2", "--window"]),
        ("--method tdds --window 3 --trajectory 3 --decay 0", &["--decay", "0"]),
        ("--method forgetting --never-learned easiest", &["--never-learned", "easiest"]),
        ("--method grand --grand-layers first", &["--grand-layers", "first", "all or last"]),
        ("--method grand --grand-at start", &["--grand-at", "start", "end or init"]),
        ("--method el2n --el2n total", &["--el2n", "total", "mean or sum"]),
        ("--method el2n --query-epochs 0", &["--query-epochs", "0"]),
        ("--method el2n --weights out/model.safetensors --query-epochs 2", &["--weights"]),
        ("--method aum --weights out/model.safetensors", &["aum", "--weights"]),
        ("--method aum --dynamics nowhere", &["--data", "--dynamics"]),
    ] {
        let line = format!("score --data data {SHORT} {flags} --out refused");
        refused(place.path(), &line, words);
        assert!(!place.path().join("refused").exists(), "{flags}");
    }
    let line = format!("run --data data {SHORT} --strategies random,dual --out refused");
    refused(place.path(), &line, &["dual", "4 epochs", "at least 30"]);
    assert!(!place.path().join("refused").exists());
    let line = format!("score --data data {SHORT} --runs 1 --window 3 --out fine");
    let text = good(place.path(), &line);
    assert!(text.err.contains("--window is about dynamic-uncertainty"), "{}", text.err);
}

#[test]
fn recordings_that_cannot_be_used_are_named() {
    let place = Place::new();
    good(place.path(), &format!("train --data data {SHORT} --split holdout --dynamics --out net"));
    let folder = "net/dynamics";
    let check = |words: &[&str]| {
        let line = format!("score --dynamics {folder} --window 3 --trajectory 4 --out refused");
        refused(place.path(), &line, words);
        assert!(!place.path().join("refused").exists(), "{words:?}");
    };
    let with = |name: &str, new: &[u8], words: &[&str]| {
        let name = format!("{folder}/{name}");
        let old = bytes(&place, &name);
        put(place.path(), &name, new);
        check(words);
        put(place.path(), &name, &old);
    };
    let stated_run = without_digests(&place.read("net/dynamics/dynamics.json"));
    place.write("net/dynamics/dynamics.json", &stated_run);
    with("dynamics.json", b"{", &["dynamics.json", "JSON"]);
    let newer = stated_run.replacen("\"format_version\": 1", "\"format_version\": 9", 1);
    with("dynamics.json", newer.as_bytes(), &["format_version 9"]);
    let fewer = stated_run.replacen("\"epochs\": 4", "\"epochs\": 5", 1);
    with("dynamics.json", fewer.as_bytes(), &["shape [4, 36]", "[5, 36]"]);
    let names_lost = stated_run.replacen("\"ant\",", "", 1);
    with("dynamics.json", names_lost.as_bytes(), &["2 class names", "3"]);
    let samples = place.read("net/dynamics/samples.csv");
    let shorter: Vec<&str> = samples.lines().take(30).collect();
    with("samples.csv", shorter.join("\n").as_bytes(), &["samples.csv", "29 samples", "36"]);
    let line = samples.lines().position(|l| l.ends_with(",train,4.0")).unwrap() + 1;
    let often = with_line(
        &samples,
        line,
        &samples.lines().nth(line - 1).unwrap().replace(",train,4.0", ",train,3.0"),
    );
    with("samples.csv", often.as_bytes(), &["4 values", "samples.csv counts 3"]);

    let rewrite = |name: &str, change: &dyn Fn(&mut Vec<f32>)| {
        let old = array(&place, &format!("{folder}/{name}"));
        let mut values = floats(&old).to_vec();
        change(&mut values);
        let scratch = place.path().join("scratch.npy");
        npy::write(&scratch, &old.shape, &values).unwrap();
        fs::read(scratch).unwrap()
    };
    let first = |values: &[f32]| values.iter().position(|v| !v.is_nan()).unwrap();
    for (name, value, words) in [
        ("correct.npy", 0.5, ["correct.npy", "0.5", "0, 1 or NaN"]),
        ("label-probability.npy", 1.5, ["label-probability.npy", "1.5", "from 0 to 1"]),
        ("logit-margin.npy", f32::INFINITY, ["logit-margin.npy", "inf", "finite"]),
        ("divergence.npy", -1.0, ["divergence.npy", "-1", "0 or more"]),
        ("correct.npy", f32::NAN, ["correct.npy", "3 values", "4 presentations"]),
    ] {
        let new = rewrite(name, &|values| {
            let i = first(values);
            values[i] = value;
        });
        with(name, &new, &words);
    }
    with("correct.npy", b"PK", &["correct.npy"]);
    fs::remove_file(place.path().join("net/dynamics/correct.npy")).unwrap();
    check(&["correct.npy", "No such file"]);
    refused(place.path(), "score --dynamics nowhere --out refused", &["nowhere", "no folder"]);
    refused(place.path(), "score --dynamics net --out refused", &["no dynamics.json"]);
    let line = "score --dynamics net/dynamics --method el2n,grand --out refused";
    refused(place.path(), line, &["el2n", "scores of training dynamics", "forgetting"]);

    // A run on a subset has no dynamics of the rest.
    good(place.path(), "prune --data data --split holdout --density .5 --quota none --out kept");
    let line = format!("train --data data {SHORT} --subset kept/kept.npy --dynamics --out half");
    good(place.path(), &line);
    let line = "score --dynamics half/dynamics --window 3 --out refused";
    refused(place.path(), line, &["a run on 9 of 18 samples"]);
}
