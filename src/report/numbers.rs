//! Writes numbers in the same way everywhere: `.71 [.68, .74]`, `+.05`, `1 min 52 s`, `1.5 GB`.
//!
//! The texts are ASCII; a page may replace the hyphen by a minus sign.

use crate::experiment::comparison::summary::{Spread, Verdict};

/// The text that is shown where there is no value.
pub const MISSING: &str = "-";

/// Writes a share with two digits and no leading zero: `.71`, `1.00`, `-.02`.
pub fn share(x: f64) -> String {
    digits(x, 2)
}

/// Writes a share with `places` digits after the point and no leading zero.
pub fn digits(x: f64, places: usize) -> String {
    if !x.is_finite() {
        return MISSING.to_owned();
    }
    let text = format!("{x:.places$}");
    let (sign, number) = match text.strip_prefix('-') {
        // A negative number that rounds to 0 is not written as "-.00".
        Some(number) if number.bytes().all(|b| b == b'0' || b == b'.') => ("", number),
        Some(number) => ("-", number),
        None => ("", text.as_str()),
    };
    format!("{sign}{}", number.strip_prefix('0').filter(|n| n.starts_with('.')).unwrap_or(number))
}

/// Writes a number as it was given: `0.5`, `5000`, `1e-70`.
pub fn plain(x: f64) -> String {
    let text = x.to_string();
    if text.len() <= 12 { text } else { format!("{x:e}") }
}

/// Writes a probability of any size: `.0485`, `1.2e-13`, `0`.
pub fn risk(x: f64) -> String {
    if x == 0.0 || x >= 1e-4 || !x.is_finite() {
        return if x == 0.0 { "0".to_owned() } else { digits(x, 4) };
    }
    format!("{x:.1e}")
}

/// Writes a position or length of any size: `-.1700`, `1234.5000`, `3.2500e-9`.
pub fn position(x: f64) -> String {
    if x == 0.0 || (1e-3..1e12).contains(&x.abs()) || !x.is_finite() {
        return digits(x, 4);
    }
    format!("{x:.4e}")
}

/// Writes a number as [`digits`] does, with `+` before positive values and zero.
pub fn signed(x: f64, places: usize) -> String {
    let text = digits(x, places);
    if text.starts_with('-') { text } else { format!("+{text}") }
}

/// Writes a range: `[.68, .74]`.
pub fn range(low: f64, high: f64) -> String {
    format!("[{}, {}]", share(low), share(high))
}

/// Writes the mean and range over seeds, `.71 [.68, .74]`; a single value stands alone.
pub fn spread(s: &Spread) -> String {
    if s.n > 1 { format!("{} {}", share(s.mean), range(s.min, s.max)) } else { share(s.mean) }
}

/// Writes the mean and standard deviation, `.71 ± .02`; a single value stands alone.
pub fn mean_sd(mean: f64, sd: Option<f64>) -> String {
    match sd {
        Some(sd) => format!("{} ± {}", share(mean), share(sd)),
        None => share(mean),
    }
}

/// Writes a difference and its interval, `+.05 [-.02, +.11]`, with two digits, or as many more as
/// keep an interval that excludes 0 from seeming to touch it (one more at most where it includes
/// 0).
pub fn difference(mean: f64, interval: Option<[f64; 2]>) -> String {
    let Some([low, high]) = interval else { return signed(mean, 2) };
    let most = if low > 0.0 || high < 0.0 { 5 } else { 3 };
    let shows = |places: &usize| {
        let step = 0.1f64.powi(*places as i32) / 2.0;
        [low, high].iter().all(|x| *x == 0.0 || x.abs() >= step)
    };
    let places = (2..most).find(shows).unwrap_or(most);
    let [m, l, h] = [mean, low, high].map(|x| signed(x, places));
    format!("{m} [{l}, {h}]")
}

/// Writes the line that ends a run: `worst class, MetriQ - Random: +.05 [-.02, +.11] over 4 seeds:
/// not decided`.
pub fn verdict(v: &Verdict, strategy: &str, baseline: &str) -> String {
    let seeds = v.differences.len();
    format!(
        "{}, {strategy} - {baseline}: {} over {seeds} seed{}: {}",
        v.metric.label(),
        difference(v.mean, v.interval),
        if seeds == 1 { "" } else { "s" },
        v.outcome.label()
    )
}

/// Writes a density both ways: `keeps 30 %, prunes 70 %`.
pub fn density(d: f64) -> String {
    format!("keeps {}, prunes {}", percent(d), percent(1.0 - d))
}

/// Writes a percentage: `30 %`, `12.5 %`.
pub fn percent(x: f64) -> String {
    let text = format!("{:.1}", x * 100.0);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// Writes digits in groups of three: `50,000`.
pub fn count(n: u64) -> String {
    let text = n.to_string();
    let mut grouped = String::new();
    for (i, digit) in text.chars().enumerate() {
        if i > 0 && (text.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Writes a duration: `0.4 s`, `52 s`, `1 min 52 s`, `3 h 05 min`.
pub fn seconds(s: f64) -> String {
    if !s.is_finite() || s < 0.0 {
        return MISSING.to_owned();
    }
    let whole = s.round() as u64;
    match whole {
        _ if s < 9.95 => format!("{s:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Writes a size in powers of 1000: `812 B`, `1.5 GB`.
pub fn bytes(n: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = n as f64;
    let mut unit = 0;
    // A value of 999.95 would show as 1000.0.
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 || value >= 99.95 {
        format!("{value:.0} {}", units[unit])
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// Writes samples per second: `1,700/s`, `6.3/s`.
pub fn rate(samples: u64, seconds: f64) -> String {
    let rate = samples as f64 / seconds;
    if !rate.is_finite() {
        return MISSING.to_owned();
    }
    if rate < 99.5 { format!("{rate:.1}/s") } else { format!("{}/s", count(rate.round() as u64)) }
}
