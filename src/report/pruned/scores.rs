//! The score's distribution, kept and dropped, over all samples and class by class.

use super::page::{PrunedPage, ShownScore};
use crate::report::markup::{figure, name, push};
use crate::report::numbers;
use crate::report::page::Section;
use crate::report::svg::{Anchor, Scale, Svg};

/// Number of classes that get a small drawing.
const CLASSES: usize = 24;

/// Bars between two ends. What lies beyond the ends counts in the outer bars.
struct Bins {
    low: f64,
    high: f64,
    count: usize,
}

impl Bins {
    /// Places the bars around the values: from the lowest to the highest, or without the outer half
    /// percent on a side where that is far out.
    fn around(values: &[f64], count: usize) -> Option<Bins> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = |q: f64| sorted[(last as f64 * q).round() as usize];
        let (inner_low, inner_high) = (at(0.005), at(0.995));
        let room = (inner_high - inner_low) * 0.25;
        let low = if sorted[0] >= inner_low - room { sorted[0] } else { inner_low };
        let high = if sorted[last] <= inner_high + room { sorted[last] } else { inner_high };
        // If all values are equal, there is one bar in the middle.
        let (low, high) = match high > low {
            true => (low, high),
            false => (low - 0.5 * low.abs().max(1e-6), low + 0.5 * low.abs().max(1e-6)),
        };
        Some(Bins { low, high, count })
    }

    fn of(&self, value: f64) -> usize {
        let t = (value - self.low) / (self.high - self.low) * self.count as f64;
        (t.max(0.0) as usize).min(self.count - 1)
    }

    fn edge(&self, bin: usize) -> f64 {
        self.low + (self.high - self.low) * bin as f64 / self.count as f64
    }

    /// Counts the kept and dropped samples of each bar.
    fn counts(&self, page: &PrunedPage, score: &ShownScore, samples: &[usize]) -> Vec<[usize; 2]> {
        let mut counts = vec![[0; 2]; self.count];
        for &i in samples {
            let value = score.values.get(i).copied().unwrap_or(f64::NAN);
            if value.is_finite() {
                let kept = page.is_kept.get(i).copied().unwrap_or(false);
                counts[self.of(value)][usize::from(!kept)] += 1;
            }
        }
        counts
    }
}

pub(super) fn section(page: &PrunedPage) -> Option<Section> {
    let score = page.set.score.as_ref()?;
    let of = |i: &usize| score.values.get(*i).copied();
    let eligible: Vec<f64> = page.set.eligible.iter().filter_map(of).collect();
    let bins = Bins::around(&eligible, 48)?;
    let end = if score.highest_first { "highest" } else { "lowest" };
    let role = if score.ranks {
        format!("The {end} are kept first.")
    } else {
        format!("The selection starts from it; the {end} are the hard ones.")
    };
    let mut body = format!(
        "<p class=\"lead\">{} of the samples that may be kept. {role} What lies beyond the axis counts in \
         the outer bars.</p>\n\
         <p class=\"legend\"><span><i class=\"part kept\"></i>kept</span> \
         <span><i class=\"part dropped\"></i>dropped</span></p>\n",
        name(score.label)
    );
    let counts = bins.counts(page, score, page.set.eligible);
    let title = format!("{} of all samples", name(score.label));
    body.push_str(&figure(&title, "", &histogram(&bins, &counts, score.label, (400.0, 210.0))));
    let lists = page.by_class();
    let small = Bins { count: 24, ..bins };
    let shown = page.order.iter().filter(|k| !lists[**k].is_empty()).take(CLASSES);
    push!(
        body,
        "<h3>{}</h3>\n<p class=\"lead\">On the same axis; each has its own height.{}</p>\n\
         <div class=\"multiples\">",
        page.words("Class by class"),
        page.shown(CLASSES)
    );
    for &k in shown {
        let counts = small.counts(page, score, &lists[k]);
        let kept: usize = counts.iter().map(|c| c[0]).sum();
        let all: usize = kept + counts.iter().map(|c| c[1]).sum::<usize>();
        push!(
            body,
            "<figure><figcaption>{} <span class=\"soft\">{} of {} kept</span></figcaption>{}</figure>",
            name(&page.class_name(k)),
            numbers::count(kept as u64),
            numbers::count(all as u64),
            histogram(&small, &counts, &page.class_name(k), (250.0, 110.0))
        );
    }
    body.push_str("</div>\n");
    Some(Section { id: "scores", title: "Scores", body })
}

