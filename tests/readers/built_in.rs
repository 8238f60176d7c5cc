//! The built-in drawings.

use fairprune::data::{self, Format, LoadOptions, shapes};

use super::{assert_has, quiet, refusal, with_threads};

#[test]
fn same_bytes_for_any_thread_count_others_for_another_seed() {
    let draw = |format, seed| shapes::generate(format, seed, [30, 10, 20], &quiet).unwrap();
    let [one, two, five] = with_threads(|| draw(Format::Shapes, 3));
    assert_eq!(one.train, two.train);
    assert_eq!(one.train, five.train);
    assert_eq!(one.fingerprint, five.fingerprint);
    assert_ne!(draw(Format::Shapes, 4).fingerprint, one.fingerprint);
    assert_ne!(draw(Format::ShapesExtreme, 3).fingerprint, one.fingerprint);
}

/// The constants are frozen: results under `docs/results` name these sets.
#[test]
fn the_bytes_are_pinned() {
    let print = |format| shapes::generate(format, 0, [32, 16, 16], &quiet).unwrap().fingerprint;
    assert_eq!(print(Format::Shapes), "1458204c9f62fc34810a0733b4633321");
    assert_eq!(print(Format::ShapesExtreme), "2019b97867ab204fb3f734342b63fd48");
    assert_eq!(print(Format::ShapesSpread), "d9f0003309d7a4b5b9f941ef8fea858f");
    assert_eq!(print(Format::ShapesSpurious), "58b48528db1b1bf71f4e6fe7754d4aff");
}

#[test]
fn parts_differ_and_a_larger_set_starts_alike() {
    let draw = |sizes| shapes::generate(Format::Shapes, 3, sizes, &quiet).unwrap();
    let (set, larger) = (draw([30, 10, 20]), draw([40, 0, 0]));
    assert_eq!(larger.train.image(40), set.train.image(30));
    assert_eq!((larger.val.is_none(), larger.test.is_none()), (true, true));
    let (val, test) = (set.val.unwrap(), set.test.unwrap());
    assert_ne!(val.image(0), test.image(0));
    assert_ne!(val.image(0), set.train.image(0));
    assert_eq!(test.class_sizes(10), [20; 10]);
    assert_eq!(set.train.ids[30], format!("train/{}/00000", set.classes[1]));
}

/// The ground goes with the class in exactly 95 % of the training images, with nothing elsewhere, and
/// is what the pixels show.
#[test]
fn grounds_are_spurious_in_training_alone() {
    let set = shapes::generate(Format::ShapesSpurious, 5, [40, 10, 20], &quiet).unwrap();
    let attributes = set.attributes.as_ref().unwrap();
    assert_eq!((attributes.name.as_str(), attributes.values.len()), ("background", 2));
    assert_eq!(set.classes.len(), 4);
    let sizes = |part| attributes.group_sizes(4, part);
    assert_eq!(sizes(&set.train), [38, 2, 2, 38, 38, 2, 2, 38]);
    assert_eq!(sizes(set.val.as_ref().unwrap()), [5; 8]);
    assert_eq!(sizes(set.test.as_ref().unwrap()), [10; 8]);
    let test = set.test.as_ref().unwrap();
    for i in 0..test.len() {
        // Corners: a warm ground is red, a cool one green to blue.
        let image = test.image(i);
        let corners = [0, 31, 31 * 32, 32 * 32 - 1].map(|p| &image[p * 3..][..3]);
        let warmth: i32 = corners.iter().map(|c| i32::from(c[0]) - i32::from(c[1])).sum();
        assert_eq!(warmth < 0, test.attributes[i] == 1, "{}: {warmth}", test.ids[i]);
    }
    // A larger set starts with the same images and grounds.
    let larger = shapes::generate(Format::ShapesSpurious, 5, [60, 0, 0], &quiet).unwrap();
    assert_eq!(larger.train.image(60 + 7), set.train.image(40 + 7));
    assert_eq!(larger.train.attributes[60..100], set.train.attributes[40..80]);
}

/// Hues of a narrow class lie closer together than those of a wide one, and their classes are those of
/// `shapes`.
#[test]
fn classes_of_spread_differ_in_how_unlike_their_images_are() {
    let format: Format = "shapes:spread".parse().unwrap();
    let set = shapes::generate(format, 0, [96, 0, 0], &quiet).unwrap();
    // Length of the mean of unit vectors along the colour difference of the middle: 1 where all agree.
    let agreement = |class: &str| {
        let k = set.classes.iter().position(|c| c == class).unwrap();
        let mut sum = [0.0, 0.0];
        for i in k * 96..(k + 1) * 96 {
            let image = set.train.image(i);
            let mean = |c: usize| -> f64 {
                (0..64).map(|j| f64::from(image[((12 + j / 8) * 32 + 12 + j % 8) * 3 + c])).sum()
            };
            let (red, green, blue) = (mean(0), mean(1), mean(2));
            let luminance = 0.299 * red + 0.587 * green + 0.114 * blue;
            let (cr, cb) = ((red - luminance) / 1.402, (blue - luminance) / 1.772);
            sum = [sum[0] + cr / cr.hypot(cb), sum[1] + cb / cr.hypot(cb)];
        }
        sum[0].hypot(sum[1]) / 96.0
    };
    for narrow in ["disc", "hexagon", "sun"] {
        for wide in ["pentagon", "star", "cone"] {
            assert!(agreement(narrow) > agreement(wide) + 0.05, "{narrow}, {wide}");
        }
    }
    let shapes = shapes::generate(Format::Shapes, 0, [1, 0, 0], &quiet).unwrap();
    let sorted = |classes: &[String]| std::collections::BTreeSet::from_iter(classes.to_vec());
    assert_eq!(sorted(&set.classes), sorted(&shapes.classes));
}

#[test]
fn objects_are_lighter_than_their_ground() {
    let set = shapes::generate(Format::Shapes, 0, [50, 0, 0], &quiet).unwrap();
    let light = |p: &[u8]| p.iter().map(|&v| f64::from(v)).sum::<f64>() / p.len() as f64;
    let mut darker = 0;
    for i in 0..set.train.len() {
        let image = set.train.image(i);
        // The middle 6 x 6 against the top row.
        let middle: Vec<u8> =
            (13..19).flat_map(|y| image[(y * 32 + 13) * 3..(y * 32 + 19) * 3].to_vec()).collect();
        darker += usize::from(light(&middle) < light(&image[..96]) + 10.0);
    }
    // A covered view hides the middle: at most a third of the hard views, which are 12.5 %.
    assert!(darker * 100 <= set.train.len() * 6, "{darker} of {}", set.train.len());
}

#[test]
fn one_size_only() {
    let options = LoadOptions { image_size: Some(64), ..Default::default() };
    assert_has(&refusal(data::load("shapes", &options, &quiet)), &["64", "32"]);
    let none = shapes::generate(Format::Shapes, 0, [0, 1, 1], &quiet);
    assert_has(&refusal(none), &["no training images"]);
}
