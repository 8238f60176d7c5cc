//! The kept choices, `tiles.txt`: of a card, a direction and a problem.

use std::sync::OnceLock;

use super::choice::Product;
use crate::cuda::Cuda;
use crate::error::{Error, Result};
use crate::ops::conv2d::{Choice, Conv2dProblem, Direction, KeptChoice};

const TEXT: &str = include_str!("tiles.txt");

/// A card as the table names it.
pub fn card(cuda: &Cuda) -> String {
    KeptChoice::card(&cuda.properties().card)
}

/// All rows. The file is part of the program, and a test reads it.
fn rows() -> &'static [KeptChoice] {
    static ROWS: OnceLock<Vec<KeptChoice>> = OnceLock::new();
    ROWS.get_or_init(|| read(TEXT).unwrap_or_default())
}

/// The rows of a table; no two of the same card, direction and problem, each of a lawful choice.
fn read(text: &str) -> Result<Vec<KeptChoice>> {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let rows = lines.map(str::parse).collect::<Result<Vec<KeptChoice>>>()?;
    for (i, row) in rows.iter().enumerate() {
        let bad = |expected: &str| Error::invalid("table of tiles", row.to_string(), expected);
        let same = |other: &&KeptChoice| other.is_for(&row.card, row.direction, &row.problem);
        if rows.iter().take(i).any(|other| same(&other)) {
            return Err(bad("one row a card, direction and problem"));
        }
        let product = Product::checked(&row.problem, row.direction);
        if !product.is_some_and(|product| product.lawful(&row.choice)) {
            return Err(bad("a tile and family that the problem can take"));
        }
    }
    Ok(rows)
}

/// What is kept for a problem.
pub fn find(card: &str, direction: Direction, problem: &Conv2dProblem) -> Option<Choice> {
    rows().iter().find(|row| row.is_for(card, direction, problem)).map(|row| row.choice)
}

/// Sixteen digits of a hash over a card's rows that move bits.
pub fn identity(card: &str) -> Option<String> {
    identity_of(rows(), card)
}

fn identity_of(rows: &[KeptChoice], card: &str) -> Option<String> {
    let moves = |row: &&KeptChoice| {
        let product = Product::checked(&row.problem, row.direction);
        row.card == card && product.is_some_and(|product| product.moves_bits(&row.choice))
    };
    let mut lines: Vec<String> = rows.iter().filter(moves).map(KeptChoice::to_string).collect();
    lines.sort();
    let hash = blake3::hash(lines.join("\n").as_bytes()).to_hex();
    (!lines.is_empty()).then(|| hash.chars().take(16).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FPROP: &str = "NVIDIA-H200 fprop 512 32 32 64 64 3 3 1 1 1 1";
    const WGRAD: &str = "NVIDIA-H200 wgrad 512 32 32 64 64 3 3 1 1 1 1";

    #[test]
    fn the_kept_table_is_read() {
        read(TEXT).unwrap();
        assert_eq!(rows().len(), read(TEXT).unwrap().len());
    }

    #[test]
    fn rows_are_found_by_card_direction_and_problem() {
        let rows = read(&format!("# a comment\n\n{FPROP} 128x64 gathered\n")).unwrap();
        let [row] = &rows[..] else { panic!("{rows:?}") };
        assert!(row.is_for("NVIDIA-H200", Direction::Fprop, &row.problem));
        assert!(!row.is_for("NVIDIA-H100", Direction::Fprop, &row.problem));
        assert!(!row.is_for("NVIDIA-H200", Direction::Dgrad, &row.problem));
        assert!(!row.is_for("NVIDIA-H200", Direction::Fprop, &row.problem.with_n(511)));
    }

    #[test]
    fn bad_tables_are_refused() {
        for (bad, expected) in [
            (format!("{FPROP} 128x64 halo\n{FPROP} 128x128 halo"), "one row"),
            (format!("{FPROP} 100x64 halo"), "can take"),
            (format!("{} 128x64 halo", FPROP.replace("3 3 1 1 1 1", "1 1 1 1 0 0")), "can take"),
            (format!("{} 128x64 gathered", FPROP.replace("64 64", "60 64")), "can take"),
            (FPROP.to_owned(), "tile"),
            (format!("{} 128x64 halo", FPROP.replace("fprop", "sideways")), "fprop"),
            (format!("{} 128x64 halo", FPROP.replace("512", "many")), "sizes"),
        ] {
            let message = read(&bad).unwrap_err().to_string();
            assert!(message.contains(expected), "{bad}: {message}");
        }
    }

    #[test]
    fn only_rows_that_move_bits_are_part_of_the_identity() {
        let identity = |text: &str| identity_of(&read(text).unwrap(), "NVIDIA-H200");
        assert_eq!(identity(""), None);
        // The family moves none; the tile's rows move statistics, splits move sums.
        let other = |family| identity(&format!("{FPROP} 256x32 {family}"));
        assert_eq!([other("gathered"), other("halo")], [None, None]);
        let tile = identity(&format!("{FPROP} 128x64 gathered"));
        let splits = identity(&format!("{WGRAD} 128x64 gathered 2"));
        assert!(tile.is_some() && splits.is_some() && tile != splits);
        assert_eq!(tile.map(|t| t.len()), Some(16));
        let other = format!("{WGRAD} 128x64 gathered 2").replace("H200", "H100");
        assert_eq!(identity(&other), None);
    }
}
