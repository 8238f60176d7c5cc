//! VGG-16 and VGG-19 with batch norm, in the form that pruning papers train on CIFAR: the
//! convolutions of Simonyan and Zisserman 2015 (configurations D and E), with biases, under
//! torchvision's names (`features.N`), then one linear layer, `classifier`.
//!
//! Five stages of 3x3 convolutions end in 2x2 max-pools that drop an odd last row and column, as
//! PyTorch's do. The head is a global average: at sizes from 32 to 63 it sees one position, and is
//! the flattening of the usual CIFAR form.

use super::arch::{Arch, NetworkSpec};
use super::graph::{Builder, Network};
use crate::error::{Error, Result};

/// Smallest image side: five poolings halve it.
const SMALLEST: usize = 32;

pub(super) fn build(spec: &NetworkSpec) -> Result<Network> {
    let convolutions = match spec.arch {
        Arch::Vgg16 => [2, 2, 3, 3, 3],
        Arch::Vgg19 => [2, 2, 4, 4, 4],
        other => return Err(Error::Internal(format!("{other} is no VGG network"))),
    };
    let [h, w] = spec.size;
    if h.min(w) < SMALLEST {
        return Err(Error::invalid(
            spec.arch.to_string(),
            format!("images of {h} x {w}"),
            format!("at least {SMALLEST} x {SMALLEST} (`image_size`): five poolings halve them"),
        ));
    }
    let mut b = Builder::new(h, w);
    let mut x = b.input();
    // Places in torchvision's `features`, where ReLUs and poolings count.
    let mut place = 0;
    for (stage, &count) in convolutions.iter().enumerate() {
        let channels = spec.width << stage.min(3);
        for _ in 0..count {
            x = b.conv_with_bias(x, &format!("features.{place}"), channels, 3, 1)?;
            x = b.batch_norm(x, &format!("features.{}", place + 1));
            x = b.relu(x);
            place += 3;
        }
        x = b.max_pool(x, 2, 2, 0)?;
        place += 1;
    }
    let x = b.global_pool(x);
    b.linear(x, "classifier", spec.classes);
    Ok(b.finish(spec.arch.to_string(), spec.classes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Stem;

    fn spec(arch: Arch, size: [usize; 2]) -> NetworkSpec {
        NetworkSpec { arch, width: 64, stem: Stem::Cifar, classes: 10, size }
    }

    /// The counts of the CIFAR form everywhere; without their biases the convolutions of VGG-16
    /// have 14,710,464 parameters.
    #[test]
    fn parameter_counts() {
        let count = |arch| spec(arch, [32, 32]).build().unwrap().parameter_count();
        assert_eq!(count(Arch::Vgg16), 14_728_266);
        assert_eq!(count(Arch::Vgg19), 20_040_522);
        assert_eq!(spec(Arch::Vgg16, [32, 32]).build().unwrap().macs() / 1_000_000, 313);
    }

    /// torchvision's last convolutions are `features.40` and `features.49`.
    #[test]
    fn names_are_torchvision_s() {
        for (arch, last) in [(Arch::Vgg16, 40), (Arch::Vgg19, 49)] {
            let names: Vec<String> = spec(arch, [32, 32])
                .build()
                .unwrap()
                .parameters()
                .into_iter()
                .map(|p| p.name)
                .collect();
            let end = names.len();
            assert_eq!(names[..2], ["features.0.weight", "features.0.bias"]);
            assert_eq!(names[end - 6], format!("features.{last}.weight"));
            assert_eq!(names[end - 3], format!("features.{}.bias", last + 1));
            assert_eq!(names[end - 2..], ["classifier.weight", "classifier.bias"]);
        }
    }

    #[test]
    fn larger_and_odd_images_are_averaged() {
        for (size, map) in [([32, 63], [1, 1]), ([64, 97], [2, 3]), ([224, 224], [7, 7])] {
            let network = spec(Arch::Vgg16, size).build().unwrap();
            let pool = &network.nodes[network.nodes.len() - 2];
            assert_eq!(network.shapes[pool.inputs[0].0], [map[0], map[1], 512], "{size:?}");
            assert_eq!(network.shapes[network.logits().0], [1, 1, 10]);
        }
    }

    #[test]
    fn smaller_images_are_refused() {
        for size in [[31, 32], [32, 31], [1, 1]] {
            let message = spec(Arch::Vgg19, size).build().unwrap_err().to_string();
            assert!(message.contains("vgg19") && message.contains("at least 32 x 32"), "{message}");
        }
    }
}
