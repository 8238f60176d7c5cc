//! Numbers in the names of files that belong together: what is missing among them.
//!
//! `train-00002-of-00005` states how many there are, and `train-000002` follows `train-000001`. A file
//! that is not there would shift the position of every sample after it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::error::{Error, Result};

/// Most files that names may state there are.
const MOST_FILES: u64 = 1_000_000;

/// A name taken apart at its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NumberedName<'a> {
    /// What stands before the number, without the separators at its end.
    pub base: &'a str,
    /// The text before and after the number, and the number of its digits.
    around: (&'a str, &'a str, usize),
    pub number: Option<u64>,
    /// How many files the name says there are.
    pub total: Option<u64>,
}

impl<'a> NumberedName<'a> {
    /// Takes a file's name without its extension apart: at `K-of-N`, else at its last number.
    pub fn of(stem: &'a str) -> NumberedName<'a> {
        Self::with_total(stem).unwrap_or_else(|| {
            let end = stem.rfind(|c: char| c.is_ascii_digit()).map_or(0, |i| i + 1);
            let start = digits_before(stem, end);
            Self::at(stem, start, end, None)
        })
    }

    fn with_total(stem: &'a str) -> Option<NumberedName<'a>> {
        let of = stem.rfind("-of-").or_else(|| stem.rfind("_of_"))?;
        let start = digits_before(stem, of);
        let after = &stem[of + 4..];
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let total: u64 = after[..digits].parse().ok()?;
        (start < of).then(|| Self::at(stem, start, of, Some(total)))
    }

    fn at(stem: &'a str, start: usize, end: usize, total: Option<u64>) -> NumberedName<'a> {
        let separators = |c: char| !c.is_alphanumeric();
        NumberedName {
            base: stem[..start].trim_end_matches(separators),
            around: (&stem[..start], &stem[end..], end - start),
            number: stem[start..end].parse().ok(),
            total,
        }
    }
}

/// Returns where the digits that end at `end` begin.
fn digits_before(text: &str, end: usize) -> usize {
    text[..end].trim_end_matches(|c: char| c.is_ascii_digit()).len()
}

/// Finds the files that are missing among `names`, which are those of one part without their
/// extension, and returns a sentence on each sequence that lacks some; `what` names the place.
///
/// # Errors
/// A number comes twice, is beyond the total that its name states, or names state two totals.
pub(super) fn gaps(what: &str, names: &[&str]) -> Result<Vec<String>> {
    let mut sequences: BTreeMap<(&str, &str), Vec<(&str, NumberedName)>> = BTreeMap::new();
    for name in names {
        let numbered = NumberedName::of(name);
        // Names that state a total may end in a digest of their own.
        let after = if numbered.total.is_some() { "-of-" } else { numbered.around.1 };
        if numbered.number.is_some() {
            sequences.entry((numbered.around.0, after)).or_default().push((*name, numbered));
        }
    }
    let each = sequences.values().map(|sequence| missing(what, sequence));
    Ok(each.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Says what one sequence lacks.
fn missing(what: &str, sequence: &[(&str, NumberedName)]) -> Result<Option<String>> {
    let wrong = |found: String, expected: &str| Err(Error::invalid(what, found, expected));
    let mut by_number = BTreeMap::new();
    for (name, numbered) in sequence {
        match by_number.entry(numbered.number.unwrap_or(0)) {
            Entry::Vacant(place) => drop(place.insert(*name)),
            Entry::Occupied(other) if numbered.total.is_some() => {
                let found = format!("{} and {name}, two files of one number", other.get());
                return wrong(found, "every number once; remove those of an older version");
            }
            // `1.tar` and `01.tar` are two files, and both are read.
            Entry::Occupied(_) => {}
        }
    }
    let (Some((&first, _)), Some((&last, name))) =
        (by_number.first_key_value(), by_number.last_key_value())
    else {
        return Ok(None);
    };
    let total = sequence[0].1.total;
    if let Some((other, _)) = sequence.iter().find(|(_, n)| n.total != total) {
        let found = format!("{} and {other}, which state two totals", sequence[0].0);
        return wrong(found, "the files of one version");
    }
    let wanted = match total {
        None => first..=last,
        Some(n) if n == 0 || last > n || n > MOST_FILES => {
            return wrong(format!("{name}, whose number is beyond its total"), "numbers below it");
        }
        Some(n) if last == n => 1..=n,
        Some(n) => 0..=n - 1,
    };
    let count = wanted.end() - wanted.start() + 1 - by_number.len() as u64;
    if count == 0 {
        return Ok(None);
    }
    // The first few are named; a stamp of time in place of a number may leave billions.
    let absent = wanted.filter(|n| !by_number.contains_key(n)).take(3);
    let (before, after, digits) = sequence[0].1.around;
    let after = if total.is_some() {
        after.split('-').take(3).collect::<Vec<_>>().join("-")
    } else {
        after.to_owned()
    };
    let names: Vec<String> = absent.map(|n| format!("{before}{n:0digits$}{after}")).collect();
    let more = match count - names.len() as u64 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let there = by_number.len();
    let of = total.map_or(String::new(), |n| format!(" of {n}"));
    Ok(Some(format!("{there}{of} files {before}…, without {}{more}", names.join(", "))))
}

/// Turns what is missing below `what` into notes where `allowed`, else into an error.
pub(super) fn missing_or_notes(
    what: &str,
    missing: Vec<String>,
    allowed: bool,
) -> Result<Vec<String>> {
    match missing.first() {
        Some(first) if !allowed => {
            let expected = "every file of a sequence; `allow_missing` reads what is there, and \
                            positions are then those among it";
            Err(Error::invalid(what, first, expected))
        }
        _ => Ok(missing
            .into_iter()
            .map(|text| format!("{what}: {text}; what is there was read"))
            .collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> String {
        gaps("x", names).unwrap().join(" | ")
    }

    #[test]
    fn gaps_are_named_whatever_the_first_number_is() {
        for whole in [
            &["a-0", "a-1", "a-2"][..],
            &["a-7", "a-8"],
            &["9", "10"],
            &["a-00000-of-00002", "a-00001-of-00002"],
            &["a-1-of-2-0123ab", "a-2-of-2-4567cd"],
            &["cat", "dog"],
            &["train-3", "more-5"],
        ] {
            assert_eq!(of(whole), "", "{whole:?}");
        }
        assert_eq!(of(&["a-05", "a-07"]), "2 files a-…, without a-06");
        assert_eq!(of(&["t0-of-3", "t2-of-3"]), "2 of 3 files t…, without t1-of-3");
        assert!(of(&["a-00001-of-00003-0f"]).contains("a-00000-of-00003, a-00002-of-00003"));
        assert!(of(&["2", "4", "20240101"]).ends_with("3, 5, 6 and 20240094 more"));
    }

    #[test]
    fn numbers_that_cannot_be_are_refused() {
        let refused = |names: &[&str], part: &str| {
            let text = gaps("x", names).unwrap_err().to_string();
            assert!(text.contains(part), "{text}");
        };
        refused(&["a-4-of-3"], "beyond its total");
        refused(&["a-0-of-99999999999"], "beyond its total");
        refused(&["a-0-of-2", "a-1-of-3"], "two totals");
        refused(&["a-0-of-1-0f", "a-0-of-1-1e"], "two files of one number");
    }
}
