//! `fairprune bench compare`: which rows became slower than chance explains.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fairprune::error::Error;
use serde::Serialize;
use serde_json::json;

use super::interleave;
use super::kinds::{Pair, drivers, pairs};
use super::noise::{Sample, difference, median};
use super::results::{FORMAT_VERSION, Row, Run, rate, read};
use super::settings::SuiteArgs;
use crate::cli::args::Common;
use crate::cli::{REGRESSED, output};

#[derive(Args, Debug)]
pub struct CompareArgs {
    /// Results of `bench --json`, one or several runs; with --run a fairprune program
    #[arg(value_name = "OLD")]
    pub old: PathBuf,
    /// What is held against it
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// Loss of speed that is accepted; never less than the measured noise
    #[arg(long, default_value = "5%", value_name = "P%")]
    pub threshold: String,
    /// OLD and NEW are programs: run both in turn with the measurement flags
    #[arg(long)]
    pub run: bool,
    /// Runs of each program
    #[arg(long, default_value_t = 5, value_name = "N", requires = "run")]
    pub repeats: usize,
    /// Also write every run to DIR/old.jsonl and DIR/new.jsonl
    #[arg(long, value_name = "DIR", requires = "run")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub suite: SuiteArgs,
    #[command(flatten)]
    pub common: Common,
}

/// Prints the comparison; [`REGRESSED`] if a row regressed.
pub fn compare(args: &CompareArgs) -> Result<u8> {
    let threshold = parse_threshold(&args.threshold)?;
    let [old, new] = if args.run {
        interleave::run(args)?
    } else {
        if args.suite != SuiteArgs::default() {
            let expected = "--run as well, with two programs; files are already measured";
            return Err(Error::invalid("bench compare", "measurement flags", expected).into());
        }
        [read(&args.old)?, read(&args.new)?]
    };
    let names = [args.old.display().to_string(), args.new.display().to_string()];
    let matched = pairs([&old, &new], &names)?;
    let [before, now] = [&old, &new].map(|runs| drivers(runs).join(" and "));
    if before != now {
        let name = |driver: &str| match driver {
            "" => "an unknown one".to_owned(),
            known => known.to_owned(),
        };
        let [before, now] = [&before, &now].map(|driver| name(driver));
        let note = format!("note: the drivers differ: {before} in OLD, {now} in NEW");
        output::note(&args.common, note);
    }
    let mut compared: Vec<Compared> =
        matched.pairs.iter().map(|pair| Compared::of(pair, threshold)).collect();
    if compared.iter().all(|c| c.rows.is_empty()) {
        let works = |runs: &[Run]| listed(&rows_of(runs.iter().collect::<Vec<_>>().as_slice()));
        let expected = format!("rows of {}: {}", names[0], works(&old));
        return Err(Error::invalid(format!("{}: rows", names[1]), works(&new), expected).into());
    }
    let mut missing = matched.only[0].clone();
    let mut added = matched.only[1].clone();
    for c in &mut compared {
        missing.append(&mut c.only[0]);
        added.append(&mut c.only[1]);
    }
    let rows: Vec<&Verdict> = compared.iter().flat_map(|c| &c.rows).collect();
    let regressed: Vec<&&Verdict> =
        rows.iter().filter(|r| r.verdict == Outcome::Regressed).collect();
    if args.common.json {
        let works: Vec<String> = regressed.iter().map(|r| r.name()).collect();
        output::print_json(&json!({
            "rows": rows,
            "regressed": works,
            "only_old": missing,
            "only_new": added,
            "machine": old[0].settings.get("machine"),
            "format_version": FORMAT_VERSION,
        }))?;
    } else {
        let one = compared.len() == 1;
        for c in compared.iter().filter(|c| !c.rows.is_empty()) {
            let heading = if one { String::new() } else { format!("{}\n", c.kind) };
            output::print(format!("{heading}{}", table(&c.rows)))?;
        }
    }
    for (list, side) in [(&missing, "OLD"), (&added, "NEW")] {
        if !list.is_empty() {
            // Said even with --quiet: nothing may be left out unseen.
            output::warn(format!("only in {side}, not compared: {}", list.join("; ")));
        }
    }
    if !regressed.is_empty() {
        let list: Vec<String> =
            regressed.iter().map(|r| format!("{} ({:.2} of OLD)", r.name(), r.ratio)).collect();
        // The reason for the exit code is said even with --quiet.
        output::warn(format!("regressed: {}", list.join(", ")));
        return Ok(REGRESSED);
    }
    if missing.is_empty() {
        return Ok(0);
    }
    // What is no longer timed cannot be said to be as fast.
    let found = format!("none of {}", listed(&missing));
    let expected = format!("the rows of {}", names[0]);
    Err(Error::invalid(format!("{}: rows", names[1]), found, expected).into())
}

