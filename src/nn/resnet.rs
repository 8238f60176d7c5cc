//! Residual networks, layer for layer as torchvision builds them.
//!
//! CIFAR family: 3x3 stem, three stages of n = (depth - 2) / 6 basic blocks with w, 2w, 4w
//! channels; a 1x1 projection with batch norm where the shape changes. torchvision family: four
//! stages of basic blocks (18, 34) or bottlenecks (50, 101, 152: stride in the 3x3; 50 also in the first 1x1).

use super::arch::{Arch, NetworkSpec, Stem};
use super::graph::{Builder, Network, ValueId};
use crate::error::{Error, Result};

/// Channels of a bottleneck's output over those of its 3x3.
const EXPANSION: usize = 4;

pub(super) fn build(spec: &NetworkSpec) -> Result<Network> {
    let mut b = Builder::new(spec.size[0], spec.size[1]);
    let (stages, bottleneck): (Vec<usize>, bool) = match spec.arch {
        Arch::CifarResnet(depth) => (vec![(depth as usize - 2) / 6; 3], false),
        Arch::Resnet18 => (vec![2, 2, 2, 2], false),
        Arch::Resnet34 => (vec![3, 4, 6, 3], false),
        Arch::Resnet50 | Arch::Resnet50V1 => (vec![3, 4, 6, 3], true),
        Arch::Resnet101 => (vec![3, 4, 23, 3], true),
        Arch::Resnet152 => (vec![3, 8, 36, 3], true),
        other => return Err(Error::Internal(format!("{other} is no residual network"))),
    };
    let imagenet = spec.stem == Stem::Imagenet && !matches!(spec.arch, Arch::CifarResnet(_));
    let (kernel, stride) = if imagenet { (7, 2) } else { (3, 1) };
    let x = b.input();
    let x = b.conv(x, "conv1", spec.width, kernel, stride)?;
    let x = b.batch_norm(x, "bn1");
    let mut x = b.relu(x);
    if imagenet {
        x = b.max_pool(x, 3, 2, 1)?;
    }
    for (stage, &blocks) in stages.iter().enumerate() {
        let channels = spec.width << stage;
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = format!("layer{}.{block}", stage + 1);
            x = if bottleneck {
                let v1 = spec.arch == Arch::Resnet50V1;
                let strides = if v1 { [stride, 1] } else { [1, stride] };
                bottleneck_block(&mut b, x, &name, channels, strides)?
            } else {
                basic_block(&mut b, x, &name, channels, stride)?
            };
        }
    }
    let x = b.global_pool(x);
    b.linear(x, "fc", spec.classes);
    Ok(b.finish(spec.arch.to_string(), spec.classes))
}

fn shortcut(b: &mut Builder, x: ValueId, name: &str, k: usize, stride: usize) -> Result<ValueId> {
    if stride == 1 && b.channels(x) == k {
        return Ok(x);
    }
    let y = b.conv(x, &format!("{name}.downsample.0"), k, 1, stride)?;
    Ok(b.batch_norm(y, &format!("{name}.downsample.1")))
}

fn basic_block(
    b: &mut Builder,
    x: ValueId,
    name: &str,
    k: usize,
    stride: usize,
) -> Result<ValueId> {
    let y = b.conv(x, &format!("{name}.conv1"), k, 3, stride)?;
    let y = b.batch_norm(y, &format!("{name}.bn1"));
    let y = b.relu(y);
    let residual = shortcut(b, x, name, k, stride)?;
    let y = b.conv(y, &format!("{name}.conv2"), k, 3, 1)?;
    let y = b.batch_norm(y, &format!("{name}.bn2"));
    let y = b.add(y, residual)?;
    Ok(b.relu(y))
}

