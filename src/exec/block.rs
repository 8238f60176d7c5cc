//! Fusion: the layers of a network grouped into the blocks that operators compute.

use crate::error::{Error, Result};
use crate::nn::{Layer, Network, ValueId};

/// A convolution with what follows it, or one of the other layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FusedBlock {
    /// out = act(bn(conv(x)) (+ residual)).
    Conv {
        conv: usize,
        bn: usize,
        residual: Option<ValueId>,
        relu: bool,
        input: ValueId,
        output: ValueId,
    },
    MaxPool {
        node: usize,
    },
    GlobalPool {
        node: usize,
    },
    Linear {
        node: usize,
    },
}

/// Groups all nodes. A sum joins the block of its later operand, so that the other one exists.
pub fn fuse(network: &Network) -> Result<Vec<FusedBlock>> {
    let mut taken = vec![false; network.nodes.len()];
    let mut blocks = Vec::new();
    for (i, node) in network.nodes.iter().enumerate() {
        if taken[i] {
            continue;
        }
        blocks.push(match node.layer {
            Layer::Conv2d { .. } => fuse_conv(network, i, &mut taken)?,
            Layer::MaxPool { .. } => FusedBlock::MaxPool { node: i },
            Layer::GlobalPool => FusedBlock::GlobalPool { node: i },
            Layer::Linear { .. } => FusedBlock::Linear { node: i },
            Layer::BatchNorm { .. } | Layer::Relu | Layer::Add => {
                return Err(Error::Internal(format!(
                    "layer {i} ({:?}) follows no convolution",
                    node.layer
                )));
            }
        });
    }
    Ok(blocks)
}

fn fuse_conv(network: &Network, conv: usize, taken: &mut [bool]) -> Result<FusedBlock> {
    let input = network.nodes[conv].inputs[0];
    let bn = sole_consumer(network, network.nodes[conv].output)
        .filter(|&n| matches!(network.nodes[n].layer, Layer::BatchNorm { .. }))
        .ok_or_else(|| {
            Error::Internal(format!("{} is not followed by batch norm", network.nodes[conv].name))
        })?;
    taken[bn] = true;
    let mut output = network.nodes[bn].output;
    let mut residual = None;
    if let Some(add) = sole_consumer(network, output)
        && network.nodes[add].layer == Layer::Add
        && let [a, b] = network.nodes[add].inputs[..]
    {
        let other = if a == output { b } else { a };
        if other < output {
            taken[add] = true;
            residual = Some(other);
            output = network.nodes[add].output;
        }
    }
    let mut relu = false;
    if let Some(act) = sole_consumer(network, output)
        && network.nodes[act].layer == Layer::Relu
    {
        taken[act] = true;
        relu = true;
        output = network.nodes[act].output;
    }
    Ok(FusedBlock::Conv { conv, bn, residual, relu, input, output })
}

/// The node that reads `value`, if exactly one does.
fn sole_consumer(network: &Network, value: ValueId) -> Option<usize> {
    let mut readers =
        network.nodes.iter().enumerate().filter(|(_, n)| n.inputs.contains(&value)).map(|(i, _)| i);
    let first = readers.next();
    if readers.next().is_some() { None } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Arch, NetworkSpec, Stem};

    #[test]
    fn every_layer_of_a_resnet_is_fused_once() {
        let spec = NetworkSpec {
            arch: Arch::Resnet50,
            width: 8,
            stem: Stem::Imagenet,
            classes: 4,
            size: [64, 64],
        };
        let network = spec.build().unwrap();
        let blocks = fuse(&network).unwrap();
        let convs = blocks.iter().filter(|b| matches!(b, FusedBlock::Conv { .. })).count();
        let sums = blocks
            .iter()
            .filter(|b| matches!(b, FusedBlock::Conv { residual: Some(_), .. }))
            .count();
        let linear_only =
            |b: &&FusedBlock| matches!(b, FusedBlock::Conv { relu: false, residual: None, .. });
        assert_eq!((convs, sums), (53, 16));
        // Only the four projections end without a ReLU.
        assert_eq!(blocks.iter().filter(linear_only).count(), 4);
        assert_eq!(blocks.len(), 53 + 3);
    }

    #[test]
    fn every_layer_of_a_vgg_is_fused_once() {
        let spec = NetworkSpec {
            arch: Arch::Vgg19,
            width: 4,
            stem: Stem::Cifar,
            classes: 4,
            size: [32, 32],
        };
        let blocks = fuse(&spec.build().unwrap()).unwrap();
        let plain =
            |b: &&FusedBlock| matches!(b, FusedBlock::Conv { relu: true, residual: None, .. });
        let pools = blocks.iter().filter(|b| matches!(b, FusedBlock::MaxPool { .. })).count();
        assert_eq!((blocks.iter().filter(plain).count(), pools), (16, 5));
        assert_eq!(blocks.len(), 16 + 5 + 2);
    }
}
