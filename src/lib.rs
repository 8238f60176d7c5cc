//! fairprune: train image classifiers, score every training sample, prune data sets fairly.
//!
//! The library is built in floors; a module imports only from floors below it
//! (`tests/layering.rs` enforces this):
//!
//! | floor | modules |
//! |---|---|
//! | 10 | `bench`, `doctor` |
//! | 9 | `report` |
//! | 8 | `experiment` |
//! | 7 | `train`, `score` |
//! | 6 | `exec` |
//! | 5 | `nn`, `data` |
//! | 4 | `ops` |
//! | 3 | `cuda` |
//! | 2 | `backend` |
//! | 1 | `prune`, `metrics`, `theory`, `artefact` |
//! | 0 | `tensor`, `rng`, `isa`, `error` |
//!
//! The command line is the binary (`main`, `cli`): the only place that prints. `error` lies below
//! all floors. `cuda` is the only module that knows the GPU's driver.
//!
//! `reference` holds the float64 oracles; only tests, benches and `selftest` use it. `bench`, `doctor`
//! and `selftest` are leaves: nothing but the command line uses them.

pub mod artefact;
pub mod backend;
pub mod bench;
pub mod cuda;
pub mod data;
pub mod doctor;
pub mod error;
pub mod exec;
pub mod experiment;
pub mod isa;
pub mod metrics;
pub mod nn;
pub mod ops;
pub mod prune;
pub mod reference;
pub mod report;
pub mod rng;
pub mod score;
pub mod selftest;
pub mod tensor;
pub mod theory;
pub mod train;
