//! `theory`: the contract of its document, its table and its page, and unusable numbers.

use crate::*;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn close(value: &Value, expected: f64, tolerance: f64) {
    let found = value.as_f64().unwrap();
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
}

#[test]
fn the_worked_example() {
    let folder = tempfile::tempdir().unwrap();
    let line = "theory --mu0 -1 --mu1 1 --sigma0 .5 --sigma1 1 --density .475,.47";
    let document = json(folder.path(), line);
    for key in [
        "threshold",
        "degenerate",
        "risks",
        "global_minimum",
        "worst_optimum",
        "optimal_priors",
        "reachable_density",
        "rows",
    ] {
        assert!(keys(&document).contains(&key), "no {key}");
    }
    close(&document["threshold"], -0.17, 5e-5);
    close(&document["risks"][0], 0.0485, 5e-5);
    close(&document["risks"][1], 0.1210, 5e-5);
    assert_eq!(document["degenerate"], Value::Null);
    assert_eq!(document["global_minimum"], true);
    close(&document["worst_optimum"]["threshold"], -1.0 / 3.0, 1e-12);
    close(&document["worst_optimum"]["risk"], 0.0912, 5e-5);
    close(&document["optimal_priors"][0], 1.0 / 3.0, 1e-12);
    close(&document["reachable_density"], 0.75, 1e-12);
    close(&document["ssp_jump"]["margin"], 0.491, 5e-4);
    let rows = document["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for (row, density) in rows.iter().zip([0.475, 0.47]) {
        assert_eq!(keys(row), ["density", "metriq", "ssp"]);
        assert_eq!(row["density"], density);
        assert_eq!(keys(&row["metriq"]), ["densities", "threshold", "degenerate", "risks"]);
        let ssp = ["margin", "densities", "threshold", "degenerate", "risks"];
        assert_eq!(keys(&row["ssp"]), ssp);
        // Both spend the budget.
        for pruned in [&row["metriq"], &row["ssp"]] {
            let kept: f64 = (0..2).map(|k| pruned["densities"][k].as_f64().unwrap()).sum();
            assert!((kept / 2.0 - density).abs() < 1e-12);
        }
    }
    assert_eq!(rows[0]["ssp"]["threshold"], document["threshold"]);
    close(&rows[1]["ssp"]["threshold"], -1.497, 5e-4);
    close(&rows[1]["ssp"]["risks"][0], 0.840, 5e-4);
    close(&rows[1]["ssp"]["risks"][1], 0.006, 5e-4);
    assert_eq!(document["warnings"], Value::Array(Vec::new()));
}

#[test]
fn a_constant_rule_is_said_to_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let line = "theory --mu0 0 --mu1 1 --sigma0 .1 --sigma1 1 --n1 10 --density .5";
    let document = json(folder.path(), line);
    assert_eq!(document["degenerate"], "always 1");
    assert_eq!(document["threshold"], Value::Null);
    assert_eq!(document["global_minimum"], false);
    assert_eq!(document["risks"].to_string(), "[1.0,0.0]");
    assert_eq!(document["optimal_priors"], Value::Null);
    assert_eq!(document["reachable_density"], Value::Null);
    assert_eq!(document["rows"][0]["metriq"], Value::Null);
    close(&document["local_minimum"]["threshold"], 1.0 / 11.0, 1e-12);
    let warnings = document["warnings"].to_string();
    assert!(warnings.contains("always predicting class 1") && warnings.contains("undefined"));
    let text = good(folder.path(), line);
    assert!(text.out.contains("undefined") && text.out.contains("local minimum only"));
    assert!(text.err.contains("warning: on all data no threshold errs less"), "{}", text.err);
    // The mirror image.
    let mirror = "theory --mu0 -1 --mu1 0 --sigma0 1 --sigma1 .1 --n0 10 --density .5";
    assert_eq!(json(folder.path(), mirror)["degenerate"], "always 0");
}

