//! The options of baselines: their names, their ranges, and how they are set and written.

use super::method::Baseline;

/// One option of a baseline: its name, its value and the values it may have.
pub(super) struct Number {
    pub name: &'static str,
    pub value: f64,
    pub range: (f64, f64),
    pub whole: bool,
    /// The range in the words of messages.
    pub expected: &'static str,
}

/// Makes an option that takes any number of the range.
fn real(name: &'static str, value: f64, range: (f64, f64), expected: &'static str) -> Number {
    Number { name, value, range, whole: false, expected }
}

/// Makes an option that takes a whole number of the range.
fn whole(name: &'static str, value: u32, range: (f64, f64), expected: &'static str) -> Number {
    Number { name, value: value.into(), range, whole: true, expected }
}

impl Baseline {
    /// Returns the options that are words.
    pub(super) fn words(&mut self) -> Vec<(&'static str, &mut bool)> {
        match self {
            Baseline::CdbW { dynamic } => vec![("dynamic", dynamic)],
            Baseline::Rcap { mean_loss, .. } => vec![("mean-loss", mean_loss)],
            Baseline::GroupDro { balanced, .. } => vec![("balanced", balanced)],
            _ => Vec::new(),
        }
    }

    /// Returns the options that are numbers.
    pub(super) fn numbers(self) -> Vec<Number> {
        const OPEN: f64 = 1e-12;
        const ABOVE_0_BELOW_1: (f64, f64) = (OPEN, 1.0 - OPEN);
        match self {
            Baseline::ClassBalanced { beta } => {
                vec![real("beta", beta, (0.0, 1.0 - OPEN), "0 or more and below 1")]
            }
            Baseline::InfoBatch { drop, until, start } => vec![
                real("drop", drop, ABOVE_0_BELOW_1, "above 0 and below 1"),
                real("until", until, (0.0, 1.0), "0 to 1, a fraction of the epochs"),
                real("start", start, (0.0, 1e6), "0 to 1000000, a loss"),
            ],
            Baseline::Rcap { keep, beta, .. } => vec![
                real("keep", keep, (OPEN, 1.0), "above 0 and at most 1"),
                real("beta", beta, (1e-3, 1e3), "0.001 to 1000"),
            ],
            Baseline::MicroBatchClipping { size } => {
                vec![whole("size", size, (2.0, 1e6), "a whole number from 2 to 1000000")]
            }
            Baseline::Rho { candidates, keep } => vec![
                whole("candidates", candidates, (2.0, 1e6), "a whole number from 2 to 1000000"),
                real("keep", keep, (OPEN, 1.0), "above 0 and at most 1"),
            ],
            Baseline::Jtt { lambda, epochs } => vec![
                real("lambda", lambda, (OPEN, 1e6), "above 0 and at most 1000000"),
                whole("epochs", epochs, (1.0, 1e6), "a whole number from 1 to 1000000"),
            ],
            Baseline::Lff { q, decay } => vec![
                real("q", q, (OPEN, 1.0), "above 0 and at most 1"),
                real("decay", decay, (0.0, 1.0 - OPEN), "0 or more and below 1"),
            ],
            Baseline::Bam { lambda, mu, epochs } => vec![
                real("lambda", lambda, (0.0, 1e6), "0 to 1000000"),
                real("mu", mu, (OPEN, 1e6), "above 0 and at most 1000000"),
                whole("epochs", epochs, (1.0, 1e6), "a whole number from 1 to 1000000"),
            ],
            Baseline::GroupDro { eta, .. } => {
                vec![real("eta", eta, (OPEN, 10.0), "above 0 and at most 10")]
            }
            Baseline::Dfr { resamples, c } => vec![
                whole("resamples", resamples, (1.0, 1000.0), "a whole number from 1 to 1000"),
                real("c", c, (1e-6, 1e6), "0.000001 to 1000000"),
            ],
            Baseline::CdbW { .. } | Baseline::OrderedSgd | Baseline::Subg | Baseline::Rwg => {
                Vec::new()
            }
        }
    }

    pub(super) fn set(&mut self, name: &str, number: f64) {
        match (self, name) {
            (Baseline::ClassBalanced { beta }, "beta") => *beta = number,
            (Baseline::InfoBatch { drop, .. }, "drop") => *drop = number,
            (Baseline::InfoBatch { until, .. }, "until") => *until = number,
            (Baseline::InfoBatch { start, .. }, "start") => *start = number,
            (Baseline::Rcap { keep, .. }, "keep") => *keep = number,
            (Baseline::Rcap { beta, .. }, "beta") => *beta = number,
            (Baseline::MicroBatchClipping { size }, "size") => *size = number as u32,
            (Baseline::Lff { q, .. }, "q") => *q = number,
            (Baseline::Lff { decay, .. }, "decay") => *decay = number,
            (Baseline::Bam { lambda, .. }, "lambda") => *lambda = number,
            (Baseline::Bam { mu, .. }, "mu") => *mu = number,
            (Baseline::Bam { epochs, .. }, "epochs") => *epochs = number as u32,
            (Baseline::Rho { candidates, .. }, "candidates") => *candidates = number as u32,
            (Baseline::Rho { keep, .. }, "keep") => *keep = number,
            (Baseline::Jtt { lambda, .. }, "lambda") => *lambda = number,
            (Baseline::Jtt { epochs, .. }, "epochs") => *epochs = number as u32,
            (Baseline::GroupDro { eta, .. }, "eta") => *eta = number,
            (Baseline::Dfr { resamples, .. }, "resamples") => *resamples = number as u32,
            (Baseline::Dfr { c, .. }, "c") => *c = number,
            _ => {}
        }
    }

    /// Returns the options that differ from their defaults, as they are written.
    pub(super) fn options(mut self) -> Vec<String> {
        let defaults = Baseline::ALL.into_iter().find(|b| b.name() == self.name());
        let defaults = defaults.map_or(Vec::new(), Baseline::numbers);
        let numbers = self.numbers().into_iter().zip(defaults);
        let differing = numbers.filter(|(own, default)| own.value != default.value);
        let numbers: Vec<String> =
            differing.map(|(n, _)| format!("{}={}", n.name, n.value)).collect();
        let words = self.words().into_iter().filter(|w| *w.1).map(|w| w.0.to_owned());
        words.chain(numbers).collect()
    }
}
