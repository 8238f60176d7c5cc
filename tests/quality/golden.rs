//! Confident learning against `tests/golden/quality/make.py`, which computes in exact fractions.

use fairprune::prune::{ConfidentLearning, Probabilities, SuspectRanking, confident_learning};
use serde_json::Value;

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn positions(v: &Value) -> Vec<usize> {
    numbers(v).into_iter().map(|v| v as usize).collect()
}

fn found(file: &Value, ranking: SuspectRanking) -> ConfidentLearning {
    let rows: Vec<f32> = numbers(&file["rows"]).into_iter().map(|v| v as f32 / 1024.0).collect();
    let labels: Vec<u32> = positions(&file["labels"]).into_iter().map(|v| v as u32).collect();
    let all: Vec<usize> = (0..labels.len()).collect();
    let classes = file["classes"].as_u64().unwrap() as usize;
    let rows = Probabilities::new(&rows, classes).unwrap();
    confident_learning(rows, &labels, &all, ranking).unwrap()
}

#[test]
fn thresholds_joint_and_suspects_are_those_of_exact_fractions() {
    let text = include_str!("../golden/quality/quality.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let learned = found(&file, SuspectRanking::NormalisedMargin);
    assert_eq!(learned.samples, 400);
    let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
    let thresholds = file["thresholds"].as_array().unwrap();
    assert_eq!(thresholds.len(), learned.thresholds.len());
    for (threshold, expected) in learned.thresholds.iter().zip(thresholds) {
        match (threshold, expected.as_f64()) {
            (Some(t), Some(e)) => assert!(close(*t, e), "{t} is not {e}"),
            (found, expected) => assert_eq!(*found, expected),
        }
    }
    let (counts, joint) = (&file["counts"], &file["joint"]);
    let (mut pairs, mut wrong) = (0, 0.0);
    for k in 0..6 {
        assert_eq!(counts[k][k].as_u64(), Some(learned.confirmed[k]), "class {k}");
        for j in (0..6).filter(|&j| j != k && counts[k][j] != 0) {
            let is =
                |p: &&fairprune::prune::LabelPair| [p.label, p.suggested] == [k as u32, j as u32];
            let pair = learned.pairs.iter().find(is).unwrap();
            let expected = joint[k][j].as_f64().unwrap();
            assert_eq!(counts[k][j].as_u64(), Some(pair.samples));
            assert!(close(pair.joint, expected), "{k}, {j}: {} is not {expected}", pair.joint);
            let row: f64 = numbers(&joint[k]).iter().sum();
            assert!(close(pair.of_label, expected / row));
            (pairs, wrong) = (pairs + 1, wrong + expected);
        }
    }
    assert_eq!(learned.pairs.len(), pairs);
    assert!(learned.pairs.is_sorted_by(|a, b| a.joint >= b.joint));
    assert!(close(learned.wrong(), wrong) && wrong > 0.1);
}

#[test]
fn suspects_are_ranked_as_by_exact_fractions() {
    let text = include_str!("../golden/quality/quality.json");
    let file: Value = serde_json::from_str(text).unwrap();
    for (ranking, order) in [
        (SuspectRanking::NormalisedMargin, "by_margin"),
        (SuspectRanking::SelfConfidence, "by_confidence"),
    ] {
        let learned = found(&file, ranking);
        let samples: Vec<usize> = learned.suspects.iter().map(|s| s.sample).collect();
        assert_eq!(samples, positions(&file[order]), "{ranking}");
        for expected in file["suspects"].as_array().unwrap() {
            let expected = numbers(expected);
            let is = |s: &&fairprune::prune::LabelSuspect| s.sample == expected[0] as usize;
            let suspect = learned.suspects.iter().find(is).unwrap();
            let found = [suspect.self_confidence, suspect.margin];
            assert_eq!(
                (suspect.suggested, found),
                (expected[1] as u32, [expected[2], expected[3]])
            );
        }
    }
}
