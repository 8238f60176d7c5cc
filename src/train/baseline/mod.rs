//! Baselines: other ways of training, to hold pruning against. Each method has a file of its own.
//!
//! An epoch's presentation is a function of the job, the finished epochs' records and the policy's state, so
//! that a resumed run repeats it bit for bit. The state goes into checkpoints.
//!
//! `method` has names and options, `presentation` the trait of those who decide what an epoch presents,
//! `policy` who does for a job, `plan` what a run trains on and in how many steps, `last_layer` what DFR does
//! after it.

pub mod class_weights;
mod draws;
mod group_dro;
mod info_batch;
pub mod last_layer;
mod method;
pub mod plan;
mod policy;
mod presentation;
mod rho;
pub mod rules;
mod weighing;

pub use method::Baseline;
pub(super) use policy::policy;
pub use presentation::BaselineInput;
pub(super) use presentation::{Policy, StepAt};
