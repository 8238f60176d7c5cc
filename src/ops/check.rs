//! What every operator checks of the tensors that it is given.

use crate::backend::View;
use crate::error::{Error, Result};

/// Checks the length of a tensor before a call: a wrong one is a defect of the plan.
pub(crate) fn check_len(operator: &str, what: &str, view: View, len: usize) -> Result<()> {
    if view.len == len {
        return Ok(());
    }
    Err(Error::Internal(format!("{operator}: {what} has {} elements, needs {len}", view.len)))
}
