//! Which rows became slower than chance explains.

use serde::Serialize;

use super::kinds::{ComparableRuns, pairs};
use super::noise::{RowOfRun, difference};
use super::results::BenchRun;
use super::rows::TimedRow;
use super::statistics::median;
use crate::error::{Error, Result};

/// What two sets of results say of each other.
pub struct RateComparison {
    /// The kinds that are in both.
    pub kinds: Vec<ComparedKind>,
    /// Kinds and rows that one side alone has, of the old side and of the new.
    pub only: [Vec<String>; 2],
}

impl RateComparison {
    /// Compares results, old and new, which are called `names`. `given` is the relative loss of speed
    /// that is accepted; it is never less than the measured noise.
    ///
    /// # Errors
    /// No kind of runs, or no row, is in both.
    pub fn of(sides: [&[BenchRun]; 2], names: &[String; 2], given: f64) -> Result<RateComparison> {
        let matched = pairs(sides, names)?;
        let mut kinds: Vec<ComparedKind> =
            matched.pairs.iter().map(|pair| ComparedKind::of(pair, given)).collect();
        if kinds.iter().all(|kind| kind.rows.is_empty()) {
            let works = |runs: &[BenchRun]| listed(&rows_of(&runs.iter().collect::<Vec<_>>()));
            let expected = format!("rows of {}: {}", names[0], works(sides[0]));
            return Err(Error::invalid(format!("{}: rows", names[1]), works(sides[1]), expected));
        }
        let mut only = matched.only;
        for kind in &mut kinds {
            for (all, of_kind) in only.iter_mut().zip(&mut kind.only) {
                all.append(of_kind);
            }
        }
        Ok(RateComparison { kinds, only })
    }

    /// The comparison of a program with itself, where every difference is the machine's: nothing is decided.
    pub fn of_one_program(mut self) -> RateComparison {
        for row in self.kinds.iter_mut().flat_map(|kind| &mut kind.rows) {
            row.verdict = Judgement::NotDecided;
        }
        self
    }

    /// The rows of all kinds.
    pub fn rows(&self) -> impl Iterator<Item = &ComparedRow> {
        self.kinds.iter().flat_map(|kind| &kind.rows)
    }

    /// The rows that became slower.
    pub fn regressed(&self) -> Vec<&ComparedRow> {
        self.rows().filter(|row| row.verdict == Judgement::Regressed).collect()
    }

    /// Refuses new results that lack rows of the old: what is no longer timed cannot be said to be as
    /// fast.
    ///
    /// # Errors
    /// What is missing.
    pub fn check_complete(&self, names: &[String; 2]) -> Result<()> {
        if self.only[0].is_empty() {
            return Ok(());
        }
        let found = format!("none of {}", listed(&self.only[0]));
        let expected = format!("the rows of {}", names[0]);
        Err(Error::invalid(format!("{}: rows", names[1]), found, expected))
    }
}

/// The first few of a list, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// An accepted loss of speed, `5%` or `0.05`.
///
/// # Errors
/// Anything but a share below 1.
pub fn parse_threshold(text: &str) -> Result<f64> {
    let value = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|p| p / 100.0),
        None => text.parse(),
    };
    match value {
        Ok(v) if (0.0..1.0).contains(&v) => Ok(v),
        _ => Err(Error::invalid("`threshold`", text, "0% to 99%, or a fraction below 1")),
    }
}

/// What became of a row's speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    Regressed,
    Improved,
    /// Chance alone explains the difference.
    NotDecided,
}

impl Judgement {
    /// As written in a table.
    pub fn label(self) -> &'static str {
        match self {
            Judgement::Regressed => "regressed",
            Judgement::Improved => "improved",
            Judgement::NotDecided => "not decided",
        }
    }
}

/// One compared row, as in the document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedRow {
    pub work: String,
    /// What tells its runs from others in the same files.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Median over the old runs of their medians, images a second.
    pub old: f64,
    pub old_runs: usize,
    /// Median over the new runs of their medians, images a second.
    pub new: f64,
    pub new_runs: usize,
    /// New speed over old.
    pub ratio: f64,
    /// Relative loss that chance explains.
    pub noise: f64,
    /// The larger of the noise and the given threshold.
    pub threshold: f64,
    /// New peak memory over old, where both are known. For information.
    pub peak_ratio: Option<f64>,
    pub verdict: Judgement,
}

/// The rows of one kind of runs.
pub struct ComparedKind {
    /// What tells it from the other kinds of the files.
    pub kind: String,
    pub rows: Vec<ComparedRow>,
    /// Rows of one side alone.
    only: [Vec<String>; 2],
}

