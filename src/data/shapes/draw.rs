//! Draws one view: its outline as a signed distance, stripes, shading, background and pixel noise.
//!
//! Only IEEE basic operations and `libm` functions are used, so that every platform draws the same
//! bytes.

use super::classes::spread;
use super::view::DrawnView;
use crate::rng::Sequence;

/// Side of every image, in pixels.
pub(super) const SIDE: usize = 32;

/// Turns luminance and colour difference into RGB (the inverse of ITU-R BT.601), which is a hue at
/// equal luminance.
fn rgb(luminance: f32, chroma: f32, (sin, cos): (f32, f32)) -> [f32; 3] {
    let (cb, cr) = (chroma * cos, chroma * sin);
    [luminance + 1.402 * cr, luminance - 0.344 * cb - 0.714 * cr, luminance + 1.772 * cb]
}

/// A star polygon with alternating radii 1 and `depth`, whose corners are rounded, scaled to the
/// area of a disc of radius one. Distances are in units of that radius.
struct Outline {
    half_sector: f32,
    /// Angle of the first corner from the top.
    corner: f32,
    /// Outer and inner corner of the half sector.
    outer: [f32; 2],
    inner: [f32; 2],
    round: f32,
}

impl Outline {
    fn new(view: &DrawnView) -> Outline {
        let (depth, roundness) = (view.depth, view.roundness);
        let half_sector = std::f32::consts::PI / view.points as f32;
        let (sin, cos) = libm::sincosf(half_sector);
        let core = 1.0 - roundness;
        let (outer, inner) = ([core, 0.0], [core * depth * cos, core * depth * sin]);
        // The area of the core and its offset by `roundness` is A + P r + pi r^2 (exact where the
        // outline is convex).
        let count = 2.0 * view.points as f32;
        let area = count * 0.5 * core * core * depth * sin;
        let edge = length([outer[0] - inner[0], outer[1] - inner[1]]);
        let pi = std::f32::consts::PI;
        let total = area + count * edge * roundness + pi * roundness * roundness;
        let scale = (pi / total).sqrt();
        Outline {
            half_sector,
            corner: view.corner,
            outer: outer.map(|v| v * scale),
            inner: inner.map(|v| v * scale),
            round: roundness * scale,
        }
    }

    /// Returns the signed distance of a point (right, up), negative inside. It is exact except on
    /// the far side of reflex corners.
    fn distance(&self, p: [f32; 2]) -> f32 {
        let angle = libm::atan2f(p[0], p[1]) - self.corner;
        let sector = 2.0 * self.half_sector;
        let folded = (angle - sector * libm::roundf(angle / sector)).abs();
        let radius = length(p);
        let (sin, cos) = libm::sincosf(folded);
        let q = [radius * cos - self.outer[0], radius * sin - self.outer[1]];
        let edge = [self.inner[0] - self.outer[0], self.inner[1] - self.outer[1]];
        let square = edge[0] * edge[0] + edge[1] * edge[1];
        let along = if square > 0.0 {
            ((q[0] * edge[0] + q[1] * edge[1]) / square).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let gap = length([q[0] - along * edge[0], q[1] - along * edge[1]]);
        let inside = edge[0] * q[1] - edge[1] * q[0] > 0.0 && square > 0.0;
        (if inside { -gap } else { gap }) - self.round
    }
}

fn length(v: [f32; 2]) -> f32 {
    (v[0] * v[0] + v[1] * v[1]).sqrt()
}

/// Returns the coverage of a pixel whose centre is `distance` pixels outside an edge.
fn coverage(distance: f32) -> f32 {
    (0.5 - distance).clamp(0.0, 1.0)
}

/// Returns noise of standard deviation one: the sum of four uniform bytes (Irwin-Hall), exact in
/// f32.
fn noise(word: u32) -> f32 {
    let sum: u32 = word.to_le_bytes().iter().map(|&b| u32::from(b)).sum();
    (sum as f32 - 510.0) * (1.0 / 147.8)
}

/// Draws `view` into `image` (`SIDE SIDE 3`), taking pixel noise from `random`.
pub(super) fn draw(view: &DrawnView, random: &mut Sequence, image: &mut [u8]) {
    let outline = Outline::new(view);
    let turn = libm::sincosf(view.turn);
    let stretch = view.aspect.sqrt();
    let grain = libm::sincosf(view.grain);
    let slope = libm::sincosf(view.slope_turn);
    let (hue, dark_hue) = (libm::sincosf(view.hue), libm::sincosf(view.dark_hue));
    let bar = view.bar.map(|(turn, edge)| (libm::sincosf(turn), edge * view.radius));
    let middle = (SIDE as f32 - 1.0) / 2.0;
    for y in 0..SIDE {
        for x in 0..SIDE {
            // Positions are pixels from the object's centre, with y up.
            let dx = x as f32 - middle - view.centre[0];
            let dy = middle - y as f32 - view.centre[1];
            let across = (x as f32 - middle) * slope.1 + (middle - y as f32) * slope.0;
            let ground = rgb(view.dark + view.slope * across / middle, view.dark_chroma, dark_hue);

            let u = (dx * turn.1 + dy * turn.0) / stretch;
            let v = (dy * turn.1 - dx * turn.0) * stretch;
            let distance = outline.distance([u / view.radius, v / view.radius]) * view.radius;
            let mut cover = coverage(distance);
            if let Some(((sin, cos), edge)) = bar {
                cover *= coverage(dx * cos + dy * sin - edge);
            }
            let mut colour = ground;
            if cover > 0.0 {
                let position = (dx * grain.1 + dy * grain.0) / (2.0 * view.radius);
                let wave =
                    libm::sinf(2.0 * std::f32::consts::PI * view.waves * position + view.phase);
                // The object is lit from above and darker towards the rim.
                let shade = 0.05 * (dy / view.radius) - 0.05 * coverage(distance + 2.0);
                let object = rgb(view.light + view.stripes * wave + shade, view.chroma, hue);
                for c in 0..3 {
                    colour[c] += cover * (object[c] - ground[c]);
                }
            }
            let pixel = &mut image[(y * SIDE + x) * 3..][..3];
            for c in 0..3 {
                let value = colour[c] + spread::NOISE * noise(random.next_u32());
                pixel[c] = (value * 255.0 + 0.5).clamp(0.0, 255.0) as u8;
            }
        }
    }
}
