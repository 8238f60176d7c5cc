//! Floors: the least time that a card's ceilings allow, beside the measured one.
//!
//! An operator's floor is the larger of its exact products at the arithmetic's ceiling and its tensors' bytes
//! at the memory's; a step's is the sum over its convolutions (training: fprop, dgrad, wgrad; forward:
//! fprop; GraNd: fprop and dgrad, which every form of it needs). What the chosen tiles copy from L2 is
//! named beside it: other tiles copy less, so that it is no floor.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::exec::Mode;
use crate::nn::{Layer, NetworkSpec, ValueId};
use crate::ops::conv2d::{Conv2dDirection, Conv2dProblem};
use crate::ops::gather::CHANNELS_BF16;
use crate::ops::{Operators, Precision};

/// What a card can do a second: operations in bf16 and f32, bytes of memory and of L2.
#[derive(Clone, Copy, Debug)]
pub struct Ceilings {
    halves: f64,
    floats: f64,
    memory: f64,
    l2: f64,
}

/// The ceilings of a card, from measurements published or made elsewhere; without them there is no
/// floor.
pub fn ceilings(device: &str) -> Option<Ceilings> {
    let h200 = Ceilings { halves: 790e12, floats: 60e12, memory: 4.3e12, l2: 5.5e12 };
    device.contains("H200").then_some(h200)
}

/// What an operator does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    pub operations: f64,
    /// Bytes of its tensors, each counted once.
    pub bytes: f64,
    /// Bytes that its tiles copy from L2, where that is known.
    pub copied: Option<f64>,
}

/// Seconds at each ceiling, and at the larger of the first two.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seconds {
    floor: f64,
    compute: f64,
    memory: f64,
    l2: Option<f64>,
}

/// Shares of the measured time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FloorShares {
    pub compute: f64,
    pub memory: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l2: Option<f64>,
    /// The largest.
    pub bound: Bound,
}

/// A ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound {
    #[serde(rename = "compute")]
    Compute,
    #[serde(rename = "memory")]
    Memory,
    L2,
}

impl Bound {
    /// The ceiling's name, as in the document.
    pub fn name(self) -> &'static str {
        match self {
            Bound::Compute => "compute",
            Bound::Memory => "memory",
            Bound::L2 => "L2",
        }
    }
}

impl Ceilings {
    /// The sum over operators that run one after the other.
    pub fn seconds(&self, loads: &[Load], precision: Precision) -> Seconds {
        let rate = if precision == Precision::Bf16 { self.halves } else { self.floats };
        let mut all = Seconds::default();
        for load in loads {
            let (compute, memory) = (load.operations / rate, load.bytes / self.memory);
            all.floor += compute.max(memory);
            all.compute += compute;
            all.memory += memory;
            if let Some(copied) = load.copied {
                *all.l2.get_or_insert(0.0) += copied / self.l2;
            }
        }
        all
    }
}

impl Seconds {
    /// The floor's share of a measured time, and each ceiling's.
    pub fn of(&self, measured: f64) -> (f64, FloorShares) {
        let Seconds { floor, compute, memory, l2 } = *self;
        let larger = if compute >= memory { Bound::Compute } else { Bound::Memory };
        let bound = if l2.is_some_and(|l2| l2 > compute.max(memory)) { Bound::L2 } else { larger };
        let limits = FloorShares {
            compute: compute / measured,
            memory: memory / measured,
            l2: l2.map(|l2| l2 / measured),
            bound,
        };
        (floor / measured, limits)
    }
}

/// Every convolution of a network on a batch of so many images, as often as it comes; whether each sees
/// the images.
pub fn convolutions(
    spec: &NetworkSpec,
    batch: usize,
    precision: Precision,
) -> Result<Vec<(Conv2dProblem, bool)>> {
    let network = spec.build()?;
    let mut all = Vec::new();
    for node in network.nodes.iter().filter(|n| matches!(n.layer, Layer::Conv2d { .. })) {
        let Some(problem) = network.conv_problem(node, batch) else { continue };
        let first = node.inputs[0] == ValueId(0);
        let padded = first && precision == Precision::Bf16;
        let c = if padded { CHANNELS_BF16 } else { problem.c };
        all.push((Conv2dProblem { c, ..problem }, first));
    }
    Ok(all)
}

/// The convolutions of one batch of a pass.
pub fn step<B: Operators>(
    backend: &B,
    mode: Mode,
    spec: &NetworkSpec,
    batch: usize,
    precision: Precision,
) -> Result<Vec<Load>> {
    let size = precision.dtype().size();
    let mut loads = Vec::new();
    for (p, first) in convolutions(spec, batch, precision)? {
        let directions = match mode {
            Mode::Train => {
                &[Conv2dDirection::Fprop, Conv2dDirection::Dgrad, Conv2dDirection::Wgrad][..]
            }
            Mode::GradNorm => &[Conv2dDirection::Fprop, Conv2dDirection::Dgrad],
            Mode::Score | Mode::LastLayerNorm => &[Conv2dDirection::Fprop],
        };
        for &direction in directions.iter().filter(|d| !(first && **d == Conv2dDirection::Dgrad)) {
            let w = if direction == Conv2dDirection::Wgrad { 4 } else { size };
            loads.push(Load {
                operations: 2.0 * p.macs() as f64,
                bytes: (size * (p.x_len() + p.y_len()) + w * p.w_len()) as f64,
                copied: copied(backend, &p, direction, precision),
            });
        }
    }
    Ok(loads)
}

/// Bytes from L2 of a convolution on tensor cores.
fn copied<B: Operators>(
    backend: &B,
    p: &Conv2dProblem,
    direction: Conv2dDirection,
    precision: Precision,
) -> Option<f64> {
    let tuning = backend.conv2d_tuning().filter(|_| precision == Precision::Bf16)?;
    tuning.copied(p, direction).map(|bytes| bytes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_ceiling_is_the_floor_and_is_named() {
        let card = ceilings("NVIDIA H200 (cuda/sm_90a)").unwrap();
        let load = |operations, bytes, copied| Load { operations, bytes, copied };
        let of = |loads: &[Load], precision| card.seconds(loads, precision).of(2e-3);
        // 1 ms of products, half a ms of memory.
        let (fraction, limits) = of(&[load(790e9, 2.15e9, None)], Precision::Bf16);
        assert!((fraction - 0.5).abs() < 1e-12 && limits.bound == Bound::Compute);
        assert!((limits.memory - 0.25).abs() < 1e-12 && limits.l2.is_none());
        let (fraction, limits) = of(&[load(790e9, 8.6e9, Some(5.5e9))], Precision::Bf16);
        assert!((fraction - 1.0).abs() < 1e-12 && limits.bound == Bound::Memory);
        assert!((limits.l2.unwrap() - 0.5).abs() < 1e-12);
        let (fraction, limits) = of(&[load(790e9, 2.15e9, Some(22e9))], Precision::Bf16);
        assert!((fraction - 0.5).abs() < 1e-12 && limits.bound == Bound::L2);
        // A sum of floors, not the floor of sums.
        let both = [load(790e9, 0.0, None), load(0.0, 4.3e9, None)];
        assert!((of(&both, Precision::Bf16).0 - 1.0).abs() < 1e-12);
        // f32 has other units.
        assert!((of(&[load(60e9, 0.0, None)], Precision::F32).0 - 0.5).abs() < 1e-12);
        assert!(ceilings("NVIDIA A100 (cuda/sm_80)").is_none());
    }
}
