//! Baselines that change training instead of the subset: their options, and the texts that name
//! them (`cdb-w:dynamic`, `class-balanced:beta=0.999`). Definitions, sources and costs are in
//! `docs/baselines.md`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

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
    /// Keeps the part `keep` of the samples in every epoch: of each class as many as its losses ask for,
    /// drawn in favour of large losses with the temperature `beta` (Hassan et al. 2025). What a class
    /// asks for follows the weights of its last picks, as the authors' code has it, or with `mean_loss`
    /// their mean loss.
    Rcap { keep: f64, beta: f64, mean_loss: bool },
    /// Trains on the largest losses of each batch alone, on fewer as the training accuracy grows
    /// (Kawaguchi and Lu 2020).
    OrderedSgd,
    /// Scales the gradients of micro-batches of `size` samples to the smallest norm among those of the
    /// batch (Wang 2024).
    MicroBatchClipping { size: u32 },
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
    /// Trains a network that is biased on purpose beside the run's, and weighs samples by how much
    /// harder they are for it (Nam et al. 2020). `q` is the exponent of its generalised
    /// cross-entropy, `decay` that of the moving averages of losses.
    Lff { q: f64, decay: f64 },
    /// Trains `epochs` epochs with an auxiliary variable for each sample, times `lambda`, in its
    /// logits, and goes on with the samples that are wrong drawn `mu` times as often as the others
    /// (Li et al. 2023). 0 epochs means a fifth of the run's.
    Bam { lambda: f64, mu: f64, epochs: u32 },
    /// Group weights q_g that grow by exp(eta loss_g) (Sagawa et al. 2020); `balanced` draws samples
    /// with weight 1 / n_g.
    GroupDro { eta: f64, balanced: bool },
    /// Trains the last layer anew on group-balanced held-out samples, averaged over `resamples` of
    /// them (Kirichenko et al. 2023); `c` is the inverse strength of its L1 penalty.
    Dfr { resamples: u32, c: f64 },
}

// Numbers come from `FromStr`, which takes no NaN.
impl Eq for Baseline {}

impl Baseline {
    /// All baselines, as their names alone give them.
    pub const ALL: [Baseline; 14] = [
        Baseline::CdbW { dynamic: false },
        Baseline::ClassBalanced { beta: 0.9999 },
        Baseline::InfoBatch { drop: 0.5, until: 0.875, start: 3.0 },
        Baseline::Rcap { keep: 0.5, beta: 1.0, mean_loss: false },
        Baseline::OrderedSgd,
        Baseline::MicroBatchClipping { size: 16 },
        Baseline::Rho { candidates: 320, keep: 0.1 },
        Baseline::Subg,
        Baseline::Rwg,
        Baseline::Jtt { lambda: 100.0, epochs: 0 },
        Baseline::Lff { q: 0.7, decay: 0.7 },
        Baseline::Bam { lambda: 0.5, mu: 100.0, epochs: 0 },
        Baseline::GroupDro { eta: 0.01, balanced: false },
        Baseline::Dfr { resamples: 10, c: 1.0 },
    ];

    /// Returns the name without options.
    pub fn name(self) -> &'static str {
        match self {
            Baseline::CdbW { .. } => "cdb-w",
            Baseline::ClassBalanced { .. } => "class-balanced",
            Baseline::InfoBatch { .. } => "infobatch",
            Baseline::Rcap { .. } => "rcap",
            Baseline::OrderedSgd => "ordered-sgd",
            Baseline::MicroBatchClipping { .. } => "micro-batch-clipping",
            Baseline::Rho { .. } => "rho",
            Baseline::Subg => "subg",
            Baseline::Rwg => "rwg",
            Baseline::Jtt { .. } => "jtt",
            Baseline::Lff { .. } => "lff",
            Baseline::Bam { .. } => "bam",
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
            Baseline::Rcap { .. } => "RCAP",
            Baseline::OrderedSgd => "Ordered SGD",
            Baseline::MicroBatchClipping { .. } => "Micro-batch clipping",
            Baseline::Rho { .. } => "RHO-loss",
            Baseline::Subg => "SUBG",
            Baseline::Rwg => "RWG",
            Baseline::Jtt { .. } => "JTT",
            Baseline::Lff { .. } => "LfF",
            Baseline::Bam { .. } => "BAM",
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
            "rcap:mean-loss:keep=0.3:beta=2",
            "micro-batch-clipping:size=8",
            "rho:candidates=640:keep=0.05",
            "jtt:lambda=20:epochs=3",
            "lff:q=0.5:decay=0",
            "bam:lambda=50:mu=140:epochs=20",
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
            ("rcap:keep=0", "above 0 and at most 1"),
            ("rcap:beta=0", "0.001 to 1000"),
            ("rcap:mean-loss=1", "mean-loss, keep=NUMBER"),
            ("micro-batch-clipping:size=1", "from 2"),
            ("micro-batch-clipping:size=2.5", "a whole number"),
            ("lff:q=1.1", "above 0 and at most 1"),
            ("lff:decay=1", "0 or more and below 1"),
            ("bam:lambda=-1", "0 to 1000000"),
            ("bam:mu=0", "above 0"),
            ("bam:epochs=0", "from 1"),
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
        for bad in [
            "",
            ":",
            "cdb-w:",
            "class-balanced:beta",
            "class-balanced:=1",
            "CDB-W",
            "subg:x",
            "ordered-sgd:q=3",
        ] {
            assert!(bad.parse::<Baseline>().is_err(), "{bad}");
        }
    }
}
