//! Which scores can be taken of networks that did not train on the sample.
//!
//! Source: UNSEEN (Xu et al. 2025, arXiv 2511.12988) scores samples by models that were not exposed
//! to them, by cross-validation: a network has fitted what it trained on, so that the scores of its
//! own samples lie close together.

use super::method::{Kind, Method, ScoreSource};
use super::options::Options;
use crate::error::{Error, Result};

impl Method {
    /// Refuses methods that have no value out of fold, and says why.
    ///
    /// # Errors
    /// [`Error::Invalid`]: the method's variant is not made of the logits of trained query models.
    pub fn check_out_of_fold(self, options: &Options) -> Result<()> {
        let Some(why) = self.bound_to_training(options) else { return Ok(()) };
        let able = |m: &&Method| m.bound_to_training(&Options::default()).is_none();
        let names: Vec<&str> = Method::ALL.iter().filter(able).map(|m| m.name()).collect();
        let expected = format!("scores of trained query models: {} ({why})", names.join(", "));
        Err(Error::invalid("`out_of_fold`", self.name(), expected))
    }

    /// Returns why the method has no value out of fold, if it has none.
    fn bound_to_training(self, options: &Options) -> Option<&'static str> {
        match (self.source(options), self.kind(options)) {
            (ScoreSource::Query, Kind::Pass { .. }) => None,
            (ScoreSource::Initial, _) => Some("a fresh network has trained on no sample"),
            (ScoreSource::Query, _) => Some(
                "it compares samples by the features of one network, and each fold has another",
            ),
            (ScoreSource::Dynamics | ScoreSource::Augmented, _) => {
                Some("training dynamics are what training saw of the sample")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::options::{El2nForm, GrandAt};

    #[test]
    fn passes_of_trained_networks_and_nothing_else() {
        let default = Options::default();
        let able = Method::ALL.into_iter().filter(|m| m.check_out_of_fold(&default).is_ok());
        let names: Vec<&str> = able.map(Method::name).collect();
        assert_eq!(names, ["el2n", "grand", "entropy", "margin", "least-confidence", "loss"]);
        let says = |method: Method, options: Options, word: &str| {
            let message = method.check_out_of_fold(&options).unwrap_err().to_string();
            assert!(message.contains("`out_of_fold`") && message.contains(word), "{message}");
            assert!(message.contains(method.name()), "{message}");
        };
        says(Method::Aum, default, "training dynamics");
        says(Method::Ssp, default, "features of one network");
        says(Method::El2n, Options { el2n: El2nForm::Sum, ..default }, "training dynamics");
        says(Method::Grand, Options { grand_at: GrandAt::Init, ..default }, "fresh network");
    }
}
