//! The constants of the built-in sets: one row for each class, the spread inside a class, and the
//! spread that all classes share.
//!
//! Those of `shapes`, `shapes:extreme` and `shapes:spurious` were chosen from full-data runs alone
//! (ResNet-8 of width 8, 240 steps of 128, several data and training seeds) before any pruning result
//! was looked at, and are frozen since; a test pins the bytes. These were the aims, and how they are reached:
//!
//! - Recalls .55-.92, mean at least .6, error ratio max(1-r)/min(1-r) of 2-4, and so at least 100
//!   samples for the easiest class at density .5. Hue does most of the work: a network learns it in a
//!   few dozen steps, so recalls differ little between training seeds. Five pairs of classes lie 17
//!   to 36 degrees apart with a spread of 13; the nearer a pair, the harder both. Neighbouring
//!   pairs are 45 degrees apart.
//! - The classes of a pair are alike in outline and texture. Earlier drafts with unlike neighbours
//!   had training seeds that discovered an outline and others that did not: the mean accuracy went
//!   from .75 to .90 and the error ratio from 2 to 10.
//! - Hard views put a floor under the error of the easiest classes.
//!
//! The constants of `shapes:spread` stand beside it, with how they were chosen.

/// What tells a class from the others. Everything else is drawn alike for all classes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Class name.
    pub name: &'static str,
    /// Number of corners of the outline.
    pub points: u32,
    /// Inner over outer radius: cos(pi / points) makes a regular polygon, and less makes a star.
    pub depth: f32,
    /// Share of the radius that is corner rounding: 0 is sharp, and 1 is a disc.
    pub roundness: f32,
    /// Width over height.
    pub aspect: f32,
    /// Place of the first corner, in degrees from the top.
    pub corner: f32,
    /// Mean hue, in degrees in the plane of equal luminance.
    pub hue: f32,
    /// Mean number of stripes across the object.
    pub waves: f32,
    /// Direction of the stripes in degrees: 0 is upright, and 90 is level.
    pub grain: f32,
    /// Mean luminance of the object.
    pub light: f32,
    /// How unlike each other the images of the class are.
    pub spread: Spread,
}

/// The spread inside one class, as standard deviations unless a comment says otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    /// Hue, in degrees.
    pub hue: f32,
    /// Number of stripes across the object, relative.
    pub waves: f32,
    /// Direction of the stripes, in degrees.
    pub grain: f32,
    /// Corner rounding, absolute.
    pub roundness: f32,
    /// Width over height, relative.
    pub aspect: f32,
    /// Turn of the object, in degrees.
    pub turn: f32,
    /// Luminance.
    pub light: f32,
    /// Radius, relative.
    pub radius: f32,
    /// Hard views among [`HARD_BLOCK`] consecutive images.
    pub hard: usize,
    /// Images of any hue among [`HARD_BLOCK`] consecutive ones.
    pub odd: usize,
}

const fn style(
    name: &'static str,
    (points, depth, roundness): (u32, f32, f32),
    (aspect, corner): (f32, f32),
    hue: f32,
    (waves, grain): (f32, f32),
    spread: Spread,
) -> Style {
    Style {
        name,
        points,
        depth,
        roundness,
        aspect,
        corner,
        hue,
        waves,
        grain,
        light: LIGHT,
        spread,
    }
}

/// Mean luminance of objects where it tells no class from another.
const LIGHT: f32 = 0.62;

/// The spread of the classes of a set that are alike in all but their centres.
const fn alike(hue: f32) -> Spread {
    Spread {
        hue,
        waves: 0.2,
        grain: 18.0,
        roundness: 0.22,
        aspect: 0.06,
        turn: 8.0,
        light: 0.05,
        radius: 0.07,
        hard: 2,
        odd: 0,
    }
}

/// Inner over outer radius of regular polygons: cos(pi / n).
const TRIANGLE: f32 = 0.5;
const SQUARE: f32 = 0.707_106_77;
const PENTAGON: f32 = 0.809_017;
const HEXAGON: f32 = 0.866_025_4;

/// One built-in set.
pub(super) struct Set {
    /// The classes in label order.
    pub styles: &'static [Style],
    /// Coloured grounds, where the ground is an attribute of the sample.
    pub grounds: Option<Grounds>,
}

