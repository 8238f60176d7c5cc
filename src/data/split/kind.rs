//! This file holds the ways to obtain validation images, and reads and writes their names.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Number of folds of `crossfit` when none is given.
pub const DEFAULT_FOLDS: usize = 5;

/// How validation images are obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SplitKind {
    /// The labelled validation part that the data set ships.
    Shipped,
    /// 10 % of each class of the training part, drawn with the seed; at least 50 of a class, but
    /// never more than half of it.
    Holdout,
    /// The first half of each class of the test part (n / 2 rounded down); the other half is the
    /// test part.
    HalfTest,
    /// The training part in stratified folds. Query run r trains on all folds but r and is
    /// evaluated on fold r, and recalls are pooled over the runs, so that nothing is lost for
    /// training.
    Crossfit { folds: usize },
    /// Nothing is held out, and nothing is measured on validation images.
    None,
}

impl fmt::Display for SplitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SplitKind::Shipped => f.write_str("shipped"),
            SplitKind::Holdout => f.write_str("holdout"),
            SplitKind::HalfTest => f.write_str("half-test"),
            SplitKind::Crossfit { folds } => write!(f, "crossfit:{folds}"),
            SplitKind::None => f.write_str("none"),
        }
    }
}

impl FromStr for SplitKind {
    type Err = Error;

    /// Reads `shipped`, `holdout`, `half-test`, `crossfit` (5 folds), `crossfit:R` or `none`.
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "shipped" => return Ok(SplitKind::Shipped),
            "holdout" => return Ok(SplitKind::Holdout),
            "half-test" => return Ok(SplitKind::HalfTest),
            "crossfit" => return Ok(SplitKind::Crossfit { folds: DEFAULT_FOLDS }),
            "none" => return Ok(SplitKind::None),
            _ => {}
        }
        match s.strip_prefix("crossfit:").and_then(|r| r.parse::<usize>().ok()) {
            Some(folds) if folds >= 2 => Ok(SplitKind::Crossfit { folds }),
            _ => Err(Error::invalid(
                "split",
                s,
                "one of holdout, half-test, crossfit, crossfit:R with R >= 2, shipped, none",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for kind in [
            SplitKind::Shipped,
            SplitKind::Holdout,
            SplitKind::HalfTest,
            SplitKind::Crossfit { folds: 7 },
            SplitKind::None,
        ] {
            assert_eq!(kind.to_string().parse::<SplitKind>().unwrap(), kind);
        }
        assert_eq!("crossfit".parse::<SplitKind>().unwrap(), SplitKind::Crossfit { folds: 5 });
        for bad in ["crossfit:1", "crossfit:", "crossfit:x", "half", ""] {
            assert!(bad.parse::<SplitKind>().is_err(), "{bad}");
        }
    }
}
