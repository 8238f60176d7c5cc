//! What people see: tables on stdout, messages on stderr.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use anyhow::Result;
use clap::Command;
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
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(is_coloured())
        .without_time()
        .with_target(false)
        // It would tell of a closed stderr on stderr, and panic.
        .log_internal_errors(false)
        .init();
}

/// Whether stderr shows colours.
fn is_coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Builds the command line whose flags messages name: given by `main`, since commands use this file.
static COMMAND_LINE: OnceLock<fn() -> Command> = OnceLock::new();

/// Tells which command line the messages are for.
pub fn name_flags_of(command_line: fn() -> Command) {
    COMMAND_LINE.get_or_init(|| command_line);
}

/// The library's text in the words of the command line: `batch` in backticks, if it is a flag's long
/// name, becomes --batch, and so does a field's name with underscores. Other backticks stay.
pub fn worded(text: &str) -> String {
    static FLAGS: OnceLock<BTreeSet<String>> = OnceLock::new();
    if !text.contains('`') {
        return text.to_owned();
    }
    let flags =
        FLAGS.get_or_init(|| COMMAND_LINE.get().map_or_else(BTreeSet::new, |c| flags_of(&c())));
    with_flags(text, flags)
}

/// The long names of all flags of a command and of the commands below it. A switch that is called
/// like a command is left out: messages speak of the command.
fn flags_of(command: &Command) -> BTreeSet<String> {
    fn collect(command: &Command, commands: &[&str], flags: &mut BTreeSet<String>) {
        for flag in command.get_arguments() {
            let named = |name: &str| flag.get_action().takes_values() || !commands.contains(&name);
            flags.extend(flag.get_long().filter(|name| named(name)).map(str::to_owned));
        }
        for below in command.get_subcommands() {
            collect(below, commands, flags);
        }
    }
    let commands: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    let mut flags = BTreeSet::new();
    collect(command, &commands, &mut flags);
    flags
}

/// Replaces every `name` in backticks that is one of the flags.
fn with_flags(text: &str, flags: &BTreeSet<String>) -> String {
    let (mut worded, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('`') {
        worded.push_str(before);
        let quoted = after.split_once('`').map(|(name, then)| (name.replace('_', "-"), then));
        match quoted.filter(|(name, _)| flags.contains(name)) {
            Some((name, then)) => {
                worded.push_str("--");
                worded.push_str(&name);
                rest = then;
            }
            // This backtick may close one before it: only it is passed over.
            None => {
                worded.push('`');
                rest = after;
            }
        }
    }
    worded + rest
}

/// Prints an error on stderr, with those of its causes that it does not quote itself.
pub fn print_error(error: &anyhow::Error) {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(|c| c.to_string()) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    let _ = writeln!(io::stderr(), "error: {}", plain(&worded(&text)));
}

/// Prints clap's refusal of a command line on stderr, or the help that was asked for on stdout. A
/// refused value may quote the library.
pub fn print_usage(error: &clap::Error) {
    let text = error.render();
    // Broken pipes are no concern.
    let _ = match (error.use_stderr(), is_coloured()) {
        (false, _) => error.print(),
        (true, true) => write!(io::stderr(), "{}", worded(&text.ansi().to_string())),
        (true, false) => write!(io::stderr(), "{}", plain(&worded(&text.to_string()))),
    };
}

/// The reader of stdout went away (`| head`): not an error.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|e| e.downcast_ref::<io::Error>());
    io.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

/// One line on stderr, unless `--quiet`.
pub fn note(common: &Common, text: impl AsRef<str>) {
    if !common.quiet {
        warn(text);
    }
}

/// One line on stderr, always.
pub fn warn(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr(), "{}", plain(&worded(text.as_ref())));
}

/// Text on stdout.
pub fn print(text: impl AsRef<str>) -> Result<()> {
    writeln!(io::stdout(), "{}", plain(text.as_ref()))?;
    Ok(())
}

/// The text as a terminal may have it: names from files may hold signs that move its cursor, change its
/// colours, answer in the place of the user or turn the direction of writing. Line feeds and tabs stay.
pub fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.escape_default().to_string())
}

/// Replaces what controls a terminal.
fn escaped(text: &str, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    let controls = |c: char| match c {
        '\n' | '\t' => false,
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => c.is_control(),
    };
    if !text.contains(controls) {
        return Cow::Borrowed(text);
    }
    let each = |c: char| if controls(c) { escape(c) } else { c.to_string() };
    Cow::Owned(text.chars().map(each).collect())
}

/// What to do next, on stdout, unless `--quiet`.
pub fn hint(common: &Common, text: impl AsRef<str>) -> Result<()> {
    if common.quiet { Ok(()) } else { print(text) }
}