/// Grounds that go with the classes in training and with nothing in validation and test.
pub(super) struct Grounds {
    /// Name of the attribute.
    pub name: &'static str,
    /// Names of its two values, and the mean hue of each ground in degrees.
    pub values: [(&'static str, f32); 2],
    /// Largest distance from the mean hue (uniform), in degrees.
    pub spread: f32,
    /// Distance of the ground's colour from grey.
    pub chroma: f32,
}

/// Training images on the ground of the other classes are exactly one of each 20 consecutive images
/// of a class, that is 5 %. In validation and test every second image is one.
pub(super) const RARE_BLOCK: usize = 20;

impl Grounds {
    /// Returns the ground that class `class` mostly has in training. Even and odd classes differ,
    /// and so do the two classes of a pair.
    pub fn usual(class: usize) -> usize {
        class % 2
    }
}

/// Makes the classes with their hues. Pairs of like outline and texture lie side by side.
const fn pairs(hues: [f32; 10], spread: Spread) -> [Style; 10] {
    [
        style("pentagon", (5, PENTAGON, 0.2), (1.0, 0.0), hues[0], (2.6, 90.0), spread),
        style("hexagon", (6, HEXAGON, 0.2), (1.0, 0.0), hues[1], (3.0, 90.0), spread),
        style("disc", (6, HEXAGON, 1.0), (1.0, 0.0), hues[2], (2.0, 0.0), spread),
        style("oval", (6, HEXAGON, 1.0), (1.2, 0.0), hues[3], (2.4, 0.0), spread),
        style("square", (4, SQUARE, 0.2), (1.0, 45.0), hues[4], (3.0, 90.0), spread),
        style("brick", (4, SQUARE, 0.2), (1.2, 45.0), hues[5], (2.6, 90.0), spread),
        style("star", (5, 0.5, 0.15), (1.0, 0.0), hues[6], (2.8, 0.0), spread),
        style("sun", (8, 0.6, 0.15), (1.0, 0.0), hues[7], (3.2, 0.0), spread),
        style("triangle", (3, TRIANGLE, 0.2), (1.0, 0.0), hues[8], (2.1, 90.0), spread),
        style("cone", (3, TRIANGLE, 0.2), (0.82, 0.0), hues[9], (2.3, 90.0), spread),
    ]
}

/// The set `shapes`.
pub(super) const SHAPES: Set = Set {
    grounds: None,
    styles: &pairs([0.0, 17.0, 62.0, 84.0, 129.0, 163.0, 208.0, 233.0, 278.0, 314.0], alike(13.0)),
};

/// The set `shapes:extreme`: eight classes far apart and two hardly apart, with an error ratio of
/// some 20 to 30.
pub(super) const EXTREME: Set = Set {
    grounds: None,
    styles: &pairs([0.0, 5.0, 44.0, 84.0, 123.0, 163.0, 202.0, 242.0, 281.0, 321.0], alike(8.0)),
};

/// The spread of a class of `shapes:spread` that is `width` times as wide as a class of width one;
/// `rare` is the number of hard views and, as many, of images of any hue.
const fn wide(width: f32, rare: usize) -> Spread {
    Spread {
        hue: 23.0 * width,
        waves: 0.2 * width,
        grain: 18.0 * width,
        roundness: 0.4 * width,
        aspect: 0.12 * width,
        turn: 25.0 * width,
        light: 0.05 * width,
        radius: 0.08 * width,
        hard: rare,
        odd: rare,
    }
}

/// A class of `shapes:spread`. Its stripes have the mean of every other class.
const fn own(
    name: &'static str,
    outline: (u32, f32, f32),
    pose: (f32, f32),
    (hue, light): (f32, f32),
    spread: Spread,
) -> Style {
    Style { light, ..style(name, outline, pose, hue, (2.6, 0.0), spread) }
}

/// Mean luminance of every other class of `shapes:spread`.
const DIM: f32 = 0.56;
const BRIGHT: f32 = 0.68;

/// The set `shapes:spread`: ten classes that are hard on their own account, by how unlike their
/// images are, and not by a look-alike.
///
/// The constants were chosen from full-data runs alone, as those above were (recalls and confusion on
/// the test part, data seeds 0 to 4, one to three training seeds), and before anything was pruned on
/// this set. These were the aims, and how they are reached:
///
/// - Recalls .55-.92, mean at least .65, error ratio of 2-4, and the hardest classes are the widest:
///   widths go from .6 to 1.15, and pose, size, colour, texture and shape all have that width.
/// - No other class gets more than 40 % of a class's errors. The centres lie evenly on a strip, hues
///   about 36 degrees apart and dim and bright by turns, so that each has four neighbours at about one
///   distance. Between the two widest, `cone` and `pentagon`, there is a little more room. Narrow and wide
///   classes alternate so that none is the only wide neighbour of another. An image in 16 of a narrow
///   class and three of a wide one have any hue at all, which spreads errors over all classes; without
///   these the largest share was .41 to .44.
/// - Training seeds agree (mean accuracy within .01). Luminance is learned as soon as hue is. A draft
///   that told the two rows of the strip apart by the direction of their stripes had training seeds
///   that did not discover it, and a mean accuracy from .55 to .75. For the same reason outlines vary
///   so much in rounding, width and turn that they tell little, and partners of `shapes` lie far apart.
pub(super) const SPREAD: Set = Set {
    grounds: None,
    styles: &[
        own("pentagon", (5, PENTAGON, 0.2), (1.0, 0.0), (0.0, DIM), wide(1.15, 3)),
        own("disc", (6, HEXAGON, 1.0), (1.0, 0.0), (36.0, BRIGHT), wide(0.6, 1)),
        own("square", (4, SQUARE, 0.2), (1.0, 45.0), (71.0, DIM), wide(1.05, 2)),
        own("star", (5, 0.5, 0.15), (1.0, 0.0), (111.0, BRIGHT), wide(1.1, 3)),
        own("triangle", (3, TRIANGLE, 0.2), (1.0, 0.0), (147.0, DIM), wide(0.95, 2)),
        own("hexagon", (6, HEXAGON, 0.2), (1.0, 0.0), (181.0, BRIGHT), wide(0.6, 1)),
        own("oval", (6, HEXAGON, 1.0), (1.2, 0.0), (214.0, DIM), wide(1.0, 2)),
        own("brick", (4, SQUARE, 0.2), (1.2, 45.0), (252.0, BRIGHT), wide(0.85, 2)),
        own("sun", (8, 0.6, 0.15), (1.0, 0.0), (283.0, DIM), wide(0.6, 1)),
        own("cone", (3, TRIANGLE, 0.2), (0.82, 0.0), (317.0, BRIGHT), wide(1.15, 3)),
    ],
};

/// The set `shapes:spurious`, two pairs of classes. The hue tells the pairs apart, and hardly the
/// classes of a pair, which the ground does in 95 % of the training images. A network that looks at
/// the ground is wrong on the rest, which are four of eight groups.
pub(super) const SPURIOUS: Set = Set {
    grounds: Some(Grounds {
        name: "background",
        values: [("warm", 80.0), ("cool", 260.0)],
        spread: 30.0,
        chroma: 0.1,
    }),
    styles: &[
        style("pentagon", (5, PENTAGON, 0.2), (1.0, 0.0), 0.0, (2.6, 90.0), alike(13.0)),
        style("hexagon", (6, HEXAGON, 0.2), (1.0, 0.0), 30.0, (3.0, 90.0), alike(13.0)),
        style("square", (4, SQUARE, 0.2), (1.0, 45.0), 180.0, (3.0, 90.0), alike(13.0)),
        style("brick", (4, SQUARE, 0.2), (1.2, 45.0), 210.0, (2.6, 90.0), alike(13.0)),
    ],
};

/// Spread of what varies alike inside every class, as standard deviations unless a comment says
/// otherwise.
pub(super) mod spread {
    /// Distance of the object's colour from grey.
    pub const CHROMA: (f32, f32) = (0.18, 0.03);
    /// Luminance of backgrounds.
    pub const DARK: (f32, f32) = (0.27, 0.05);
    /// Luminance amplitude of the stripes.
    pub const STRIPES: (f32, f32) = (0.13, 0.02);
    /// Mean size of the object: radius in pixels of the disc of equal area.
    pub const RADIUS: f32 = 9.5;
    /// Largest shift of the centre along each axis (uniform), in pixels.
    pub const SHIFT: f32 = 2.5;
    /// Noise of each pixel and channel.
    pub const NOISE: f32 = 0.03;
}

/// The hard views of a class are exactly [`Spread::hard`] of each 16 consecutive images.
pub(super) const HARD_BLOCK: usize = 16;
