//! How a convolution in bf16 is computed on tensor cores: what is chosen for a problem, and what benchmarks
//! and tests may choose instead.

use std::fmt;
use std::str::FromStr;

use super::problem::{Conv2dDirection, Conv2dProblem};
use crate::error::{Error, Result};

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

impl FromStr for TileChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad =
            || Error::invalid("tile of a convolution", text, "`128x64 halo`, `128x64 gathered 4`");
        let mut words = text.split_whitespace();
        let (rows, columns) = words.next().and_then(|tile| tile.split_once('x')).ok_or_else(bad)?;
        let size = |word: &str| word.parse().ok().filter(|v| *v > 0).ok_or_else(bad);
        let tile = [size(rows)?, size(columns)?];
        let family = match words.next() {
            Some("gathered") => TileFamily::PerTap,
            Some("halo") => TileFamily::Halo,
            _ => return Err(bad()),
        };
        let splits = words.next().map_or(Ok(1), size)?;
        if words.next().is_some() {
            return Err(bad());
        }
        Ok(TileChoice { tile, family, splits })
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
    fn choices_are_read_as_they_are_written() {
        for (family, splits) in
            [(TileFamily::PerTap, 1), (TileFamily::Halo, 1), (TileFamily::PerTap, 7)]
        {
            let choice = TileChoice { tile: [128, 64], family, splits };
            assert_eq!(choice.to_string().parse::<TileChoice>().unwrap(), choice);
        }
        for bad in
            ["", "128 halo", "128x halo", "0x64 halo", "128x64", "128x64 im2col", "8x8 halo 0"]
        {
            let message = bad.parse::<TileChoice>().unwrap_err().to_string();
            assert!(message.contains("128x64 halo"), "{message}");
        }
        assert!("128x64 halo 2 3".parse::<TileChoice>().is_err());
    }
}
