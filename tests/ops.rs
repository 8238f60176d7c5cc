//! Operators of the CPU backend against their float64 oracles.

#[path = "ops/batch_norm.rs"]
mod batch_norm;
#[path = "ops/conv2d.rs"]
mod conv2d;
#[path = "ops/fence.rs"]
mod fence;
#[path = "ops/gather.rs"]
mod gather;
#[path = "ops/loss_score.rs"]
mod loss_score;
#[path = "ops/pool.rs"]
mod pool;
#[path = "ops/sgd.rs"]
mod sgd;
#[path = "ops/values.rs"]
mod values;
