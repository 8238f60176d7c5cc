//! Flags that choose among the variants of scores.

use anyhow::Result;
use clap::Args;
use fairprune::score::options::SspForm;
use fairprune::score::{Method, Options};

use crate::cli::args::Common;
use crate::cli::output;

/// The variants.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Variants of scores")]
pub struct VariantArgs {
    /// el2n: mean (over query models) or sum (epochs 0 to 9 of one augmented run) [default: mean]
    #[arg(long, value_name = "FORM")]
    pub el2n: Option<String>,
    /// grand: gradient of all parameters, or of the last layer's [default: all]
    #[arg(long, value_name = "all|last")]
    pub grand_layers: Option<String>,
    /// grand: of query models at their end, or before training (init) [default: end]
    #[arg(long, value_name = "end|init")]
    pub grand_at: Option<String>,
    /// forgetting of samples never learned: hardest, 0 or presentations [default: hardest]
    #[arg(long, value_name = "SCORE")]
    pub never_learned: Option<String>,
    /// Epochs of a window: dynamic-uncertainty, tdds, dual [default: 10]
    #[arg(long, value_name = "J")]
    pub window: Option<usize>,
    /// Epochs that tdds and dual look at, from the first on [default: 10 and 30]
    #[arg(long, value_name = "T")]
    pub trajectory: Option<usize>,
    /// tdds: how fast earlier windows fade [default: 0.9]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub decay: Option<f64>,
    /// ssp: distance to the own class's mean (labels) or to the nearest centroid of k-means
    /// (prototypes) [default: labels]
    #[arg(long, value_name = "FORM")]
    pub ssp: Option<String>,
    /// ssp: centroids [default: as many as classes]
    #[arg(long, value_name = "C")]
    pub prototypes: Option<usize>,
    /// cal: nearest neighbours [default: 10]
    #[arg(long, value_name = "N")]
    pub cal_neighbours: Option<usize>,
}

impl VariantArgs {
    /// Checked; a note for what does nothing to `methods`.
    pub fn options(&self, common: &Common, methods: &[Method]) -> Result<Options> {
        let mut options = Options::default();
        let used = |flag: &str, by: &[Method]| {
            if !methods.iter().any(|m| by.contains(m)) {
                let names: Vec<&str> = by.iter().map(|m| m.name()).collect();
                let text =
                    format!("note: {flag} is about {}, which is not asked for", names.join(", "));
                output::note(common, text);
            }
        };
        if let Some(text) = &self.el2n {
            options.el2n = text.parse()?;
            used("--el2n", &[Method::El2n]);
        }
        if let Some(text) = &self.grand_layers {
            options.grand_layers = text.parse()?;
            used("--grand-layers", &[Method::Grand]);
        }
        if let Some(text) = &self.grand_at {
            options.grand_at = text.parse()?;
            used("--grand-at", &[Method::Grand]);
        }
        if let Some(text) = &self.never_learned {
            options.never_learned = text.parse()?;
            used("--never-learned", &[Method::Forgetting]);
        }
        if let Some(window) = self.window {
            options.window = window;
            used("--window", &[Method::DynamicUncertainty, Method::Tdds, Method::Dual]);
        }
        if let Some(epochs) = self.trajectory {
            options.trajectory = Some(epochs);
            used("--trajectory", &[Method::Tdds, Method::Dual]);
        }
        if let Some(decay) = self.decay {
            options.decay = decay;
            used("--decay", &[Method::Tdds]);
        }
        if let Some(text) = &self.ssp {
            options.ssp = text.parse()?;
            used("--ssp", &[Method::Ssp]);
        }
        if let Some(clusters) = self.prototypes {
            options.prototypes = Some(clusters);
            used("--prototypes", &[Method::Ssp]);
            if options.ssp == SspForm::Labels {
                output::note(common, "note: --prototypes is about --ssp prototypes");
            }
        }
        if let Some(neighbours) = self.cal_neighbours {
            options.cal_neighbours = Some(neighbours);
            used("--cal-neighbours", &[Method::Cal]);
        }
        options.check()?;
        Ok(options)
    }
}
