//! Rows and comparisons as tables.

use fairprune::bench::{BenchReport, ComparedRow, MachineFacts, Measurement, Suite, TimedRow};

use crate::cli::output;

/// Where the values of the heading's lines begin.
const INDENT: usize = 10;

/// The rows for people, below what they hold for.
pub fn text(report: &BenchReport, settings: &Measurement) -> String {
    let heading = output::wrap(&heading(&report.machine, settings), INDENT);
    format!("{heading}\n\n{}{}", rows_table(&report.rows), remarks(&report.rows))
}

/// Machine, network and images, a line each.
fn heading(machine: &MachineFacts, settings: &Measurement) -> String {
    let spec = settings.spec();
    let mut lines = vec![format!(
        "machine   {}, {} cores, {} threads, {}, {} GiB",
        machine.cpu, machine.cores, machine.threads, machine.isa, machine.memory_gib
    )];
    if machine.device != "cpu" {
        lines.push(format!("device    {}", machine.device));
    }
    if settings.computes() {
        lines.push(format!(
            "network   {}, width {}, {} stem, {} classes",
            spec.arch, spec.width, spec.stem, spec.classes
        ));
        lines.push(format!(
            "batches   of {} out of {} random images of {side} x {side}, {precision}",
            settings.batch,
            settings.images(),
            side = spec.size[0],
            precision = settings.compute.precision
        ));
    }
    if let (true, Some(folder)) = (settings.times(Suite::Pipeline), &settings.data) {
        lines.push(format!("pipeline  {folder}: {}, batches of {}", spec.arch, settings.batch));
    }
    lines.join("\n")
}

/// The table of the rows.
fn rows_table(rows: &[TimedRow]) -> String {
    let cells = rows.iter().map(|row| {
        let rates = row.images_per_second;
        vec![
            // Marked where it is what is used without being timed.
            if row.planned { format!("{} *", row.name()) } else { row.name() },
            rate(rates.median),
            rate(rates.p10),
            rate(rates.p90),
            row.repeats.to_string(),
            output::bytes(row.peak_bytes),
            row.planned_bytes.map_or("-".to_owned(), output::bytes),
            floor(row),
            row.tile.clone().unwrap_or("-".to_owned()),
        ]
    });
    let headers =
        ["work", "images/s", "p10", "p90", "repeats", "peak memory", "planned", "of floor", "tile"];
    // Operators have no memory of their own, other rows no tile, the CPU no floor.
    let shown: Vec<bool> = (0..headers.len())
        .map(|column| match column {
            5 | 6 => rows.iter().any(|row| row.peak_bytes > 0),
            7 => rows.iter().any(|row| row.fraction_of_floor.is_some()),
            8 => rows.iter().any(|row| row.tile.is_some()),
            _ => true,
        })
        .collect();
    let keep = |cells: Vec<String>| -> Vec<String> {
        cells.into_iter().zip(&shown).filter(|(_, shown)| **shown).map(|(cell, _)| cell).collect()
    };
    let headers: Vec<&str> =
        headers.into_iter().zip(&shown).filter(|(_, shown)| **shown).map(|(h, _)| h).collect();
    output::table(&headers, cells.map(keep).collect(), 1)
}

/// What the table does not say, each after an empty line.
fn remarks(rows: &[TimedRow]) -> String {
    let mut remarks = Vec::new();
    if rows.iter().any(|row| row.planned) {
        remarks.push("*: used without being timed".to_owned());
    }
    if let Some(pinned) = rows.iter().filter_map(|row| row.pinned_bytes).max() {
        let pinned = output::bytes(pinned);
        remarks.push(format!("stream: images on the host, {pinned} of its memory pinned"));
    }
    let clocks =
        rows.iter().rev().find_map(|row| row.clocks.as_ref()?.sm_mhz.zip(row.clocks.as_ref()));
    if let Some((mhz, state)) = clocks {
        let watts = state.watts.map_or(String::new(), |watts| format!(", {watts:.0} W"));
        remarks.push(format!("clocks as found, after the last row: {mhz:.0} MHz{watts}"));
    }
    let median =
        |work: &str| rows.iter().find(|r| r.work == work).map(|r| r.images_per_second.median);
    if let (Some(train), Some(grand)) = (median("train"), median("grand")) {
        remarks.push(format!("GraNd over training: {:.2}", grand / train));
    }
    remarks.iter().map(|remark| format!("\n\n{remark}")).collect()
}

