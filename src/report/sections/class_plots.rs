//! Drawings over classes: rows with names for a few, sorted curves for many.

use super::classes::MANY;
use crate::experiment::summary::Spread;
use crate::report::markup::{figure, name, push, shorten};
use crate::report::numbers;
use crate::report::svg::{Anchor, Scale, Svg};
use crate::report::view::{Entry, View};

const WIDTH: f64 = 400.0;
/// Letters of a class name that fit before its row.
const LETTERS: usize = 14;
const RIGHT: f64 = 16.0;

type Value = fn(&Entry, usize) -> Option<Spread>;

/// The share of each class that is kept.
pub(super) fn densities(view: &View, entries: &[Entry]) -> String {
    plot(view, entries, &view.words("Density of each class"), kept_share, true)
}

/// The recall of each class.
pub(super) fn recalls(view: &View, entries: &[Entry]) -> String {
    plot(view, entries, &view.words("Recall of each class"), |e, k| e.recall(k), false)
}

/// The density of a class; none for full data, which keeps all of everything.
fn kept_share(entry: &Entry, class: usize) -> Option<Spread> {
    if entry.strategy.full_data { None } else { entry.density(class) }
}

fn plot(view: &View, entries: &[Entry], title: &str, value: Value, from_zero: bool) -> String {
    if view.summary.classes.len() < MANY {
        let text = "Means over seeds; lines reach from the lowest seed to the highest.";
        figure(title, text, &rows(view, entries, title, value, from_zero))
    } else {
        let text = "Each strategy's classes sorted by this value, lowest first.";
        figure(title, &view.words(text), &curves(view, entries, title, value, from_zero))
    }
}

fn scale(view: &View, entries: &[Entry], value: Value, from_zero: bool, ends: (f64, f64)) -> Scale {
    let classes = 0..view.summary.classes.len();
    let values = entries.iter().flat_map(|e| classes.clone().filter_map(|k| value(e, k)));
    let zero = from_zero.then_some(0.0);
    Scale::around(values.flat_map(|s| [s.min, s.max]).chain(zero), (0.0, 1.0), ends)
}

/// A row a class, a mark a strategy.
fn rows(view: &View, entries: &[Entry], title: &str, value: Value, from_zero: bool) -> String {
    // Marks of few strategies stand one below the other inside the row, of many on one line.
    let apart = if entries.len() <= 6 { 5.5 } else { 0.0 };
    let row = 14.0 + apart * entries.len() as f64;
    let height = row * view.hardest_first.len() as f64 + 30.0;
    let names = view.hardest_first.iter().map(|&k| view.class_name(k).chars().count());
    let gutter = names.max().unwrap_or(0).min(LETTERS) as f64 * 6.8 + 18.0;
    let x = scale(view, entries, value, from_zero, (gutter + 6.0, WIDTH - RIGHT));
    let label = format!("{title} under {} strategies; values in the tables.", entries.len());
    let mut svg = Svg::new(WIDTH, height, label);
    let bottom = height - 26.0;
    let (ticks, digits) = x.ticks(5);
    for t in ticks {
        svg.line((x.at(t), 0.0), (x.at(t), bottom), "grid");
        svg.text(x.at(t), height - 8.0, Anchor::Middle, "tick", &numbers::digits(t, digits));
    }
    for (i, &k) in view.hardest_first.iter().enumerate() {
        let top = row * i as f64;
        if i % 2 == 1 {
            svg.rect(0.0, top, WIDTH, row, "stripe");
        }
        let class = view.class_name(k);
        svg.text(
            gutter - 10.0,
            top + row / 2.0 + 4.0,
            Anchor::End,
            "row",
            &shorten(&class, LETTERS),
        );
        for (j, e) in entries.iter().enumerate() {
            let Some(s) = value(e, k) else { continue };
            let y = top + row / 2.0 + (j as f64 - (entries.len() as f64 - 1.0) / 2.0) * apart;
            if apart > 0.0 && s.n > 1 {
                svg.line(
                    (x.at(s.min), y),
                    (x.at(s.max), y),
                    &format!("whisker {}", e.mark.class()),
                );
            }
            let title = format!("{class}, {}: {}", e.strategy.label, numbers::spread(&s));
            svg.mark(e.mark, (x.at(s.mean), y), 3.6, &title);
        }
    }
    svg.finish()
}

