//! The operators. One folder each: `mod.rs` holds the problem (shapes, checks) and the trait a
//! backend implements, `cpu.rs` (or `cpu/`) the CPU form.

pub mod batch_norm;
pub mod conv2d;
pub mod gather;
pub mod loss_score;
pub mod pool;
pub(crate) mod reduce;
pub mod sgd;

/// Every operator the executor needs; a backend that has them all runs every network.
pub trait Operators:
    conv2d::Conv2d
    + batch_norm::BatchNorm
    + pool::Pool
    + loss_score::LossScore
    + sgd::Sgd
    + gather::Gather
{
}

impl<B> Operators for B where
    B: conv2d::Conv2d
        + batch_norm::BatchNorm
        + pool::Pool
        + loss_score::LossScore
        + sgd::Sgd
        + gather::Gather
{
}