/// `0.58 compute`: the floor over the time, and what bounds it.
fn floor(row: &TimedRow) -> String {
    match (row.fraction_of_floor, &row.limits) {
        (Some(fraction), Some(limits)) => format!("{fraction:.2} {}", limits.bound.name()),
        (Some(fraction), None) => format!("{fraction:.2}"),
        (None, _) => "-".to_owned(),
    }
}

/// Images a second with three significant digits or more.
fn rate(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// The rows of one kind, old and new side by side.
pub fn comparison(rows: &[ComparedRow]) -> String {
    let percent = |v: f64| format!("{:.1} %", 100.0 * v);
    let cells = rows.iter().map(|r| {
        vec![
            r.work.clone(),
            format!("{} ({})", rate(r.old), r.old_runs),
            format!("{} ({})", rate(r.new), r.new_runs),
            format!("{:.3}", r.ratio),
            percent(r.noise),
            percent(r.threshold),
            r.peak_ratio.map_or("-".to_owned(), |v| format!("{v:.2}")),
            r.verdict.label().to_owned(),
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
    use serde_json::json;

    use fairprune::bench::Judgement;

    use super::*;

    const LONG: &str = "Intel(R) Xeon(R) Processor (family 6, model 167, stepping 8) of a vendor who has \
                        a long way with names, andonewordthatisaloneaswideasatableofthisprogramandstillnotover";

    fn fits(text: &str) {
        assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
    }

    /// Whatever processor, card and folder are called.
    #[test]
    fn tables_fit_100_columns() {
        let machine = json!({
            "cpu": LONG, "cores": 2, "threads": 2, "isa": "avx512", "os": LONG, "memory_gib": 16,
            "device": format!("{LONG} (cuda/sm_90a)"), "fingerprint": "", "driver": LONG,
        });
        let row = json!({
            "work": "dgrad+bn 3x3/2 2048>2048 @224 256x256 halo streamed",
            "images_per_second": { "median": 123_456.7, "p10": 98_765.4, "p90": 1_234_567.8 },
            "peak_bytes": 123_456_789, "planned_bytes": 123_456_789, "repeats": 1000,
            "tile": "256x256 halo", "fraction_of_floor": 0.5, "planned": true,
        });
        let report = BenchReport {
            rows: vec![serde_json::from_value(row).unwrap()],
            machine: serde_json::from_value(machine).unwrap(),
            stopped: false,
        };
        let suites = vec![Suite::Train, Suite::Pipeline];
        let data = Some(format!("/{}", LONG.replace(' ', "/")));
        let settings = Measurement { suites, data, ..Measurement::default() };
        let text = text(&report, &settings);
        fits(&text);
        assert!(text.contains("(family 6, model 167, stepping 8)"), "{text}");
        assert!(text.contains("used without being timed"), "{text}");
    }

    #[test]
    fn comparisons_fit_100_columns() {
        let row = ComparedRow {
            work: LONG.to_owned(),
            kind: LONG.to_owned(),
            old: 123_456.0,
            old_runs: 100,
            new: 98_765.0,
            new_runs: 100,
            ratio: 0.8,
            noise: 0.01,
            threshold: 0.05,
            peak_ratio: Some(1.0),
            verdict: Judgement::Regressed,
        };
        let text = comparison(&[row]);
        fits(&text);
        assert!(text.contains("regressed"), "{text}");
    }

    #[test]
    fn rates_keep_three_digits() {
        assert_eq!([1234.56, 76.54, 6.304].map(rate), ["1235", "76.5", "6.30"]);
    }
}
