//! How a convolution in bf16 is computed on tensor cores: what the plan chooses, `bench --suite tune`
//! times and the table of overrides names.

use std::fmt;
use std::str::FromStr;

use super::{Conv2dProblem, Direction};
use crate::error::{Error, Result};

/// How the pixels that a tile needs come to shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Once a tap.
    Gathered,
    /// Once: a range with its halo, of which each tap is a shifted view. 3 x 3, stride 1, padding 1.
    Halo,
}

/// One way to compute one direction of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
    /// Rows and columns of a block's tile of the matrix product.
    pub tile: [usize; 2],
    pub family: Family,
    /// Pieces that wgrad's sum over positions is cut into; 1 elsewhere.
    pub splits: usize,
}

impl fmt::Display for Choice {
    /// `128x64 halo`, `128x64 gathered 4`.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [rows, columns] = self.tile;
        let family = match self.family {
            Family::Gathered => "gathered",
            Family::Halo => "halo",
        };
        write!(f, "{rows}x{columns} {family}")?;
        if self.splits > 1 { write!(f, " {}", self.splits) } else { Ok(()) }
    }
}

impl FromStr for Choice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad =
            || Error::invalid("tile of a convolution", text, "`128x64 halo`, `128x64 gathered 4`");
        let mut words = text.split_whitespace();
        let (rows, columns) = words.next().and_then(|tile| tile.split_once('x')).ok_or_else(bad)?;
        let size = |word: &str| word.parse().ok().filter(|v| *v > 0).ok_or_else(bad);
        let tile = [size(rows)?, size(columns)?];
        let family = match words.next() {
            Some("gathered") => Family::Gathered,
            Some("halo") => Family::Halo,
            _ => return Err(bad()),
        };
        let splits = words.next().map_or(Ok(1), size)?;
        if words.next().is_some() {
            return Err(bad());
        }
        Ok(Choice { tile, family, splits })
    }
}

/// A row of the table of kept choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptChoice {
    /// The card's name, without blanks.
    pub card: String,
    pub direction: Direction,
    pub problem: Conv2dProblem,
    pub choice: Choice,
}

const DIRECTIONS: [(&str, Direction); 4] = [
    ("fprop", Direction::Fprop),
    ("dgrad", Direction::Dgrad),
    ("dgrad+bn", Direction::DgradNorm),
    ("wgrad", Direction::Wgrad),
];

impl KeptChoice {
    /// A card's name as the table has it.
    pub fn card(name: &str) -> String {
        name.split_whitespace().collect::<Vec<_>>().join("-")
    }

    /// Whether the row is for this.
    pub fn is_for(&self, card: &str, direction: Direction, problem: &Conv2dProblem) -> bool {
        (self.card.as_str(), self.direction, &self.problem) == (card, direction, problem)
    }
}

impl fmt::Display for KeptChoice {
    /// `NVIDIA-H200 fprop 512 32 32 64 64 3 3 1 1 1 1 128x64 halo`.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let name = DIRECTIONS.iter().find(|(_, d)| *d == self.direction).map_or("?", |(n, _)| n);
        let Conv2dProblem { n, h, w, c, k, r, s, stride: [sh, sw], pad: [ph, pw] } = self.problem;
        let KeptChoice { card, choice, .. } = self;
        write!(f, "{card} {name} {n} {h} {w} {c} {k} {r} {s} {sh} {sw} {ph} {pw} {choice}")
    }
}

impl FromStr for KeptChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |expected: &str| Error::invalid("row of the table of tiles", text, expected);
        let words: Vec<&str> = text.split_whitespace().collect();
        let [card, direction, rest @ ..] = &words[..] else {
            return Err(bad("a card, a direction, sizes and a tile"));
        };
        let known = DIRECTIONS.iter().find(|(name, _)| name == direction);
        let direction = known.ok_or_else(|| bad("fprop, dgrad, dgrad+bn or wgrad"))?.1;
        let (sizes, choice) = rest.split_at_checked(11).ok_or_else(|| bad("eleven sizes"))?;
        let sizes: Option<Vec<usize>> = sizes.iter().map(|word| word.parse().ok()).collect();
        let Some([n, h, w, c, k, r, s, sh, sw, ph, pw]) = sizes.as_deref() else {
            return Err(bad("eleven sizes: n h w c k r s, stride, padding"));
        };
        let [n, h, w, c, k, r, s] = [n, h, w, c, k, r, s].map(|v| *v);
        let (stride, pad) = ([*sh, *sw], [*ph, *pw]);
        let problem = Conv2dProblem { n, h, w, c, k, r, s, stride, pad };
        let choice = choice.join(" ").parse()?;
        Ok(KeptChoice { card: (*card).to_owned(), direction, problem, choice })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_they_are_written() {
        for (family, splits) in [(Family::Gathered, 1), (Family::Halo, 1), (Family::Gathered, 7)] {
            let choice = Choice { tile: [128, 64], family, splits };
            assert_eq!(choice.to_string().parse::<Choice>().unwrap(), choice);
        }
        for bad in
            ["", "128 halo", "128x halo", "0x64 halo", "128x64", "128x64 im2col", "8x8 halo 0"]
        {
            let message = bad.parse::<Choice>().unwrap_err().to_string();
            assert!(message.contains("128x64 halo"), "{message}");
        }
        assert!("128x64 halo 2 3".parse::<Choice>().is_err());
    }
}
