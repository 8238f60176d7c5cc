//! fairprune: train image classifiers, score every training sample, prune data sets fairly.
//!
//! The library is built in floors; a module imports only from floors below it
//! (`tests/layering.rs` enforces this):
//!
//! | floor | modules |
//! |---|---|
//! | 8 | `report` |
//! | 7 | `experiment` |
//! | 6 | `train`, `score` |
//! | 5 | `exec` |
//! | 4 | `nn`, `data` |
//! | 3 | `ops` |
//! | 2 | `backend` |
//! | 1 | `prune`, `metrics`, `artefact` |
//! | 0 | `tensor`, `rng`, `error` |
//!
//! The command line is the binary (`main`, `cli`): the only place that prints. `error` lies below
//! all floors.
//!
//! `reference` holds the float64 oracles; only tests, benches and `selftest` use it.

pub mod artefact;
pub mod backend;
pub mod data;
pub mod error;
pub mod exec;
pub mod experiment;
pub mod metrics;
pub mod nn;
pub mod ops;
pub mod prune;
pub mod reference;
pub mod report;
pub mod rng;
pub mod score;
pub mod tensor;
pub mod train;
