//! Baselines that change training instead of the subset: their options, and the texts that name
//! them (`cdb-w:dynamic`, `class-balanced:beta=0.999`). Definitions, sources and costs are in
//! `docs/baselines.md`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::rules;
use crate::train::recipe::Recipe;
use crate::train::recorder::Recording;
use crate::error::{Error, Result};
use crate::exec::{Mode, batch_sizes};

/// A way of training that treats samples unequally.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// Class weights (1 - r_k)^tau of the previous epoch's validation recalls (Sinha et al. 2022).
    /// tau is 1; with `dynamic` the spread of the recalls decides it.
    CdbW { dynamic: bool },
    /// Class weights (1 - beta) / (1 - beta^n_k) (Cui et al. 2019).
    ClassBalanced { beta: f64 },
    /// Drops samples of low loss at random, and weighs the others of low loss up (Qin et al. 2024).
    /// Its numbers are the probability of a drop, the fraction of the epochs after which dropping
    /// stops, and the loss before the first presentation.
    InfoBatch { drop: f64, until: f64, start: f64 },
    /// Trains on the part `keep` of `candidates` whose loss is furthest above that of a model of
    /// held-out data (Mindermann et al. 2022).
    Rho { candidates: u32, keep: f64 },
    /// Cuts every group to the size of the smallest (Idrissi et al. 2022).
    Subg,
    /// Draws samples with weight 1 / n_g (Idrissi et al. 2022).
    Rwg,
    /// Trains `epochs` epochs, then anew with the samples that are wrong drawn `lambda` times as
    /// often as the others (Liu et al. 2021). 0 epochs means a fifth of the run's.
    Jtt { lambda: f64, epochs: u32 },
    /// Group weights q_g that grow by exp(eta loss_g) (Sagawa et al. 2020); `balanced` draws samples
    /// with weight 1 / n_g.
    GroupDro { eta: f64, balanced: bool },
    /// Trains the last layer anew on group-balanced held-out samples, averaged over `resamples` of
    /// them (Kirichenko et al. 2023); `c` is the inverse strength of its L1 penalty.
    Dfr { resamples: u32, c: f64 },
}

// Numbers come from `FromStr`, which takes no NaN.
impl Eq for Baseline {}

/// One option of a baseline: its name, its value and the values it may have.
struct Number {
    name: &'static str,
    value: f64,
    range: (f64, f64),
    whole: bool,
    /// The range in the words of messages.
    expected: &'static str,
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
    /// All baselines, as their names alone give them.
    pub const ALL: [Baseline; 9] = [
        Baseline::CdbW { dynamic: false },
        Baseline::ClassBalanced { beta: 0.9999 },
        Baseline::InfoBatch { drop: 0.5, until: 0.875, start: 3.0 },
        Baseline::Rho { candidates: 320, keep: 0.1 },
        Baseline::Subg,
        Baseline::Rwg,
        Baseline::Jtt { lambda: 100.0, epochs: 0 },
        Baseline::GroupDro { eta: 0.01, balanced: false },
        Baseline::Dfr { resamples: 10, c: 1.0 },
    ];

