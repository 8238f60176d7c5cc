//! The scores: the name, definition and direction of each, and what it is computed from.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

use super::options::{
    CAL_NEIGHBOURS, EL2N_EPOCHS, El2nForm, GrandAt, GrandLayers, Options, SspForm,
};
use crate::artefact::dynamics::Quantity;
use crate::error::{Error, Result};
use crate::exec::Mode;
use crate::ops::loss_score::Field;
use crate::prune::Direction;

/// A score of training samples. In the definitions p is the softmax of the logits z, y the label
/// and h the penultimate features; a presentation is what training saw of a sample in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// || p - onehot(y) ||_2 (Paul, Ganguli, Dziugaite 2021).
    El2n,
    /// Norm of the cross-entropy's gradient with respect to all parameters, running batch-norm
    /// statistics (same source).
    Grand,
    /// -sum p ln p.
    Entropy,
    /// Difference of the two largest p; low = hard.
    Margin,
    /// The largest p; low = hard.
    LeastConfidence,
    /// -ln p_y.
    Loss,
    /// Correct presentations followed by wrong ones (Toneva et al. 2019).
    Forgetting,
    /// Mean over windows of epochs of the deviation of p_y (He et al. 2024).
    DynamicUncertainty,
    /// Mean over presentations of z_y - max_{k != y} z_k (Pleiss et al. 2020); low = hard.
    Aum,
    /// Temporal dual-depth scoring (Zhang et al. 2024).
    Tdds,
    /// Difficulty and uncertainty at the beginning (Cho et al. 2025).
    Dual,
    /// Mean of p_y over DUAL's epochs, by which its Beta sampling goes (same source); low = hard.
    EarlyConfidence,
    /// Mean over presentations of p_y (Swayamdipta et al. 2020); low = hard.
    Confidence,
    /// Deviation over presentations of p_y (same source); high = ambiguous.
    Variability,
    /// Distance of h to its class's mean, or to the nearest prototype (Sorscher et al. 2022).
    Ssp,
    /// Divergence of p from that of the nearest neighbours in h (Margatina et al. 2021).
    Cal,
}

/// Scores of one part, one value for each sample of the whole part; NaN where a sample was not
/// scored.
pub type Scores = Vec<(Method, Vec<f32>)>;

/// What a score is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The logits of a network: the pass that gives them, and the column of its table.
    Pass { mode: Mode, field: Field },
    /// One quantity of every presentation of a run.
    Dynamics(Quantity),
    /// Features of all samples at once: [`super::features::score`].
    Features,
}

/// The run from which a score is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScoreSource {
    /// Query models at the end of short runs.
    Query,
    /// The query models before training.
    Initial,
    /// One run of full length without augmentation, recorded.
    Dynamics,
    /// The first epochs of one run as the final models are trained, recorded.
    Augmented,
}

impl Method {
    /// Every method, in the order of help and tables.
    pub const ALL: [Method; 16] = [
        Method::El2n,
        Method::Grand,
        Method::Entropy,
        Method::Margin,
        Method::LeastConfidence,
        Method::Loss,
        Method::Forgetting,
        Method::DynamicUncertainty,
        Method::Aum,
        Method::Tdds,
        Method::Dual,
        Method::EarlyConfidence,
        Method::Confidence,
        Method::Variability,
        Method::Ssp,
        Method::Cal,
    ];

    /// Returns the name on the command line and in files, the label in tables and figures, and the
    /// end that is kept first, which is the hard one.
    fn facts(self) -> (&'static str, &'static str, Direction) {
        use Direction::{KeepHighest, KeepLowest};
        match self {
            Method::El2n => ("el2n", "EL2N", KeepHighest),
            Method::Grand => ("grand", "GraNd", KeepHighest),
            Method::Entropy => ("entropy", "Entropy", KeepHighest),
            Method::Margin => ("margin", "Margin", KeepLowest),
            Method::LeastConfidence => ("least-confidence", "Least confidence", KeepLowest),
            Method::Loss => ("loss", "Loss", KeepHighest),
            Method::Forgetting => ("forgetting", "Forgetting", KeepHighest),
            Method::DynamicUncertainty => {
                ("dynamic-uncertainty", "Dynamic uncertainty", KeepHighest)
            }
            Method::Aum => ("aum", "AUM", KeepLowest),
            Method::Tdds => ("tdds", "TDDS", KeepHighest),
            Method::Dual => ("dual", "DUAL", KeepHighest),
            Method::EarlyConfidence => ("early-confidence", "Early confidence", KeepLowest),
            Method::Confidence => ("confidence", "Confidence", KeepLowest),
            Method::Variability => ("variability", "Variability", KeepHighest),
            Method::Ssp => ("ssp", "SSP", KeepHighest),
            Method::Cal => ("cal", "CAL", KeepHighest),
        }
    }

