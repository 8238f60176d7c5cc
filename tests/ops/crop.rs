//! Random-resized crops beside torchvision's (tests/golden/crop/make.py).

use bytes::Bytes;
use fairprune::backend::Cpu;
use fairprune::ops::gather::{Augmentation, CropBox, GatherProblem};
use fairprune::reference::gather as oracle;
use fairprune::rng::{Philox, Stream};
use fairprune::selftest::{Subject, gather};
use fairprune::train::Recipe;
use serde_json::Value;

const CROPPED: Augmentation = Augmentation { flip: false, translate: 0, resized_crop: true };

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn side(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}

#[test]
fn boxes_are_those_of_torchvisions_formula() {
    let golden: Value = serde_json::from_str(include_str!("../golden/crop/boxes.json")).unwrap();
    let mut compared = 0;
    for case in golden["cases"].as_array().unwrap() {
        let seed: u64 = case["seed"].as_str().unwrap().parse().unwrap();
        let epoch = case["epoch"].as_u64().unwrap() as u32;
        let size = [side(&case["height"]), side(&case["width"])];
        for (sample, expected) in case["boxes"].as_array().unwrap().iter().enumerate() {
            let cut = CROPPED.cut(seed, epoch, sample as u32, size).unwrap();
            let own = [cut.top, cut.left, cut.height, cut.width];
            let expected: Vec<u32> =
                expected.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as u32).collect();
            assert_eq!(own.to_vec(), expected, "sample {sample} of {size:?} in epoch {epoch}");
            compared += 1;
        }
    }
    assert!(compared > 2000);
}

/// Mean and quantiles of what torchvision draws are those of our draws, within five standard errors.
#[test]
fn boxes_are_distributed_as_torchvision_draws_them() {
    let golden: Value = serde_json::from_str(include_str!("../golden/crop/boxes.json")).unwrap();
    for drawn in golden["drawn"].as_array().unwrap() {
        let (h, w) = (number(&drawn["height"]), number(&drawn["width"]));
        let count = number(&drawn["count"]);
        let philox = Philox::new(99, Stream::Augment);
        let boxes: Vec<CropBox> =
            (0..count as u32).map(|i| CropBox::draw(&philox, 5, i, [h as u32, w as u32])).collect();
        type Of<'a> = &'a dyn Fn(&CropBox) -> Option<f64>;
        let free = |at: u32, all: f64, own: u32| {
            (all > f64::from(own)).then(|| f64::from(at) / (all - f64::from(own)))
        };
        let quantities: [(&str, Of); 4] = [
            ("area", &|b| Some(f64::from(b.height) * f64::from(b.width) / (h * w))),
            ("log_ratio", &|b| Some((f64::from(b.width) / f64::from(b.height)).ln())),
            ("top", &|b| free(b.top, h, b.height)),
            ("left", &|b| free(b.left, w, b.width)),
        ];
        for (name, of) in quantities {
            let mut own: Vec<f64> = boxes.iter().filter_map(of).collect();
            own.sort_by(f64::total_cmp);
            let n = own.len() as f64;
            let mean = own.iter().sum::<f64>() / n;
            let (expected, sd) = (number(&drawn[name]["mean"]), number(&drawn[name]["sd"]));
            // Two samples of about `count`.
            let error = 5.0 * sd * (1.0 / n + 1.0 / count).sqrt();
            assert!((mean - expected).abs() < error, "{name}: mean {mean}, torchvision {expected}");
            for (q, expected) in [0.05, 0.25, 0.5, 0.75, 0.95].iter().zip(0..) {
                let expected = number(&drawn[name]["quantiles"][expected as usize]);
                // Their share below, whose error no density enters; ties count by half.
                let below = own.partition_point(|v| *v < expected - 1e-9) as f64;
                let within = own.partition_point(|v| *v <= expected + 1e-9) as f64;
                let spread = 5.0 * (q * (1.0 - q) * (1.0 / n + 1.0 / count)).sqrt();
                let holds = below / n - spread <= *q && *q <= within / n + spread;
                assert!(holds, "{name}: {} to {} below its {q}", below / n, within / n);
            }
        }
    }
}

/// Pillow rounds after the rows, too. A rounding is off by a quarter on average, and as often as its
/// error is large does the byte round to its neighbour: less than every fourth is a unit apart.
#[test]
fn pixels_are_those_of_torchvision_within_a_unit() {
    let golden: Value = serde_json::from_str(include_str!("../golden/crop/pixels.json")).unwrap();
    let width = side(&golden["width"]);
    for case in golden["cases"].as_array().unwrap() {
        let image = bytes(&golden["images"][case["image"].as_str().unwrap()]);
        let cut: Vec<usize> = case["box"].as_array().unwrap().iter().map(side).collect();
        let size = [side(&case["size"][0]), side(&case["size"][1])];
        let cut: [usize; 4] = cut.try_into().unwrap();
        let own = oracle::crop(&image, width, cut, false, size);
        let expected = bytes(&case["out"]);
        assert_eq!(own.len(), expected.len());
        let mut apart = 0;
        for (v, &e) in own.iter().zip(&expected) {
            let difference = ((v + 0.5).floor() - f64::from(e)).abs();
            assert!(difference <= 1.0, "{v} and {e} in {cut:?}");
            apart += usize::from(difference > 0.0);
        }
        assert!(apart * 4 < own.len(), "{apart} of {} differ in {cut:?}", own.len());
    }
}

#[test]
fn a_larger_image_than_its_sums_can_hold_is_refused() {
    let cpu = Cpu::new(1).unwrap();
    let subject = Subject { backend: &cpu, reduced: false };
    let images = Bytes::from(vec![0; 3]);
    for stored in [[20_000, 4], [16_384, 16_384]] {
        let p = GatherProblem { stored, ..gather::problem(1, 1, [1, 1], CROPPED) };
        let error = gather::gather(&subject, &p, &images, &[0], 0, 0).unwrap_err();
        assert!(error.0.contains("random-resized crop"), "{error:?}");
    }
}

#[test]
fn recipes_without_crops_read_and_write_as_they_always_did() {
    let before = "{\"epochs\":10,\"batch\":100,\"lr\":0.1,\"schedule\":\"cosine\",\"warmup_steps\":0,\
                  \"momentum\":0.5,\"nesterov\":false,\"weight_decay\":0.0,\"label_smoothing\":0.0,\
                  \"class_weights\":null,\"flip\":true,\"translate\":4}";
    let plain: Recipe = serde_json::from_str(before).unwrap();
    assert!(!plain.resized_crop);
    assert_eq!(serde_json::to_string(&plain).unwrap(), before);
    let crops = Recipe { resized_crop: true, translate: 0, ..plain };
    let text = serde_json::to_string(&crops).unwrap();
    assert_eq!(serde_json::from_str::<Recipe>(&text).unwrap(), crops);
    assert!(crops.augments() && !crops.without_augmentation().augments());
    crops.check(3).unwrap();
    let both = Recipe { translate: 4, ..crops }.check(3).unwrap_err().to_string();
    assert!(both.contains("`resized_crop`"), "{both}");
}
