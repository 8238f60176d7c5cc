//! Baselines that change training instead of the subset: which, with which numbers, and how they are
//! named on the command line (`cdb-w:dynamic`, `class-balanced:beta=0.999`). Definitions, sources
//! and costs: `docs/baselines.md`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::recipe::Recipe;
use crate::error::{Error, Result};

/// A way of training that treats samples unequally.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// Class weights (1 - r_k)^tau of the previous epoch's validation recalls (Sinha et al. 2022).
    /// tau is 1, or with `dynamic` what their spread says.
    CdbW { dynamic: bool },
    /// Class weights (1 - beta) / (1 - beta^n_k) (Cui et al. 2019).
    ClassBalanced { beta: f64 },
}

// Numbers come from `FromStr`, which takes no NaN.
impl Eq for Baseline {}

/// One option of a baseline: its name, its value and the values it may have.
struct Number {
    name: &'static str,
    value: f64,
    default: f64,
    range: (f64, f64),
    /// As messages state the range.
    expected: &'static str,
}

impl Baseline {
    /// All, as their names alone give them.
    pub const ALL: [Baseline; 2] =
        [Baseline::CdbW { dynamic: false }, Baseline::ClassBalanced { beta: 0.9999 }];

    /// The name without options.
    pub fn name(self) -> &'static str {
        match self {
            Baseline::CdbW { .. } => "cdb-w",
            Baseline::ClassBalanced { .. } => "class-balanced",
        }
    }

    /// Whether the text names one, options apart.
    pub fn is_name(text: &str) -> bool {
        let name = text.split(':').next();
        Baseline::ALL.into_iter().any(|b| Some(b.name()) == name)
    }

    /// All names, for messages.
    pub fn names() -> String {
        Baseline::ALL.map(Baseline::name).join(", ")
    }

    /// As in tables, without options.
    fn title(self) -> &'static str {
        match self {
            Baseline::CdbW { .. } => "CDB-W",
            Baseline::ClassBalanced { .. } => "Class-balanced",
        }
    }

    /// As in tables and figures: `CDB-W`, `Class-balanced (beta 0.999)`.
    pub fn label(self) -> String {
        let words = self.options().join(", ").replace('=', " ");
        if words.is_empty() {
            self.title().to_owned()
        } else {
            format!("{} ({words})", self.title())
        }
    }

    /// The words that are on, and those that there are.
    fn words(&mut self) -> Vec<(&'static str, &mut bool)> {
        match self {
            Baseline::CdbW { dynamic } => vec![("dynamic", dynamic)],
            _ => Vec::new(),
        }
    }

    fn numbers(self) -> Vec<Number> {
        match self {
            Baseline::ClassBalanced { beta } => vec![Number {
                name: "beta",
                value: beta,
                default: 0.9999,
                range: (0.0, 1.0 - 1e-12),
                expected: "0 or more and below 1",
            }],
            Baseline::CdbW { .. } => Vec::new(),
        }
    }

    fn set(&mut self, name: &str, number: f64) {
        if let (Baseline::ClassBalanced { beta }, "beta") = (self, name) {
            *beta = number;
        }
    }

    /// Options that differ from their defaults, as they are written.
    fn options(mut self) -> Vec<String> {
        let numbers = self.numbers().into_iter().filter(|n| n.value != n.default);
        let numbers: Vec<String> = numbers.map(|n| format!("{}={}", n.name, n.value)).collect();
        let words = self.words().into_iter().filter(|w| *w.1).map(|w| w.0.to_owned());
        words.chain(numbers).collect()
    }

    /// Whether the method looks at the validation images while it trains.
    pub fn needs_validation(self) -> bool {
        matches!(self, Baseline::CdbW { .. })
    }

    /// Refuses a recipe that says what the method decides.
    pub fn check(self, recipe: &Recipe) -> Result<()> {
        let weighs = matches!(self, Baseline::CdbW { .. } | Baseline::ClassBalanced { .. });
        if weighs && recipe.class_weights.is_some() {
            let found = format!("{self}, which sets the class weights");
            return Err(Error::invalid("--class-weights", found, "one of the two"));
        }
        Ok(())
    }
}

impl FromStr for Baseline {
    type Err = Error;

    /// `NAME[:OPTION]...`, an option being a word or `NAME=NUMBER`.
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
                let parsed = value.parse().ok().filter(|v: &f64| (low..=high).contains(v));
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
        for text in ["cdb-w:dynamic", "class-balanced:beta=0.999", "class-balanced:beta=0"] {
            assert_eq!(text.parse::<Baseline>().unwrap().to_string(), text);
        }
        // A default is not repeated: the same run has one name.
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
        for bad in ["", ":", "cdb-w:", "class-balanced:beta", "class-balanced:=1", "CDB-W"] {
            assert!(bad.parse::<Baseline>().is_err(), "{bad}");
        }
    }
}