/// The first few of a list, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// `5%` or `0.05`.
fn parse_threshold(text: &str) -> Result<f64, Error> {
    let value = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|p| p / 100.0),
        None => text.parse(),
    };
    match value {
        Ok(v) if (0.0..1.0).contains(&v) => Ok(v),
        _ => Err(Error::invalid("--threshold", text, "0% to 99%, or a fraction below 1")),
    }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Regressed,
    Improved,
    Unchanged,
}

/// One compared row.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Verdict {
    work: String,
    /// What tells its runs from others in the same files.
    #[serde(skip_serializing_if = "String::is_empty")]
    kind: String,
    /// Medians over runs of the runs' medians, images a second, and numbers of runs.
    old: f64,
    old_runs: usize,
    new: f64,
    new_runs: usize,
    /// New over old.
    ratio: f64,
    /// Relative loss that chance explains.
    noise: f64,
    /// The larger of the noise and the given threshold.
    threshold: f64,
    /// New peak memory over old, where both are known. For information.
    peak_ratio: Option<f64>,
    verdict: Outcome,
}

/// The rows of one kind.
struct Compared {
    kind: String,
    rows: Vec<Verdict>,
    /// Rows of one side alone.
    only: [Vec<String>; 2],
}

impl Compared {
    /// Rows are found by their names, in the order in which they first come. A run that was stopped has
    /// fewer; what no run of a side has is named.
    fn of(pair: &Pair, given: f64) -> Compared {
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
        let column = |side: usize, name: &str| -> Vec<Row> {
            let rows = pair.sides[side].iter().flat_map(|run| &run.rows);
            rows.filter(|row| row.name() == name).cloned().collect()
        };
        let both = old.iter().filter(|row| new.contains(row));
        let rows = both.map(|row| Verdict {
            kind: pair.kind.clone(),
            ..verdict(&column(0, row), &column(1, row), given)
        });
        Compared { kind: pair.kind.clone(), rows: rows.collect(), only }
    }
}

