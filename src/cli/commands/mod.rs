//! One file a command.

pub mod bench;
pub mod eval;
pub mod run;
pub mod score;
pub mod train;