/// A curve a strategy: its classes sorted by their mean.
fn curves(view: &View, entries: &[Entry], title: &str, value: Value, from_zero: bool) -> String {
    const HEIGHT: f64 = 280.0;
    let (left, bottom) = (40.0, HEIGHT - 40.0);
    let y = scale(view, entries, value, from_zero, (bottom, 8.0));
    let classes = view.summary.classes.len();
    let x = Scale::fixed(0.0, classes.saturating_sub(1) as f64, left, WIDTH - RIGHT);
    let label =
        format!("{title}, sorted, under {} strategies; values in the tables.", entries.len());
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
    svg.text(middle, HEIGHT - 5.0, Anchor::Middle, "axis", "classes, sorted");
    for e in entries {
        let mut sorted: Vec<f64> =
            (0..classes).filter_map(|k| value(e, k)).map(|s| s.mean).collect();
        sorted.sort_by(f64::total_cmp);
        let points: Vec<(f64, f64)> =
            sorted.iter().enumerate().map(|(i, v)| (x.at(i as f64), y.at(*v))).collect();
        svg.path(&points, false, &format!("curve {}", e.mark.class()));
        // The marks tell the curves apart where the colours do not.
        for i in [0, points.len() / 3, 2 * points.len() / 3, points.len().saturating_sub(1)] {
            if let Some(&at) = points.get(i) {
                svg.mark(e.mark, at, 3.6, &e.strategy.label);
            }
        }
    }
    svg.finish()
}

/// A small scatter plot a strategy: full-data recall across, density up, on common scales.
pub(super) fn correlations(view: &View, entries: &[Entry]) -> String {
    const W: f64 = 250.0;
    const H: f64 = 190.0;
    let (left, right, top, bottom) = (46.0, W - 8.0, 8.0, H - 38.0);
    let classes = 0..view.summary.classes.len();
    let recalls = classes.clone().filter_map(|k| view.full_recall(k));
    let x = Scale::around(recalls, (0.0, 1.0), (left, right));
    let y = scale(view, entries, |e, k| e.density(k), true, (bottom, top));
    let many = view.summary.classes.len() >= MANY;
    let mut out = String::from("<div class=\"multiples\">");
    for e in entries {
        if classes.clone().all(|k| e.density(k).is_none()) {
            continue;
        }
        let r = e.point.headline.as_ref().and_then(|h| h.density_recall_correlation);
        let r = match r {
            Some(s) => format!("r = {}", numbers::share(s.mean)),
            None => "no correlation: constant".to_owned(),
        };
        let r = crate::report::markup::minus(&r);
        let label = format!("{}: class density against full-data recall, {r}", e.strategy.label);
        let mut svg = Svg::new(W, H, label);
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
        svg.text((left + right) / 2.0, H - 5.0, Anchor::Middle, "axis", "recall on full data");
        svg.upright_text(11.0, (top + bottom) / 2.0, "axis", "density");
        for k in classes.clone() {
            let (Some(recall), Some(density)) = (view.full_recall(k), e.density(k)) else {
                continue;
            };
            let at = (x.at(recall), y.at(density.mean));
            if many {
                svg.dot(at, 1.8, &format!("seed {}", e.mark.class()), "");
                continue;
            }
            let title = format!(
                "{}: recall {}, density {}",
                view.class_name(k),
                numbers::share(recall),
                numbers::share(density.mean)
            );
            svg.mark(e.mark, at, 3.8, &title);
        }
        push!(
            out,
            "<figure><figcaption>{}{} <span class=\"soft\">{r}</span></figcaption>{}</figure>",
            e.mark.inline(),
            name(&e.strategy.label),
            svg.finish()
        );
    }
    out + "</div>\n"
}
