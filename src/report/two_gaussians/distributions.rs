//! The densities of both classes with the thresholds: on all data, after MetriQ, after SSP.

use super::page::{TheoryPage, legend, mark, rule};
use crate::report::markup::{figure, minus};
use crate::report::numbers;
use crate::report::svg::{Anchor, Scale, Svg};
use crate::theory::{Decision, Rule};

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 12.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 44.0;

/// Number of deviations that are shown on both sides of a mean.
const SHOWN: f64 = 3.6;
const POINTS: usize = 160;

pub(super) fn body(page: &TheoryPage) -> String {
    let full = DensityPlot {
        kept: [1.0; 2],
        margin: 0.0,
        rules: vec![("t*", page.study.full), ("t̂", page.study.worst_optimum)],
    };
    let text = format!(
        "{} (t*) and {} (t̂). Shaded: the errors of t*.",
        rule(page.study.full.rule),
        rule(page.study.worst_optimum.rule)
    );
    let mut figures = vec![figure("All data.", &text, &full.draw(page))];
    // The row that shows most is drawn: the one where SSP has left the full rule, else the one in
    // the middle.
    let rows = &page.study.rows;
    let left = rows.iter().find(|row| row.ssp.decision != page.study.full);
    if let Some(row) = left.or_else(|| rows.get(rows.len() / 2)) {
        let density = numbers::digits(row.density, 4);
        let density = density.trim_end_matches('0');
        if let Some(metriq) = row.metriq {
            let drawing = DensityPlot {
                kept: metriq.densities,
                margin: 0.0,
                rules: vec![("t*", metriq.decision)],
            };
            let text = format!("Its rule: {}.", rule(metriq.decision.rule));
            let title = format!("MetriQ at density {density}.");
            figures.push(figure(&title, &text, &drawing.draw(page)));
        }
        let drawing = DensityPlot {
            kept: [1.0; 2],
            margin: row.ssp.margin,
            rules: vec![("t*", row.ssp.decision)],
        };
        let text = format!(
            "Its rule: {}. Margin {}.",
            rule(row.ssp.decision.rule),
            numbers::position(row.ssp.margin)
        );
        figures.push(figure(&format!("SSP at density {density}."), &text, &drawing.draw(page)));
    }
    format!("{}<div class=\"pair\">{}</div>\n", legend(page), figures.concat())
}

/// One plot of the two densities.
struct DensityPlot {
    /// Kept share of each class, which is the same at every position.
    kept: [f64; 2],
    /// Margin around the means inside which nothing is kept.
    margin: f64,
    /// The rules that are drawn; the errors of the first are shaded.
    rules: Vec<(&'static str, Decision)>,
}

impl DensityPlot {
    fn draw(&self, page: &TheoryPage) -> String {
        let axis = PositionAxis::new(page);
        let x = Scale::fixed(axis.low, axis.high, LEFT, WIDTH - RIGHT);
        let peak = (0..2).map(|k| height(page, k, 0.0)).fold(0.0, f64::max);
        let y = Scale::fixed(0.0, 1.0, HEIGHT - BOTTOM, TOP);
        let mut svg = Svg::new(
            WIDTH,
            HEIGHT,
            "Densities of both classes and thresholds; the numbers are in the tables below.",
        );
        let (ticks, digits) = x.ticks(6);
        let bottom = HEIGHT - BOTTOM;
        svg.line((LEFT, bottom), (WIDTH - RIGHT, bottom), "zero");
        for t in ticks {
            svg.line((x.at(t), bottom), (x.at(t), bottom + 4.0), "zero");
            let label = minus(&numbers::digits(t, digits));
            svg.text(x.at(t), bottom + 18.0, Anchor::Middle, "tick", &label);
        }
        svg.text(WIDTH / 2.0, HEIGHT - 6.0, Anchor::Middle, "axis", &axis.name);
        let threshold = match self.rules[0].1.rule {
            Rule::Threshold(t) => t,
            Rule::Always(class) => [f64::INFINITY, f64::NEG_INFINITY][class],
        };
        for k in 0..2 {
            let class = mark(k).class();
            let pieces = self.pieces(page, k);
            for piece in &pieces {
                let at = |&(position, value): &(f64, f64)| {
                    (x.at(axis.of(position)), y.at(self.kept[k] * value / peak))
                };
                let wrong = |p: &&(f64, f64)| (p.0 > threshold) == (k == 0);
                let area: Vec<(f64, f64)> = piece.iter().filter(wrong).map(at).collect();
                if let (Some(first), Some(last)) = (area.first(), area.last()) {
                    let ends = [(last.0, bottom), (first.0, bottom)];
                    let outline: Vec<(f64, f64)> = area.iter().copied().chain(ends).collect();
                    svg.path(&outline, true, &format!("band {class}"));
                }
                let curve: Vec<(f64, f64)> = piece.iter().map(at).collect();
                svg.path(&curve, false, &format!("curve {class}"));
            }
        }
        self.thresholds(&mut svg, &axis, &x);
        svg.finish()
    }

