//! One file a command.

pub mod bench;
pub mod data;
pub mod doctor;
pub mod eval;
mod evaluation;
mod forecast;
pub mod manual;
mod presentations;
pub mod prune;
pub mod quota;
pub mod run;
pub mod score;
pub mod selftest;
pub mod study;
pub mod theory;
pub mod train;
