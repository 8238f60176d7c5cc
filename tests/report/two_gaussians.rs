//! The page of two Gaussians: well-formed and complete for all kinds of parameters.

use super::html::check;
use fairprune::report::two_gaussians::{TheoryPage, render};
use fairprune::theory::{Simulation, TwoGaussians, simulate};

/// Writes the page where a person can look at it: target/tmp/theory-NAME.html.
fn page(name: &str, classes: &TwoGaussians, densities: &[f64], dimension: usize) -> String {
    let study = classes.study(densities).unwrap();
    let page = TheoryPage { classes, dimension, study: &study, drawn: None, command: "theory <&>" };
    let html = render(&page);
    let path = format!("{}/theory-{name}.html", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(path, &html).unwrap();
    check(&html);
    html
}

fn classes(means: [f64; 2], sigmas: [f64; 2], sizes: [f64; 2]) -> TwoGaussians {
    TwoGaussians::new(means, sigmas, sizes).unwrap()
}

#[test]
fn the_worked_example() {
    let html = page("usual", &classes([-1.0, 1.0], [0.5, 1.0], [1.0; 2]), &[0.9, 0.4, 0.1], 1);
    // All data, MetriQ and SSP; risks and shares of both.
    assert_eq!(html.matches("<svg role").count(), 3 + 4);
    for text in
        ["t = −.1700", "t = −.3333", ".0485", ".1210", "SSP at density .4.", "theory &lt;&amp;&gt;"]
    {
        assert!(html.contains(text), "no {text}");
    }
    assert!(!html.contains("class=\"warnings\"") && !html.contains("Drawn"));
}

#[test]
fn drawn_risks() {
    let classes = classes([-1.0, 1.0], [0.5, 1.0], [1.0; 2]);
    let study = classes.study(&[0.5]).unwrap();
    let simulation =
        Simulation { means: [&[-1.0], &[1.0]], sigmas: [0.5, 1.0], samples: 12_345, seed: 1 };
    let drawn = simulate(&simulation, &study.decisions()).unwrap();
    let drawn = Some((12_345, drawn.as_slice()));
    let html =
        render(&TheoryPage { classes: &classes, dimension: 1, study: &study, drawn, command: "" });
    check(&html);
    assert!(html.contains("12,345 random samples") && html.matches(" ± ").count() == 1 + 2 * 4);
}

#[test]
fn metriq_undefined() {
    let html = page("undefined", &classes([0.0, 1.0], [0.1, 1.0], [1.0, 10.0]), &[0.5], 1);
    assert!(html.contains("class=\"warnings\"") && html.contains("always class 1"));
    assert!(html.contains("Undefined here"));
    assert_eq!(html.matches("<svg role").count(), 2 + 2);
}

#[test]
fn odd_scales() {
    let tiny = page("tiny", &classes([0.0, 1e-70], [1e-70, 3e-70], [3.0, 1.0]), &[0.5], 1);
    assert!(tiny.contains("in units of 1e\u{2212}69"), "the axis has no numbers");
    let far = page("far", &classes([1e9, 1e9 + 1.0], [0.25, 0.5], [2.0, 1.0]), &[0.5], 1);
    assert!(far.contains("x from 1000000000"));
    page("point", &classes([0.0, 1.0], [1e-6, 1.0], [1.0; 2]), &[0.5, 1e-5], 1);
    page("apart", &classes([-100.0, 100.0], [1.0, 3.5], [1.0, 1e6]), &[0.5], 1);
    page("equal", &classes([0.0, 1.0], [1.0, 1.0], [1.0; 2]), &[1.0], 1);
    let space = TwoGaussians::isotropic([&[1.0, 2.0], &[4.0, 6.0]], [1.0, 2.0], [1.0; 2]).unwrap();
    assert!(page("space", &space, &[0.5], 2).contains("distance from mean 0"));
    assert_eq!(page("none", &space, &[], 2).matches("<svg role").count(), 1 + 4);
}
