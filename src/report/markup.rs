//! Text into HTML: escaping, numbers, small elements.

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

/// Text that came from outside, safe as element content and inside a quoted attribute. Control
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

/// A number's text with a real minus sign.
pub(super) fn minus(number: &str) -> String {
    match number {
        numbers::MISSING => "–".to_owned(),
        _ => number.replace('-', "\u{2212}"),
    }
}

/// A name in at most `length` characters, cut with an ellipsis; not yet escaped.
pub(super) fn shorten(name: &str, length: usize) -> String {
    if name.chars().count() <= length {
        return name.to_owned();
    }
    name.chars().take(length.saturating_sub(1)).chain(['…']).collect()
}

/// A phrase about classes, as it reads about groups.
pub(super) fn words(groups: bool, text: &str) -> String {
    if !groups {
        return text.to_owned();
    }
    let pairs =
        [("classes", "groups"), ("Classes", "Groups"), ("class", "group"), ("Class", "Group")];
    pairs.into_iter().fold(text.to_owned(), |text, (a, b)| text.replace(a, b))
}

/// A name from outside, kept apart from the direction of writing around it.
pub(super) fn name(text: &str) -> String {
    format!("<bdi>{}</bdi>", esc(text))
}

/// Mean in bold and the range over seeds.
pub(super) fn spread(s: Option<&Spread>) -> String {
    let Some(s) = s else { return "<span class=\"soft\">–</span>".to_owned() };
    let mean = minus(&numbers::share(s.mean));
    if s.n < 2 {
        return format!("<b>{mean}</b>");
    }
    let range = minus(&numbers::range(s.min, s.max));
    format!("<b>{mean}</b> <span class=\"range\">{range}</span>")
}

/// A figure: caption above (a title, and what it shows), drawing below.
pub(super) fn figure(title: &str, text: &str, drawing: &str) -> String {
    format!(
        "<figure><figcaption><b>{title}</b>{}{text}</figcaption>{drawing}</figure>\n",
        if text.is_empty() { "" } else { " " }
    )
}

/// A table that scrolls inside its frame where it does not fit; `extra` is more classes.
pub(super) fn scrolling(label: &str, extra: &str, table: &str) -> String {
    format!(
        "<div class=\"scroll {extra}\" role=\"region\" aria-label=\"{label}\" tabindex=\"0\">\
         {table}</div>\n"
    )
}