#[test]
fn the_table_fits_and_says_where_metriq_loses() {
    let folder = tempfile::tempdir().unwrap();
    let line =
        "theory --mu0 -1,0,3 --mu1 1,0,3 --sigma0 .25 --samples 2000 --density .5,.000123456789";
    let text = good(folder.path(), line);
    let widest = text.out.lines().map(|l| l.chars().count()).max().unwrap();
    assert!(widest <= 100, "{widest} columns:\n{}", text.out);
    assert!(text.err.contains("MetriQ is worse for the worst class"), "{}", text.err);
    assert!(text.err.contains("0.0743 against 0.0738"), "{}", text.err);
    assert!(text.out.contains("3 dimensions") && text.out.contains("2000 draws of each class"));
    assert!(text.out.lines().any(|l| l.starts_with("SSP 0.000123456789 ")), "{}", text.out);
    assert_eq!(text.out, good(folder.path(), &format!("{line} --threads 3")).out);
    assert_ne!(text.out, good(folder.path(), &format!("{line} --seed 1")).out);
    assert_eq!(good(folder.path(), &format!("{line} -q")).err, "");
}

#[test]
fn drawn_risks_stand_beside_exact_ones() {
    let folder = tempfile::tempdir().unwrap();
    let document = json(folder.path(), "theory --samples 50000 --seed 5 --density .4");
    assert_eq!(document["samples"], 50000);
    let row = &document["rows"][0];
    for (exact, drawn) in [
        (&document["risks"], &document["drawn"]),
        (&row["metriq"]["risks"], &row["metriq"]["drawn"]),
        (&row["ssp"]["risks"], &row["ssp"]["drawn"]),
    ] {
        for k in 0..2 {
            let error = drawn["standard_errors"][k].as_f64().unwrap();
            close(&drawn["risks"][k], exact[k].as_f64().unwrap(), 4.0 * error);
        }
    }
    let both = &document["worst_optimum"]["drawn"]["risks"];
    close(&both[0], document["worst_optimum"]["risk"].as_f64().unwrap(), 0.006);
}

#[test]
fn the_page_and_its_document() {
    let folder = tempfile::tempdir().unwrap();
    let line = "theory --samples 1000 --out study";
    let printed = json(folder.path(), line);
    assert_eq!(names(&folder.path().join("study")), ["job.json", "theory.html", "theory.json"]);
    let read = |name: &str| fs::read_to_string(folder.path().join("study").join(name)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&read("theory.json")).unwrap(), printed);
    let page = read("theory.html");
    assert!(page.contains("fairprune theory --samples 1000 --out study"), "no command");
    assert!(page.contains("<svg") && page.contains("t = −.1700"));
    // Other parameters need --force, and nobody else's folder is taken.
    refused(folder.path(), "theory --sigma0 .3 --out study", &["study", "sigma"]);
    assert_eq!(read("theory.html"), page);
    good(folder.path(), "theory --sigma0 .3 --out study --force");
    assert_ne!(read("theory.html"), page);
}

#[test]
fn unusable_numbers() {
    let folder = tempfile::tempdir().unwrap();
    for (flags, words) in [
        ("--mu0 1 --mu1 1", ["found 1 and 1", "different means"]),
        ("--mu0 2 --mu1 1", ["found 2 and 1", "smaller mean first"]),
        ("--mu0 1,2 --mu1 1", ["2 and 1 coordinates", "as many"]),
        ("--mu0 1,2 --mu1 1,2", ["means", "different means"]),
        ("--mu0 nan --mu1 1", ["--mu0", "found NaN, expected a finite number"]),
        ("--mu0 0 --mu1 inf", ["--mu1", "found inf, expected a finite number"]),
        ("--mu0 x", ["'x'", "--mu0"]),
        ("--sigma0 0", ["deviation of class 0", "found 0"]),
        ("--sigma1 -1", ["deviation of class 1", "-1"]),
        ("--sigma1 nan", ["--sigma1", "found NaN, expected a finite number"]),
        ("--sigma1 1e300", ["deviation of class 1", "1e75"]),
        ("--n0 0", ["size of class 0", "found 0"]),
        ("--n1 -3", ["size of class 1", "-3"]),
        ("--density 0", ["--density", "above 0"]),
        ("--density .5,1.01", ["--density", "1.01"]),
        ("--density nan", ["--density", "NaN"]),
        ("--density -.5", ["--density", "-0.5"]),
        ("--samples 0", ["--samples", "at least 1"]),
        ("--samples -5", ["'-5'", "theory"]),
        ("--force", ["--out", "required"]),
    ] {
        refused(folder.path(), &format!("theory {flags}"), &words);
    }
}
