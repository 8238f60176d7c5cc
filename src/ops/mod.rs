//! The operators. One folder each: `mod.rs` holds the problem (shapes, checks) and the trait a
//! backend implements with the checks that hold on all of them, `cpu.rs` (or `cpu/`) the CPU form,
//! `cuda.rs` (or `cuda/`) the launches of the CUDA form in `kernels/<family>.cu`.
//!
//! [`sample_norm`] is apart: it works on memory of other programs, on the CPU, and no network of this
//! program runs it.

pub mod batch_norm;
pub mod cast;
mod check;
pub mod conv2d;
pub(crate) mod device;
pub(crate) mod enums;
pub mod gather;
pub mod loss_score;
pub mod pool;
mod precision;
pub(crate) mod reduce;
pub mod sample_norm;
pub mod sgd;

pub(crate) use check::check_len;
pub use precision::{Precision, numerics};

/// Every operator the executor needs; a backend that has them all runs every network.
pub trait Operators:
    conv2d::Conv2d
    + batch_norm::BatchNorm
    + pool::Pool
    + loss_score::LossScore
    + sgd::Sgd
    + gather::Gather
    + cast::Cast
{
}

impl<B> Operators for B where
    B: conv2d::Conv2d
        + batch_norm::BatchNorm
        + pool::Pool
        + loss_score::LossScore
        + sgd::Sgd
        + gather::Gather
        + cast::Cast
{
}
