//! What scores out of fold need of a split.

use crate::data::Split;
use crate::error::{Error, Result};

/// Refuses scores out of fold (`asked`) where no run leaves samples out: other splits hold validation
/// images out of all runs, and every run trains on all that may be kept.
pub fn check_folds(asked: bool, split: &Split) -> Result<()> {
    if !asked || split.query_runs().is_some() {
        return Ok(());
    }
    let found = format!("`split` {}, without folds", split.kind);
    Err(Error::invalid("`out_of_fold`", found, "`split` crossfit:R, R folds with a query run each"))
}
