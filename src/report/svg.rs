//! Inline SVG: a canvas, a scale with round ticks, marks of different shape.
//!
//! Colours come from the page's style sheet, through classes, so that a drawing follows light, dark
//! and print. Whatever is not finite is left out.

use super::markup::{esc, push};

/// A drawing in the making.
pub(super) struct Svg {
    width: f64,
    height: f64,
    label: String,
    body: String,
}

/// Where a text is anchored.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// Starts an empty drawing; `label` is read out instead of it.
    pub(super) fn new(width: f64, height: f64, label: impl Into<String>) -> Self {
        Svg { width, height, label: label.into(), body: String::new() }
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let (x1, y1, x2, y2) = (from.0, from.1, to.0, to.1);
        if [x1, y1, x2, y2].iter().all(|v| v.is_finite()) {
            push!(
                self.body,
                "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
            );
        }
    }

    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, class: &str) {
        if [x, y, width, height].iter().all(|v| v.is_finite()) {
            push!(
                self.body,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                width.max(0.0),
                height.max(0.0)
            );
        }
    }

    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        if x.is_finite() && y.is_finite() {
            push!(
                self.body,
                "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
                esc(text)
            );
        }
    }

    /// Writes text that reads upwards, centred at (x, y).
    pub(super) fn upright_text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        push!(
            self.body,
            "<text class=\"{class}\" transform=\"translate({x:.1} {y:.1}) rotate(-90)\" \
             text-anchor=\"middle\">{}</text>",
            esc(text)
        );
    }

    /// Draws a line through the points; `closed` makes it an area.
    pub(super) fn path(&mut self, points: &[(f64, f64)], closed: bool, class: &str) {
        let finite = points.iter().filter(|p| p.0.is_finite() && p.1.is_finite());
        let mut d = String::new();
        for (i, (x, y)) in finite.enumerate() {
            push!(d, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
        }
        if !d.is_empty() {
            let end = if closed { "Z" } else { "" };
            push!(self.body, "<path class=\"{class}\" d=\"{d}{end}\"/>");
        }
    }

    pub(super) fn dot(&mut self, at: (f64, f64), radius: f64, class: &str, title: &str) {
        if at.0.is_finite() && at.1.is_finite() {
            push!(
                self.body,
                "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\">{}</circle>",
                at.0,
                at.1,
                title_element(title)
            );
        }
    }

    /// Draws the mark of a series at a point.
    pub(super) fn mark(&mut self, mark: Mark, at: (f64, f64), size: f64, title: &str) {
        if at.0.is_finite() && at.1.is_finite() {
            push!(
                self.body,
                "<path class=\"mark {}\" d=\"{}\">{}</path>",
                mark.class(),
                mark.outline(at, size),
                title_element(title)
            );
        }
    }

    /// Returns the drawing as an element.
    pub(super) fn finish(self) -> String {
        format!(
            "<svg role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {:.0} {:.0}\">{}</svg>",
            esc(&self.label),
            self.width,
            self.height,
            self.body
        )
    }
}

fn title_element(title: &str) -> String {
    if title.is_empty() { String::new() } else { format!("<title>{}</title>", esc(title)) }
}

/// How a strategy is drawn: a colour and a shape, so that neither has to be seen alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Training on everything, in the text's colour.
    Full,
    /// The n-th of the other strategies.
    Series(usize),
}

const COLOURS: usize = 7;
const SHAPES: usize = 6;

impl Mark {
    /// Returns the style class that sets the colour.
    pub(super) fn class(self) -> String {
        match self {
            Mark::Full => "kf".to_owned(),
            Mark::Series(n) => format!("k{}", n % COLOURS),
        }
    }

    fn outline(self, (x, y): (f64, f64), size: f64) -> String {
        let polygon = |points: &[(f64, f64)]| {
            let mut d = String::new();
            for (i, (dx, dy)) in points.iter().enumerate() {
                let command = if i == 0 { 'M' } else { 'L' };
                push!(d, "{command}{:.1} {:.1}", x + dx * size, y + dy * size);
            }
            d + "Z"
        };
        let circle = |s: f64| {
            format!(
                "M{:.1} {y:.1}a{s:.1} {s:.1} 0 1 0 {:.1} 0a{s:.1} {s:.1} 0 1 0 {:.1} 0Z",
                x - s,
                2.0 * s,
                -2.0 * s
            )
        };
        // The first two rounds through 7 colours and 6 shapes give 42 different pairs.
        match self {
            Mark::Full => circle(size),
            Mark::Series(n) => match n % SHAPES {
                0 => polygon(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
                1 => polygon(&[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]),
                2 => polygon(&[(0.0, -1.2), (1.15, 0.85), (-1.15, 0.85)]),
                3 => circle(size),
                4 => polygon(&[(0.0, 1.2), (1.15, -0.85), (-1.15, -0.85)]),
                _ => {
                    let (a, b) = (0.42, 1.2);
                    polygon(&[
                        (-a, -b),
                        (a, -b),
                        (a, -a),
                        (b, -a),
                        (b, a),
                        (a, a), //
                        (a, b),
                        (-a, b),
                        (-a, a),
                        (-b, a),
                        (-b, -a),
                        (-a, -a),
                    ])
                }
            },
        }
    }

    /// Makes a small drawing of the mark, to stand in a line of text.
    pub(super) fn inline(self) -> String {
        format!(
            "<svg class=\"key\" aria-hidden=\"true\" viewBox=\"0 0 14 14\">\
             <path class=\"mark {}\" d=\"{}\"/></svg>",
            self.class(),
            self.outline((7.0, 7.0), 4.6)
        )
    }
}

/// A linear scale from values to pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// Makes a scale over exactly [low, high].
    pub(super) fn fixed(low: f64, high: f64, from: f64, to: f64) -> Self {
        Scale { low, high, from, to }
    }

