//! Checks of index lists that come from outside.

use crate::error::{Error, Result};

/// Checks a list of positions in a training set of `len` samples and returns it in its own order.
/// `what` names the list in messages.
///
/// # Errors
/// [`Error::Invalid`], with the first offending entry and its value: an empty list, a negative
/// position, one not below `len`, one that occurs twice.
pub fn check_indices(what: &str, indices: &[i64], len: usize) -> Result<Vec<usize>> {
    if indices.is_empty() {
        return Err(Error::invalid(what, "no index", "at least one"));
    }
    let mut seen = vec![false; len];
    let mut positions = Vec::with_capacity(indices.len());
    for (entry, &index) in indices.iter().enumerate() {
        let position = usize::try_from(index).ok().filter(|&p| p < len).ok_or_else(|| {
            Error::invalid(
                what,
                format!("{index} at entry {entry}"),
                format!("indices from 0 up to, not including, {len}"),
            )
        })?;
        if std::mem::replace(&mut seen[position], true) {
            return Err(Error::invalid(
                what,
                format!("{index} a second time at entry {entry}"),
                "each index once",
            ));
        }
        positions.push(position);
    }
    Ok(positions)
}

/// Checks that every one of `positions` is among `allowed`, the positions that are not held out.
///
/// # Errors
/// [`Error::Invalid`] with the first position that is not.
pub fn check_within(what: &str, positions: &[usize], allowed: &[usize]) -> Result<()> {
    let mut sorted = allowed.to_vec();
    sorted.sort_unstable();
    match positions.iter().find(|position| sorted.binary_search(position).is_err()) {
        None => Ok(()),
        Some(position) => Err(Error::invalid(
            what,
            format!("sample {position}, which is held out for validation"),
            "samples of the training part only",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_lists_keep_their_order() {
        assert_eq!(check_indices("kept.npy", &[4, 0, 2], 5).unwrap(), [4, 0, 2]);
    }

    #[test]
    fn the_first_offence_is_named() {
        for (list, says) in [
            (&[][..], "no index"),
            (&[0, 5, 9], "5 at entry 1"),
            (&[0, -1], "-1 at entry 1"),
            (&[3, 1, 3, 1], "3 a second time at entry 2"),
            (&[i64::MIN], "entry 0"),
            (&[i64::MAX], "entry 0"),
        ] {
            let message = check_indices("kept.npy", list, 5).unwrap_err().to_string();
            assert!(message.contains("kept.npy") && message.contains(says), "{message}");
        }
    }

    #[test]
    fn held_out_samples_are_refused() {
        check_within("kept.npy", &[7, 1], &[1, 3, 7]).unwrap();
        let message = check_within("kept.npy", &[7, 2], &[7, 3, 1]).unwrap_err().to_string();
        assert!(message.contains("sample 2"), "{message}");
    }
}