/// The names of all rows, in the order in which they first come.
fn rows_of(runs: &[&Run]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for row in runs.iter().flat_map(|run| &run.rows) {
        let name = row.name();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

impl Verdict {
    /// The row, with its kind where there are several.
    fn name(&self) -> String {
        match self.kind.as_str() {
            "" => self.work.clone(),
            kind => format!("{} ({kind})", self.work),
        }
    }
}

fn verdict(old: &[Row], new: &[Row], given: f64) -> Verdict {
    let samples = |rows: &[Row]| -> Vec<Sample> {
        rows.iter().map(|r| Sample { rates: r.images_per_second, repeats: r.repeats }).collect()
    };
    let speed =
        |rows: &[Row]| median(&rows.iter().map(|r| r.images_per_second.median).collect::<Vec<_>>());
    let peak = |rows: &[Row]| median(&rows.iter().map(|r| r.peak_bytes as f64).collect::<Vec<_>>());
    let difference = difference(&samples(old), &samples(new));
    let (ratio, threshold) = (difference.ratio, given.max(difference.noise));
    let verdict = if 1.0 - ratio > threshold {
        Outcome::Regressed
    } else if 1.0 - 1.0 / ratio > threshold {
        Outcome::Improved
    } else {
        Outcome::Unchanged
    };
    let peaks = [peak(old), peak(new)];
    Verdict {
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

fn table(rows: &[Verdict]) -> String {
    let percent = |v: f64| format!("{:.1} %", 100.0 * v);
    let cells = rows.iter().map(|r| {
        let verdict = match r.verdict {
            Outcome::Regressed => "regressed",
            Outcome::Improved => "improved",
            Outcome::Unchanged => "unchanged",
        };
        vec![
            r.work.clone(),
            format!("{} ({})", rate(r.old), r.old_runs),
            format!("{} ({})", rate(r.new), r.new_runs),
            format!("{:.3}", r.ratio),
            percent(r.noise),
            percent(r.threshold),
            r.peak_ratio.map_or("-".to_owned(), |v| format!("{v:.2}")),
            verdict.to_owned(),
        ]
    });
    let headers = [
        "work",
        "old images/s (runs)",
        "new images/s (runs)",
        "new/old",
        "noise",
        "threshold",
        "memory",
        "verdict",
    ];
    output::table(&headers, cells.collect(), 1)
}

#[cfg(test)]
mod tests {
    use super::super::kinds::tests::{names, runs, several};
    use super::*;

    fn verdicts(old: &[Run], new: &[Run], given: f64) -> Vec<Verdict> {
        let matched = pairs([old, new], &names()).unwrap();
        matched.pairs.iter().flat_map(|pair| Compared::of(pair, given).rows).collect()
    }

    fn outcomes(old: &[Run], new: &[Run], given: f64) -> Vec<Outcome> {
        verdicts(old, new, given).iter().map(|v| v.verdict).collect()
    }

    #[test]
    fn a_loss_beyond_threshold_and_noise_is_a_regression() {
        use Outcome::{Improved, Regressed, Unchanged};
        let old = runs("x", &[(100.0, 50.0), (100.5, 50.2), (99.5, 49.8)]);
        let new = runs("x", &[(100.2, 42.0), (99.8, 41.5), (100.0, 41.8)]);
        assert_eq!(outcomes(&old, &new, 0.05), [Unchanged, Regressed]);
        assert_eq!(outcomes(&new, &old, 0.05), [Unchanged, Improved]);
        assert_eq!(outcomes(&old, &new, 0.2), [Unchanged, Unchanged]);
    }

    #[test]
    fn the_threshold_is_never_below_the_noise() {
        let old = runs("x", &[(100.0, 50.0), (130.0, 50.0), (80.0, 50.0)]);
        let new = runs("x", &[(90.0, 50.0), (70.0, 50.0), (115.0, 50.0)]);
        let rows = verdicts(&old, &new, 0.05);
        assert_eq!(rows[0].verdict, Outcome::Unchanged);
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
        let regressed: Vec<String> =
            rows.iter().filter(|r| r.verdict == Outcome::Regressed).map(Verdict::name).collect();
        assert_eq!(regressed, ["grand (precision bf16)"]);
    }

    #[test]
    fn rows_of_one_file_alone_are_named_and_the_rest_is_compared() {
        let old = runs("x", &[(1.0, 1.0)]);
        let mut new = old.clone();
        new[0].rows[1].work = "forward".to_owned();
        let matched = pairs([&old, &new], &names()).unwrap();
        let compared = Compared::of(&matched.pairs[0], 0.05);
        assert_eq!(compared.rows.iter().map(|r| r.work.as_str()).collect::<Vec<_>>(), ["train"]);
        assert_eq!(compared.only, [["grand"], ["forward"]]);
    }

    #[test]
    fn streamed_images_are_never_compared_with_those_on_the_card() {
        let old = runs("x", &[(1.0, 1.0)]);
        let mut new = old.clone();
        new[0].rows[0].images = Some("stream".to_owned());
        let matched = pairs([&old, &new], &names()).unwrap();
        let compared = Compared::of(&matched.pairs[0], 0.05);
        assert_eq!(compared.rows.iter().map(|r| r.work.as_str()).collect::<Vec<_>>(), ["grand"]);
        assert_eq!(compared.only, [["train"], ["train (stream)"]]);
    }

    /// A layer is itself in whatever tile; of `tune` a tile is itself whether it is planned or not.
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

    /// Of three runs, one was stopped before its last row.
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

    #[test]
    fn the_table_is_at_most_100_columns_wide() {
        let (old, new) = (runs("x", &[(123_456.0, 9e6)]), runs("x", &[(98_765.0, 8e6)]));
        let text = table(&verdicts(&old, &new, 0.05));
        assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
        assert!(text.contains("regressed"), "{text}");
    }
}
