//! Risks of both classes, and what is kept of them, against density.

use super::page::{TheoryPage, legend, mark};
use crate::report::markup::{figure, minus};
use crate::report::numbers;
use crate::report::svg::{Anchor, Scale, Svg};
use crate::theory::Decision;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;

const POINTS: usize = 250;

/// One way of pruning at one density, with its densities and its rule.
#[derive(Clone, Copy)]
struct RiskPoint {
    density: f64,
    kept: [f64; 2],
    decision: Decision,
}

pub(super) fn body(page: &TheoryPage) -> String {
    let grid: Vec<f64> = (1..=POINTS).map(|i| i as f64 / POINTS as f64).collect();
    let metriq: Vec<RiskPoint> = grid
        .iter()
        .filter_map(|&density| {
            let found = page.classes.metriq(density).ok()??;
            Some(RiskPoint { density, kept: found.densities, decision: found.decision })
        })
        .collect();
    let ssp: Vec<RiskPoint> = grid
        .iter()
        .filter_map(|&density| {
            let found = page.classes.ssp(density).ok()?;
            Some(RiskPoint { density, kept: found.densities, decision: found.decision })
        })
        .collect();
    let mut figures = Vec::new();
    let levels = "Dashed: the worse risk on all data. Dotted: the least worst-class risk there is.";
    if metriq.is_empty() {
        let text = "Undefined here: the rule of least risk on all data is constant.";
        figures.push(figure("MetriQ.", text, ""));
    } else {
        figures.push(figure("MetriQ.", levels, &risks(page, &metriq, None)));
    }
    let jump = page.study.ssp_jump.map(|j| j.density);
    let told = match jump {
        Some(d) => format!("It leaves the full rule below density {}.", numbers::risk(d)),
        None => "The full rule is constant.".to_owned(),
    };
    let text = format!("{told} Mind the scale.");
    figures.push(figure("SSP.", &text, &risks(page, &ssp, jump)));
    for (name, points) in [("MetriQ", &metriq), ("SSP", &ssp)] {
        if !points.is_empty() {
            let title = format!("What {name} keeps of each class.");
            figures.push(figure(&title, "", &kept(points)));
        }
    }
    format!("{}<div class=\"pair\">{}</div>\n", legend(page), figures.concat())
}

fn risks(page: &TheoryPage, points: &[RiskPoint], jump: Option<f64>) -> String {
    let full_worst = page.study.full.worst();
    let all = points.iter().flat_map(|p| p.decision.risks).chain([0.0, full_worst]);
    let y = Scale::around(all, (0.0, 1.0), (HEIGHT - BOTTOM, TOP));
    let (mut svg, x) = canvas(&y, "risk on unpruned classes", "Risk of each class against density");
    let level = |svg: &mut Svg, value: f64, class: &str| {
        svg.line((LEFT, y.at(value)), (WIDTH - RIGHT, y.at(value)), class);
    };
    level(&mut svg, full_worst, "level");
    level(&mut svg, page.study.worst_optimum.worst(), "guide");
    curves(&mut svg, points, &x, |p, k| y.at(p.decision.risks[k]), jump);
    svg.finish()
}

fn kept(points: &[RiskPoint]) -> String {
    let y = Scale::fixed(0.0, 1.0, HEIGHT - BOTTOM, TOP);
    let (mut svg, x) = canvas(&y, "kept share of the class", "Density of each class");
    curves(&mut svg, points, &x, |p, k| y.at(p.kept[k]), None);
    svg.finish()
}

/// Draws a curve for each class, broken where the rule changes its kind, with a few marks on it.
fn curves(
    svg: &mut Svg,
    points: &[RiskPoint],
    x: &Scale,
    y: impl Fn(&RiskPoint, usize) -> f64,
    jump: Option<f64>,
) {
    let side = |p: &RiskPoint| (p.decision.degenerate(), jump.is_some_and(|d| p.density < d));
    for k in 0..2 {
        let class = mark(k).class();
        for piece in points.chunk_by(|a, b| side(a) == side(b)) {
            let path: Vec<(f64, f64)> = piece.iter().map(|p| (x.at(p.density), y(p, k))).collect();
            svg.path(&path, false, &format!("curve {class}"));
        }
        for i in [POINTS / 10, POINTS / 2, 9 * POINTS / 10] {
            if let Some(p) = points.get(i) {
                let title = format!("class {k}, density {:.3}", p.density);
                svg.mark(mark(k), (x.at(p.density), y(p, k)), 4.0, &title);
            }
        }
    }
}

/// Draws the axes, with the density across and `name` up.
fn canvas(y: &Scale, name: &str, label: &str) -> (Svg, Scale) {
    let x = Scale::fixed(0.0, 1.0, LEFT, WIDTH - RIGHT);
    let bottom = HEIGHT - BOTTOM;
    let label = format!("{label}; values at some densities are in the tables below.");
    let mut svg = Svg::new(WIDTH, HEIGHT, label);
    let (ticks, digits) = x.ticks(5);
    for t in ticks {
        svg.line((x.at(t), TOP), (x.at(t), bottom), "grid");
        svg.text(x.at(t), bottom + 16.0, Anchor::Middle, "tick", &numbers::digits(t, digits));
    }
    let (ticks, digits) = y.ticks(5);
    for t in ticks {
        svg.line((LEFT, y.at(t)), (WIDTH - RIGHT, y.at(t)), "grid");
        let text = minus(&numbers::digits(t, digits));
        svg.text(LEFT - 7.0, y.at(t) + 4.0, Anchor::End, "tick", &text);
    }
    svg.text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 6.0, Anchor::Middle, "axis", "density");
    svg.upright_text(12.0, (TOP + bottom) / 2.0, "axis", name);
    (svg, x)
}
