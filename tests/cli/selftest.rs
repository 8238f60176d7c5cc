//! `selftest`: the table, the filter, the exit code.

use super::{good, json, run};

#[test]
fn the_cpu_passes_its_own_test() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = good(folder.path(), "selftest --device cpu --reduced --only pool");
    let cases = outcome.out.lines().filter(|l| l.starts_with("pool")).count();
    let summary = format!("{cases} of {cases} cases passed");
    assert!(cases >= 6 && outcome.out.contains(&summary), "{}", outcome.out);
    assert!(!outcome.out.contains("conv2d") && !outcome.out.contains("FAILED"), "{}", outcome.out);
}

#[test]
fn the_document_lists_every_case() {
    let folder = tempfile::tempdir().unwrap();
    let document = json(folder.path(), "selftest --device cpu --reduced --only sgd::");
    let cases = document["cases"].as_array().unwrap();
    assert_eq!(document["failed"], 0);
    assert!(document["device"].as_str().unwrap().starts_with("cpu/"), "{document}");
    assert!(cases.len() >= 5 && cases.iter().all(|c| c["failure"].is_null()), "{document}");
}

/// Nothing tested is nothing shown.
#[test]
fn a_filter_that_matches_nothing_fails() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(folder.path(), "selftest --device cpu --only no_such_case");
    assert_eq!(outcome.code, 1);
    assert!(outcome.out.contains("0 of 0 cases passed"), "{}", outcome.out);
}
