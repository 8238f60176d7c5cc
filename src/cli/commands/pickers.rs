//! Flags of the methods that pick samples one after another.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::provenance::DataIdentity;
use fairprune::artefact::{Provenance, digest, npy};
use fairprune::data::DataSet;
use fairprune::error::Error;
use fairprune::experiment::picker::{Picker, PickerOptions};
use fairprune::experiment::provenance;
use fairprune::score::features::Features;

use crate::cli::args::Common;
use crate::cli::output;

/// Options of selection methods.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of selection methods (docs/scores/selection.md)")]
pub struct PickerArgs {
    /// coreset, contextual-diversity: the first pick, mean (nearest to it) or random [default: mean]
    #[arg(long, value_name = "NAME")]
    pub start: Option<String>,
    /// moderate: centre of a class, median or mean [default: median]
    #[arg(long, value_name = "NAME")]
    pub centre: Option<String>,
    /// graph-cut, facility-location: similarity of features or gradients [default: features]
    #[arg(long, value_name = "NAME")]
    pub space: Option<String>,
    /// graph-cut, grad-match: weight of the second term [default: 1 and 0.5]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub lambda: Option<f64>,
    /// ccs: share of the hardest that is dropped [default: 0.1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub beta: Option<f64>,
    /// ccs: strata of equal width [default: 50]
    #[arg(long, value_name = "N")]
    pub strata: Option<usize>,
    /// d2: nearest neighbours that count [default: 5]
    #[arg(long, value_name = "N")]
    pub neighbours: Option<usize>,
    /// d2: decay with distance when scores are spread [default: 1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub forward: Option<f64>,
    /// d2: decay with distance when neighbours of a pick lose [default: 0.1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub reverse: Option<f64>,
    /// glister: length of a step [default: 0.1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub step: Option<f64>,
    /// glister: picks between two validation gradients [default: 1]
    #[arg(long, value_name = "N")]
    pub refresh: Option<usize>,
    /// Pick inside each class, or among the whole set and filter by the quotas: class or whole
    /// [default: class with quotas, and for craig and grad-match]
    #[arg(long, value_name = "NAME")]
    pub scope: Option<String>,
    /// ccs, d2: the score that they start from [default: aum for ccs, forgetting for d2]
    #[arg(long, value_name = "SCORE")]
    pub base: Option<String>,
    /// Bytes for rows of distances, which save time and change nothing [default: 1 GiB]
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<usize>,
}

/// Whether picks are trained with their weights.
#[derive(Args, Clone, Debug)]
pub struct WeightArgs {
    /// Train with the weights of picks: method (of craig and grad-match, as their authors do), all (of
    /// facility-location, too) or none
    #[arg(long, value_name = "NAME", default_value = "method", help_heading = "Training")]
    pub pick_weights: String,
}

/// Which flags a method has.
const FLAGS: [(&str, &[&str]); 13] = [
    ("--start", &["coreset", "contextual-diversity"]),
    ("--centre", &["moderate"]),
    ("--space", &["graph-cut", "facility-location"]),
    ("--lambda", &["graph-cut", "grad-match"]),
    ("--beta", &["ccs"]),
    ("--strata", &["ccs"]),
    ("--neighbours", &["d2"]),
    ("--forward", &["d2"]),
    ("--reverse", &["d2"]),
    ("--step", &["glister"]),
    ("--refresh", &["glister"]),
    ("--base", &["ccs", "d2"]),
    ("--memory", &["facility-location", "craig", "grad-match"]),
];

