//! Query networks that give a check its evidence: features of the first, probabilities of each for the
//! samples that it did not train on.

use std::sync::Arc;

use super::evidence::{Evidence, OwnEvidence};
use super::facts::QualityFacts;
use super::plan::QualityPlan;
use super::samples::AllSamples;
use crate::artefact::npy;
use crate::data::PartName;
use crate::error::{Error, Result};
use crate::exec::PlannedMemory;
use crate::experiment::folder::features::{Extract, read_features, read_part};
use crate::experiment::identity::{Ground, Identity};
use crate::experiment::query::{Queries, QueryRun, Short};
use crate::experiment::scoring::QuerySettings;
use crate::experiment::session::Session;
use crate::experiment::training::{Cost, Finished, Keeping};
use crate::requests::Requests;
use crate::score::Options;
use crate::score::features::FeatureMatrix;
use crate::train::Recipe;

/// Probabilities of the training samples, N x K, each by the network that did not train on it.
pub const OUT_OF_FOLD: &str = "out-of-fold-probabilities.npy";

/// Query runs of a check, ready to be done.
pub struct QualityQueries<'a> {
    session: &'a Session,
    plan: QualityPlan,
    own: &'a OwnEvidence,
    queries: Queries,
}

impl<'a> QualityQueries<'a> {
    /// Checks what is asked for. `full` is how final models are trained.
    ///
    /// # Errors
    /// Nothing that is looked for needs a network; labels to be looked at under a split without folds; runs
    /// that are not the folds; no epochs.
    pub fn new(
        session: &'a Session,
        full: Recipe,
        settings: QuerySettings,
        plan: QualityPlan,
        own: &'a OwnEvidence,
    ) -> Result<Self> {
        let features = plan.near.is_some() && !own.has_features();
        let labels = plan.labels.is_some() && !own.has_probabilities();
        if !features && !labels {
            return Err(Error::Internal("query runs of a check that needs none".to_owned()));
        }
        let folds = session.split.query_runs();
        let runs = match (labels, folds) {
            (false, _) => 1,
            (true, Some(folds)) => folds,
            (true, None) => {
                let expected = "crossfit:R: labels are looked at by probabilities of networks that \
                                did not train on the sample";
                return Err(Error::invalid("`split`", session.split.kind.to_string(), expected));
            }
        };
        if let Some(asked) = settings.runs.filter(|&asked| asked != runs) {
            let expected = format!("{runs}: one a fold for labels, one alone for features");
            return Err(Error::invalid("`runs`", asked.to_string(), expected));
        }
        let epochs = settings.query_epochs.unwrap_or(full.epochs);
        if epochs == 0 {
            return Err(Error::invalid("`query_epochs`", "0", "at least 1"));
        }
        let recipe = Recipe { epochs, ..full.without_augmentation() };
        recipe.check(session.data.classes.len())?;
        let extract = Extract { folder: "network".to_owned(), validation: false, parts: true };
        let queries = Queries {
            seed: session.seed,
            methods: Vec::new(),
            options: Options::default(),
            short: Short { runs, recipe, first_seed: 0 },
            stand_in: false,
            recalls: true,
            full,
            predictions: labels,
            out_of_fold: labels,
            within: None,
            extract: features.then_some(extract),
            repetition: None,
        };
        queries.check()?;
        Ok(QualityQueries { session, plan, own, queries })
    }

    /// The query runs, in order.
    pub fn runs(&self) -> Vec<QueryRun> {
        self.queries.runs(&self.session.split)
    }

    /// What they give, in words.
    pub fn gives(&self) -> Vec<&'static str> {
        let (features, labels) = (self.queries.extract.is_some(), self.queries.predictions);
        let words = [(labels, "probabilities out of fold"), (features, "features of the first")];
        words.into_iter().filter(|(given, _)| *given).map(|(_, word)| word).collect()
    }

    /// How final models are trained.
    pub fn recipe(&self) -> &Recipe {
        &self.queries.full
    }

    /// What decides the result.
    pub fn identity(&self) -> Result<Identity> {
        let query = Some((&self.queries.short.recipe, self.queries.short.runs));
        let seed = self.queries.seed;
        let facts = QualityFacts::of(&self.plan, self.own, query, seed);
        Identity::on("data check", Ground::of(self.session), &facts)
    }

    /// What every run will need.
    pub fn costs(&self) -> Vec<Cost> {
        self.queries.costs(self.session)
    }

    /// Bytes that the largest run allocates on the device, images apart; an error where they do not fit.
    pub fn planned_memory(&self) -> Result<PlannedMemory> {
        self.queries.planned_memory(self.session)
    }

    /// Trains the networks, kept in the output folder, and collects what they say. `progress` gets the name
    /// of the run, and steps done and in all, over all runs.
    pub fn compute(
        &self,
        keeping: &Keeping,
        requests: &Requests,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<Evidence> {
        let (session, queries) = (self.session, &self.queries);
        let finished = queries.complete(session, keeping, requests, progress)?;
        let mut evidence = Evidence::default();
        if queries.predictions {
            let runs: Vec<&Finished> = finished.iter().map(|(_, run)| run).collect();
            let values = self.out_of_fold(&runs)?;
            let shape = [session.data.train.len(), session.network.classes];
            npy::write(&keeping.dir.file(OUT_OF_FOLD)?, &shape, &values)?;
            evidence.probabilities = Some(values);
        }
        if let Some(extract) = &queries.extract {
            evidence.features = Some(Arc::new(self.features(extract, keeping)?));
        }
        Ok(evidence)
    }

    /// Each sample's probabilities by the run that did not train on it; rows of samples that a long tail
    /// removed are 0.
    fn out_of_fold(&self, runs: &[&Finished]) -> Result<Vec<f32>> {
        let classes = self.session.network.classes;
        let mut values = vec![0.0; self.session.data.train.len() * classes];
        for run in runs {
            let said = run.predictions.as_ref();
            let said =
                said.ok_or_else(|| Error::Internal("a run without predictions".to_owned()))?;
            for (&i, logs) in said.positions.iter().zip(said.log_probabilities.chunks(classes)) {
                let row = &mut values[i * classes..][..classes];
                let pairs = row.iter_mut().zip(logs);
                pairs.for_each(|(p, &log)| *p = libm::exp(f64::from(log)) as f32);
            }
        }
        Ok(values)
    }

    /// The features of all parts that the first run left, one after the other.
    fn features(&self, extract: &Extract, keeping: &Keeping) -> Result<FeatureMatrix> {
        let (root, data) = (keeping.dir.root(), &self.session.data);
        let (samples, classes) = (data.train.len(), data.classes.len());
        let train = read_features(root, extract, samples, classes)?.features;
        let train = train.ok_or_else(|| Error::Internal("no features to go by".to_owned()))?;
        let FeatureMatrix { width, mut values } = Arc::unwrap_or_clone(train);
        for (name, rows) in AllSamples::of(data).parts().filter(|p| p.0 != PartName::Train) {
            if rows > 0 {
                values.extend(read_part(root, extract, name, rows)?.values);
            }
        }
        Ok(FeatureMatrix { width, values })
    }
}
