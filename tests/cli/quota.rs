//! `quota`: the contract of its document, and unusable numbers.

use crate::*;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn the_documented_example() {
    let folder = tempfile::tempdir().unwrap();
    let line = "quota --sizes 5000,500,50 --recalls .95,.8,.4 --density .1";
    let document = json(folder.path(), line);
    let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["counts", "densities", "warnings"]);
    // d_k = c (1 - r_k) with c (250 + 100 + 30) = 555.
    let c = 555.0 / 380.0;
    for (found, error) in numbers(&document["densities"]).iter().zip([0.05, 0.2, 0.6]) {
        assert!((found - c * error).abs() < 1e-12, "{found}");
    }
    assert_eq!(numbers(&document["counts"]), [365.0, 146.0, 44.0]);
    let warnings = document["warnings"].to_string();
    assert!(warnings.contains("error ratio is 12.0") && warnings.contains("class 2 (44)"));
    let text = good(folder.path(), line);
    assert!(text.out.contains("keeps 10 %, prunes 90 %: 555 of 5550"), "{}", text.out);
    assert!(text.err.contains("warning: the error ratio is 12.0"), "{}", text.err);
}

#[test]
fn every_rule_and_option() {
    let folder = tempfile::tempdir().unwrap();
    let counts = |line: &str| numbers(&json(folder.path(), line)["counts"]);
    let sizes = "quota --sizes 1000,100 --recalls .9,.6";
    assert_eq!(counts(&format!("{sizes} --density .1")), [79.0, 31.0]);
    assert_eq!(counts(&format!("{sizes} --prune-rate .9")), [79.0, 31.0]);
    assert_eq!(counts(&format!("{sizes} --density .1 --quota metriq-released")), [22.0, 88.0]);
    assert_eq!(counts(&format!("{sizes} --density .1 --quota uniform")), [100.0, 10.0]);
    assert_eq!(counts(&format!("{sizes} --density .1 --quota balanced")), [55.0, 55.0]);
    assert_eq!(counts("quota --sizes 60,60 --density .5 --quota balanced"), [30.0, 30.0]);
    assert_eq!(counts(&format!("{sizes} --density 0")), [0.0, 0.0]);
    assert_eq!(counts(&format!("{sizes} --density 1")), [1000.0, 100.0]);
    assert_eq!(counts(&format!("{sizes} --density .1 --min-per-class 50")), [60.0, 50.0]);
    let perfect = "quota --sizes 100,100 --recalls 1,.5 --density .2";
    assert_eq!(counts(perfect), [0.0, 40.0]);
    // (8 + 1) / (8 + 2) and (4 + 1) / (8 + 2): errors of .1 and .5.
    assert_eq!(counts(&format!("{perfect} --val-sizes 8,8 --smooth laplace")), [7.0, 33.0]);
}

#[test]
fn unusable_numbers() {
    let folder = tempfile::tempdir().unwrap();
    for (flags, words) in [
        (
            "--sizes 5,5 --recalls nan,.5 --density .5",
            ["--recalls", "found NaN, expected a finite number"],
        ),
        (
            "--sizes 5,5 --recalls .5,inf --density .5",
            ["--recalls", "found inf, expected a finite number"],
        ),
        ("--sizes 5,5 --recalls -.1,.5 --density .5", ["class 0", "-0.1"]),
        ("--sizes 5,5 --recalls .5,1.01 --density .5", ["class 1", "1.01"]),
        ("--sizes 5,5 --recalls .5 --density .5", ["1 values", "2, one for each class"]),
        ("--sizes 5,5 --density .5", ["--recalls", "one recall a class"]),
        ("--sizes 5,5 --recalls .5,x --density .5", ["'x'", "--recalls"]),
        ("--sizes 5,x --recalls .5,.5 --density .5", ["'x'", "--sizes"]),
        ("--sizes 5,-5 --recalls .5,.5 --density .5", ["'-5'", "--sizes"]),
        ("--sizes 0,0 --recalls .5,.5 --density .5", ["class sizes", "no samples"]),
        ("--recalls .5,.5 --density .5", ["--sizes", "required"]),
        ("--sizes 5,5 --recalls .5,.5", ["--density", "required"]),
        ("--sizes 5,5 --recalls .5,.5 --density 1.5", ["--density", "1.5"]),
        ("--sizes 5,5 --recalls .5,.5 --density -0.5", ["--density", "-0.5"]),
        ("--sizes 5,5 --recalls .5,.5 --density nan", ["--density", "NaN"]),
        ("--sizes 5,5 --recalls .5,.5 --prune-rate 1.5", ["--prune-rate", "1.5"]),
        ("--sizes 5,5 --recalls .5,.5 --density .5 --prune-rate .5", ["--density", "--prune-rate"]),
        ("--sizes 5,5 --recalls .5,.5 --density .5 --quota from:el2n", ["--quota", "from:el2n"]),
        ("--sizes 5,5 --recalls .5,.5 --density .5 --quota best", ["--quota", "best"]),
        ("--sizes 5,5 --recalls .5,.5 --density .5 --smooth kernel", ["--smooth", "laplace"]),
        ("--sizes 5,5 --recalls .5,.5 --density .5 --smooth laplace", ["laplace", "validation"]),
        (
            "--sizes 5,5 --recalls .5,.5 --density .5 --val-sizes 3",
            ["validation sizes", "1 values"],
        ),
        ("--sizes 5,5 --recalls .5,.5 --density .5 --min-per-class 4", ["minimum", "8"]),
        ("--sizes 99999999999999999999,5 --recalls .5,.5 --density .5", ["99999", "--sizes"]),
    ] {
        refused(folder.path(), &format!("quota {flags}"), &words);
    }
}
