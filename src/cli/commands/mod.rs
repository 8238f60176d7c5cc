//! One file a command.

pub mod run;
pub mod train;
