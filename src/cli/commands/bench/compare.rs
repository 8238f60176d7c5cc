//! `fairprune bench compare`: which rows became slower than chance explains.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fairprune::error::Error;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::interleave;
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
    check_same([&old, &new], &names)?;
    let rows = verdicts(&old, &new, threshold, &names)?;
    let regressed: Vec<&Verdict> =
        rows.iter().filter(|r| r.verdict == Outcome::Regressed).collect();
    if args.common.json {
        let works: Vec<&str> = regressed.iter().map(|r| r.work.as_str()).collect();
        output::print_json(&json!({
            "rows": rows,
            "regressed": works,
            "machine": old[0].settings.get("machine"),
            "format_version": FORMAT_VERSION,
        }))?;
    } else {
        output::print(table(&rows))?;
    }
    if regressed.is_empty() {
        return Ok(0);
    }
    let list: Vec<String> =
        regressed.iter().map(|r| format!("{} ({:.2} of OLD)", r.work, r.ratio)).collect();
    // The reason for the exit code is said even with --quiet.
    output::warn(format!("regressed: {}", list.join(", ")));
    Ok(REGRESSED)
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

/// Refuses runs of another machine, network, batch, precision or build: all keys but the program's
/// version must be equal.
fn check_same(sides: [&[Run]; 2], names: &[String; 2]) -> Result<(), Error> {
    let reference = &sides[0][0].settings;
    for (runs, name) in sides.iter().zip(names) {
        for run in *runs {
            if let Some((key, [expected, found])) = first_difference("", reference, &run.settings) {
                let expected = format!("{expected}, as in {}", names[0]);
                return Err(Error::invalid(format!("{name}: {key}"), found, expected));
            }
        }
    }
    Ok(())
}

/// The path of the first key whose values differ, and both values.
fn first_difference(
    path: &str,
    a: &Map<String, Value>,
    b: &Map<String, Value>,
) -> Option<(String, [String; 2])> {
    let keys = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)));
    for key in keys {
        let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if name == "version" || name == "format_version" {
            continue;
        }
        match (a.get(key), b.get(key)) {
            (x, y) if x == y => {}
            (Some(Value::Object(x)), Some(Value::Object(y))) => {
                return first_difference(&name, x, y);
            }
            (x, y) => {
                let show = |v: Option<&Value>| v.map_or("nothing".to_owned(), Value::to_string);
                return Some((name, [show(x), show(y)]));
            }
        }
    }
    None
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

fn verdicts(
    old: &[Run],
    new: &[Run],
    given: f64,
    names: &[String; 2],
) -> Result<Vec<Verdict>, Error> {
    let works: Vec<&str> = old[0].rows.iter().map(|r| r.work.as_str()).collect();
    for (runs, name) in [old, new].iter().zip(names) {
        for run in *runs {
            let found: Vec<&str> = run.rows.iter().map(|r| r.work.as_str()).collect();
            if found != works {
                let expected = format!("{}, as in {}", works.join(", "), names[0]);
                return Err(Error::invalid(format!("{name}: rows"), found.join(", "), expected));
            }
        }
    }
    let column = |runs: &[Run], i: usize| runs.iter().map(|r| r.rows[i].clone()).collect();
    Ok((0..works.len()).map(|i| verdict(&column(old, i), &column(new, i), given)).collect())
}

fn verdict(old: &Vec<Row>, new: &Vec<Row>, given: f64) -> Verdict {
    let samples = |rows: &Vec<Row>| -> Vec<Sample> {
        rows.iter().map(|r| Sample { rates: r.images_per_second, repeats: r.repeats }).collect()
    };
    let speed = |rows: &Vec<Row>| {
        median(&rows.iter().map(|r| r.images_per_second.median).collect::<Vec<_>>())
    };
    let peak =
        |rows: &Vec<Row>| median(&rows.iter().map(|r| r.peak_bytes as f64).collect::<Vec<_>>());
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
        work: old[0].work.clone(),
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
    use super::super::results::parse;
    use super::*;

    fn runs(machine: &str, medians: &[(f64, f64)]) -> Vec<Run> {
        let row = |work: &str, m: f64| {
            let rates = json!({ "median": m, "p10": 0.99 * m, "p90": 1.01 * m });
            json!({ "work": work, "images_per_second": rates, "peak_bytes": 1000, "repeats": 50 })
        };
        let run = |&(train, grand): &(f64, f64)| {
            json!({
                "rows": [row("train", train), row("grand", grand)],
                "machine": { "cpu": machine, "threads": 2 },
                "arch": "resnet20", "batch": 128, "precision": "f32", "version": machine,
            })
        };
        let list: Vec<Value> = medians.iter().map(run).collect();
        parse(&json!(list).to_string(), "x").unwrap()
    }

    fn names() -> [String; 2] {
        ["old.json".to_owned(), "new.json".to_owned()]
    }

    fn outcomes(old: &[Run], new: &[Run], given: f64) -> Vec<Outcome> {
        verdicts(old, new, given, &names()).unwrap().iter().map(|v| v.verdict).collect()
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
        let rows = verdicts(&old, &new, 0.05, &names()).unwrap();
        assert_eq!(rows[0].verdict, Outcome::Unchanged);
        assert!(rows[0].noise > 0.2 && rows[0].threshold == rows[0].noise);
        assert!(rows[1].noise < 0.05 && rows[1].threshold == 0.05);
    }

    #[test]
    fn results_of_another_machine_are_refused_by_name() {
        let (a, b) = (runs("x", &[(1.0, 1.0)]), runs("y", &[(1.0, 1.0)]));
        let message = check_same([&a, &b], &names()).unwrap_err().to_string();
        assert!(message.contains("new.json: machine.cpu"), "{message}");
        assert!(message.contains("\"y\"") && message.contains("\"x\""), "{message}");
        let mut c = a.clone();
        c[0].settings.insert("version".to_owned(), json!("other"));
        assert!(check_same([&a, &c], &names()).is_ok());
        c[0].settings.insert("extra".to_owned(), json!(1));
        let message = check_same([&a, &c], &names()).unwrap_err().to_string();
        assert!(message.contains("extra: found 1, expected nothing"), "{message}");
    }

    #[test]
    fn other_rows_are_refused() {
        let old = runs("x", &[(1.0, 1.0)]);
        let mut new = old.clone();
        new[0].rows.pop();
        let message = verdicts(&old, &new, 0.05, &names()).unwrap_err().to_string();
        assert!(message.contains("found train, expected train, grand"), "{message}");
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
        let text = table(&verdicts(&old, &new, 0.05, &names()).unwrap());
        assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
        assert!(text.contains("regressed"), "{text}");
    }
}
