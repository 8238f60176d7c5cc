//! Which variants of scores are meant.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::experiment::strategy::Idle;
use crate::experiment::text;
use crate::score::options::{El2nForm, GrandAt, GrandLayers, NeverLearned, SspForm};
use crate::score::{Method, Options};

/// Variants as far as they are said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct VariantSettings {
    #[serde(with = "text")]
    pub el2n: Option<El2nForm>,
    #[serde(with = "text")]
    pub grand_layers: Option<GrandLayers>,
    #[serde(with = "text")]
    pub grand_at: Option<GrandAt>,
    #[serde(with = "text")]
    pub never_learned: Option<NeverLearned>,
    /// Epochs of a window.
    pub window: Option<usize>,
    /// Epochs that TDDS and DUAL look at.
    pub trajectory: Option<usize>,
    pub decay: Option<f64>,
    #[serde(with = "text")]
    pub ssp: Option<SspForm>,
    pub prototypes: Option<usize>,
    pub cal_neighbours: Option<usize>,
}

impl VariantSettings {
    /// The options of the scores.
    ///
    /// # Errors
    /// Numbers that no score can have.
    pub fn options(&self) -> Result<Options> {
        let default = Options::default();
        let options = Options {
            el2n: self.el2n.unwrap_or(default.el2n),
            grand_layers: self.grand_layers.unwrap_or(default.grand_layers),
            grand_at: self.grand_at.unwrap_or(default.grand_at),
            never_learned: self.never_learned.unwrap_or(default.never_learned),
            window: self.window.unwrap_or(default.window),
            trajectory: self.trajectory.or(default.trajectory),
            decay: self.decay.unwrap_or(default.decay),
            ssp: self.ssp.unwrap_or(default.ssp),
            prototypes: self.prototypes.or(default.prototypes),
            cal_neighbours: self.cal_neighbours.or(default.cal_neighbours),
        };
        options.check()?;
        Ok(options)
    }

    /// The settings that do nothing to `methods`.
    pub fn idle(&self, methods: &[Method]) -> Vec<Idle> {
        let windowed = &[Method::DynamicUncertainty, Method::Tdds, Method::Dual][..];
        let early = &[Method::Tdds, Method::Dual, Method::EarlyConfidence][..];
        let given: [(&'static str, bool, &[Method]); 10] = [
            ("el2n", self.el2n.is_some(), &[Method::El2n]),
            ("grand_layers", self.grand_layers.is_some(), &[Method::Grand]),
            ("grand_at", self.grand_at.is_some(), &[Method::Grand]),
            ("never_learned", self.never_learned.is_some(), &[Method::Forgetting]),
            ("window", self.window.is_some(), windowed),
            ("trajectory", self.trajectory.is_some(), early),
            ("decay", self.decay.is_some(), &[Method::Tdds]),
            ("ssp", self.ssp.is_some(), &[Method::Ssp]),
            ("prototypes", self.prototypes.is_some(), &[Method::Ssp]),
            ("cal_neighbours", self.cal_neighbours.is_some(), &[Method::Cal]),
        ];
        let wanted = |by: &[Method]| methods.iter().any(|m| by.contains(m));
        let idle = given.into_iter().filter(|(_, given, by)| *given && !wanted(by));
        let names = |by: &[Method]| by.iter().map(|m| m.name()).collect::<Vec<_>>().join(", ");
        let mut idle: Vec<Idle> = idle
            .map(|(setting, _, by)| Idle {
                setting,
                about: format!("{}, which is not asked for", names(by)),
            })
            .collect();
        if self.prototypes.is_some() && self.ssp.unwrap_or_default() == SspForm::Labels {
            idle.push(Idle { setting: "prototypes", about: "`ssp` prototypes".to_owned() });
        }
        idle
    }
}
