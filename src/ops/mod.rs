//! The operators. One folder each: `mod.rs` holds the problem (shapes, checks) and the trait a
//! backend implements, `cpu.rs` (or `cpu/`) the CPU form.

pub mod conv2d;