impl ComparedKind {
    /// Rows are found by their names, in the order in which they first come. A run that was stopped has
    /// fewer; what no run of a side has is named.
    fn of(pair: &ComparableRuns, given: f64) -> ComparedKind {
        let [old, new] = [0, 1].map(|side| rows_of(&pair.sides[side]));
        let named = |rows: Vec<String>| -> Vec<String> {
            let name = |row: String| match pair.kind.as_str() {
                "" => row,
                kind => format!("{row} ({kind})"),
            };
            rows.into_iter().map(name).collect()
        };
        let without = |rows: &[String], others: &[String]| -> Vec<String> {
            rows.iter().filter(|row| !others.contains(row)).cloned().collect()
        };
        let only = [named(without(&old, &new)), named(without(&new, &old))];
        let column = |side: usize, name: &str| -> Vec<TimedRow> {
            let rows = pair.sides[side].iter().flat_map(|run| &run.rows);
            rows.filter(|row| row.name() == name).cloned().collect()
        };
        let both = old.iter().filter(|row| new.contains(row));
        let rows = both.map(|row| ComparedRow {
            kind: pair.kind.clone(),
            ..verdict(&column(0, row), &column(1, row), given)
        });
        ComparedKind { kind: pair.kind.clone(), rows: rows.collect(), only }
    }
}

