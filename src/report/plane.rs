//! A plane of two values: its frame, its axes, and names beside marks where there is room.

use super::numbers;
use super::svg::{Anchor, Mark, Scale, Svg};

/// Width of a drawing of one plane.
pub(super) const WIDTH: f64 = 400.0;
pub(super) const HEIGHT: f64 = 350.0;
pub(super) const LEFT: f64 = 46.0;
pub(super) const RIGHT: f64 = 14.0;
pub(super) const TOP: f64 = 12.0;
pub(super) const BOTTOM: f64 = 44.0;

/// The ends of the horizontal scale, in pixels.
pub(super) const ACROSS: (f64, f64) = (LEFT, WIDTH - RIGHT);
pub(super) const UP: (f64, f64) = (HEIGHT - BOTTOM, TOP);

/// An axis: its scale, its ticks with their texts, and its name.
pub(super) struct PlotAxis<'a> {
    pub(super) scale: Scale,
    pub(super) ticks: Vec<(f64, String)>,
    pub(super) name: &'a str,
}

impl<'a> PlotAxis<'a> {
    /// Makes an axis with round numbers.
    pub(super) fn of_numbers(scale: Scale, name: &'a str) -> Self {
        let (ticks, digits) = scale.ticks(5);
        let ticks = ticks.into_iter().map(|t| (t, numbers::digits(t, digits))).collect();
        PlotAxis { scale, ticks, name }
    }

    /// Returns the pixel of a value.
    pub(super) fn at(&self, value: f64) -> f64 {
        self.scale.at(value)
    }
}

/// Draws the grid, the ticks and the names of both axes.
pub(super) fn axes(svg: &mut Svg, x: &PlotAxis, y: &PlotAxis) {
    let ((left, right), (bottom, top)) = (ACROSS, UP);
    for (t, text) in &x.ticks {
        svg.line((x.at(*t), top), (x.at(*t), bottom), "grid");
        svg.text(x.at(*t), bottom + 16.0, Anchor::Middle, "tick", text);
    }
    for (t, text) in &y.ticks {
        svg.line((left, y.at(*t)), (right, y.at(*t)), "grid");
        svg.text(left - 7.0, y.at(*t) + 4.0, Anchor::End, "tick", text);
    }
    svg.text((left + right) / 2.0, HEIGHT - 6.0, Anchor::Middle, "axis", x.name);
    svg.upright_text(12.0, (top + bottom) / 2.0, "axis", y.name);
}

/// Writes names beside marks, except those for which there is no room.
pub(super) fn place_labels(svg: &mut Svg, labels: &[((f64, f64), Mark, String)]) {
    const LINE: f64 = 13.0;
    const LETTER: f64 = 6.6;
    // The boxes that are taken: those of the marks first, then each label's as it is placed.
    let mut taken: Vec<[f64; 4]> =
        labels.iter().map(|((x, y), ..)| [x - 6.0, y - 6.0, x + 6.0, y + 6.0]).collect();
    for ((x, y), mark, text) in labels {
        let width = text.chars().count() as f64 * LETTER;
        // A label is tried to the right, to the left, above, below, and at the four corners, in
        // this order of taste.
        let places = [
            (x + 10.0, y + 4.0, Anchor::Start),
            (x - 10.0, y + 4.0, Anchor::End),
            (x + 9.0, y - 8.0, Anchor::Start),
            (x + 9.0, y + 16.0, Anchor::Start),
            (x - 9.0, y - 8.0, Anchor::End),
            (x - 9.0, y + 16.0, Anchor::End),
        ];
        let free = places.into_iter().find_map(|(tx, ty, anchor)| {
            let left = if matches!(anchor, Anchor::End) { tx - width } else { tx };
            let area = [left, ty - LINE + 3.0, left + width, ty + 3.0];
            let inside =
                area[0] >= LEFT && area[2] <= WIDTH - 2.0 && area[1] >= 0.0 && area[3] <= UP.0;
            let clear = taken
                .iter()
                .all(|t| area[2] <= t[0] || area[0] >= t[2] || area[3] <= t[1] || area[1] >= t[3]);
            (inside && clear).then_some((tx, ty, anchor, area))
        });
        if let Some((tx, ty, anchor, area)) = free {
            svg.text(tx, ty, anchor, &format!("tag {}", mark.class()), text);
            taken.push(area);
        }
    }
}