    /// Returns the name as it is written by users and in files.
    pub fn name(self) -> &'static str {
        self.facts().0
    }

    /// Returns the label that stands in tables and figures.
    pub fn label(self) -> &'static str {
        self.facts().1
    }

    /// Returns the end of the ranking that is kept first, the hard one.
    pub fn direction(self) -> Direction {
        self.facts().2
    }

    /// Returns the names of all methods, for messages.
    pub fn names() -> String {
        Method::ALL.map(Method::name).join(", ")
    }

    /// Returns what the method's variant is computed from.
    pub fn kind(self, options: &Options) -> Kind {
        let forward = |field| Kind::Pass { mode: Mode::Score, field };
        match self {
            Method::El2n if options.el2n == El2nForm::Sum => Kind::Dynamics(Quantity::El2n),
            Method::El2n => forward(Field::El2n),
            Method::Grand => {
                let mode = match options.grand_layers {
                    GrandLayers::All => Mode::GradNorm,
                    GrandLayers::Last => Mode::LastLayerNorm,
                };
                Kind::Pass { mode, field: Field::Grand }
            }
            Method::Entropy => forward(Field::Entropy),
            Method::Margin => forward(Field::Margin),
            Method::LeastConfidence => forward(Field::TopProbability),
            Method::Loss => forward(Field::Loss),
            Method::Forgetting => Kind::Dynamics(Quantity::Correct),
            Method::DynamicUncertainty
            | Method::Dual
            | Method::EarlyConfidence
            | Method::Confidence
            | Method::Variability => Kind::Dynamics(Quantity::LabelProbability),
            Method::Aum => Kind::Dynamics(Quantity::LogitMargin),
            Method::Tdds => Kind::Dynamics(Quantity::Divergence),
            Method::Ssp | Method::Cal => Kind::Features,
        }
    }

    /// Returns the run from which the method's variant is taken.
    pub fn source(self, options: &Options) -> ScoreSource {
        match (self, self.kind(options)) {
            (Method::El2n, Kind::Dynamics(_)) => ScoreSource::Augmented,
            (_, Kind::Dynamics(_)) => ScoreSource::Dynamics,
            (Method::Grand, _) if options.grand_at == GrandAt::Init => ScoreSource::Initial,
            _ => ScoreSource::Query,
        }
    }

    /// Says in words which variant of the score is computed.
    pub fn variant(self, options: &Options) -> String {
        let of = match self.source(options) {
            ScoreSource::Query if self.kind(options) == Kind::Features => {
                "features of one network in eval mode, no augmentation"
            }
            ScoreSource::Query => "query model in eval mode, no augmentation, mean over runs",
            ScoreSource::Initial => {
                "fresh network in eval mode (running statistics 0 and 1), no augmentation, mean over \
                 initialisations"
            }
            ScoreSource::Dynamics => "train mode, presentations of one run",
            ScoreSource::Augmented => "train mode, sum over epochs 0 to 9 of one run",
        };
        match self {
            Method::Grand if options.grand_layers == GrandLayers::Last => {
                format!("last layer only, weights and biases; {of}")
            }
            Method::Grand => format!("all parameters; {of}"),
            Method::Forgetting => {
                let never = match options.never_learned.name() {
                    "0" => "never learned: 0, as the easiest",
                    "presentations" => "never learned: the number of presentations",
                    _ => "never learned: the number of epochs, as the hardest",
                };
                format!("{of}; {never}")
            }
            Method::DynamicUncertainty => {
                format!("{of}; unbiased deviation, all T - J + 1 windows")
            }
            Method::Dual => format!("{of}; 10 std (1 - mean), all T - J + 1 windows"),
            Method::Tdds => format!("{of}; |p_k (ln p_k - ln p'_k)| summed over classes"),
            Method::Variability => format!("{of}; divided by their number"),
            Method::Ssp if options.ssp == SspForm::Prototypes => {
                format!("{of}; 1 - cos to the nearest centroid of spherical k-means")
            }
            Method::Ssp => format!("{of}; Euclidean distance to the mean of the own class"),
            Method::Cal => {
                format!("{of}; mean symmetric divergence from the predictions of neighbours")
            }
            _ => of.to_owned(),
        }
    }

    /// Returns the numbers of the method's variant.
    pub fn parameters(self, options: &Options) -> Map<String, Value> {
        let pairs = match self {
            Method::El2n if options.el2n == El2nForm::Sum => vec![("epochs", json!(EL2N_EPOCHS))],
            Method::Grand => vec![
                ("layers", json!(options.grand_layers.name())),
                ("at", json!(options.grand_at.name())),
            ],
            Method::Forgetting => vec![("never_learned", json!(options.never_learned.name()))],
            Method::DynamicUncertainty => vec![("window", json!(options.window))],
            Method::Tdds => vec![
                ("trajectory", json!(options.tdds_epochs())),
                ("window", json!(options.window)),
                ("decay", json!(options.decay)),
            ],
            Method::Dual => vec![
                ("trajectory", json!(options.dual_epochs())),
                ("window", json!(options.window)),
            ],
            Method::EarlyConfidence => vec![("trajectory", json!(options.dual_epochs()))],
            Method::Ssp if options.ssp == SspForm::Prototypes => {
                let clusters = options.prototypes.map_or(json!("classes"), |c| json!(c));
                vec![("form", json!(options.ssp.name())), ("prototypes", clusters)]
            }
            Method::Cal => {
                vec![("neighbours", json!(options.cal_neighbours.unwrap_or(CAL_NEIGHBOURS)))]
            }
            _ => Vec::new(),
        };
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// Refuses a run of `epochs` epochs that is too short for the method's variant, and numbers
    /// that suit other scores only, so that the error comes before the run.
    pub fn check(self, options: &Options, epochs: usize) -> Result<()> {
        if self == Method::Tdds && options.window < 3 {
            let expected = "at least 3 for tdds: one divergence is its own mean";
            return Err(Error::invalid("`window`", options.window.to_string(), expected));
        }
        let needed = self.least_epochs(options);
        if needed <= epochs {
            return Ok(());
        }
        let shorter = match self {
            Method::DynamicUncertainty => ", or a shorter `window`",
            Method::Tdds | Method::Dual => ", or a shorter `trajectory` and `window`",
            Method::EarlyConfidence => ", or a shorter `trajectory`",
            _ => "",
        };
        let expected = format!("at least {needed} (`epochs`){shorter}");
        Err(Error::invalid(format!("score {self}"), format!("a run of {epochs} epochs"), expected))
    }

    /// Returns the number of epochs that a run must record for the method.
    pub fn least_epochs(self, options: &Options) -> usize {
        match self {
            Method::El2n if options.el2n == El2nForm::Sum => EL2N_EPOCHS,
            Method::DynamicUncertainty => options.window,
            Method::Tdds => options.tdds_epochs().max(options.window),
            Method::Dual => options.dual_epochs().max(options.window),
            Method::EarlyConfidence => options.dual_epochs(),
            _ => 1,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = || Error::invalid("score", name, format!("one of {}", Method::names()));
        Method::ALL.into_iter().find(|m| m.name() == name).ok_or_else(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse() {
        for method in Method::ALL {
            assert_eq!(method.name().parse::<Method>().unwrap(), method);
        }
        assert!("best".parse::<Method>().unwrap_err().to_string().contains("el2n, grand"));
    }

    /// High values are hard where the definition says so: to keep the confident or the well learned
    /// samples would be the mistake.
    #[test]
    fn directions_keep_the_hard_end() {
        let low = [
            Method::Margin,
            Method::LeastConfidence,
            Method::Aum,
            Method::EarlyConfidence,
            Method::Confidence,
        ];
        for method in Method::ALL {
            assert_eq!(method.direction() == Direction::KeepLowest, low.contains(&method));
        }
    }

    /// The last layer's norm must not be shown as "GraNd".
    #[test]
    fn a_last_layer_norm_says_so() {
        let all = Options::default();
        let last = Options { grand_layers: GrandLayers::Last, ..all };
        assert_eq!(
            Method::Grand.kind(&all),
            Kind::Pass { mode: Mode::GradNorm, field: Field::Grand }
        );
        assert!(Method::Grand.variant(&all).contains("all parameters"));
        assert!(Method::Grand.variant(&last).contains("last layer only"));
        assert_eq!(Method::Grand.parameters(&last)["layers"], "last");
    }
}
