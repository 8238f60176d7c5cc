//! The page of a study.

use super::example::{Shape, picture, summary};
use super::html::check;
use fairprune::experiment::comparison::summary::Metric;
use fairprune::experiment::study::{Claim, ClaimResult, Panel, StudySummary};
use fairprune::metrics::ClaimedDirection;
use fairprune::report::render_study;

fn study() -> StudySummary {
    let nine =
        Shape { densities: (1..10).map(|d| f64::from(d) / 10.0).collect(), ..Shape::usual() };
    let one = Shape { seeds: 1, ..Shape::usual() };
    let panel = |name: &str, shape: &Shape, failures: Vec<(String, String)>| Panel {
        name: name.to_owned(),
        summary: summary(shape),
        failures,
    };
    let failed = (
        "Random + MetriQ at density 0.5, seed 3".to_owned(),
        "training diverged at step 40 of epoch 2: the loss is NaN".to_owned(),
    );
    let mut broken = summary(&Shape::usual());
    let point = &mut broken.strategies[3].points[0];
    point.runs.clear();
    point.headline = None;
    let claim = Claim {
        text: "MetriQ's quotas raise the worst class".to_owned(),
        metric: Metric::WorstClass,
        method: "metriq".to_owned(),
        baseline: "random".to_owned(),
        direction: ClaimedDirection::Higher,
        density: Vec::new(),
        panels: Vec::new(),
    };
    let result = |panel: &str, density: f64, mean: f64, outcome: &str| ClaimResult {
        claim: claim.clone(),
        panel: panel.to_owned(),
        density,
        seeds: 4,
        mean,
        interval: Some([mean - 0.03, mean + 0.03]),
        outcome: outcome.to_owned(),
    };
    StudySummary {
        format_version: StudySummary::FORMAT_VERSION,
        title: "Class quotas on drawn shapes".to_owned(),
        command: "fairprune study studies/shapes.toml".to_owned(),
        claims: vec![
            result("shapes-resnet8", 0.1, 0.05, "seen"),
            result("shapes-resnet8", 0.5, -0.05, "reversed"),
            result("a-rather-long-name-of-a-panel-resnet56", 0.5, 0.01, "undecided"),
        ],
        panels: vec![
            panel("shapes-resnet8", &nine, Vec::new()),
            panel("a-rather-long-name-of-a-panel-resnet56", &one, vec![failed.clone()]),
            Panel { name: "broken".into(), summary: broken, failures: vec![failed] },
        ],
        unusable: vec![("missing".into(), "/data/missing: no such folder".into())],
    }
}

#[test]
fn panels_claims_and_failures() {
    let study = study();
    let pictures = |panel: usize, position: usize| picture(position + 7 * panel);
    let html = render_study(&study, Some(&pictures));
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/study.html"), &html).unwrap();
    check(&html);
    for text in [
        "no such folder",
        "the loss is NaN",
        "no finished run",
        "Accuracy against total time",
        "Kept and dropped",
        "Time and memory",
        "MetriQ&#39;s quotas raise the worst class",
    ] {
        assert!(html.contains(text), "no {text}");
    }
    // The strips of a panel are fewer than those of a run.
    assert_eq!(html.matches("<img ").count(), 3 * 6 * 12);
    assert!(!render_study(&study, None).contains("<img"));
}
