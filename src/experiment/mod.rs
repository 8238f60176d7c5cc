//! The workflow: open a device and a data set, train, score, set quotas, prune, compare, study; over seeds,
//! resumable.
//!
//! | room | what is there |
//! |---|---|
//! | [`device`], [`session`] | the open device; a data set and a network on it |
//! | [`settings`] | what a person says of data, network, recipe and scores, with defaults |
//! | [`strategy`] | ways of choosing samples, and the samples that they keep |
//! | [`folder`] | folders of results, reader beside writer |
//! | [`forecast`] | what quotas are predicted to do, as files and pages say it |
//! | [`training`] | one training run, kept on disk |
//! | [`arrays`] | the same for callers with arrays: labels, scores, logits of a network that others train |
//! | [`query`] | which query runs a set of scores takes, and what they tell |
//! | [`quality`] | duplicates and wrong labels, found before anything is scored |
//! | [`comparison`] | strategies compared over paired runs |
//! | [`study`] | grids of comparisons, and claims about them |
//! | [`identity`] | what decides a result |

pub mod arrays;
pub mod comparison;
pub mod counts;
pub mod device;
pub mod evaluation;
pub mod folder;
pub mod forecast;
pub mod identity;
mod kept;
pub mod network;
mod opening;
mod placement;
pub mod pruning;
pub mod quality;
pub mod query;
pub mod scoring;
pub mod session;
pub mod settings;
pub mod strategy;
pub mod study;
mod text;
pub mod training;
pub mod weight_file;

pub use device::Device;
pub use kept::Kept;
pub use opening::Loaded;
pub use placement::Placement;
pub use session::Session;
pub use strategy::Strategy;