/// The names of all rows, in the order in which they first come.
fn rows_of(runs: &[&BenchRun]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for row in runs.iter().flat_map(|run| &run.rows) {
        let name = row.name();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

impl ComparedRow {
    /// The row, with its kind where there are several.
    pub fn name(&self) -> String {
        match self.kind.as_str() {
            "" => self.work.clone(),
            kind => format!("{} ({kind})", self.work),
        }
    }
}

fn verdict(old: &[TimedRow], new: &[TimedRow], given: f64) -> ComparedRow {
    let samples = |rows: &[TimedRow]| -> Vec<RowOfRun> {
        rows.iter().map(|r| RowOfRun { rates: r.images_per_second, repeats: r.repeats }).collect()
    };
    let speed = |rows: &[TimedRow]| {
        median(&rows.iter().map(|r| r.images_per_second.median).collect::<Vec<_>>())
    };
    let peak =
        |rows: &[TimedRow]| median(&rows.iter().map(|r| r.peak_bytes as f64).collect::<Vec<_>>());
    let difference = difference(&samples(old), &samples(new));
    let (ratio, threshold) = (difference.ratio, given.max(difference.noise));
    let verdict = if 1.0 - ratio > threshold {
        Judgement::Regressed
    } else if 1.0 - 1.0 / ratio > threshold {
        Judgement::Improved
    } else {
        Judgement::NotDecided
    };
    let peaks = [peak(old), peak(new)];
    ComparedRow {
        work: old[0].name(),
        kind: String::new(),
        old: speed(old),
        old_runs: old.len(),
        new: speed(new),
        new_runs: new.len(),
        ratio,
        noise: difference.noise,
        threshold,
        peak_ratio: (peaks[0] > 0.0 && peaks[1] > 0.0).then(|| peaks[1] / peaks[0]),
        verdict,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::kinds::tests::{names, runs, several};
    use super::*;

    fn verdicts(old: &[BenchRun], new: &[BenchRun], given: f64) -> Vec<ComparedRow> {
        let matched = pairs([old, new], &names()).unwrap();
        matched.pairs.iter().flat_map(|pair| ComparedKind::of(pair, given).rows).collect()
    }

    fn outcomes(old: &[BenchRun], new: &[BenchRun], given: f64) -> Vec<Judgement> {
        verdicts(old, new, given).iter().map(|v| v.verdict).collect()
    }

    #[test]
    fn a_loss_beyond_threshold_and_noise_is_a_regression() {
        use Judgement::{Improved, NotDecided, Regressed};
        let old = runs("x", &[(100.0, 50.0), (100.5, 50.2), (99.5, 49.8)]);
        let new = runs("x", &[(100.2, 42.0), (99.8, 41.5), (100.0, 41.8)]);
        assert_eq!(outcomes(&old, &new, 0.05), [NotDecided, Regressed]);
        assert_eq!(outcomes(&new, &old, 0.05), [NotDecided, Improved]);
        assert_eq!(outcomes(&old, &new, 0.2), [NotDecided, NotDecided]);
    }

    #[test]
    fn the_threshold_is_never_below_the_noise() {
        let old = runs("x", &[(100.0, 50.0), (130.0, 50.0), (80.0, 50.0)]);
        let new = runs("x", &[(90.0, 50.0), (70.0, 50.0), (115.0, 50.0)]);
        let rows = verdicts(&old, &new, 0.05);
        assert_eq!(rows[0].verdict, Judgement::NotDecided);
        assert!(rows[0].noise > 0.2 && rows[0].threshold == rows[0].noise);
        assert!(rows[1].noise < 0.05 && rows[1].threshold == 0.05);
    }

    #[test]
    fn kinds_in_one_file_are_compared_with_their_own() {
        let (old, mut new) = (several(1.0), several(1.0));
        new.reverse();
        let rows = verdicts(&old, &new, 0.05);
        assert_eq!(rows.len(), 6);
        assert!(rows.iter().all(|r| r.ratio == 1.0), "{rows:?}");
        let kinds: Vec<&str> = rows.iter().step_by(2).map(|r| r.kind.as_str()).collect();
        assert_eq!(kinds, ["precision f32", "precision bf16", "precision bf16, fuse none"]);
        // One of them is slower.
        let slow = &mut new[1].rows[1].images_per_second;
        (slow.median, slow.p10, slow.p90) = (175.0, 174.0, 176.0);
        let rows = verdicts(&old, &new, 0.05);
        let regressed: Vec<String> = rows
            .iter()
            .filter(|r| r.verdict == Judgement::Regressed)
            .map(ComparedRow::name)
            .collect();
        assert_eq!(regressed, ["grand (precision bf16)"]);
    }

    #[test]
    fn rows_of_one_file_alone_are_named_and_the_rest_is_compared() {
        let old = runs("x", &[(1.0, 1.0)]);
        let mut new = old.clone();
        new[0].rows[1].work = "forward".to_owned();
        let matched = pairs([&old, &new], &names()).unwrap();
        let compared = ComparedKind::of(&matched.pairs[0], 0.05);
        assert_eq!(compared.rows.iter().map(|r| r.work.as_str()).collect::<Vec<_>>(), ["train"]);
        assert_eq!(compared.only, [["grand"], ["forward"]]);
    }

    #[test]
    fn streamed_images_are_never_compared_with_those_on_the_card() {
        let old = runs("x", &[(1.0, 1.0)]);
        let mut new = old.clone();
        new[0].rows[0].images = Some("stream".to_owned());
        let matched = pairs([&old, &new], &names()).unwrap();
        let compared = ComparedKind::of(&matched.pairs[0], 0.05);
        assert_eq!(compared.rows.iter().map(|r| r.work.as_str()).collect::<Vec<_>>(), ["grand"]);
        assert_eq!(compared.only, [["train"], ["train (stream)"]]);
    }

    /// A layer is itself in whatever tile; a tile of the suite `tune` is itself whether it is planned or not.
    #[test]
    fn rows_of_operators_are_found_when_the_plan_changes() {
        let of = |tile: &str, planned: bool| {
            let mut run = runs("x", &[(1.0, 1.0)]).remove(0);
            run.rows[0].work = "fprop 3x3 64>64 @32".to_owned();
            run.rows[0].tile = Some(tile.to_owned());
            run.rows[1].work = "fprop 3x3 64>64 @32 128x64 halo".to_owned();
            run.rows[1].planned = planned;
            vec![run]
        };
        let (old, new) = (of("128x64", true), of("256x32 halo", false));
        assert_eq!(verdicts(&old, &new, 0.05).len(), 2);
    }

    /// One of two runs was stopped before its last row.
    #[test]
    fn stopped_runs_count_with_what_they_have() {
        let old = runs("x", &[(1.0, 1.0), (1.0, 1.0)]);
        let mut new = old.clone();
        new[1].rows.pop();
        new[1].settings.insert("stopped".to_owned(), json!(true));
        let rows = verdicts(&old, &new, 0.05);
        assert_eq!([rows[0].new_runs, rows[1].new_runs], [2, 1]);
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..9).map(|i| i.to_string()).collect();
        assert_eq!(listed(&names), "0, 1, 2, 3, 4, 5 and 3 more");
        assert_eq!(listed(&names[..2]), "0, 1");
    }

    #[test]
    fn thresholds_are_percentages_or_fractions() {
        assert_eq!(parse_threshold("5%").unwrap(), 0.05);
        assert_eq!(parse_threshold("7.5 %").unwrap(), 0.075);
        assert_eq!(parse_threshold("0.1").unwrap(), 0.1);
        for bad in ["5", "100%", "-1%", "x", "nan", "%"] {
            assert!(parse_threshold(bad).is_err(), "{bad}");
        }
    }
}
