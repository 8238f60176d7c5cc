//! Drawings over classes: rows with names for a few, sorted curves for many, and values against
//! recall.

use super::markup::{figure, shorten, words};
use super::numbers;
use super::svg::{Anchor, Mark, Scale, Svg};
use crate::experiment::comparison::summary::Spread;

/// From this number of classes on, rows with names give way to sorted curves.
pub(super) const MANY: usize = 26;

const WIDTH: f64 = 400.0;
/// Number of letters of a class name that fit before its row.
const LETTERS: usize = 14;
const RIGHT: f64 = 16.0;

/// The classes as a drawing shows them.
pub(super) struct Classes {
    /// Names of the classes, not yet escaped.
    pub(super) names: Vec<String>,
    /// Class indices; the first is the first row.
    pub(super) order: Vec<usize>,
    /// Whether the classes are groups.
    pub(super) groups: bool,
}

/// One value for each class.
pub(super) struct Series {
    pub(super) mark: Mark,
    pub(super) label: String,
    pub(super) values: Vec<Option<Spread>>,
}

impl Series {
    fn value(&self, class: usize) -> Option<Spread> {
        self.values.get(class).copied().flatten()
    }

    fn has_seeds(&self) -> bool {
        self.values.iter().flatten().any(|s| s.n > 1)
    }
}

/// Draws the figure of some series: rows, or sorted curves where there are many classes.
pub(super) fn plot(classes: &Classes, series: &[Series], title: &str, from_zero: bool) -> String {
    let seeds = series.iter().any(Series::has_seeds);
    if classes.names.len() < MANY {
        let text = "Means over seeds; lines reach from the lowest seed to the highest.";
        figure(title, if seeds { text } else { "" }, &rows(classes, series, title, from_zero))
    } else {
        let each = if series.len() > 1 { "Each strategy's classes" } else { "Classes" };
        let text = format!("{each} sorted by this value, lowest first.");
        figure(title, &words(classes.groups, &text), &curves(classes, series, title, from_zero))
    }
}

fn scale(series: &[Series], from_zero: bool, ends: (f64, f64)) -> Scale {
    let values = series.iter().flat_map(|s| s.values.iter().flatten());
    let zero = from_zero.then_some(0.0);
    Scale::around(values.flat_map(|s| [s.min, s.max]).chain(zero), (0.0, 1.0), ends)
}

/// Draws a row for each class with a mark for each series.
fn rows(classes: &Classes, series: &[Series], title: &str, from_zero: bool) -> String {
    // The marks of a few strategies stand one below the other inside the row; those of many stand
    // on one line.
    let apart = if series.len() <= 6 { 5.5 } else { 0.0 };
    let row = 14.0 + apart * series.len() as f64;
    let height = row * classes.order.len() as f64 + 30.0;
    let letters = classes.names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    let gutter = letters.min(LETTERS) as f64 * 6.8 + 18.0;
    let x = scale(series, from_zero, (gutter + 6.0, WIDTH - RIGHT));
    let label = format!("{title} under {} strategies; values in the tables.", series.len());
    let mut svg = Svg::new(WIDTH, height, label);
    let bottom = height - 26.0;
    let (ticks, digits) = x.ticks(5);
    for t in ticks {
        svg.line((x.at(t), 0.0), (x.at(t), bottom), "grid");
        svg.text(x.at(t), height - 8.0, Anchor::Middle, "tick", &numbers::digits(t, digits));
    }
    for (i, &k) in classes.order.iter().enumerate() {
        let top = row * i as f64;
        if i % 2 == 1 {
            svg.rect(0.0, top, WIDTH, row, "stripe");
        }
        let class = &classes.names[k];
        let name = shorten(class, LETTERS);
        svg.text(gutter - 10.0, top + row / 2.0 + 4.0, Anchor::End, "row", &name);
        for (j, of) in series.iter().enumerate() {
            let Some(s) = of.value(k) else { continue };
            let y = top + row / 2.0 + (j as f64 - (series.len() as f64 - 1.0) / 2.0) * apart;
            if apart > 0.0 && s.n > 1 {
                let class = format!("whisker {}", of.mark.class());
                svg.line((x.at(s.min), y), (x.at(s.max), y), &class);
            }
            let title = format!("{class}, {}: {}", of.label, numbers::spread(&s));
            svg.mark(of.mark, (x.at(s.mean), y), 3.6, &title);
        }
    }
    svg.finish()
}