/// One JSON document on stdout.
pub fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    // Outside of texts, which have escapes of their own, there are none of these signs but line feeds.
    writeln!(io::stdout(), "{}", escaped(&text, |c| format!("\\u{:04x}", c as u32)))?;
    Ok(())
}

/// A table: headers, rows; columns from `numbers` on are aligned right.
pub fn table(headers: &[&str], rows: Vec<Vec<String>>, numbers: usize) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(headers.to_vec());
    let cell = |text: String| plain(&text).replace(['\n', '\t'], " ");
    table.add_rows(rows.into_iter().map(|row| row.into_iter().map(cell).collect::<Vec<_>>()));
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if i + 1 < headers.len() { 2 } else { 0 }));
        if i >= numbers {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|l| l.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Breaks lines that are wider than a table: at spaces, and inside a word that is wider by itself. What
/// follows a break is indented by `indent` spaces.
pub fn wrap(text: &str, indent: usize) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| wrap_line(line, indent)).collect();
    lines.join("\n")
}

fn wrap_line(line: &str, indent: usize) -> String {
    let (mut lines, mut last) = (Vec::new(), String::new());
    let mut start = 0;
    let mut end_line = |last: &mut String| {
        lines.push(std::mem::replace(last, " ".repeat(indent)).trim_end().to_owned());
    };
    for word in line.split_inclusive(' ') {
        let mut column = last.chars().count();
        let width = word.trim_end().chars().count();
        if column > start && column + width > WIDTH as usize {
            end_line(&mut last);
            (column, start) = (indent, indent);
        }
        for letter in word.chars() {
            if column == WIDTH as usize && letter != ' ' {
                end_line(&mut last);
                (column, start) = (indent, indent);
            }
            last.push(letter);
            column += 1;
        }
    }
    lines.push(last.trim_end().to_owned());
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
    use clap::{Arg, ArgAction};

    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        assert_eq!(plain("cat\u{1b}[2J\u{7}\r\u{9b}x"), "cat\\u{1b}[2J\\u{7}\\r\\u{9b}x");
        assert_eq!(plain("a\u{202e}b"), "a\\u{202e}b");
        assert!(matches!(plain("Zürich 猫\n\tx"), Cow::Borrowed(_)));
        let text = table(&["name", "n"], vec![vec!["\u{1b}[31mred\nx".into(), "1".into()]], 1);
        assert!(text.contains("\\u{1b}[31mred x") && text.lines().count() == 2, "{text}");
        let json = serde_json::to_string(&"\u{9b}\u{1b}").unwrap();
        let json = escaped(&json, |c| format!("\\u{:04x}", c as u32));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), "\u{9b}\u{1b}");
        assert!(json.is_ascii());
    }

    #[test]
    fn sizes_and_times() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_500_000), "1.5 MB");
        assert_eq!(seconds(3.21), "3.2 s");
        assert_eq!(seconds(65.4), "1 min 5 s");
        assert_eq!(seconds(7260.0), "2 h 1 min");
    }

    #[test]
    fn fields_of_the_library_are_flags_of_the_command_line() {
        let switch = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
        let below = Command::new("data").arg(switch("run")).arg(Arg::new("b").long("data"));
        let root = Command::new("x").subcommand(below).subcommand(Command::new("run"));
        let flags = flags_of(&root.arg(Arg::new("c").long("label-smoothing")));
        let worded = |text: &str| with_flags(text, &flags);
        assert_eq!(worded("`label_smoothing`: found 2"), "--label-smoothing: found 2");
        assert_eq!(worded("0 with `label-smoothing`"), "0 with --label-smoothing");
        assert_eq!(worded("a `x` of `data` and `data`"), "a `x` of --data and --data");
        for kept in ["", "`", "a ``data", "`Data`", "`data make`", "`kept.npy` data `run`"] {
            assert_eq!(worded(kept), kept);
        }
    }

    #[test]
    fn long_lines_are_broken_at_spaces_and_where_there_are_none() {
        assert_eq!(wrap("machine   x, 2 cores\n\ny", 10), "machine   x, 2 cores\n\ny");
        let words = "machine   ".to_owned() + &"word ".repeat(40);
        let wrapped = wrap(&words, 10);
        let lines: Vec<&str> = wrapped.lines().collect();
        assert_eq!([lines.len(), lines[0].len(), lines[1].len()], [3, 99, 99]);
        assert!(lines[2].starts_with("          word"), "{wrapped}");
        assert_eq!(
            wrapped.split_whitespace().collect::<Vec<_>>(),
            words.split_whitespace().collect::<Vec<_>>()
        );
        let word = wrap(&"x".repeat(250), 2);
        let lengths: Vec<usize> = word.lines().map(str::len).collect();
        assert_eq!(lengths, [100, 100, 54]);
        assert_eq!(wrap(&("a ".to_owned() + &"x".repeat(99)), 2).lines().count(), 3);
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
