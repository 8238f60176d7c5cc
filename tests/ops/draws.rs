//! Augmentation: which way is down and right, and how its draws are distributed.

use fairprune::ops::gather::Augmentation;
use fairprune::reference::gather as oracle;

const STRONG: Augmentation = Augmentation { flip: true, translate: 4, resized_crop: false };

/// A drawing shifted by hand: which way is down and right, and what comes in.
#[test]
fn shifts_and_mirrors_go_the_right_way() {
    let size = [2, 3];
    let grey = |v: [u8; 6]| v.iter().flat_map(|&b| [b; 3]).collect::<Vec<u8>>();
    let image = grey([1, 2, 3, 4, 5, 6]);
    let show = |draw| -> Vec<u8> {
        let sums = oracle::image(&image, size, [0.0; 3], [1.0 / 255.0; 3], draw);
        sums.value.chunks(3).map(|p| p[0].round() as u8).collect()
    };
    assert_eq!(show((false, 0, 0)), [1, 2, 3, 4, 5, 6]);
    assert_eq!(show((true, 0, 0)), [3, 2, 1, 6, 5, 4]);
    assert_eq!(show((false, 1, 0)), [0, 0, 0, 1, 2, 3]);
    assert_eq!(show((false, 0, 1)), [0, 1, 2, 0, 4, 5]);
    assert_eq!(show((true, -1, 1)), [0, 6, 5, 0, 0, 0]);
}

#[test]
fn draws_cover_their_range_evenly() {
    let draws: Vec<_> = (0..9000).map(|i| STRONG.draw(7, 2, i)).collect();
    let share = |test: &dyn Fn(&(bool, i32, i32)) -> bool| {
        draws.iter().filter(|d| test(d)).count() as f64 / draws.len() as f64
    };
    assert!((share(&|d| d.0) - 0.5).abs() < 0.02);
    for shift in -4..=4 {
        assert!((share(&|d| d.1 == shift) - 1.0 / 9.0).abs() < 0.02, "down {shift}");
        assert!((share(&|d| d.2 == shift) - 1.0 / 9.0).abs() < 0.02, "right {shift}");
    }
    assert!(draws.iter().all(|d| d.1.abs() <= 4 && d.2.abs() <= 4));
    // The three draws are independent: the joint shares are products.
    let joint = share(&|d| d.0 && d.1 > 0 && d.2 > 0);
    assert!((joint - 0.5 * (4.0 / 9.0) * (4.0 / 9.0)).abs() < 0.02, "{joint}");
}

#[test]
fn augmentation_depends_on_seed_epoch_and_sample() {
    let some = |seed, epoch| (0..50).map(|i| STRONG.draw(seed, epoch, i)).collect::<Vec<_>>();
    assert_eq!(some(1, 1), some(1, 1));
    assert_ne!(some(1, 1), some(1, 2));
    assert_ne!(some(1, 1), some(2, 1));
    assert_ne!(some(1, 1)[..25], some(1, 1)[25..]);
}
