//! What methods of selection picked, kept from one start of a comparison to the next.

use crate::artefact::{OutputDir, input, integrity};
use crate::error::{Error, Result};
use crate::prune::Picks;

/// What was picked for the run `run` before; None where nothing was. A damaged file is set aside.
pub fn known(dir: &OutputDir, run: &str) -> Result<Option<Picks>> {
    let path = dir.file(&name(run))?;
    dir.without_damaged(&|line| tracing::warn!("{line}"), || {
        let Some(bytes) = input::read_if_there(&path, input::MOST)? else { return Ok(None) };
        integrity::check_own(&path, &bytes)?;
        let picks = serde_json::from_slice(&bytes);
        picks.map(Some).map_err(|e| Error::damaged(&path, e.to_string()))
    })
}

/// Keeps what was picked for the run `run`.
pub fn keep(dir: &OutputDir, run: &str, picks: &Picks) -> Result<()> {
    dir.write_sealed(&name(run), picks).map(drop)
}

fn name(run: &str) -> String {
    format!("work/picks/{run}.json")
}
