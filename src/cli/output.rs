//! What people see: tables on stdout, messages on stderr.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Serialize;

use super::args::Common;

/// Widest line of a table.
const WIDTH: u16 = 100;

/// Sends the library's log to stderr: warnings, or more with `-v`.
pub fn start_logging(common: &Common) {
    let level = match (common.quiet, common.verbose) {
        (true, _) => tracing::Level::ERROR,
        (_, 0) => tracing::Level::WARN,
        (_, 1) => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(color)
        .without_time()
        .with_target(false)
        // It would tell of a closed stderr on stderr, and panic.
        .log_internal_errors(false)
        .init();
}

/// Prints an error on stderr, with those of its causes that it does not quote itself.
pub fn print_error(error: &anyhow::Error) {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(|c| c.to_string()) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    let _ = writeln!(io::stderr(), "error: {text}");
}

/// The reader of stdout went away (`| head`): not an error.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|e| e.downcast_ref::<io::Error>());
    io.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

/// One line on stderr, unless `--quiet`.
pub fn note(common: &Common, text: impl AsRef<str>) {
    if !common.quiet {
        let _ = writeln!(io::stderr(), "{}", text.as_ref());
    }
}

/// One line on stderr, always.
pub fn warn(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr(), "{}", text.as_ref());
}

/// Text on stdout.
pub fn print(text: impl AsRef<str>) -> Result<()> {
    writeln!(io::stdout(), "{}", text.as_ref())?;
    Ok(())
}

/// What to do next, on stdout, unless `--quiet`.
pub fn hint(common: &Common, text: impl AsRef<str>) -> Result<()> {
    if common.quiet { Ok(()) } else { print(text) }
}

/// One JSON document on stdout.
pub fn print_json(value: &impl Serialize) -> Result<()> {
    print(serde_json::to_string_pretty(value)?)
}

/// A table: headers, rows; columns from `numbers` on are aligned right.
pub fn table(headers: &[&str], rows: Vec<Vec<String>>, numbers: usize) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(headers.to_vec());
    table.add_rows(rows);
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if i + 1 < headers.len() { 2 } else { 0 }));
        if i >= numbers {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|l| l.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// `12.3 MB`, powers of ten.
pub fn bytes(count: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit < units.len() - 1 {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// `1 min 5 s`, `3.2 s`.
pub fn seconds(value: f64) -> String {
    let whole = value.round() as u64;
    match whole {
        0..10 => format!("{value:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_500_000), "1.5 MB");
        assert_eq!(seconds(3.21), "3.2 s");
        assert_eq!(seconds(65.4), "1 min 5 s");
        assert_eq!(seconds(7260.0), "2 h 1 min");
    }

    #[test]
    fn tables_fit_and_align() {
        let text = table(
            &["name", "n"],
            vec![vec!["a".repeat(300), "1".into()], vec!["b".into(), "22".into()]],
            1,
        );
        assert!(text.lines().all(|l| l.chars().count() <= WIDTH as usize), "{text}");
        assert!(text.lines().last().unwrap().ends_with("22"));
    }
}
