//! Built-in images: ten classes of light objects on dark ground, 32 x 32, drawn by one generator.
//!
//! A class is a row of constants (outline, hue, stripes) with a spread around them. In most sets the
//! spread is the same in every class, 12.5 % of the images of each class are hard views, and how hard
//! a class is follows from how near its neighbours' constants are. In `shapes:spread` the centres lie
//! evenly, and how hard a class is follows from its own spread. `shapes:spurious` has four classes
//! and two coloured grounds, of which a class has mostly one in training. An image is a pure
//! function of (data seed, part, class, number).

mod classes;
mod draw;
mod view;

use rayon::prelude::*;

use self::classes::Set;
use self::view::DrawnView;
use super::{Attributes, Contents, DataSet, Format, LoadOptions, Part, Progress};
use crate::error::{Error, Result};
use crate::rng::{Philox, Stream};

/// Number of images of each class in the training, validation and test part of the built-in sets.
/// They make 40 whole batches of 128 in an epoch, and whole blocks of hard views.
pub const SIZES: [usize; 3] = [512, 192, 512];

/// Number of images of each class in the parts of `shapes:spurious`. They make 30 whole batches of
/// 128 in an epoch and whole blocks of hard views and of rare grounds, so that exactly 48 training
/// images of each class are on the other ground.
pub const SPURIOUS_SIZES: [usize; 3] = [960, 192, 512];

/// Returns the number of images of each class in the parts of a built-in set.
pub fn sizes(format: Format) -> [usize; 3] {
    if format == Format::ShapesSpurious { SPURIOUS_SIZES } else { SIZES }
}

/// Number of images between two progress calls.
const CHUNK: usize = 64;

/// Draws the built-in set of `format` with the data seed of `options`.
pub(super) fn load(format: Format, options: &LoadOptions, progress: Progress) -> Result<DataSet> {
    match options.image_size {
        Some(size) if size != draw::SIDE => Err(Error::invalid(
            format!("image size of {format}"),
            format!("{size}"),
            format!("{}, the size that the built-in images are drawn at", draw::SIDE),
        )),
        _ => generate(format, options.seed, sizes(format), progress),
    }
}

/// Draws a built-in set with `sizes` images of each class in the training, validation and test
/// part.
///
/// A larger set starts with the same images of each class. # Errors The format is not a built-in
/// one, or there is no training image.
pub fn generate(
    format: Format,
    seed: u64,
    sizes: [usize; 3],
    progress: Progress,
) -> Result<DataSet> {
    let set = match format {
        Format::Shapes => &classes::SHAPES,
        Format::ShapesExtreme => &classes::EXTREME,
        Format::ShapesSpread => &classes::SPREAD,
        Format::ShapesSpurious => &classes::SPURIOUS,
        _ => return Err(Error::Internal(format!("{format} is not drawn"))),
    };
    let philox = Philox::new(seed, Stream::Shapes);
    let total = sizes.iter().sum::<usize>() * set.styles.len();
    let mut before = 0;
    let mut parts =
        ["train", "val", "test"].into_iter().zip(sizes).enumerate().map(|(p, (name, n))| {
            let part =
                draw_part(&philox, set, (p as u8, name), n, &|done| progress(before + done, total));
            before += n * set.styles.len();
            part
        });
    let mut next = || parts.next().unwrap_or_default();
    let (train, val, test) = (next(), next(), next());
    let some = |part: Part| (!part.is_empty()).then_some(part);
    let attributes = set.grounds.as_ref().map(|g| Attributes {
        name: g.name.to_owned(),
        values: g.values.iter().map(|(name, _)| (*name).to_owned()).collect(),
    });
    let contents = Contents {
        classes: set.styles.iter().map(|s| s.name.to_owned()).collect(),
        size: (draw::SIDE, draw::SIDE),
        train,
        val: some(val),
        test: some(test),
        attributes,
    };
    DataSet::of(format.name(), format, contents)
}

/// Draws one part, class after class as a folder data set would have it.
fn draw_part(
    philox: &Philox,
    set: &Set,
    (part, name): (u8, &str),
    per_class: usize,
    progress: &(dyn Fn(usize) + Sync),
) -> Part {
    const BYTES: usize = draw::SIDE * draw::SIDE * 3;
    let total = per_class * set.styles.len();
    let mut images = vec![0; total * BYTES];
    let done = std::sync::atomic::AtomicUsize::new(0);
    images.par_chunks_mut(CHUNK * BYTES).enumerate().for_each(|(chunk, images)| {
        let count = images.len() / BYTES;
        for (i, image) in images.chunks_exact_mut(BYTES).enumerate() {
            let i = chunk * CHUNK + i;
            let (class, number) = (i / per_class, i % per_class);
            let (view, mut random) = DrawnView::draw(philox, set, (part, class, number));
            draw::draw(&view, &mut random, image);
        }
        let before = done.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
        progress(before + count);
    });
    let each = || (0..total).map(|i| (i / per_class, i % per_class));
    Part {
        images: images.into(),
        labels: each().map(|(class, _)| class as u32).collect(),
        ids: each().map(|(class, n)| format!("{name}/{}/{n:05}", set.styles[class].name)).collect(),
        attributes: match set.grounds {
            Some(_) => {
                let ground = |(class, n)| view::ground(philox, (part, class, n)) as u32;
                each().map(ground).collect()
            }
            None => Vec::new(),
        },
    }
}
