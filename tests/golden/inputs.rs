//! Weights, momentum buffers and images as `common.py` makes them, bit for bit.

use std::collections::BTreeMap;

use fairprune::nn::{Network, Weights, weights};
use fairprune::rng::{Philox, Sequence, Stream};
use fairprune::tensor::Tensor;

const WEIGHTS: u64 = 101;
const VELOCITIES: u64 = 102;

pub const MEAN: [f32; 3] = [0.5, 0.4375, 0.375];
pub const STD: [f32; 3] = [0.25, 0.25, 0.1875];

/// Scales of running mean and variance of every batch norm.
pub type Scales = BTreeMap<String, [f32; 2]>;

fn line(seed: u64, line: usize) -> Sequence {
    Philox::new(seed, Stream::Init).sequence(line as u64)
}

/// Every tensor of `network`; see `common.py` for `trunk`.
pub fn weights(network: &Network, scales: &Scales, trunk: Option<&str>) -> Weights {
    let mut tensors = BTreeMap::new();
    for (i, (name, shape)) in weights::expected(network).into_iter().enumerate() {
        let mut draws = line(WEIGHTS, i);
        let (layer, kind) = name.rsplit_once('.').unwrap();
        let norm = scales.get(layer);
        let apart = trunk.filter(|_| norm.is_some());
        let inner = apart.is_some_and(|t| !layer.ends_with(t) && !layer.ends_with("downsample.1"));
        let fan_in: usize = shape[1..].iter().product();
        let gain = if shape.len() == 4 { 6.0 } else { 1.5 };
        let bound = (gain / fan_in as f64).sqrt() as f32;
        let value = |u: f32| {
            let signed = 2.0 * u - 1.0;
            match kind {
                "running_mean" => norm.unwrap()[0] * signed,
                "running_var" => norm.unwrap()[1] * (0.5 + u),
                "bias" if apart.is_some() => {
                    (if inner && signed < 0.0 { -1.25 } else { 0.75 }) + 0.5 * u
                }
                "bias" => 0.25 * signed,
                _ if shape.len() == 1 && apart.is_some() => 0.125 + 0.125 * u,
                _ if shape.len() == 1 => 0.75 + 0.5 * u,
                _ => bound * signed,
            }
        };
        let len = shape.iter().product();
        let data = (0..len).map(|_| value(draws.uniform())).collect();
        tensors.insert(name, Tensor { shape, data });
    }
    Weights { tensors }
}

/// Momentum buffers of every parameter.
pub fn velocities(network: &Network) -> BTreeMap<String, Tensor> {
    let parameters: Vec<String> = network.parameters().into_iter().map(|p| p.name).collect();
    let mut tensors = BTreeMap::new();
    for (i, (name, shape)) in weights::expected(network).into_iter().enumerate() {
        if parameters.contains(&name) {
            let mut draws = line(VELOCITIES, i);
            let len = shape.iter().product();
            let value = |_| (2.0 * draws.uniform() - 1.0) / 128.0;
            tensors.insert(name, Tensor { shape, data: (0..len).map(value).collect() });
        }
    }
    tensors
}

/// u8 N H W 3.
pub fn images(count: usize, [height, width]: [usize; 2], seed: u64) -> Vec<u8> {
    let (rows, columns) = (height.div_ceil(8), width.div_ceil(8));
    let mut all = Vec::with_capacity(count * height * width * 3);
    for i in 0..count {
        let mut draws = line(seed, i);
        let mut bytes = |n: usize| (0..n).map(|_| draws.next_u32() >> 24).collect::<Vec<u32>>();
        let (colour, blocks) = (bytes(3), bytes(rows * columns * 3));
        let noise = bytes(height * width * 3);
        for (j, noise) in noise.into_iter().enumerate() {
            let (row, column, c) = (j / 3 / width, j / 3 % width, j % 3);
            let block = blocks[(row / 8 * columns + column / 8) * 3 + c];
            all.push(((2 * colour[c] + block + noise) >> 2) as u8);
        }
    }
    all
}

pub fn labels(count: usize, classes: usize) -> Vec<u32> {
    (0..count).map(|i| ((7 * i + i / 3) % classes) as u32).collect()
}

/// The pass over all samples.
pub fn order(samples: usize) -> Vec<u32> {
    (0..samples).map(|i| ((5 * i + 1) % samples) as u32).collect()
}

/// Places whose values are recorded, of a tensor with `len` of them.
pub fn positions(len: usize, count: usize) -> Vec<usize> {
    (0..count as u32)
        .map(|j| ((u64::from(j.wrapping_mul(0x9E37_79B1)) * len as u64) >> 32) as usize)
        .collect()
}
