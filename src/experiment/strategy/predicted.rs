//! The quota `predicted` with its options: `predicted:average-loss=0.02:gain=1.5:pilots=1`.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::prune::{DEFAULT_GAIN, RuleOptions};

/// Most pilots: each is a training of a pruned set.
const MOST_PILOTS: u32 = 8;

/// Class densities of the best predicted worst class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictedQuota {
    /// How much the mean recall may be predicted to fall.
    pub average_loss: f64,
    /// The gain of the prediction; None fits it where there are pilots and takes [`DEFAULT_GAIN`] where
    /// there are none.
    pub gain: Option<f64>,
    /// Trainings of pruned sets that the gain is fitted to and the prediction is corrected by.
    pub pilots: u32,
}

// Numbers come from `FromStr`, which takes no NaN.
impl Eq for PredictedQuota {}

impl Default for PredictedQuota {
    fn default() -> Self {
        let average_loss = RuleOptions::default().average_loss;
        PredictedQuota { average_loss, gain: None, pilots: 0 }
    }
}

impl PredictedQuota {
    /// Its name without options.
    pub const NAME: &'static str = "predicted";

    /// The rule's options; `fitted` is the gain that pilots showed.
    pub fn options(self, fitted: Option<f64>) -> RuleOptions {
        let gain = self.gain.or(fitted).unwrap_or(DEFAULT_GAIN);
        RuleOptions { gain, average_loss: self.average_loss }
    }

    /// As in tables and figures, behind the ranking: `predicted`, and the options that are not
    /// the default.
    pub fn label(self) -> String {
        let name = self.to_string();
        match name.split_once(':') {
            None => "predicted".to_owned(),
            Some((name, options)) => format!("{name} ({})", options.replace(':', ", ")),
        }
    }

    /// Whether `name` means this quota, whatever its options.
    pub fn is_name(name: &str) -> bool {
        name.split(':').next() == Some(Self::NAME)
    }
}

impl FromStr for PredictedQuota {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split(':');
        if parts.next() != Some(Self::NAME) {
            return Err(Error::invalid("quota", text, Self::NAME));
        }
        let mut quota = PredictedQuota::default();
        let mut seen = Vec::new();
        for option in parts {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            if seen.contains(&key) {
                return Err(Error::invalid(text, format!("{key} twice"), "each option once"));
            }
            seen.push(key);
            let wrong = |expected: &str| Error::invalid(format!("{text}, {key}"), value, expected);
            let number = |low: f64, high: f64, expected: &str| {
                let within = |v: &f64| (low..=high).contains(v);
                value.parse().ok().filter(within).ok_or_else(|| wrong(expected))
            };
            match key {
                "average-loss" => quota.average_loss = number(0.0, 1.0, "a number in [0, 1]")?,
                "gain" => quota.gain = Some(number(0.0, 10.0, "a number in [0, 10]")?),
                "pilots" => {
                    let expected = format!("a whole number from 0 to {MOST_PILOTS}");
                    let within = |n: &u32| *n <= MOST_PILOTS;
                    let pilots = value.parse().ok().filter(within);
                    quota.pilots = pilots.ok_or_else(|| wrong(&expected))?;
                }
                _ => {
                    let expected = "average-loss=NUMBER, gain=NUMBER, pilots=N";
                    return Err(Error::invalid(text, format!("option {option:?}"), expected));
                }
            }
        }
        Ok(quota)
    }
}

impl fmt::Display for PredictedQuota {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let default = PredictedQuota::default();
        f.write_str(Self::NAME)?;
        if self.average_loss != default.average_loss {
            write!(f, ":average-loss={}", self.average_loss)?;
        }
        if let Some(gain) = self.gain {
            write!(f, ":gain={gain}")?;
        }
        match self.pilots {
            0 => Ok(()),
            pilots => write!(f, ":pilots={pilots}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_wrong_ones_say_what_was_expected() {
        for name in [
            "predicted",
            "predicted:average-loss=0",
            "predicted:gain=1.5:pilots=2",
            "predicted:average-loss=0.03:gain=2",
        ] {
            assert_eq!(name.parse::<PredictedQuota>().unwrap().to_string(), name);
        }
        let same: PredictedQuota = "predicted:average-loss=.010".parse().unwrap();
        assert_eq!(same, PredictedQuota::default());
        for (bad, word) in [
            ("predicted:gain=x", "[0, 10]"),
            ("predicted:gain=NaN", "[0, 10]"),
            ("predicted:average-loss=1.5", "[0, 1]"),
            ("predicted:pilots=9", "from 0 to 8"),
            ("predicted:pilots=1:pilots=1", "pilots twice"),
            ("predicted:loss=1", "average-loss=NUMBER"),
            ("predicted:", "average-loss=NUMBER"),
        ] {
            let message = bad.parse::<PredictedQuota>().unwrap_err().to_string();
            assert!(message.contains(word), "{bad}: {message}");
        }
    }

    #[test]
    fn a_stated_gain_wins_over_a_fitted_one() {
        let quota = |text: &str| text.parse::<PredictedQuota>().unwrap();
        assert_eq!(quota("predicted").options(None).gain, DEFAULT_GAIN);
        assert_eq!(quota("predicted").options(Some(1.2)).gain, 1.2);
        assert_eq!(quota("predicted:gain=3").options(Some(1.2)).gain, 3.0);
    }
}
