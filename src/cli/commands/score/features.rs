//! Features that the user brings.

use anyhow::Result;
use fairprune::data::DataSet;
use fairprune::error::Error;
use fairprune::score::features::{self, Evidence};
use fairprune::score::options::SspForm;
use fairprune::score::{Kind, Method, Options};
use fairprune::train::Seeds;
use serde_json::{Map, Value, json};

use super::write::{MethodScores, Scored};
use super::{ScoreArgs, Wanted};
use crate::cli::commands::pickers::OwnFeatures;
use crate::cli::{context, device, output};

/// Variants of SSP on features that were given.
const OWN_LABELS: &str = "the user's features; Euclidean distance to the mean of the own class";
const OWN_PROTOTYPES: &str =
    "the user's features; 1 - cos to the nearest centroid of spherical k-means";

impl OwnFeatures {
    /// For job.json and scores.json.
    pub fn describe(&self) -> Value {
        json!({ "source": "file", "digest": self.digest, "width": self.features.width })
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> u64 {
        4 * self.features.values.len() as u64
    }

    /// The scores of `methods` that are made from features.
    pub fn scores(
        &self,
        methods: &[Method],
        options: &Options,
        data: &DataSet,
        eligible: &[usize],
        seed: u64,
    ) -> Result<Vec<MethodScores>, Error> {
        let evidence = Evidence {
            features: &self.features,
            probabilities: None,
            labels: &data.train.labels,
            eligible,
            classes: data.classes.len(),
            seed: Seeds::derive(seed, 0).subset,
        };
        let wanted = methods.iter().filter(|m| m.kind(options) == Kind::Features);
        let one = |&method: &Method| {
            let values = features::score(method, options, evidence)?;
            let mut parameters = method.parameters(options);
            parameters.insert("features".to_owned(), self.describe());
            Ok(MethodScores {
                method,
                values: values.into_iter().map(f64::from).collect(),
                variant: match options.ssp {
                    SspForm::Labels => OWN_LABELS.to_owned(),
                    SspForm::Prototypes => OWN_PROTOTYPES.to_owned(),
                },
                parameters,
            })
        };
        wanted.map(one).collect()
    }
}

/// Scores that need nothing but the features: no network, no recalls.
pub fn by_features(args: &ScoreArgs, wanted: &Wanted) -> Result<u8> {
    let common = &args.common;
    let Some(path) = &args.features else {
        return Err(Error::Internal("no features are given".to_owned()).into());
    };
    let data = context::load_data(common, &args.data, &device::host_only(common)?)?;
    let split = context::split(common, &args.data, &data)?;
    let own = OwnFeatures::read(path, &data)?;
    let scores = own.scores(&wanted.methods, &wanted.options, &data, &split.train, common.seed)?;
    let names: Vec<&str> = wanted.methods.iter().map(|m| m.name()).collect();
    let job = Map::from_iter([
        ("data".to_owned(), json!(data.fingerprint)),
        ("split".to_owned(), json!(split.kind.to_string())),
        ("split_seed".to_owned(), json!(split.seed)),
        ("features".to_owned(), own.describe()),
        ("methods".to_owned(), json!(names)),
    ]);
    let dir = context::output_dir(&args.out, "score", job)?;
    let bytes = output::bytes(own.bytes());
    output::note(
        common,
        format!("memory    {bytes} of features\noutput    {}", dir.root().display()),
    );
    output::note(
        common,
        "no network is trained: recalls.csv is left out (--quota none, uniform or balanced, or \
         --recalls)",
    );
    let shared = Map::from_iter([("split".to_owned(), json!(split.kind.to_string()))]);
    let scored = Scored { scores, shared, ..Scored::default() };
    super::write::write(&data, &split, scored, dir)?.report(common)
}
