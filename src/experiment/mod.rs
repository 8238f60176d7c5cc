//! Experiments: query, score, quota, prune, train, evaluate; over seeds, resumable.

pub mod baseline;
pub mod cell;
mod choose;
mod compute;
pub mod cost;
pub mod device;
pub mod export;
pub mod picker;
mod placement;
pub mod prepared;
pub mod provenance;
pub mod queries;
pub mod query;
pub mod run;
pub mod run_plan;
pub mod spent;
mod stage;
pub mod strategy;
pub mod study;
pub mod summarise;
pub mod summary;
mod verdicts;
pub mod weights;

pub use cell::{Cell, CellResult, TestResult};
pub use device::Device;
pub use placement::Placement;
pub use prepared::Prepared;
pub use strategy::Strategy;
