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
//! | 0 | `tensor`, `rng`, `isa`, `memory`, `requests`, `error` |
//!
//! The command line is the binary (`main`, `cli`): the only place that prints. `error` lies below
//! all floors. `cuda` is the only module that knows the GPU's driver.
//!
//! Features, all on by default: `train` (floors 2 to 10, and the readers of data sets), `parquet`, `fetch`
//! (downloads), `cuda` and `cli` (the program). Without any the library is floors 0 and 1: it prunes
//! scores that others made.
//!
//! `reference` holds the float64 oracles; only tests, benches and `selftest` use it. `bench`, `doctor`
//! and `selftest` are leaves: nothing but the command line uses them.

pub mod artefact;
#[cfg(feature = "train")]
pub mod backend;
#[cfg(feature = "train")]
pub mod bench;
#[cfg(feature = "train")]
pub mod cuda;
#[cfg(feature = "train")]
pub mod data;
#[cfg(feature = "train")]
pub mod doctor;
pub mod error;
#[cfg(feature = "train")]
pub mod exec;
#[cfg(feature = "train")]
pub mod experiment;
pub mod isa;
pub mod memory;
pub mod metrics;
#[cfg(feature = "train")]
pub mod nn;
#[cfg(feature = "train")]
pub mod ops;
pub mod prune;
#[cfg(feature = "train")]
pub mod reference;
#[cfg(feature = "train")]
pub mod report;
pub mod requests;
pub mod rng;
#[cfg(feature = "train")]
pub mod score;
#[cfg(feature = "train")]
pub mod selftest;
#[cfg(feature = "train")]
pub mod tensor;
pub mod theory;
#[cfg(feature = "train")]
pub mod train;

/// The blocks of the guide for contributors are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../CONTRIBUTING.md")]
struct Guide;
