//! Initial weights: Xavier normal with gain sqrt 2, as in the method's paper
//! (std = gain * sqrt(2 / (fan_in + fan_out)), Glorot and Bengio 2010); gamma 1, all biases 0.

use super::graph::{Network, ParameterKind};
use super::weights::Weights;
use crate::rng::{Philox, Stream};
use crate::tensor::Tensor;

/// Fresh weights of `network` under `seed`, in PyTorch's layouts, running statistics included.
pub fn initialise(network: &Network, seed: u64) -> Weights {
    let philox = Philox::new(seed, Stream::Init);
    let mut weights = Weights::default();
    for (index, p) in network.parameters().into_iter().enumerate() {
        let data = match p.kind {
            ParameterKind::ConvWeight | ParameterKind::LinearWeight => {
                let receptive: usize = p.shape[2..].iter().product();
                let fans = (p.shape[0] + p.shape[1]) * receptive;
                let std = (2.0f64 * 2.0 / fans as f64).sqrt() as f32;
                let mut draws = philox.sequence(index as u64);
                (0..p.len()).map(|_| std * draws.normal()).collect()
            }
            ParameterKind::Gamma => vec![1.0; p.len()],
            ParameterKind::Beta | ParameterKind::ConvBias | ParameterKind::LinearBias => {
                vec![0.0; p.len()]
            }
        };
        weights.tensors.insert(p.name, Tensor { shape: p.shape, data });
    }
    for (node, c) in network.batch_norms() {
        let name = &network.nodes[node].name;
        weights.tensors.insert(format!("{name}.running_mean"), Tensor::zeros(&[c]));
        let ones = Tensor { shape: vec![c], data: vec![1.0; c] };
        weights.tensors.insert(format!("{name}.running_var"), ones);
    }
    weights
}
