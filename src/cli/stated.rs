//! The flags that say of a data set what its files do not say themselves.

use anyhow::Result;
use clap::Args;
use fairprune::data::StatedLayout;
use fairprune::error::Error;

/// What files do not say themselves.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Data that does not say it itself (docs/formats.md)")]
pub struct StatedArgs {
    /// What the parts are called, in place of train, val, test and their like: names of folders, of
    /// files without their numbers, or of a list's splits
    #[arg(long, value_name = "train=NAME,val=NAME,test=NAME")]
    pub parts: Option<String>,
    /// Read sequences of files that have gaps; positions are then those among what is there
    #[arg(long)]
    pub allow_missing: bool,
    /// Number of the first class, where labels are numbers [default: 0]
    #[arg(long, value_name = "0|1")]
    pub labels_from: Option<u32>,
    /// webdataset: extension of the member that is a sample's image, such as input.jpg
    #[arg(long, value_name = "EXTENSION")]
    pub image_key: Option<String>,
    /// parquet: column of the images [default: image, img or the only one of bytes]
    #[arg(long, value_name = "NAME")]
    pub image_column: Option<String>,
    /// parquet: column of the class numbers [default: label, fine_label or the only one of whole
    /// numbers]
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
}

impl StatedArgs {
    /// The flags as they were given, each after a space; `quote` makes values words of a shell.
    pub fn words(&self, quote: impl Fn(String) -> String) -> String {
        let labels = self.labels_from.map(|first| first.to_string());
        let valued = [
            ("parts", &self.parts),
            ("labels-from", &labels),
            ("image-key", &self.image_key),
            ("image-column", &self.image_column),
            ("label-column", &self.label_column),
        ];
        let valued = valued.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        let words = valued.map(|(name, value)| format!(" --{name} {}", quote(value)));
        let missing = if self.allow_missing { " --allow-missing" } else { "" };
        words.collect::<String>() + missing
    }

    /// The library's settings.
    pub fn settings(&self) -> Result<StatedLayout, Error> {
        Ok(StatedLayout {
            parts: self.parts.as_deref().map(str::parse).transpose()?,
            allow_missing: self.allow_missing,
            labels_from: self.labels_from,
            image_key: self.image_key.clone(),
            image_column: self.image_column.clone(),
            label_column: self.label_column.clone(),
        })
    }
}
