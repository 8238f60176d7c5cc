//! Settings as a person writes them: in a study's file, on a command line, in a program. What is left out
//! has a default that depends on the data set.
//!
//! In files the names are those of the fields with `-` for `_`.

mod data;
mod network;
mod recipe;
mod variants;

pub use data::DataSettings;
pub use network::{DefaultNetwork, NetworkSettings, triple};
pub use recipe::{Preset, RecipeSettings};
pub use variants::VariantSettings;

use crate::error::{Error, Result};

/// Most runs of one kind: each is a training of its own, and more are a slip of the keyboard.
const MOST_RUNS: usize = 10_000;

/// Checks a number of runs that `setting` states.
pub fn check_runs(setting: &str, count: usize) -> Result<usize> {
    match count {
        0 => Err(Error::invalid(setting, "0", "at least 1")),
        1..=MOST_RUNS => Ok(count),
        _ => Err(Error::invalid(setting, count.to_string(), format!("at most {MOST_RUNS}"))),
    }
}
