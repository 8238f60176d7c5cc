//! The flags of a data set that is named first.

use anyhow::Result;
use clap::Args;
use fairprune::experiment::settings::DataSettings;

use crate::cli::stated::StatedArgs;

/// A data set, named first.
#[derive(Args, Clone, Debug)]
pub struct SetArgs {
    /// A folder, a tar, Parquet or cache file, or the built-in shapes, shapes:extreme,
    /// shapes:spread or shapes:spurious
    #[arg(value_name = "PATH|shapes")]
    pub path: String,
    /// How it is stored [default: by its content]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Resize the short side to S and keep the central S x S
    #[arg(long, value_name = "S")]
    pub image_size: Option<usize>,
    /// Seed of the built-in data sets' drawings
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub data_seed: u64,
    #[command(flatten)]
    pub stated: StatedArgs,
}

impl SetArgs {
    /// The library's settings.
    pub fn settings(&self) -> Result<DataSettings> {
        Ok(DataSettings {
            format: self.format.as_deref().map(str::parse).transpose()?,
            image_size: self.image_size,
            data_seed: self.data_seed,
            stated: self.stated.settings()?,
            ..DataSettings::of(&self.path)
        })
    }
}
