//! What a user should know about a quota or a subset before training on it.

use std::fmt;

use super::predict::QuotaForecast;

/// Error ratios above this starve the easy classes, which then become the worst.
pub const ERROR_RATIO_LIMIT: f64 = 5.0;

/// A class that keeps fewer samples than this is reported.
pub const FEW_SAMPLES: usize = 50;

/// With fewer validation samples than this, a class of true recall .97 shows 1.00 with probability
/// above .05 (.97^n: .47 at 25, .22 at 50, .05 at 99).
pub const FEW_VALIDATION_SAMPLES: u64 = 100;

/// Classes listed in one message before it says "and n more".
const LISTED: usize = 8;

/// A finding that does not stop the work. Classes are numbers, which [`Warning::describe`] replaces
/// by names.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// The quotas use smoothed recalls, (correct + 1) / (total + 2).
    Smoothed,
    /// Every recall is 1: no class has an error to be proportional to, so the quotas are uniform.
    NoErrors,
    /// max (1 - r) / min (1 - r) exceeds [`ERROR_RATIO_LIMIT`]; infinite where `easiest` has r = 1.
    ErrorRatio {
        /// The ratio, above the limit, possibly infinite.
        ratio: f64,
        /// The class with the largest error.
        hardest: usize,
        /// The class with the smallest error.
        easiest: usize,
    },
    /// Classes of recall 1 whose quota is 0.
    KeepsNothing {
        /// The classes, ascending.
        classes: Vec<usize>,
    },
    /// Classes whose recall is 1 on few validation samples.
    DoubtfulRecall {
        /// Pairs (class, its validation samples), ascending.
        classes: Vec<(usize, u64)>,
    },
    /// The lowest recall is predicted to fall, compared with as many samples without quotas: the 95 %
    /// interval of the change is below 0.
    LowersWorst {
        /// The lowest recall that is predicted without quotas.
        before: f64,
        /// The lowest recall that is predicted under the quotas.
        after: f64,
        /// The class that has it.
        worst: usize,
        /// The class that is answered instead most often, and whether its own samples are most often
        /// taken for `worst`.
        taken_for: Option<(usize, bool)>,
    },
    /// Classes that keep fewer than [`FEW_SAMPLES`] samples.
    FewSamples {
        /// Pairs (class, samples kept), ascending.
        classes: Vec<(usize, usize)>,
    },
}

impl Warning {
    /// Returns the message, with `names[class]` where there is one and the class number elsewhere.
    pub fn describe(&self, names: &[String]) -> String {
        self.describe_over("class", names)
    }

    /// Returns the message about a partition whose parts are called `unit`: `class` or `group`.
    pub fn describe_over(&self, unit: &str, names: &[String]) -> String {
        let units = if unit == "class" { "classes".to_owned() } else { format!("{unit}s") };
        let name = |class: usize| match names.get(class) {
            Some(name) => format!("{name:?}"),
            None => format!("{unit} {class}"),
        };
        match self {
            Warning::Smoothed => {
                "recalls are smoothed, (correct + 1) / (total + 2), before the quotas".to_owned()
            }
            Warning::NoErrors => format!(
                "every recall is 1, so no {unit} has an error to weigh: the quotas are uniform"
            ),
            Warning::ErrorRatio { ratio, hardest, easiest } => {
                let size =
                    if ratio.is_finite() { format!("{ratio:.1}") } else { "infinite".to_owned() };
                format!(
                    "the error ratio is {size} ({} over {}), above {ERROR_RATIO_LIMIT}: easy \
                     {units} may starve and become the worst; a minimum per {unit} prevents it",
                    name(*hardest),
                    name(*easiest)
                )
            }
            Warning::KeepsNothing { classes } => format!(
                "recall 1 leaves no quota, nothing is kept of {}; a minimum per {unit} or \
                 smoothed recalls prevent it",
                list(classes, |&class| name(class))
            ),
            Warning::DoubtfulRecall { classes } => format!(
                "recall 1 on fewer than {FEW_VALIDATION_SAMPLES} validation samples is \
                 unreliable: {}; smoothed recalls help",
                list(classes, |&(class, total)| format!("{} ({total})", name(class)))
            ),
            Warning::LowersWorst { before, after, worst, taken_for } => {
                let why = match taken_for {
                    Some((other, true)) => {
                        format!("{} and {} are taken for each other", name(*worst), name(*other))
                    }
                    Some((other, false)) => {
                        format!("{} is taken for {}", name(*worst), name(*other))
                    }
                    None => name(*worst),
                };
                format!(
                    "these quotas are predicted to lower the worst {unit} from {} to {}: {why}",
                    share(*before),
                    share(*after)
                )
            }
            Warning::FewSamples { classes } => format!(
                "fewer than {FEW_SAMPLES} samples are kept of {}",
                list(classes, |&(class, kept)| format!("{} ({kept})", name(class)))
            ),
        }
    }

