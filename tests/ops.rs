//! Operators of the CPU backend against their float64 oracles.

#[path = "ops/conv2d.rs"]
mod conv2d;
#[path = "ops/fence.rs"]
mod fence;
