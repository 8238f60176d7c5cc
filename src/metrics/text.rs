//! Metrics in words: two decimals, no leading zero.

use std::fmt;

use super::paired::{PairedDifference, PairedVerdict};

/// Writes a fraction with two decimals and no leading zero: `.55`, `1.00`, `-.30`.
pub fn fraction(value: f64) -> String {
    without_zero(&format!("{:.2}", no_negative_zero(value)))
}

/// Writes a difference with its sign: `+.05`, `-.02`. A difference that rounds to zero keeps its
/// sign, so that an interval with a negative end never looks as if it excluded 0.
pub fn signed(value: f64) -> String {
    without_zero(&format!("{:+.2}", no_negative_zero(value)))
}

fn no_negative_zero(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value }
}

fn without_zero(text: &str) -> String {
    match text.find("0.") {
        Some(at) if !text[..at].ends_with(|c: char| c.is_ascii_digit()) => {
            format!("{}{}", &text[..at], &text[at + 1..])
        }
        _ => text.to_owned(),
    }
}

impl fmt::Display for PairedVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PairedVerdict::Improved => "improved",
            PairedVerdict::Worsened => "worsened",
            PairedVerdict::NotDecided => "not decided",
        })
    }
}

/// Writes the last line of a run: `worst class, MetriQ - Random: +.05 [-.02, +.11] over 4 seeds:
/// not decided`. One seed has no interval, and the brackets are left out.
pub fn verdict_line(
    metric: &str,
    method: &str,
    baseline: &str,
    difference: &PairedDifference,
) -> String {
    let interval = match difference.interval {
        Some((low, high)) => format!(" [{}, {}]", signed(low), signed(high)),
        None => String::new(),
    };
    let seeds = if difference.n == 1 { "seed" } else { "seeds" };
    format!(
        "{metric}, {method} - {baseline}: {}{interval} over {} {seeds}: {}",
        signed(difference.mean),
        difference.n,
        difference.verdict()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_two_decimals_and_no_leading_zero() {
        let cases = [
            (0.05, "+.05", ".05"),
            (-0.02, "-.02", "-.02"),
            (0.0, "+.00", ".00"),
            (-0.0, "+.00", ".00"),
            (-0.001, "-.00", "-.00"),
            (0.999, "+1.00", "1.00"),
            (-1.0, "-1.00", "-1.00"),
            (10.25, "+10.25", "10.25"),
            (20.004, "+20.00", "20.00"),
        ];
        for (value, with_sign, plain) in cases {
            assert_eq!((signed(value).as_str(), fraction(value).as_str()), (with_sign, plain));
        }
    }

    #[test]
    fn verdict_lines() {
        let line = |mean, interval, n| {
            let sd = None;
            let d = PairedDifference { mean, sd, interval, n };
            verdict_line("worst class", "MetriQ", "Random", &d)
        };
        assert_eq!(
            line(0.05, Some((-0.02, 0.11)), 4),
            "worst class, MetriQ - Random: +.05 [-.02, +.11] over 4 seeds: not decided"
        );
        assert_eq!(
            line(0.05, Some((0.012, 0.11)), 8),
            "worst class, MetriQ - Random: +.05 [+.01, +.11] over 8 seeds: improved"
        );
        assert_eq!(
            line(-0.05, Some((-0.11, -0.001)), 4),
            "worst class, MetriQ - Random: -.05 [-.11, -.00] over 4 seeds: worsened"
        );
        assert_eq!(
            line(0.3, None, 1),
            "worst class, MetriQ - Random: +.30 over 1 seed: not decided"
        );
    }
}