    /// Returns the curve of class `k` as (position, height), in two pieces where a hole is cut.
    fn pieces(&self, page: &TheoryPage, k: usize) -> Vec<Vec<(f64, f64)>> {
        let (mu, s) = (page.classes.means()[k], page.classes.sigmas()[k]);
        let hole = self.margin / s;
        let side = |sign: f64| -> Vec<(f64, f64)> {
            if hole >= SHOWN {
                return Vec::new();
            }
            let z = |i: usize| hole + (SHOWN - hole) * i as f64 / POINTS as f64;
            let mut points: Vec<(f64, f64)> =
                (0..=POINTS).map(|i| (mu + sign * s * z(i), height(page, k, z(i)))).collect();
            if hole > 0.0 {
                points.insert(0, (mu + sign * self.margin, 0.0));
            }
            if sign < 0.0 {
                points.reverse();
            }
            points
        };
        let (left, right) = (side(-1.0), side(1.0));
        if hole > 0.0 { vec![left, right] } else { vec![[left, right].concat()] }
    }

    fn thresholds(&self, svg: &mut Svg, axis: &PositionAxis, x: &Scale) {
        let mut taken = f64::NEG_INFINITY;
        let shown = |(name, decision): &(&'static str, Decision)| {
            let t = axis.of(decision.threshold()?);
            x.contains(t).then(|| (*name, x.at(t)))
        };
        let mut lines: Vec<(usize, (&str, f64))> =
            self.rules.iter().enumerate().filter_map(|(i, r)| Some((i, shown(r)?))).collect();
        lines.sort_by(|a, b| a.1.1.total_cmp(&b.1.1));
        for (i, (name, at)) in lines {
            let class = if i == 0 { "whisker kf" } else { "guide" };
            svg.line((at, TOP - 6.0), (at, HEIGHT - BOTTOM), class);
            // Names of lines that are close stand side by side.
            let from = at.max(taken + 16.0);
            svg.text(from, TOP - 12.0, Anchor::Middle, "tag kf", name);
            taken = from;
        }
    }
}

/// Returns the density of class `k` at z deviations from its mean, where all samples of both
/// classes count 1.
fn height(page: &TheoryPage, k: usize, z: f64) -> f64 {
    let sizes = page.classes.sizes();
    let prior = 1.0 / (1.0 + sizes[1 - k] / sizes[k]);
    prior / page.classes.sigmas()[k] * (-0.5 * z * z).exp()
}

/// An axis with positions in numbers that can be written below it.
struct PositionAxis {
    origin: f64,
    unit: f64,
    low: f64,
    high: f64,
    name: String,
}

impl PositionAxis {
    fn new(page: &TheoryPage) -> Self {
        let (means, sigmas) = (page.classes.means(), page.classes.sigmas());
        let ends = |sign: f64| [0, 1].map(|k| means[k] + sign * SHOWN * sigmas[k]);
        let low = ends(-1.0).into_iter().fold(f64::INFINITY, f64::min);
        let high = ends(1.0).into_iter().fold(f64::NEG_INFINITY, f64::max);
        let span = high - low;
        let far = means[0].abs() > 1e3 * span;
        let origin = if far { means[0] } else { 0.0 };
        let unit = if (1e-2..1e5).contains(&span) { 1.0 } else { 10f64.powf(span.log10().floor()) };
        let what = if page.dimension > 1 { "distance from mean 0" } else { "x" };
        let from = if far { format!(" from {origin}") } else { String::new() };
        let units = if unit == 1.0 { String::new() } else { format!(", in units of {unit:e}") };
        let scaled = |x: f64| (x - origin) / unit;
        let name = minus(&format!("{what}{from}{units}"));
        PositionAxis { origin, unit, low: scaled(low), high: scaled(high), name }
    }

    fn of(&self, position: f64) -> f64 {
        (position - self.origin) / self.unit
    }
}
