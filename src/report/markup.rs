//! Makes HTML of text: escaping, numbers, small elements.

use super::numbers;
use crate::experiment::comparison::summary::Spread;

/// Appends formatted text to a `String`, which cannot fail.
macro_rules! push {
    ($out:expr, $($arg:tt)*) => {{
        use std::fmt::Write as _;
        let _ = write!($out, $($arg)*);
    }};
}
pub(super) use push;

/// Makes text that came from outside safe as element content and inside a quoted attribute. Control
/// characters, which no page may hold, become the replacement character.
pub(super) fn esc(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' | '\r' => safe.push(' '),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// Writes a number's text with a real minus sign.
pub(super) fn minus(number: &str) -> String {
    match number {
        numbers::MISSING => "–".to_owned(),
        _ => number.replace('-', "\u{2212}"),
    }
}

/// Shortens a name to at most `length` characters, cut with an ellipsis; it is not yet escaped.
pub(super) fn shorten(name: &str, length: usize) -> String {
    if name.chars().count() <= length {
        return name.to_owned();
    }
    name.chars().take(length.saturating_sub(1)).chain(['…']).collect()
}

/// Turns a phrase about classes into one about groups, where `groups` says so.
pub(super) fn words(groups: bool, text: &str) -> String {
    if !groups {
        return text.to_owned();
    }
    let pairs =
        [("classes", "groups"), ("Classes", "Groups"), ("class", "group"), ("Class", "Group")];
    pairs.into_iter().fold(text.to_owned(), |text, (a, b)| text.replace(a, b))
}

/// Keeps a name from outside apart from the direction of writing around it.
pub(super) fn name(text: &str) -> String {
    format!("<bdi>{}</bdi>", esc(text))
}

/// Writes the mean in bold, and the range over seeds.
pub(super) fn spread(s: Option<&Spread>) -> String {
    let Some(s) = s else { return "<span class=\"soft\">–</span>".to_owned() };
    let mean = minus(&numbers::share(s.mean));
    if s.n < 2 {
        return format!("<b>{mean}</b>");
    }
    let range = minus(&numbers::range(s.min, s.max));
    format!("<b>{mean}</b> <span class=\"range\">{range}</span>")
}

/// Makes a figure with its caption above (a title, and what the figure shows) and the drawing
/// below.
pub(super) fn figure(title: &str, text: &str, drawing: &str) -> String {
    format!(
        "<figure><figcaption><b>{title}</b>{}{text}</figcaption>{drawing}</figure>\n",
        if text.is_empty() { "" } else { " " }
    )
}

/// Makes a table that scrolls inside its frame where it does not fit; `extra` is more style
/// classes.
pub(super) fn scrolling(label: &str, extra: &str, table: &str) -> String {
    format!(
        "<div class=\"scroll {extra}\" role=\"region\" aria-label=\"{label}\" tabindex=\"0\">\
         {table}</div>\n"
    )
}
