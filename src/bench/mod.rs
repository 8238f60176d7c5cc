//! Measurements: images per second of training and scoring, and whether a second set of results is slower
//! than chance explains.
//!
//! [`run`] times what a [`Measurement`] asks for on an open device, watched by a [`Observer`], and gives rows;
//! [`document`] is their JSON, [`read`] takes it back, [`RateComparison`] holds two sets against each other.
//! Nothing but the command line uses this module.
//!
//! | module | idea |
//! |---|---|
//! | `settings` | what is measured |
//! | `watch` | how a measurement is watched and stopped |
//! | `card` | the card as it was found: driver, clocks |
//! | `floor` | the least time that a card's ceilings allow |
//! | `machine` | what the numbers hold for |
//! | `network` | the network and the random images that are timed |
//! | `verify` | a wrong result is not worth timing |
//! | `statistics` | quantiles |
//! | `timing` | repeats within a budget of seconds |
//! | `memory` | the process's peak |
//! | `rows` | one timed row |
//! | `suites` | the rows: train, forward, grand, read |
//! | `pipeline` | rows of the user's own images, from the disk on |
//! | `work` | single operators: their calls, their tensors |
//! | `sets` | random tensors that no cache holds |
//! | `kernels` | rows of single operators, beside their floors |
//! | `tune` | single operators in every form and tile |
//! | `results` | the JSON document, written and read |
//! | `noise` | how large a difference chance makes |
//! | `kinds` | which runs of two files may be compared |
//! | `compare` | the verdict on two sets of results |
//! | `interleave` | two programs, run in turn |

mod card;
mod compare;
mod floor;
mod interleave;
mod kernels;
mod kinds;
mod machine;
mod memory;
mod network;
mod noise;
mod pipeline;
mod results;
mod rows;
mod sets;
mod settings;
mod statistics;
mod suites;
mod timing;
mod tune;
mod verify;
mod watch;
mod work;

pub use card::CardClocks;
pub use compare::{ComparedKind, ComparedRow, Judgement, RateComparison, parse_threshold};
pub use floor::{Bound, FloorShares};
pub use interleave::{Programs, run as run_in_turn};
pub use kinds::drivers;
pub use machine::MachineFacts;
pub use results::{BenchReport, BenchRun, FORMAT_VERSION, document, read};
pub use rows::TimedRow;
pub use settings::{Measurement, SLOWDOWN_VARIABLE, Slowdown, Suite};
pub use statistics::Rates;
pub use suites::run;
pub use watch::{Observer, Unwatched};
