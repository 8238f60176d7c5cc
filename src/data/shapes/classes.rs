//! The constants of the built-in sets: one row a class, and the spread that all classes share.

/// What tells a class from the others. Everything else is drawn alike for all classes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Class name.
    pub name: &'static str,
    /// Corners of the outline.
    pub points: u32,
    /// Inner over outer radius; cos(pi / points) makes a regular polygon, less a star.
    pub depth: f32,
    /// Share of the radius that is corner rounding, 0 sharp, 1 a disc.
    pub roundness: f32,
    /// Width over height.
    pub aspect: f32,
    /// Place of the first corner, degrees from the top.
    pub corner: f32,
    /// Mean hue, degrees in the plane of equal luminance.
    pub hue: f32,
    /// Mean number of stripes across the object.
    pub waves: f32,
    /// Direction of the stripes: 0 upright, 90 level, degrees.
    pub grain: f32,
}

const fn style(
    name: &'static str,
    (points, depth, roundness): (u32, f32, f32),
    (aspect, corner): (f32, f32),
    hue: f32,
    (waves, grain): (f32, f32),
) -> Style {
    Style { name, points, depth, roundness, aspect, corner, hue, waves, grain }
}

/// Inner over outer radius of regular polygons: cos(pi / n).
const TRIANGLE: f32 = 0.5;
const SQUARE: f32 = 0.707_106_77;
const PENTAGON: f32 = 0.809_017;
const HEXAGON: f32 = 0.866_025_4;

/// One built-in set.
pub(super) struct Set {
    /// The classes in label order.
    pub styles: [Style; 10],
    /// Standard deviation of the hue inside a class, degrees.
    pub hue: f32,
}

/// The classes with their hues. Pairs of like outline and texture lie side by side.
const fn classes(hues: [f32; 10]) -> [Style; 10] {
    [
        style("pentagon", (5, PENTAGON, 0.2), (1.0, 0.0), hues[0], (2.6, 90.0)),
        style("hexagon", (6, HEXAGON, 0.2), (1.0, 0.0), hues[1], (3.0, 90.0)),
        style("disc", (6, HEXAGON, 1.0), (1.0, 0.0), hues[2], (2.0, 0.0)),
        style("oval", (6, HEXAGON, 1.0), (1.2, 0.0), hues[3], (2.4, 0.0)),
        style("square", (4, SQUARE, 0.2), (1.0, 45.0), hues[4], (3.0, 90.0)),
        style("brick", (4, SQUARE, 0.2), (1.2, 45.0), hues[5], (2.6, 90.0)),
        style("star", (5, 0.5, 0.15), (1.0, 0.0), hues[6], (2.8, 0.0)),
        style("sun", (8, 0.6, 0.15), (1.0, 0.0), hues[7], (3.2, 0.0)),
        style("triangle", (3, TRIANGLE, 0.2), (1.0, 0.0), hues[8], (2.0, 90.0)),
        style("kite", (4, SQUARE, 0.2), (0.8, 0.0), hues[9], (2.4, 90.0)),
    ]
}

/// `shapes`.
pub(super) const SHAPES: Set = Set {
    hue: 13.0,
    styles: classes([0.0, 18.0, 65.0, 86.0, 134.0, 163.0, 210.0, 234.0, 282.0, 313.0]),
};

/// `shapes:extreme`: eight classes far apart, two hardly apart.
pub(super) const EXTREME: Set = Set {
    hue: 6.5,
    styles: classes([0.0, 2.0, 42.0, 82.0, 121.0, 161.0, 201.0, 241.0, 281.0, 321.0]),
};

/// Spread of what varies inside every class: standard deviations unless said otherwise.
pub(super) mod spread {
    /// Distance of the object's colour from grey.
    pub const CHROMA: (f32, f32) = (0.18, 0.03);
    /// Luminance of objects (mean, deviation) and of backgrounds.
    pub const LIGHT: (f32, f32) = (0.62, 0.05);
    pub const DARK: (f32, f32) = (0.27, 0.05);
    /// Luminance amplitude of the stripes.
    pub const STRIPES: (f32, f32) = (0.13, 0.02);
    /// Number of stripes across the object, relative.
    pub const WAVES: f32 = 0.2;
    /// Direction of the stripes, degrees.
    pub const GRAIN: f32 = 18.0;
    /// Corner rounding, absolute.
    pub const ROUNDNESS: f32 = 0.22;
    /// Width over height, relative.
    pub const ASPECT: f32 = 0.06;
    /// Turn, degrees.
    pub const TURN: f32 = 8.0;
    /// Size of the object: radius of the disc of equal area, pixels; relative deviation.
    pub const RADIUS: (f32, f32) = (9.5, 0.07);
    /// Largest shift of the centre along each axis (uniform), pixels.
    pub const SHIFT: f32 = 2.5;
    /// Noise of each pixel and channel.
    pub const NOISE: f32 = 0.03;
}

/// Hard views: of each `HARD_BLOCK` consecutive images of a class exactly `HARD_VIEWS`, that is 12 %.
pub(super) const HARD_BLOCK: usize = 25;
pub(super) const HARD_VIEWS: usize = 3;
