//! Flags of how much is kept, and of quotas.

use clap::Args;
use fairprune::error::{Error, Result};
use fairprune::experiment::strategy::QuotaSettings;
use fairprune::prune::density_of_prune_rate;

use super::settings::under;

/// The kept fraction, said either way.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Selection")]
pub struct DensityArgs {
    /// Kept fraction of the training images that are not held out
    #[arg(
        long,
        value_name = "D",
        allow_hyphen_values = true,
        required_unless_present = "prune_rate"
    )]
    pub density: Option<f64>,
    /// Pruned fraction, instead of --density
    #[arg(long, value_name = "P", allow_hyphen_values = true, conflicts_with = "density")]
    pub prune_rate: Option<f64>,
}

impl DensityArgs {
    /// The density, in [0, 1].
    pub fn density(&self) -> Result<f64> {
        let expected = "a number from 0 to 1";
        match (self.density, self.prune_rate) {
            (Some(d), _) if (0.0..=1.0).contains(&d) => Ok(d),
            (Some(d), _) => Err(Error::invalid("--density", d.to_string(), expected)),
            (None, Some(rate)) => {
                density_of_prune_rate(rate).map_err(|e| under("--prune-rate", &rate.to_string(), e))
            }
            // Not reached: the flags require one of them.
            (None, None) => Err(Error::invalid("--density", "nothing", expected)),
        }
    }

    /// The same, in (0, 1]: something must be kept.
    pub fn positive(&self) -> Result<f64> {
        match self.density()? {
            d if d > 0.0 => Ok(d),
            d if self.density.is_some() => {
                let found = d.to_string();
                Err(Error::invalid("--density", found, "above 0 and at most 1"))
            }
            _ => Err(Error::invalid("--prune-rate", "1", "at least 0 and below 1")),
        }
    }
}

/// What may be done to quotas.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Selection")]
pub struct QuotaArgs {
    /// Smooth recalls: laplace is (correct + 1) / (total + 2) [default: none]
    #[arg(long, value_name = "NAME")]
    pub smooth: Option<String>,
    /// Every class keeps at least N samples, or all it has
    #[arg(long, value_name = "N")]
    pub min_per_class: Option<usize>,
}

impl QuotaArgs {
    /// Checked.
    pub fn settings(&self) -> Result<QuotaSettings> {
        let laplace = match self.smooth.as_deref() {
            None | Some("none") => false,
            Some("laplace") => true,
            Some(name) => return Err(Error::invalid("--smooth", name, "laplace or none")),
        };
        let min_per_class = self.min_per_class;
        Ok(QuotaSettings { laplace, min_per_class, ..QuotaSettings::default() })
    }
}
