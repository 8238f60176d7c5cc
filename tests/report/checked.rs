//! The page of what was found in a data set.

use fairprune::artefact::tables::{FindingKind, FindingRow, FoundSample};
use fairprune::experiment::quality::{Checked, ClassPair, FindingCounts, LabelSummary};
use fairprune::report::Thumb;
use fairprune::report::checked::{CheckedSet, render_checked};

use super::html::check;

const EVIL: &str = "<script>\"a\" & 'b'</script>\u{202e}";

fn sample(part: &str, index: u64, label: u32) -> FoundSample {
    FoundSample { part: part.to_owned(), index, id: format!("{EVIL}/{index}"), label }
}

fn row(kind: FindingKind, index: u64, other: Option<FoundSample>) -> FindingRow {
    let suggested_label = other.is_none().then_some(0);
    let sample = sample("train", index, 1);
    let drop = index.is_multiple_of(2);
    FindingRow { finding: index, kind, sample, other, suggested_label, score: -0.25, drop }
}

fn found(each: u64) -> Checked {
    let pair = |kind| (0..each).map(move |i| row(kind, i, Some(sample("test", i, 0))));
    let mut rows: Vec<FindingRow> = pair(FindingKind::ExactDuplicate).collect();
    rows.extend(pair(FindingKind::NearDuplicate));
    rows.extend((0..each).map(|i| row(FindingKind::Label, i, None)));
    let pairs =
        vec![ClassPair { label: 1, suggested: 0, suspects: each, of_all: 0.031, of_label: 0.1 }];
    let labels = LabelSummary {
        samples: 500,
        thresholds: vec![None; 2],
        disagreeing: 0.2,
        wrong: 0.031,
        pairs,
    };
    let exact = each as usize;
    let counts =
        FindingCounts { exact, exact_groups: exact, dropped: 3, ..FindingCounts::default() };
    Checked { rows, counts, near_across_parts: Some(true), labels: Some(labels) }
}

fn page(found: &Checked, looked_for: &[FindingKind]) -> String {
    let classes = [EVIL.to_owned(), "ring".to_owned()];
    let set = CheckedSet {
        data: EVIL.to_owned(),
        fingerprint: "5f1d7a0c".to_owned(),
        classes: &classes,
        parts: vec![("train".to_owned(), 500), ("test".to_owned(), 90)],
        looked_for: looked_for.to_vec(),
        near: looked_for.contains(&FindingKind::NearDuplicate).then_some([0.95, 0.9]),
        ranking: Some("normalised-margin".to_owned()),
        found,
        recipe: vec![("runs".to_owned(), "5".to_owned())],
        command: format!("fairprune data check --data '{EVIL}'"),
        next: "fairprune prune --without check.csv".to_owned(),
        version: "0.1.0".to_owned(),
        commit: "252ca4952ca4".to_owned(),
    };
    // A picture is missing now and then.
    let picture = |of: &FoundSample| {
        let thumb = Thumb { width: 2, height: 2, rgb: vec![of.index as u8; 12] };
        (!of.index.is_multiple_of(5)).then_some(thumb)
    };
    let html = render_checked(&set, &picture);
    check(&html);
    assert_eq!(html, render_checked(&set, &picture));
    html
}

#[test]
fn every_kind_has_its_section() {
    let html = page(&found(3), &FindingKind::ALL);
    for id in ["exact", "near", "labels", "pairs", "next", "reading", "recipe"] {
        assert!(html.contains(&format!("<section id=\"{id}\"")), "no {id}");
    }
    assert_eq!(html.matches("<figure class=\"dropped\"").count(), 6);
    assert_eq!(html.matches("<figure class=\"kept\"").count(), 3);
    assert_eq!(html.matches("unlike labels</b>").count(), 6);
    for words in ["3 copies of another", "3.1 %", "\u{2212}.250", "at least 0.95", "at least 0.9."]
    {
        assert!(html.contains(words), "{words}");
    }
}

#[test]
fn of_many_the_first_are_shown() {
    let html = page(&found(1234), &FindingKind::ALL);
    assert_eq!(html.matches("<figure").count(), 3 * 60);
    assert_eq!(html.matches("The first 60 of 1,234 are shown").count(), 3);
}

#[test]
fn what_was_not_looked_for_is_called_that() {
    let html = page(&Checked::default(), &[FindingKind::ExactDuplicate]);
    assert_eq!(html.matches("not looked for").count(), 2);
    assert!(html.contains("0 copies of another") && !html.contains("<section id=\"exact\""));
}
