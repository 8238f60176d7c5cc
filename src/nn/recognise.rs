//! Which network the tensors of a weight file are of, by their names and shapes.

use super::arch::{ARCH_NAMES, Arch, NetworkSpec, Stem};
use super::weights::{Weights, expected};

/// A side that every network takes.
const SIDE: usize = 64;

/// The network that has exactly the tensors of `weights`, names and shapes; `None` if there is none.
/// Where several have the same (the strides of resnet50 and resnet50-v1 are in no tensor), the first of
/// [`ARCH_NAMES`] is meant.
pub fn recognise(weights: &Weights) -> Option<NetworkSpec> {
    likenesses(weights).find(Likeness::is_whole).map(|likeness| likeness.spec)
}

/// How far the tensors of a weight file are those of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Likeness {
    pub spec: NetworkSpec,
    /// Tensors of the file that the network has, with the same shape.
    pub shared: usize,
    /// Tensors of the file, and of the network.
    pub own: usize,
    pub wanted: usize,
}

impl Likeness {
    fn is_whole(&self) -> bool {
        self.shared == self.wanted && self.shared == self.own
    }
}

/// The network with which `weights` shares most tensors, names and shapes; `None` if it shares none.
pub fn nearest(weights: &Weights) -> Option<Likeness> {
    let apart = |l: &Likeness| (l.own - l.shared) + (l.wanted - l.shared);
    likenesses(weights).filter(|l| l.shared > 0).min_by_key(apart)
}

/// What `weights` has of every network whose first and last layer it has.
fn likenesses(weights: &Weights) -> impl Iterator<Item = Likeness> + '_ {
    let archs = ARCH_NAMES.iter().filter_map(|name| name.parse::<Arch>().ok());
    let candidates = archs.flat_map(|arch| [Stem::Cifar, Stem::Imagenet].map(|stem| (arch, stem)));
    candidates.filter_map(|(arch, stem)| {
        let spec =
            NetworkSpec { arch, width: arch.default_width(), stem, classes: 2, size: [SIDE, SIDE] };
        let parameters = spec.build().ok()?.parameters();
        // The first convolution tells the width, the last layer the classes.
        let first = |name: &str| weights.tensors.get(name)?.shape.first().copied();
        let width = first(&parameters.first()?.name).filter(|&n| n > 0)?;
        let classes = first(&parameters.last()?.name).filter(|&n| n > 0)?;
        let spec = NetworkSpec { width, classes, ..spec };
        let wanted = expected(&spec.build().ok()?);
        let same = |name: &String, shape: &Vec<usize>| {
            weights.tensors.get(name).is_some_and(|tensor| tensor.shape == *shape)
        };
        let shared = wanted.iter().filter(|(name, shape)| same(name, shape)).count();
        Some(Likeness { spec, shared, own: weights.tensors.len(), wanted: wanted.len() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::init::initialise;

    #[test]
    fn every_network_is_recognised_by_its_tensors() {
        for name in ARCH_NAMES {
            let arch: Arch = name.parse().unwrap();
            for (stem, width) in [(Stem::Cifar, arch.default_width()), (Stem::Imagenet, 8)] {
                let spec = NetworkSpec { arch, width, stem, classes: 7, size: [SIDE, SIDE] };
                let Ok(network) = spec.build() else { continue };
                let weights = initialise(&network, 0);
                let found = recognise(&weights).unwrap_or_else(|| panic!("{name} {stem}"));
                let same = |a: Arch| if a == Arch::Resnet50V1 { Arch::Resnet50 } else { a };
                assert_eq!((found.arch, found.classes), (same(arch), 7), "{name} {stem}");
                assert_eq!(found.width, width, "{name} {stem}");
                // The CIFAR family and VGG have one stem, whatever is asked for.
                let two = matches!(arch, Arch::Resnet18 | Arch::Resnet34 | Arch::Resnet50);
                assert!(!two || found.stem == stem, "{name} {stem}");
            }
        }
    }

    #[test]
    fn other_tensors_are_no_network() {
        let spec = NetworkSpec {
            arch: Arch::CifarResnet(8),
            width: 8,
            stem: Stem::Cifar,
            classes: 3,
            size: [SIDE, SIDE],
        };
        let whole = initialise(&spec.build().unwrap(), 0);
        let mut less = whole.clone();
        let name = less.tensors.keys().next().unwrap().clone();
        let tensor = less.tensors.remove(&name).unwrap();
        assert!(recognise(&less).is_none());
        let near = nearest(&less).unwrap();
        let counts = (near.shared, near.own, near.wanted);
        assert_eq!(
            (near.spec.arch, counts),
            (spec.arch, (whole.tensors.len() - 1, whole.tensors.len() - 1, whole.tensors.len()))
        );
        let mut more = whole;
        more.tensors.insert("classifier.weight".to_owned(), tensor);
        assert!(recognise(&more).is_none());
        assert!(recognise(&Weights::default()).is_none());
        assert!(nearest(&Weights::default()).is_none());
    }
}
