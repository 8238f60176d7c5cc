//! `check.csv`: rows come back, and bad ones are named.

use std::fs;

use fairprune::artefact::tables::{self, FindingKind, FindingRow, FoundSample};

fn sample(part: &str, index: u64) -> FoundSample {
    FoundSample { part: part.to_owned(), index, id: format!("{part}/{index}, \"x\".png"), label: 3 }
}

fn rows() -> Vec<FindingRow> {
    let row = |finding, kind, other, suggested_label, score, drop| FindingRow {
        finding,
        kind,
        sample: sample("train", 7 * finding),
        other,
        suggested_label,
        score,
        drop,
    };
    vec![
        row(0, FindingKind::ExactDuplicate, Some(sample("test", 4)), None, 1.0, true),
        row(1, FindingKind::NearDuplicate, Some(sample("train", 0)), None, 0.987_654_3, false),
        row(2, FindingKind::Label, None, Some(9), -0.25, true),
    ]
}

const HEAD: &str = "finding,kind,part,index,id,label,other_part,other_index,other_id,other_label,\
                    suggested_label,score,suggestion\n";

#[test]
fn findings_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("check.csv");
    tables::write(&path, &rows()).unwrap();
    assert_eq!(tables::read::<FindingRow>(&path).unwrap(), rows());
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(HEAD), "{text}");
    assert!(text.contains("\n2,label,train,14,\"train/14, \"\"x\"\".png\",3,,,,,9,-0.25,drop\n"));
    // Nothing found is a result.
    tables::write::<FindingRow>(&path, &[]).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), HEAD);
    assert_eq!(tables::read::<FindingRow>(&path).unwrap(), []);
}

#[test]
fn bad_findings_are_named() {
    let refused = |row: &str, column: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("check.csv");
        fs::write(&path, format!("{HEAD}{row}\n")).unwrap();
        let error = tables::read::<FindingRow>(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("line 2, column {column}")), "{column}: {error}");
    };
    for (row, column) in [
        ("0,twin,train,1,a,0,test,2,b,0,,1,drop", "kind"),
        ("0,exact-duplicate,valid,1,a,0,test,2,b,0,,1,drop", "part"),
        ("0,exact-duplicate,train,-1,a,0,test,2,b,0,,1,drop", "index"),
        ("0,exact-duplicate,train,1,a,0,,,,,,1,drop", "other_part"),
        ("0,exact-duplicate,train,1,a,0,out,2,b,0,,1,drop", "other_part"),
        ("0,exact-duplicate,train,1,a,0,test,,b,0,,1,drop", "other_index"),
        ("0,exact-duplicate,train,1,a,0,test,2,b,0,4,1,drop", "suggested_label"),
        ("0,label,train,1,a,0,,,,,,1,drop", "suggested_label"),
        ("0,label,train,1,a,0,test,2,b,0,4,1,drop", "other_part"),
        ("0,label,train,1,a,0,,,,,4,NaN,drop", "score"),
        ("0,label,train,1,a,0,,,,,4,0.5,remove", "suggestion"),
        ("x,label,train,1,a,0,,,,,4,0.5,drop", "finding"),
    ] {
        refused(row, column);
    }
}
