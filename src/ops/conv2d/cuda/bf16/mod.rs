//! Convolution of tensors stored as bf16 on tensor cores: `kernels/conv2d_{fprop,dgrad,wgrad}_bf16.cu`.

pub(super) mod choice;
pub(super) mod dgrad;
mod forced;
pub(super) mod fprop;
pub(super) mod grad_norm;
mod launch;
mod tile;
mod tuning;
pub(super) mod wgrad;