/// Draws bars of kept samples with the dropped ones on top.
fn histogram(bins: &Bins, counts: &[[usize; 2]], what: &str, (w, h): (f64, f64)) -> String {
    let most = counts.iter().map(|c| c[0] + c[1]).max().unwrap_or(0).max(1) as f64;
    let large = w > 300.0;
    let (left, right, top, bottom) =
        (if large { 46.0 } else { 8.0 }, w - 8.0, 6.0, h - if large { 30.0 } else { 22.0 });
    let x = Scale::fixed(bins.low, bins.high, left, right);
    let y = Scale::fixed(0.0, most, bottom, top);
    let kept: usize = counts.iter().map(|c| c[0]).sum();
    let dropped: usize = counts.iter().map(|c| c[1]).sum();
    let label = format!(
        "Histogram of {what}: {kept} kept and {dropped} dropped samples from {} to {}.",
        numbers::position(bins.low),
        numbers::position(bins.high)
    );
    let mut svg = Svg::new(w, h, label);
    if large {
        let (ticks, _) = y.ticks(4);
        for t in ticks.into_iter().filter(|t| t.fract() == 0.0) {
            svg.line((left, y.at(t)), (right, y.at(t)), "grid");
            let text = numbers::count(t.max(0.0) as u64);
            svg.text(left - 6.0, y.at(t) + 4.0, Anchor::End, "tick", &text);
        }
    }
    for (bin, [kept, dropped]) in counts.iter().enumerate() {
        let (from, to) = (x.at(bins.edge(bin)), x.at(bins.edge(bin + 1)));
        let gap = if large { 1.0 } else { 0.6 };
        let (width, middle) = (to - from - gap, y.at(*kept as f64));
        if *kept > 0 {
            svg.rect(from, middle, width, bottom - middle, "kept");
        }
        if *dropped > 0 {
            let top = y.at((kept + dropped) as f64);
            svg.rect(from, top, width, middle - top, "dropped");
        }
    }
    svg.line((left, bottom), (right, bottom), "zero");
    let (ticks, digits) = x.ticks(if large { 6 } else { 3 });
    for t in ticks {
        svg.line((x.at(t), bottom), (x.at(t), bottom + 4.0), "zero");
        let text = numbers::digits(t, digits);
        svg.text(x.at(t), bottom + 17.0, Anchor::Middle, "tick", &text);
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_hold_every_value() {
        let bins = Bins::around(&[0.0, 1.0, 2.0, 3.0], 4).unwrap();
        assert_eq!([0.0, 0.9, 1.6, 3.0].map(|v| bins.of(v)), [0, 1, 2, 3]);
        assert_eq!((bins.of(-9.0), bins.of(9.0)), (0, 3));
        let equal = Bins::around(&[2.0; 5], 4).unwrap();
        assert!(equal.low < 2.0 && equal.high > 2.0 && equal.of(2.0) == 2);
        let zero = Bins::around(&[0.0; 5], 4).unwrap();
        assert!(zero.low < 0.0 && zero.high > 0.0);
        assert!(Bins::around(&[f64::NAN, f64::INFINITY], 4).is_none());
        assert!(Bins::around(&[], 4).is_none());
        // One value far out must not squeeze the others into one bar.
        let mut values: Vec<f64> = (0..1000).map(f64::from).collect();
        values.push(1e9);
        assert!(Bins::around(&values, 4).unwrap().high < 2e3);
    }
}
