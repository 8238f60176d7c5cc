//! The scores: name, definition, direction.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::exec::Mode;
use crate::ops::loss_score::Field;
use crate::prune::Direction;

/// A difficulty score. With p = softmax of the logits, y the label:
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// || p - onehot(y) ||_2 (Paul, Ganguli, Dziugaite 2021).
    El2n,
    /// Norm of the cross-entropy's gradient with respect to all parameters, running batch-norm
    /// statistics (same source).
    Grand,
    /// -sum p ln p.
    Entropy,
    /// Difference of the two largest p; low = hard.
    Margin,
    /// -ln p_y.
    Loss,
}

impl Method {
    /// Every method, in the order of help and tables.
    pub const ALL: [Method; 5] =
        [Method::El2n, Method::Grand, Method::Entropy, Method::Margin, Method::Loss];

    /// As on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Method::El2n => "el2n",
            Method::Grand => "grand",
            Method::Entropy => "entropy",
            Method::Margin => "margin",
            Method::Loss => "loss",
        }
    }

    /// As in tables and figures.
    pub fn label(self) -> &'static str {
        match self {
            Method::El2n => "EL2N",
            Method::Grand => "GraNd",
            Method::Entropy => "Entropy",
            Method::Margin => "Margin",
            Method::Loss => "Loss",
        }
    }

    /// Which variant of a score with several is computed.
    pub fn variant(self) -> &'static str {
        match self {
            Method::El2n => "query model in eval mode, no augmentation, mean over runs",
            Method::Grand => {
                "all parameters, query model in eval mode, no augmentation, mean over runs"
            }
            Method::Entropy | Method::Margin | Method::Loss => {
                "query model in eval mode, no augmentation, mean over runs"
            }
        }
    }

    /// Which end of the ranking is kept first: the hard one.
    pub fn direction(self) -> Direction {
        match self {
            Method::Margin => Direction::KeepLowest,
            _ => Direction::KeepHighest,
        }
    }

    /// The column of the score table that holds it.
    pub fn field(self) -> Field {
        match self {
            Method::El2n => Field::El2n,
            Method::Grand => Field::Grand,
            Method::Entropy => Field::Entropy,
            Method::Margin => Field::Margin,
            Method::Loss => Field::Loss,
        }
    }

    /// The pass that computes it.
    pub fn mode(self) -> Mode {
        match self {
            Method::Grand => Mode::GradNorm,
            _ => Mode::Score,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Method::ALL.into_iter().find(|m| m.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Method::ALL.iter().map(|m| m.name()).collect();
            Error::invalid("score", name, format!("one of {}", known.join(", ")))
        })
    }
}