    /// Makes a scale around all finite values with some room, inside [least, most]. Values that are
    /// all equal get room on both sides, and no values at all give the whole of [least, most].
    pub(super) fn around(
        values: impl IntoIterator<Item = f64>,
        (least, most): (f64, f64),
        (from, to): (f64, f64),
    ) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for v in values.into_iter().filter(|v| v.is_finite()) {
            low = low.min(v);
            high = high.max(v);
        }
        if low > high {
            return Scale { low: least, high: most, from, to };
        }
        let room = ((high - low) * 0.07).max((most - least) * 0.01);
        Scale { low: (low - room).max(least), high: (high + room).min(most), from, to }
    }

    /// Returns the pixel of a value; NaN stays NaN.
    pub(super) fn at(&self, value: f64) -> f64 {
        let span = self.high - self.low;
        let t = if span.abs() < 1e-12 { 0.5 } else { (value - self.low) / span };
        self.from + t * (self.to - self.from)
    }

    pub(super) fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Returns round values inside the scale, about `wanted` of them, and the digits that they
    /// need.
    pub(super) fn ticks(&self, wanted: usize) -> (Vec<f64>, usize) {
        let span = self.high - self.low;
        if !span.is_finite() || span < 1e-12 {
            return (vec![self.low], 2);
        }
        let rough = span / wanted.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|m| m * power)
            .find(|s| *s >= rough * 0.999)
            .unwrap_or(power * 10.0);
        let digits = (-step.log10() - 1e-9).ceil().clamp(0.0, 6.0) as usize;
        let first = (self.low / step - 1e-6).ceil() as i64;
        let last = (self.high / step + 1e-6).floor() as i64;
        ((first..=last).map(|i| i as f64 * step).collect(), digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_survive_what_data_can_be() {
        let whole = ((0.0, 1.0), (10.0, 110.0));
        let s = Scale::around([0.5, 0.5], whole.0, whole.1);
        assert!((s.at(0.5) - 60.0).abs() < 1e-9 && s.contains(0.5));
        let s = Scale::around([], whole.0, whole.1);
        assert_eq!((s.at(0.0), s.at(1.0)), (10.0, 110.0));
        let s = Scale::around([f64::NAN, f64::INFINITY, 0.2, 0.4], whole.0, whole.1);
        assert!(s.contains(0.2) && s.contains(0.4) && !s.contains(0.6));
        assert!(s.at(f64::NAN).is_nan());
        let s = Scale::around([1.0], whole.0, whole.1);
        assert!(s.at(1.0) <= 110.0);
        assert!(Scale::fixed(0.3, 0.3, 0.0, 10.0).at(0.3) == 5.0);
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let ticks = |low, high| Scale::fixed(low, high, 0.0, 1.0).ticks(5);
        let (t, digits) = ticks(0.0, 1.0);
        assert_eq!((t.len(), digits), (6, 1));
        let (t, digits) = ticks(0.513, 0.587);
        assert!(t.iter().all(|x| (0.513..=0.587).contains(x)) && t.len() >= 3, "{t:?}");
        assert_eq!(digits, 2);
        assert_eq!(ticks(-0.021, 0.021).1, 2);
        let (t, digits) = ticks(-3.0, 250.0);
        assert_eq!((t[0], digits), (0.0, 0));
        for (low, high) in [(0.3, 0.3), (f64::NAN, 1.0), (0.0, f64::INFINITY), (0.0, 1e-9)] {
            assert!(ticks(low, high).0.len() < 20);
        }
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let mut svg = Svg::new(10.0, 10.0, "a <b>");
        svg.line((0.0, f64::NAN), (1.0, 1.0), "x");
        svg.dot((f64::INFINITY, 0.0), 1.0, "x", "");
        svg.mark(Mark::Full, (f64::NAN, 0.0), 1.0, "");
        svg.rect(0.0, 0.0, f64::NAN, 1.0, "x");
        svg.path(&[(f64::NAN, 0.0)], true, "x");
        svg.text(f64::NAN, 0.0, Anchor::End, "x", "t");
        let text = svg.finish();
        assert!(text.ends_with("10\"></svg>") && text.contains("a &lt;b&gt;"), "{text}");
    }

    #[test]
    fn marks_differ() {
        let mut seen = std::collections::BTreeSet::from([Mark::Full.inline()]);
        for n in 0..42 {
            assert!(seen.insert(Mark::Series(n).inline()), "mark {n} repeats another");
        }
    }
}
