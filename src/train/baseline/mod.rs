//! Baselines: other ways of training, to hold pruning against. Each method has a file of its own.
//!
//! An epoch's presentation is a function of the job, the finished epochs' records and the policy's state, so
//! that a resumed run repeats it bit for bit. The state goes into checkpoints.
//!
//! `method` has names, `options` what follows them, `needs` what a method goes with, `presentation` the
//! trait of those who decide what an epoch presents, `policy` who does for a job, `plan` what a run trains on and in how many steps, `last_layer` what DFR does
//! after it.

pub mod bam;
pub mod class_weights;
pub mod clipping;
mod draws;
mod group_dro;
mod info_batch;
pub mod last_layer;
pub mod lff;
mod method;
mod needs;
mod options;
pub mod ordered_sgd;
pub mod plan;
mod policy;
mod presentation;
pub mod rcap;
mod rho;
pub mod rules;
mod weighing;

pub use method::Baseline;
pub(super) use policy::policy;
pub use presentation::BaselineInput;
pub(super) use presentation::{Policy, StepAt};
