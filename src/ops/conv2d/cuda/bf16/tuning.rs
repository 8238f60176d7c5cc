//! The ways of products on tensor cores, for benchmarks and tests.

use super::choice::Product;
use super::forced::force;
use crate::cuda::Cuda;
use crate::ops::conv2d::tuning::Tuning;
use crate::ops::conv2d::{Conv2dDirection, Conv2dProblem, TileChoice};

impl Tuning for Cuda {
    fn choice(&self, problem: &Conv2dProblem, of: Conv2dDirection) -> Option<TileChoice> {
        let product = Product::checked(problem, of)?;
        Some(product.choose(self).choice())
    }

    fn choices(&self, problem: &Conv2dProblem, of: Conv2dDirection) -> Vec<TileChoice> {
        let product = Product::checked(problem, of);
        product.map_or(Vec::new(), |p| p.ways().iter().map(|way| way.choice()).collect())
    }

    fn copied(&self, problem: &Conv2dProblem, of: Conv2dDirection) -> Option<u64> {
        let product = Product::checked(problem, of)?;
        Some(product.copies(&product.choose(self)))
    }

    fn force(&self, choice: Option<TileChoice>) {
        force(self, choice);
    }
}