fn bottleneck_block(
    b: &mut Builder,
    x: ValueId,
    name: &str,
    channels: usize,
    [first, second]: [usize; 2],
) -> Result<ValueId> {
    let y = b.conv(x, &format!("{name}.conv1"), channels, 1, first)?;
    let y = b.batch_norm(y, &format!("{name}.bn1"));
    let y = b.relu(y);
    let y = b.conv(y, &format!("{name}.conv2"), channels, 3, second)?;
    let y = b.batch_norm(y, &format!("{name}.bn2"));
    let y = b.relu(y);
    let residual = shortcut(b, x, name, EXPANSION * channels, first * second)?;
    let y = b.conv(y, &format!("{name}.conv3"), EXPANSION * channels, 1, 1)?;
    let y = b.batch_norm(y, &format!("{name}.bn3"));
    let y = b.add(y, residual)?;
    Ok(b.relu(y))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(arch: &str, stem: Stem, size: usize, classes: usize) -> Network {
        let arch: Arch = arch.parse().unwrap();
        let spec =
            NetworkSpec { arch, width: arch.default_width(), stem, classes, size: [size; 2] };
        spec.build().unwrap()
    }

    /// Counts of torchvision's models, and of the CIFAR family with projections.
    #[test]
    fn parameter_counts() {
        let count =
            |arch, stem, size, classes| network(arch, stem, size, classes).parameter_count();
        assert_eq!(count("resnet18", Stem::Imagenet, 224, 1000), 11_689_512);
        assert_eq!(count("resnet34", Stem::Imagenet, 224, 1000), 21_797_672);
        assert_eq!(count("resnet50", Stem::Imagenet, 224, 1000), 25_557_032);
        assert_eq!(count("resnet50-v1", Stem::Imagenet, 224, 1000), 25_557_032);
        assert_eq!(count("resnet101", Stem::Imagenet, 224, 1000), 44_549_160);
        assert_eq!(count("resnet152", Stem::Imagenet, 224, 1000), 60_192_808);
        assert_eq!(count("resnet18", Stem::Cifar, 32, 10), 11_173_962);
        assert_eq!(count("resnet20", Stem::Cifar, 32, 10), 272_474);
    }

    #[test]
    fn multiply_accumulates() {
        // 1.82 and 4.09 GMAC are torchvision's published figures; .557 is the CIFAR stem's.
        assert_eq!(network("resnet18", Stem::Imagenet, 224, 1000).macs() / 10_000_000, 181);
        assert_eq!(network("resnet50", Stem::Imagenet, 224, 1000).macs() / 10_000_000, 408);
        // The paper's 3.8 x 10^9 leaves out the projections.
        assert_eq!(network("resnet50-v1", Stem::Imagenet, 224, 1000).macs() / 10_000_000, 385);
        assert_eq!(network("resnet18", Stem::Cifar, 32, 10).macs() / 1_000_000, 555);
    }

    /// Half-done studies and checkpoints know their network by this text.
    #[test]
    fn the_text_of_a_network_stays() {
        let spec = |arch: &str| NetworkSpec {
            arch: arch.parse().unwrap(),
            width: 64,
            stem: Stem::Cifar,
            classes: 10,
            size: [32, 32],
        };
        assert_eq!(
            format!("{:?}", spec("resnet50")),
            "NetworkSpec { arch: Resnet50, width: 64, stem: Cifar, classes: 10, size: [32, 32] }"
        );
        assert_ne!(format!("{:?}", spec("resnet50-v1")), format!("{:?}", spec("resnet50")));
        assert_eq!(Arch::Resnet50.v1().unwrap().to_string(), "resnet50-v1");
        let message = Arch::Resnet18.v1().unwrap_err().to_string();
        assert!(message.contains("`resnet_v1`") && message.contains("resnet18"), "{message}");
    }

    #[test]
    fn unknown_names_list_the_known_ones() {
        let message = "resnet19".parse::<Arch>().unwrap_err().to_string();
        assert!(message.contains("resnet19") && message.contains("resnet56"), "{message}");
    }

    #[test]
    fn odd_sizes_keep_working() {
        let spec = NetworkSpec {
            arch: Arch::Resnet18,
            width: 8,
            stem: Stem::Imagenet,
            classes: 3,
            size: [33, 47],
        };
        let net = spec.build().unwrap();
        assert_eq!(net.shapes[net.logits().0], [1, 1, 3]);
    }
}