    /// Returns the name without options.
    pub fn name(self) -> &'static str {
        match self {
            Baseline::CdbW { .. } => "cdb-w",
            Baseline::ClassBalanced { .. } => "class-balanced",
            Baseline::InfoBatch { .. } => "infobatch",
            Baseline::Rho { .. } => "rho",
            Baseline::Subg => "subg",
            Baseline::Rwg => "rwg",
            Baseline::Jtt { .. } => "jtt",
            Baseline::GroupDro { .. } => "groupdro",
            Baseline::Dfr { .. } => "dfr",
        }
    }

    /// Returns the name in tables, without options.
    fn title(self) -> &'static str {
        match self {
            Baseline::CdbW { .. } => "CDB-W",
            Baseline::ClassBalanced { .. } => "Class-balanced",
            Baseline::InfoBatch { .. } => "InfoBatch",
            Baseline::Rho { .. } => "RHO-loss",
            Baseline::Subg => "SUBG",
            Baseline::Rwg => "RWG",
            Baseline::Jtt { .. } => "JTT",
            Baseline::GroupDro { .. } => "GroupDRO",
            Baseline::Dfr { .. } => "DFR",
        }
    }

    /// Tells whether the text names a baseline, apart from its options.
    pub fn is_name(text: &str) -> bool {
        let name = text.split(':').next();
        Baseline::ALL.into_iter().any(|b| Some(b.name()) == name)
    }

    /// Lists all names, for messages.
    pub fn names() -> String {
        Baseline::ALL.map(Baseline::name).join(", ")
    }

    /// Returns the name in tables and figures: `CDB-W`, `Class-balanced (beta 0.999)`.
    pub fn label(self) -> String {
        let words = self.options().join(", ").replace('=', " ");
        if words.is_empty() {
            self.title().to_owned()
        } else {
            format!("{} ({words})", self.title())
        }
    }

    /// Returns the options that are words.
    fn words(&mut self) -> Vec<(&'static str, &mut bool)> {
        match self {
            Baseline::CdbW { dynamic } => vec![("dynamic", dynamic)],
            Baseline::GroupDro { balanced, .. } => vec![("balanced", balanced)],
            _ => Vec::new(),
        }
    }

    /// Returns the options that are numbers.
    fn numbers(self) -> Vec<Number> {
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
            Baseline::Rho { candidates, keep } => vec![
                whole("candidates", candidates, (2.0, 1e6), "a whole number from 2 to 1000000"),
                real("keep", keep, (OPEN, 1.0), "above 0 and at most 1"),
            ],
            Baseline::Jtt { lambda, epochs } => vec![
                real("lambda", lambda, (OPEN, 1e6), "above 0 and at most 1000000"),
                whole("epochs", epochs, (1.0, 1e6), "a whole number from 1 to 1000000"),
            ],
            Baseline::GroupDro { eta, .. } => {
                vec![real("eta", eta, (OPEN, 10.0), "above 0 and at most 10")]
            }
            Baseline::Dfr { resamples, c } => vec![
                whole("resamples", resamples, (1.0, 1000.0), "a whole number from 1 to 1000"),
                real("c", c, (1e-6, 1e6), "0.000001 to 1000000"),
            ],
            Baseline::CdbW { .. } | Baseline::Subg | Baseline::Rwg => Vec::new(),
        }
    }

    fn set(&mut self, name: &str, number: f64) {
        match (self, name) {
            (Baseline::ClassBalanced { beta }, "beta") => *beta = number,
            (Baseline::InfoBatch { drop, .. }, "drop") => *drop = number,
            (Baseline::InfoBatch { until, .. }, "until") => *until = number,
            (Baseline::InfoBatch { start, .. }, "start") => *start = number,
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
    fn options(mut self) -> Vec<String> {
        let defaults = Baseline::ALL.into_iter().find(|b| b.name() == self.name());
        let defaults = defaults.map_or(Vec::new(), Baseline::numbers);
        let numbers = self.numbers().into_iter().zip(defaults);
        let differing = numbers.filter(|(own, default)| own.value != default.value);
        let numbers: Vec<String> =
            differing.map(|(n, _)| format!("{}={}", n.name, n.value)).collect();
        let words = self.words().into_iter().filter(|w| *w.1).map(|w| w.0.to_owned());
        words.chain(numbers).collect()
    }

    /// Tells whether the baseline needs validation images, to look at them or to train on them.
    pub fn needs_validation(self) -> bool {
        matches!(self, Baseline::CdbW { .. } | Baseline::Rho { .. } | Baseline::Dfr { .. })
    }

    /// Tells whether an epoch may present a sample more than once.
    pub fn draws(self) -> bool {
        let balanced = matches!(self, Baseline::GroupDro { balanced: true, .. });
        balanced || matches!(self, Baseline::Rwg | Baseline::Jtt { .. })
    }

    /// Returns the number of samples that a step of RHO-loss trains on.
    pub fn chosen(self) -> usize {
        match self {
            Baseline::Rho { candidates, keep } => (f64::from(candidates) * keep).round() as usize,
            _ => 0,
        }
    }

    /// Returns the number of steps in an epoch over `samples` in batches of `batch`, with nothing
    /// dropped.
    pub fn epoch_steps(self, batch: usize, samples: usize) -> u64 {
        let sizes = match self {
            Baseline::Rho { candidates, .. } => {
                rules::rho_sizes(samples, candidates as usize, self.chosen())
            }
            _ => batch_sizes(Mode::Train, batch, samples),
        };
        sizes.len() as u64
    }

    /// Returns the number of epochs in JTT's first run.
    pub fn first_epochs(self, epochs: usize) -> usize {
        match self {
            Baseline::Jtt { epochs: own, .. } if own > 0 => own as usize,
            // On Waterbirds this gives the authors' 60 of 300.
            _ => epochs.div_ceil(5),
        }
    }

    /// Refuses to record what has no one value in an epoch: a sample that is drawn twice, and the
    /// divergence from the last presentation where a step in two halves would compare a sample with
    /// itself.
    pub fn check_recording(self, recording: Recording) -> Result<()> {
        if self.draws() {
            let found = format!("{self}, which draws samples more than once an epoch");
            return Err(Error::invalid("`dynamics`", found, "a method that does not"));
        }
        if recording.divergence && matches!(self, Baseline::GroupDro { .. }) {
            let found = format!("all, with {self}");
            return Err(Error::invalid("`dynamics`", found, "`dynamics`=plain"));
        }
        Ok(())
    }

    /// Refuses a recipe that sets what the method decides.
    pub fn check(self, recipe: &Recipe) -> Result<()> {
        let weighs = match self {
            Baseline::CdbW { .. } | Baseline::ClassBalanced { .. } => "sets the class weights",
            Baseline::GroupDro { .. } => "weighs groups",
            _ => return Ok(()),
        };
        if recipe.class_weights.is_some() {
            let found = format!("{self}, which {weighs}");
            return Err(Error::invalid("`class_weights`", found, "one of the two"));
        }
        Ok(())
    }
}

impl FromStr for Baseline {
    type Err = Error;

    /// Reads `NAME[:OPTION]...`, an option being a word or `NAME=NUMBER`.
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let mut baseline =
            Baseline::ALL.into_iter().find(|b| b.name() == name).ok_or_else(|| {
                Error::invalid("baseline", text, format!("one of {}", Baseline::names()))
            })?;
        let mut seen: Vec<&str> = Vec::new();
        for option in parts {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            if seen.contains(&key) {
                return Err(Error::invalid(text, format!("{key} twice"), "each option once"));
            }
            seen.push(key);
            let numbers = baseline.numbers();
            let number = numbers.iter().find(|n| n.name == key && option.contains('='));
            if let Some(number) = number {
                let (low, high) = number.range;
                let fits =
                    |v: &f64| (low..=high).contains(v) && (!number.whole || v.fract() == 0.0);
                let parsed = value.parse().ok().filter(fits);
                let found = || Error::invalid(format!("{text}, {key}"), value, number.expected);
                baseline.set(key, parsed.ok_or_else(found)?);
                continue;
            }
            let mut words = baseline.words();
            if let Some((_, flag)) = words.iter_mut().find(|w| w.0 == option) {
                **flag = true;
                continue;
            }
            let mut known: Vec<String> = words.iter().map(|w| w.0.to_owned()).collect();
            known.extend(numbers.iter().map(|n| format!("{}=NUMBER", n.name)));
            let expected = match known.is_empty() {
                true => format!("no options of {name}"),
                false => known.join(", "),
            };
            return Err(Error::invalid(text, format!("option {option:?}"), expected));
        }
        if matches!(baseline, Baseline::Rho { .. }) && baseline.chosen() < 2 {
            let found = format!("{} of the candidates to train on", baseline.chosen());
            return Err(Error::invalid(text, found, "at least 2: batch norm needs a variance"));
        }
        Ok(baseline)
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())?;
        self.options().iter().try_for_each(|option| write!(f, ":{option}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_options_round_trip() {
        for baseline in Baseline::ALL {
            assert_eq!(baseline.to_string(), baseline.name());
            assert_eq!(baseline.name().parse::<Baseline>().unwrap(), baseline);
        }
        for text in [
            "cdb-w:dynamic",
            "class-balanced:beta=0.999",
            "class-balanced:beta=0",
            "infobatch:drop=0.3:until=1",
            "rho:candidates=640:keep=0.05",
            "jtt:lambda=20:epochs=3",
            "groupdro:balanced:eta=0.1",
            "dfr:resamples=20:c=0.07",
        ] {
            assert_eq!(text.parse::<Baseline>().unwrap().to_string(), text);
        }
        // A default is not repeated, so that the same run has one name.
        let written: Baseline = "class-balanced:beta=.9999".parse().unwrap();
        assert_eq!(written.to_string(), "class-balanced");
        assert_eq!(written.label(), "Class-balanced");
        let dynamic: Baseline = "cdb-w:dynamic".parse().unwrap();
        assert_eq!(dynamic.label(), "CDB-W (dynamic)");
    }

    #[test]
    fn unusable_options_are_refused_by_name() {
        let message = |text: &str| text.parse::<Baseline>().unwrap_err().to_string();
        assert!(message("cdbw").contains("cdb-w, class-balanced"));
        assert!(message("cdb-w:tau=2").contains("expected dynamic"));
        assert!(message("cdb-w:dynamic=1").contains("expected dynamic"));
        assert!(message("cdb-w:dynamic:dynamic").contains("dynamic twice"));
        for bad in ["1", "1.5", "-.1", "nan", "inf", "", "x", "1e400"] {
            let text = message(&format!("class-balanced:beta={bad}"));
            assert!(text.contains("0 or more and below 1"), "{text}");
        }
        for (text, words) in [
            ("infobatch:drop=1", "above 0 and below 1"),
            ("infobatch:drop=0", "above 0 and below 1"),
            ("infobatch:until=1.1", "fraction of the epochs"),
            ("infobatch:start=-1", "a loss"),
            ("rho:candidates=2.5", "a whole number"),
            ("rho:candidates=1", "from 2"),
            ("rho:keep=0", "above 0"),
            ("rho:candidates=10", "at least 2"),
            ("rho:candidates=4294967298", "to 1000000"),
            ("jtt:epochs=0", "from 1"),
            ("jtt:lambda=-1", "above 0"),
            ("groupdro:eta=nan", "above 0"),
            ("groupdro:eta=11", "at most 10"),
            ("dfr:c=0", "0.000001"),
            ("dfr:resamples=0", "from 1"),
        ] {
            assert!(message(text).contains(words), "{}", message(text));
        }
        for bad in
            ["", ":", "cdb-w:", "class-balanced:beta", "class-balanced:=1", "CDB-W", "subg:x"]
        {
            assert!(bad.parse::<Baseline>().is_err(), "{bad}");
        }
    }
}
