//! The free variables of one image, drawn around the constants of its class.

use super::classes::{Grounds, HARD_BLOCK, RARE_BLOCK, Set, spread};
use crate::rng::{Philox, Sequence};

/// Ways in which a view is hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hard {
    /// Little colour, weak stripes, little contrast.
    Faded,
    /// Less than half the usual size.
    Small,
    /// Only an edge of the object is in sight.
    Covered,
}

/// Everything that a drawing needs. Lengths are in pixels, angles in radians, colours in [0, 1].
#[derive(Clone, Copy, Debug)]
pub(super) struct DrawnView {
    pub points: u32,
    pub depth: f32,
    pub roundness: f32,
    pub aspect: f32,
    pub corner: f32,
    pub turn: f32,
    pub centre: [f32; 2],
    /// Radius of the disc of the same area.
    pub radius: f32,
    pub hue: f32,
    pub chroma: f32,
    pub light: f32,
    pub stripes: f32,
    /// Number of stripes across the object.
    pub waves: f32,
    pub grain: f32,
    pub phase: f32,
    pub dark: f32,
    pub dark_hue: f32,
    /// Distance of the background's colour from grey.
    pub dark_chroma: f32,
    /// Change of the background's luminance from one side to the other, and its direction.
    pub slope: f32,
    pub slope_turn: f32,
    /// A covering bar: the direction of its normal, and the distance of its edge from the centre in
    /// radii.
    pub bar: Option<(f32, f32)>,
}

/// Returns the Philox counter line of image `number` of class `class` in part `part`. There are
/// 2^40 images in a class and 2^16 classes; bit 63 marks the lines that place the hard views, and
/// bit 62 those of rare grounds.
fn line(part: u8, class: usize, number: usize) -> u64 {
    u64::from(part) << 56 | (class as u64) << 40 | number as u64
}

/// Returns the place of image `number` of a class in the shuffled order of its block of images. The
/// first places are hard views, and the next ones are of any hue, so that the shares are the same in
/// every block.
fn place(philox: &Philox, (part, class, number): (u8, usize, usize)) -> usize {
    let block = number / HARD_BLOCK;
    let mut order: [usize; HARD_BLOCK] = std::array::from_fn(|i| i);
    philox.sequence(1 << 63 | line(part, class, block)).shuffle(&mut order);
    order.iter().position(|&i| i == number % HARD_BLOCK).unwrap_or(HARD_BLOCK)
}

/// Returns the ground of image `number` of a class: its usual one, but for one training image of
/// each block and every second image of the other parts.
pub(super) fn ground(philox: &Philox, (part, class, number): (u8, usize, usize)) -> usize {
    let rare = match part {
        0 => {
            let place = philox.sequence(1 << 62 | line(part, class, number / RARE_BLOCK));
            place.clone().below(RARE_BLOCK as u32) as usize == number % RARE_BLOCK
        }
        _ => number % 2 == 1,
    };
    Grounds::usual(class) ^ usize::from(rare)
}

impl DrawnView {
    /// Returns the view of image `number` of a class, and the sequence that goes on with its pixel
    /// noise.
    pub fn draw(
        philox: &Philox,
        set: &Set,
        (part, class, number): (u8, usize, usize),
    ) -> (DrawnView, Sequence) {
        let style = &set.styles[class];
        let own = &style.spread;
        let mut s = philox.sequence(line(part, class, number));
        let degrees = std::f32::consts::PI / 180.0;
        let full_turn = 2.0 * std::f32::consts::PI;
        let mut view = DrawnView {
            points: style.points,
            depth: style.depth,
            roundness: reflect(style.roundness + own.roundness * normal(&mut s)),
            aspect: style.aspect * (1.0 + own.aspect * normal(&mut s)),
            corner: degrees * style.corner,
            turn: degrees * own.turn * normal(&mut s),
            centre: [shift(&mut s), shift(&mut s)],
            radius: spread::RADIUS * (1.0 + own.radius * normal(&mut s)),
            hue: degrees * (style.hue + own.hue * normal(&mut s)),
            chroma: spread::CHROMA.0 + spread::CHROMA.1 * normal(&mut s),
            light: style.light + own.light * normal(&mut s),
            stripes: spread::STRIPES.0 + spread::STRIPES.1 * normal(&mut s),
            waves: style.waves * (1.0 + own.waves * normal(&mut s)),
            grain: degrees * (style.grain + own.grain * normal(&mut s)),
            phase: full_turn * s.uniform(),
            dark: spread::DARK.0 + spread::DARK.1 * normal(&mut s),
            dark_hue: full_turn * s.uniform(),
            dark_chroma: 0.04,
            slope: 0.06 * normal(&mut s),
            slope_turn: full_turn * s.uniform(),
            bar: None,
        };
        if let Some(grounds) = &set.grounds {
            let (_, mean) = grounds.values[ground(philox, (part, class, number))];
            let aside = 2.0 * view.dark_hue / full_turn - 1.0;
            view.dark_hue = degrees * (mean + grounds.spread * aside);
            view.dark_chroma = grounds.chroma;
        }
        let (kind, bar_turn, bar_edge) = (s.below(3), s.uniform(), s.uniform());
        let place = place(philox, (part, class, number));
        if place >= own.hard && place < own.hard + own.odd {
            // Hard views alone are covered, so that the turn of their bar is free to be a hue.
            view.hue = full_turn * bar_turn;
        }
        if place < own.hard {
            match [Hard::Faded, Hard::Small, Hard::Covered][kind as usize] {
                Hard::Faded => {
                    view.chroma *= 0.15;
                    view.stripes *= 0.4;
                    view.light -= 0.5 * (view.light - view.dark);
                }
                Hard::Small => view.radius *= 0.45,
                Hard::Covered => view.bar = Some((full_turn * bar_turn, -0.55 + 0.3 * bar_edge)),
            }
        }
        (view, s)
    }
}

/// Draws a standard normal number, cut at 2.5 so that no view leaves the picture.
fn normal(s: &mut Sequence) -> f32 {
    s.normal().clamp(-2.5, 2.5)
}

fn shift(s: &mut Sequence) -> f32 {
    spread::SHIFT * (2.0 * s.uniform() - 1.0)
}

/// Folds a value back into [0, 1].
fn reflect(x: f32) -> f32 {
    let x = x.abs();
    if x > 1.0 { (2.0 - x).max(0.0) } else { x }
}
