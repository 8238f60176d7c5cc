//! One file a command.

pub mod bench;
pub mod doctor;
pub mod eval;
pub mod prune;
pub mod quota;
pub mod run;
pub mod score;
pub mod selftest;
pub mod theory;
pub mod train;
