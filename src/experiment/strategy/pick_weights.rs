//! Whose picks are trained with their weights.

use crate::prune::names;

/// Whose picks are trained with their weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PickWeights {
    /// Those of methods whose authors do so: CRAIG and GradMatch.
    #[default]
    Method,
    /// Those of every method that gives some: of facility location, too.
    All,
    /// Nobody's.
    None,
}

names!(
    PickWeights,
    "`pick_weights`",
    "method" => PickWeights::Method,
    "all" => PickWeights::All,
    "none" => PickWeights::None,
);
