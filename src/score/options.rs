//! The named variants of scores, and their numbers. Published values of one score differ by them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The number of epochs that [`El2nForm::Sum`] sums over.
pub const EL2N_EPOCHS: usize = 10;
/// The usual window J, or K, of windowed scores.
pub const WINDOW: usize = 10;

/// Makes a choice with names for users and for files.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident, $setting:literal: $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Returns the name as it is written by users and in files.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                match text {
                    $($text => Ok($name::$variant),)*
                    _ => Err(Error::invalid($setting, text, [$($text),*].join(" or "))),
                }
            }
        }
    };
}

named! {
    /// The network or run that EL2N is taken of.
    El2nForm, "`el2n`":
    /// Mean over query models at their end, eval mode, no augmentation.
    #[default]
    Mean = "mean",
    /// Sum over epochs 0 to 9 of one augmented run, train mode, at each presentation.
    Sum = "sum",
}

named! {
    /// The parameters by which GraNd differentiates.
    GrandLayers, "`grand_layers`":
    #[default]
    All = "all",
    /// The last layer's weights and biases: ||p - onehot(y)|| sqrt(1 + ||h||^2).
    Last = "last",
}

named! {
    /// When GraNd is taken.
    GrandAt, "`grand_at`":
    #[default]
    End = "end",
    /// Taken of fresh networks. This is a known non-result, because it measures the norm of the
    /// input.
    Init = "init",
}

named! {
    /// The forgetting score of a sample that was never classified correctly.
    NeverLearned, "`never_learned`":
    /// The number of recorded epochs, which no count of forgettings reaches.
    #[default]
    Hardest = "hardest",
    /// No forgetting, as if the sample was the easiest, which is what the released code of MetriQ
    /// does.
    Zero = "0",
    /// The number of its presentations.
    Presentations = "presentations",
}

named! {
    /// What SSP measures the distance to.
    SspForm, "`ssp`":
    /// The mean of the sample's class, Euclidean.
    #[default]
    Labels = "labels",
    /// The nearest of the centroids of k-means, 1 - cos: self-supervised.
    Prototypes = "prototypes",
}

/// The usual number of nearest neighbours of CAL.
pub const CAL_NEIGHBOURS: usize = 10;

/// Everything beside its name that decides a score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// The variant of EL2N.
    pub el2n: El2nForm,
    /// The parameters of GraNd.
    pub grand_layers: GrandLayers,
    /// The state of the network at which GraNd is taken.
    pub grand_at: GrandAt,
    /// The forgetting score of samples that were never learned.
    pub never_learned: NeverLearned,
    /// J of dynamic uncertainty and DUAL, K of TDDS.
    pub window: usize,
    /// T of TDDS and DUAL, counted from the first epoch; `None` means 10 and 30.
    pub trajectory: Option<usize>,
    /// Decay of TDDS.
    pub decay: f64,
    /// The variant of SSP.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ssp: SspForm,
    /// Number of clusters of SSP's prototypes; `None` means as many as classes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prototypes: Option<usize>,
    /// Number of neighbours of CAL; `None` means [`CAL_NEIGHBOURS`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub cal_neighbours: Option<usize>,
}

/// Tells whether a value is the usual one, which is not written, so that results from before an
/// option existed stay valid.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for Options {
    fn default() -> Self {
        Options {
            el2n: El2nForm::Mean,
            grand_layers: GrandLayers::All,
            grand_at: GrandAt::End,
            never_learned: NeverLearned::Hardest,
            window: WINDOW,
            trajectory: None,
            decay: 0.9,
            ssp: SspForm::Labels,
            prototypes: None,
            cal_neighbours: None,
        }
    }
}

impl Options {
    /// Returns T of TDDS.
    pub fn tdds_epochs(&self) -> usize {
        self.trajectory.unwrap_or(10)
    }

    /// Returns T of DUAL.
    pub fn dual_epochs(&self) -> usize {
        self.trajectory.unwrap_or(30)
    }

    /// Checks every number; the messages name the setting.
    pub fn check(&self) -> Result<()> {
        if self.window < 2 {
            let expected = "at least 2: one value has no deviation";
            return Err(Error::invalid("`window`", self.window.to_string(), expected));
        }
        if let Some(epochs) = self.trajectory.filter(|&t| t < self.window) {
            let expected = format!("at least {}, the window (`window`)", self.window);
            return Err(Error::invalid("`trajectory`", epochs.to_string(), expected));
        }
        for (setting, value) in
            [("`prototypes`", self.prototypes), ("`cal_neighbours`", self.cal_neighbours)]
        {
            if value == Some(0) {
                return Err(Error::invalid(setting, "0", "at least 1"));
            }
        }
        if !(self.decay > 0.0 && self.decay <= 1.0) {
            return Err(Error::invalid("`decay`", self.decay.to_string(), "above 0 and at most 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        assert_eq!("0".parse::<NeverLearned>().unwrap(), NeverLearned::Zero);
        assert_eq!("sum".parse::<El2nForm>().unwrap().to_string(), "sum");
        assert_eq!("last".parse::<GrandLayers>().unwrap().to_string(), "last");
        assert_eq!("init".parse::<GrandAt>().unwrap().to_string(), "init");
        let message = "easiest".parse::<NeverLearned>().unwrap_err().to_string();
        assert!(message.contains("`never_learned`") && message.contains("presentations"));
    }

    #[test]
    fn unusable_numbers_name_their_setting() {
        Options::default().check().unwrap();
        let good = Options::default();
        for (options, setting) in [
            (Options { window: 1, ..good }, "`window`"),
            (Options { trajectory: Some(9), ..good }, "`trajectory`"),
            (Options { prototypes: Some(0), ..good }, "`prototypes`"),
            (Options { cal_neighbours: Some(0), ..good }, "`cal_neighbours`"),
            (Options { decay: 0.0, ..good }, "`decay`"),
            (Options { decay: f64::NAN, ..good }, "`decay`"),
            (Options { decay: 1.1, ..good }, "`decay`"),
        ] {
            assert!(options.check().unwrap_err().to_string().contains(setting), "{setting}");
        }
    }
}
