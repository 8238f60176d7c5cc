//! How a convolution in bf16 is computed on tensor cores: what is chosen for a problem, and what benchmarks
//! and tests may choose instead.

use std::fmt;

use super::problem::{Conv2dDirection, Conv2dProblem};

/// How the pixels that a tile needs come to shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TileFamily {
    /// Once a tap; printed as `gathered`, the name in results of every version.
    PerTap,
    /// Once: a range with its halo, of which each tap is a shifted view. 3 x 3, stride 1, padding 1.
    Halo,
}

/// One way to compute one direction of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TileChoice {
    /// Rows and columns of a block's tile of the matrix product.
    pub tile: [usize; 2],
    pub family: TileFamily,
    /// Pieces that wgrad's sum over positions is cut into; 1 elsewhere.
    pub splits: usize,
}

impl fmt::Display for TileChoice {
    /// `128x64 halo`, `128x64 gathered 4`.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [rows, columns] = self.tile;
        let family = match self.family {
            TileFamily::PerTap => "gathered",
            TileFamily::Halo => "halo",
        };
        write!(f, "{rows}x{columns} {family}")?;
        if self.splits > 1 { write!(f, " {}", self.splits) } else { Ok(()) }
    }
}

/// What benchmarks and tests ask of a backend that computes convolutions on bf16 views in several ways.
/// A direction is fprop, dgrad, wgrad or an instantiated gradient norm; of others there is nothing to choose.
pub trait Tuning {
    /// How a problem is computed; None where there is nothing to choose.
    fn choice(&self, problem: &Conv2dProblem, of: Conv2dDirection) -> Option<TileChoice>;

    /// All ways, each with the splits that suit it.
    fn choices(&self, problem: &Conv2dProblem, of: Conv2dDirection) -> Vec<TileChoice>;

    /// Bytes that the tiles of the way taken copy from L2; None where there is nothing to choose.
    fn copied(&self, problem: &Conv2dProblem, of: Conv2dDirection) -> Option<u64>;

    /// From now on every problem that can be is computed so; as planned again with None. It also decides
    /// how much workspace is needed.
    fn force(&self, choice: Option<TileChoice>);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_named_by_tile_family_and_splits() {
        let choice = TileChoice { tile: [128, 64], family: TileFamily::Halo, splits: 1 };
        assert_eq!(choice.to_string(), "128x64 halo");
        let split = TileChoice { family: TileFamily::PerTap, splits: 7, ..choice };
        assert_eq!(split.to_string(), "128x64 gathered 7");
    }
}