    /// Returns the warning about quotas that are predicted to lower the lowest recall, if they are.
    pub fn lowers_worst(forecast: &QuotaForecast) -> Option<Warning> {
        if !forecast.lowers_worst() {
            return None;
        }
        let (_, before) = forecast.equal.worst()?;
        let (worst, after) = forecast.quotas.worst()?;
        let taken_for = forecast.quotas.taken_for(worst).map(|c| {
            let back = forecast.equal.taken_for(c.answer);
            (c.answer, back.is_some_and(|back| back.answer == worst))
        });
        Some(Warning::LowersWorst { before, after, worst, taken_for })
    }

    /// Returns the warning about classes that keep few samples, if there are any. Empty classes, of
    /// which nothing can be kept, do not count.
    pub fn few_samples(counts: &[usize], sizes: &[usize]) -> Option<Warning> {
        let classes: Vec<(usize, usize)> = counts
            .iter()
            .zip(sizes)
            .enumerate()
            .filter(|&(_, (&kept, &size))| size > 0 && kept < FEW_SAMPLES)
            .map(|(class, (&kept, _))| (class, kept))
            .collect();
        (!classes.is_empty()).then_some(Warning::FewSamples { classes })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(&[]))
    }
}

/// A recall as tables show it: .47.
fn share(value: f64) -> String {
    let text = format!("{value:.2}");
    text.strip_prefix('0').map_or(text.clone(), str::to_owned)
}

fn list<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    let shown: Vec<String> = items.iter().take(LISTED).map(text).collect();
    match items.len().saturating_sub(LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_classes_by_name_or_number() {
        let warning = Warning::FewSamples { classes: vec![(0, 3), (2, 49)] };
        assert_eq!(
            warning.to_string(),
            "fewer than 50 samples are kept of class 0 (3), class 2 (49)"
        );
        let names = ["cat".to_owned()];
        assert_eq!(
            warning.describe(&names),
            "fewer than 50 samples are kept of \"cat\" (3), class 2 (49)"
        );
    }

    #[test]
    fn long_lists_are_cut() {
        let text = Warning::KeepsNothing { classes: (0..1000).collect() }.to_string();
        assert!(text.contains("class 7 and 992 more;"), "{text}");
    }

    #[test]
    fn an_infinite_ratio_is_a_word() {
        let warning = |ratio| Warning::ErrorRatio { ratio, hardest: 1, easiest: 0 }.to_string();
        assert!(warning(f64::INFINITY).contains("is infinite (class 1 over class 0), above 5"));
        assert!(warning(6.0).contains("is 6.0 "));
    }

    #[test]
    fn empty_classes_are_not_reported_as_poor() {
        assert_eq!(Warning::few_samples(&[0, 50, 0], &[0, 90, 10]), {
            Some(Warning::FewSamples { classes: vec![(2, 0)] })
        });
        assert_eq!(Warning::few_samples(&[0, 50], &[0, 90]), None);
    }
}