impl PickerArgs {
    /// Checked; a note for what does nothing to `pickers`.
    pub fn options(&self, common: &Common, pickers: &[Picker]) -> Result<PickerOptions> {
        fn parsed<T: std::str::FromStr<Err = Error>>(
            flag: &str,
            text: Option<&String>,
        ) -> Result<Option<T>, Error> {
            let named = |e, text: &str| match e {
                Error::Invalid { expected, .. } => Error::invalid(flag, text, expected),
                other => other,
            };
            text.map(|t| t.parse().map_err(|e| named(e, t))).transpose()
        }
        let options = PickerOptions {
            start: parsed("--start", self.start.as_ref())?,
            centre: parsed("--centre", self.centre.as_ref())?,
            space: parsed("--space", self.space.as_ref())?,
            lambda: self.lambda,
            beta: self.beta,
            strata: self.strata,
            neighbours: self.neighbours,
            forward: self.forward,
            reverse: self.reverse,
            step: self.step,
            refresh: self.refresh,
            scope: parsed("--scope", self.scope.as_ref())?,
            base: parsed("--base", self.base.as_ref())?,
            memory: self.memory.unwrap_or(PickerOptions::default().memory),
        };
        for &picker in pickers {
            picker.selector(&options).check()?;
        }
        for flag in self.given() {
            let owners = FLAGS.iter().find(|f| f.0 == flag).map_or(&[][..], |f| f.1);
            if !pickers.iter().any(|p| owners.contains(&p.name())) {
                let names = owners.join(", ");
                let text = format!("note: {flag} is about {names}, which is not asked for");
                output::note(common, text);
            }
        }
        if options.scope.is_some() && pickers.is_empty() {
            output::note(common, "note: --scope is about selection methods, none is asked for");
        }
        Ok(options)
    }

    /// The flags of single methods that were given.
    fn given(&self) -> Vec<&'static str> {
        [
            ("--start", self.start.is_some()),
            ("--centre", self.centre.is_some()),
            ("--space", self.space.is_some()),
            ("--lambda", self.lambda.is_some()),
            ("--beta", self.beta.is_some()),
            ("--strata", self.strata.is_some()),
            ("--neighbours", self.neighbours.is_some()),
            ("--forward", self.forward.is_some()),
            ("--reverse", self.reverse.is_some()),
            ("--step", self.step.is_some()),
            ("--refresh", self.refresh.is_some()),
            ("--base", self.base.is_some()),
            ("--memory", self.memory.is_some()),
        ]
        .into_iter()
        .filter_map(|(flag, given)| given.then_some(flag))
        .collect()
    }
}

/// Features that the user brings for selection methods.
#[derive(Args, Clone, Debug, Default)]
pub struct FeatureArgs {
    /// Features of your own for methods and scores that look at features (coreset, herding, moderate,
    /// d2, graph-cut, facility-location, ssp): N x D numbers, a row a training image
    #[arg(long, value_name = "emb.npy", help_heading = "Selection")]
    pub features: Option<PathBuf>,
}

/// A file of features, checked against the data set.
pub struct OwnFeatures {
    pub features: Arc<Features>,
    /// Of their values.
    pub digest: String,
}

impl OwnFeatures {
    /// Reads the file.
    pub fn read(path: &Path, data: &DataSet) -> Result<Self> {
        Self::read_for(path, &provenance::identity(data))
    }

    /// Reads a file of features of this data set.
    pub fn read_for(path: &Path, data: &DataIdentity) -> Result<Self> {
        let sidecar = path.with_extension("json");
        if sidecar.is_file() {
            // A JSON of another program says nothing to this one.
            if let Ok(stated) = Provenance::read(&sidecar) {
                stated.check_data(&path.display().to_string(), data)?;
            }
        }
        let rows = data.samples;
        let array = npy::read(path)?;
        let name = format!("--features {}", path.display());
        let (width, values) = array.into_features(rows, &name)?;
        let digest = digest(bytemuck::cast_slice(&values));
        Ok(OwnFeatures { features: Arc::new(Features { width, values }), digest })
    }

    /// Refuses methods that look at predictions and features of one network at once.
    pub fn check(pickers: &[Picker], options: &PickerOptions) -> Result<(), Error> {
        let both = |p: &&Picker| p.needs_features(options) && p.needs_probabilities(options);
        match pickers.iter().find(both) {
            None => Ok(()),
            Some(picker) => {
                let expected =
                    "features of the network whose predictions it looks at: leave it out";
                Err(Error::invalid("--features", format!("a file, for {picker}"), expected))
            }
        }
    }
}