/// Draws a curve for each series, its classes sorted by their mean.
fn curves(shown: &Classes, series: &[Series], title: &str, from_zero: bool) -> String {
    let classes = shown.names.len();
    const HEIGHT: f64 = 280.0;
    let (left, bottom) = (40.0, HEIGHT - 40.0);
    let y = scale(series, from_zero, (bottom, 8.0));
    let x = Scale::fixed(0.0, classes.saturating_sub(1) as f64, left, WIDTH - RIGHT);
    let label =
        format!("{title}, sorted, under {} strategies; values in the tables.", series.len());
    let mut svg = Svg::new(WIDTH, HEIGHT, label);
    let (ticks, digits) = y.ticks(5);
    for t in ticks {
        svg.line((left, y.at(t)), (WIDTH - RIGHT, y.at(t)), "grid");
        svg.text(left - 7.0, y.at(t) + 4.0, Anchor::End, "tick", &numbers::digits(t, digits));
    }
    let (ticks, _) = x.ticks(5);
    for t in ticks {
        svg.text(x.at(t), bottom + 17.0, Anchor::Middle, "tick", &format!("{t:.0}"));
    }
    let middle = (left + WIDTH - RIGHT) / 2.0;
    svg.text(middle, HEIGHT - 5.0, Anchor::Middle, "axis", &words(shown.groups, "classes, sorted"));
    for of in series {
        let mut sorted: Vec<f64> = of.values.iter().flatten().map(|s| s.mean).collect();
        sorted.sort_by(f64::total_cmp);
        let points: Vec<(f64, f64)> =
            sorted.iter().enumerate().map(|(i, v)| (x.at(i as f64), y.at(*v))).collect();
        svg.path(&points, false, &format!("curve {}", of.mark.class()));
        // The marks tell the curves apart where the colours do not.
        for i in [0, points.len() / 3, 2 * points.len() / 3, points.len().saturating_sub(1)] {
            if let Some(&at) = points.get(i) {
                svg.mark(of.mark, at, 3.6, &of.label);
            }
        }
    }
    svg.finish()
}

/// A plot with recalls across, densities up, and a mark for each class.
pub(super) struct Against<'a> {
    pub(super) classes: &'a Classes,
    pub(super) recalls: &'a [Option<f64>],
    /// The name of the recall axis.
    pub(super) recall: &'a str,
    /// The values that the scales have to hold.
    pub(super) all: &'a [Series],
}

impl Against<'_> {
    /// Draws one series; `title` is read out instead of the drawing.
    pub(super) fn draw(&self, series: &Series, title: &str) -> String {
        const W: f64 = 250.0;
        const H: f64 = 190.0;
        let (left, right, top, bottom) = (46.0, W - 8.0, 8.0, H - 38.0);
        let recalls = self.recalls.iter().flatten().copied();
        let x = Scale::around(recalls, (0.0, 1.0), (left, right));
        let y = scale(self.all, true, (bottom, top));
        let mut svg = Svg::new(W, H, title);
        let (ticks, digits) = x.ticks(4);
        for t in ticks {
            svg.line((x.at(t), top), (x.at(t), bottom), "grid");
            svg.text(x.at(t), bottom + 15.0, Anchor::Middle, "tick", &numbers::digits(t, digits));
        }
        let (ticks, digits) = y.ticks(4);
        for t in ticks {
            svg.line((left, y.at(t)), (right, y.at(t)), "grid");
            svg.text(left - 6.0, y.at(t) + 4.0, Anchor::End, "tick", &numbers::digits(t, digits));
        }
        svg.text((left + right) / 2.0, H - 5.0, Anchor::Middle, "axis", self.recall);
        svg.upright_text(11.0, (top + bottom) / 2.0, "axis", "density");
        for (k, name) in self.classes.names.iter().enumerate() {
            let recall = self.recalls.get(k).copied().flatten();
            let (Some(recall), Some(density)) = (recall, series.value(k)) else { continue };
            let at = (x.at(recall), y.at(density.mean));
            if self.classes.names.len() >= MANY {
                svg.dot(at, 1.8, &format!("seed {}", series.mark.class()), "");
                continue;
            }
            let (r, d) = (numbers::share(recall), numbers::share(density.mean));
            svg.mark(series.mark, at, 3.8, &format!("{name}: recall {r}, density {d}"));
        }
        svg.finish()
    }
}
