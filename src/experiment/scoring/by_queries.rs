//! Scores by query runs.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::extrapolation::{ExtrapolateSettings, Extrapolation};
use super::{ScoreFacts, ScoreRequest};
use crate::artefact::tables::RecallRow;
use crate::data::Partition;
use crate::error::{Error, Result};
use crate::exec::PlannedMemory;
use crate::experiment::folder::features::{Extract, read_features};
use crate::experiment::folder::own_features::OwnFeatures;
use crate::experiment::folder::recall_rows::RecallCounts;
use crate::experiment::folder::scores::{MethodScores, Scored};
use crate::experiment::identity::{Ground, Identity};
use crate::experiment::query::{DYNAMICS_SEEDS, Queries, QueryRun, Short, check_folds};
use crate::experiment::session::Session;
use crate::experiment::settings::check_runs;
use crate::experiment::strategy::{QueryData, Recalls};
use crate::experiment::training::{Cost, Keeping};
use crate::prune::Features;
use crate::requests::Requests;
use crate::score::{Kind, Method, ScoreSource};
use crate::train::Recipe;

/// Query runs that are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QuerySettings {
    /// Number of runs to average over; None takes 5, or the folds of crossfit.
    pub runs: Option<usize>,
    /// Epochs of a run; None takes those of the recipe.
    pub query_epochs: Option<usize>,
    /// Each sample is scored by the run that did not train on it: the split must have folds.
    pub out_of_fold: bool,
    /// Recalls are wanted, even if no score needs the runs that tell them.
    pub recalls: bool,
    /// A part of the samples is trained on and scored, and the others follow; None: all are.
    pub extrapolate: Option<ExtrapolateSettings>,
}

/// Scores by query runs, ready to be computed.
pub struct ByQueries<'a> {
    session: &'a Session,
    request: &'a ScoreRequest,
    own: Option<&'a OwnFeatures>,
    save_features: bool,
    extrapolation: Option<Extrapolation>,
    queries: Queries,
}

#[derive(Serialize)]
struct Facts<'a> {
    recipe: &'a Recipe,
    query_recipe: &'a Recipe,
    runs: usize,
    seed: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    out_of_fold: bool,
    /// Whether runs are there for the recalls alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    recalls: bool,
    /// Fraction and neighbours.
    #[serde(skip_serializing_if = "Option::is_none")]
    extrapolate: Option<(f64, usize)>,
    #[serde(flatten)]
    scores: ScoreFacts<'a>,
}

impl<'a> ByQueries<'a> {
    /// Checks what is asked for. `full` is how final models are trained; with `save_features` the first run
    /// leaves its features and predictions in the output folder.
    ///
    /// # Errors
    /// Runs that the split does not allow, no epochs, scores that need more epochs than there are, or that
    /// have no value out of fold; a split without folds out of fold.
    pub fn new(
        session: &'a Session,
        full: Recipe,
        settings: QuerySettings,
        request: &'a ScoreRequest,
        own: Option<&'a OwnFeatures>,
        save_features: bool,
    ) -> Result<Self> {
        let runs = match (settings.runs, session.split.query_runs()) {
            (Some(r), Some(folds)) if r != folds => {
                let found = format!("{r} for {folds} folds");
                return Err(Error::invalid("`runs`", found, "one run a fold"));
            }
            (Some(r), _) => check_runs("`runs`", r)?,
            (None, Some(r)) => r,
            (None, None) => 5,
        };
        check_folds(settings.out_of_fold, &session.split)?;
        let epochs = settings.query_epochs.unwrap_or(full.epochs);
        let recipe = Recipe { epochs, ..full.without_augmentation() };
        if epochs == 0 {
            let expected = "at least 1; `grand_at` init";
            return Err(Error::invalid("`query_epochs`", "0", expected));
        }
        recipe.check(session.data.classes.len())?;
        let part = settings.extrapolate.map(|e| Extrapolation::new(session, e)).transpose()?;
        let methods = request.network_methods(own);
        if part.is_some() {
            check_extrapolation(settings, request, &methods)?;
        }
        // Runs that scores need tell recalls on the way; one set of them is enough.
        let tell_recalls =
            methods.iter().any(|m| m.source(&request.options) != ScoreSource::Initial);
        // Neighbours are in the features of the first run, unless the user has brought some.
        let extracts = save_features || (part.is_some() && own.is_none());
        let queries = Queries {
            seed: session.seed,
            methods,
            options: request.options,
            short: Short { runs, recipe, first_seed: 0 },
            stand_in: false,
            recalls: settings.recalls && !tell_recalls,
            predictions: true,
            full,
            out_of_fold: settings.out_of_fold,
            within: part.as_ref().map(|part| part.scored().to_vec()),
            extract: extracts.then(|| Extract {
                folder: String::new(),
                validation: true,
                parts: false,
            }),
            repetition: None,
        };
        queries.check()?;
        Ok(ByQueries { session, request, own, save_features, extrapolation: part, queries })
    }

    /// The part that is scored, where the others' scores are extrapolated, and the dimensions of the
    /// features by which.
    pub fn extrapolation(&self) -> Option<(&Extrapolation, usize)> {
        let dims = self.own.map(|own| own.features.width);
        let dims = dims.unwrap_or_else(|| self.session.network.feature_count());
        self.extrapolation.as_ref().map(|part| (part, dims))
    }

    /// The query runs, in order.
    pub fn runs(&self) -> Vec<QueryRun> {
        self.queries.runs(&self.session.split)
    }

    /// How final models are trained.
    pub fn recipe(&self) -> &Recipe {
        &self.queries.full
    }

    /// What decides the result.
    pub fn identity(&self) -> Result<Identity> {
        let facts = Facts {
            recipe: &self.queries.full,
            query_recipe: &self.queries.short.recipe,
            runs: self.queries.short.runs,
            seed: self.queries.seed,
            out_of_fold: self.queries.out_of_fold,
            recalls: self.queries.recalls,
            extrapolate: self.extrapolation.as_ref().map(Extrapolation::facts),
            scores: ScoreFacts::of(self.request, self.own, self.save_features),
        };
        Identity::on("score", Ground::of(self.session), &facts)
    }

    /// What every run will need.
    pub fn costs(&self) -> Vec<Cost> {
        self.queries.costs(self.session)
    }

    /// Bytes that the largest run allocates on the device, images apart; an error where they do not fit.
    pub fn planned_memory(&self) -> Result<PlannedMemory> {
        self.queries.planned_memory(self.session)
    }

    /// Trains the query runs, kept in the output folder, and collects what they tell. `progress` gets the
    /// name of the run, and steps done and in all, over all runs.
    pub fn compute(
        &self,
        keeping: &Keeping,
        requests: &Requests,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<Scored> {
        let (session, queries) = (self.session, &self.queries);
        let mut finished = queries.complete(session, keeping, requests, progress)?;
        let of_classes = Partition::classes(&session.data);
        let query = queries.collect(&session.split, &finished, &[])?;
        let recalls = recalls(&query, session, &of_classes);
        let rows = query.recalls_of(None).rows.clone();
        let mut scored = self.scored(query)?;
        if let Some(part) = &self.extrapolation {
            self.extrapolate(part, &mut scored, keeping.dir.root())?;
        }
        [scored.recalls, scored.recalls_of_dynamics] = recalls;
        scored.rows = rows.filter(|_| scored.recalls.is_some());
        if session.data.attributes.is_some() {
            let groups = Partition::of(&session.data, "attribute")?;
            for (_, run) in &mut finished {
                run.result = run.result.by(&groups)?;
                run.scores.clear();
            }
            let query = queries.collect(&session.split, &finished, &[])?;
            scored.of_groups = recalls_over(&query, session, &groups);
        }
        Ok(scored)
    }

    /// Gives the samples that no run scored their scores.
    fn extrapolate(&self, part: &Extrapolation, scored: &mut Scored, root: &Path) -> Result<()> {
        let (session, of_network) = (self.session, &self.queries.methods);
        let (samples, classes) = (session.data.train.len(), session.data.classes.len());
        let found = match (self.own, &self.queries.extract) {
            (Some(own), _) => Some(Arc::clone(&own.features)),
            (None, Some(extract)) => read_features(root, extract, samples, classes)?.features,
            (None, None) => None,
        };
        let found = found.ok_or_else(|| Error::Internal("no features to go by".to_owned()))?;
        let features = Features::new(&found.values, found.width)?;
        let mut of_runs = scored.scores.iter_mut().filter(|s| of_network.contains(&s.method));
        of_runs.try_for_each(|scores| part.fill(features, scores))
    }

    /// What is written of the scores, recalls apart.
    fn scored(&self, mut query: QueryData) -> Result<Scored> {
        let (session, queries) = (self.session, &self.queries);
        let mut scored = Scored::default();
        if !query.recalls.runs.is_empty() {
            scored.seeds = (0..queries.short.runs as u64).collect();
        } else if let Some(recalls) = &query.of_dynamics {
            scored.seeds = (0..recalls.runs.len() as u64).map(|r| DYNAMICS_SEEDS + r).collect();
        }
        for (method, values) in std::mem::take(&mut query.scores) {
            let variant = self.variant(method);
            let parameters = self.parameters(method);
            scored.scores.push(MethodScores { method, values, variant, parameters });
        }
        if let Some(own) = self.own {
            let (ScoreRequest { methods, options }, split) = (self.request, &session.split);
            let seed = queries.seed;
            scored.scores.extend(own.scores(
                methods,
                options,
                &session.data,
                &split.train,
                seed,
            )?);
        }
        scored.scores.sort_by_key(|s| s.method);
        let shared = [
            ("split", json!(session.split.kind.to_string())),
            ("arch", json!(session.spec.arch.to_string())),
            ("width", json!(session.spec.width)),
        ];
        scored.shared = shared.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Ok(scored)
    }

    /// The variant's text; out of fold there is no mean over runs.
    fn variant(&self, method: Method) -> String {
        let text = method.variant(&self.request.options);
        match self.queries.out_of_fold {
            true => {
                text.replace("mean over runs", "out of fold: each sample by the run without it")
            }
            false => text,
        }
    }

    /// Runs and numbers behind one score.
    fn parameters(&self, method: Method) -> Map<String, Value> {
        let queries = &self.queries;
        let source = method.source(&queries.options);
        let recorded = self.session.split.query_runs().unwrap_or(1);
        let (short, runs) = (&queries.short.recipe, queries.short.runs);
        let (name, runs, recipe) = match source {
            ScoreSource::Query if method.kind(&queries.options) == Kind::Features => {
                ("query", 1, short.clone())
            }
            ScoreSource::Query => ("query", runs, short.clone()),
            ScoreSource::Initial => ("initialisation", runs, short.clone()),
            ScoreSource::Dynamics => ("dynamics", recorded, queries.full.without_augmentation()),
            ScoreSource::Augmented => ("dynamics", recorded, queries.full.clone()),
        };
        let mut parameters = method.parameters(&queries.options);
        let more = [
            ("source", json!(name)),
            ("runs", json!(runs)),
            ("augmented", json!(recipe.augments())),
            ("recipe", json!(recipe)),
        ];
        parameters.extend(more.map(|(key, value)| (key.to_owned(), value)));
        if queries.out_of_fold {
            parameters.insert("out_of_fold".to_owned(), json!(true));
        }
        parameters
    }
}

/// Refuses what has no meaning together with scores of a part.
fn check_extrapolation(
    settings: QuerySettings,
    request: &ScoreRequest,
    methods: &[Method],
) -> Result<()> {
    if settings.out_of_fold {
        let expected = "one of them: the samples of a fold are not those of the part";
        return Err(Error::invalid("`extrapolate`", "with `out_of_fold`", expected));
    }
    let features = |m: &&Method| m.kind(&request.options) == Kind::Features;
    match methods.iter().find(features) {
        None => Ok(()),
        Some(method) => {
            let expected = "scores of runs: this one is made for all samples from the features that \
                            scores are extrapolated by";
            Err(Error::invalid("`extrapolate`", method.name(), expected))
        }
    }
}

/// Recalls of the classes, and those of the recorded run where the first are of other runs.
fn recalls(
    query: &QueryData,
    session: &Session,
    classes: &Partition,
) -> [Option<Vec<RecallRow>>; 2] {
    // Quotas over classes need a recall of each.
    let whole = |rows: Option<Vec<RecallRow>>| rows.filter(|rows| rows.len() == classes.len());
    recalls_over(query, session, classes).map(whole)
}

/// Recalls over any partition, and those of the recorded run; what has no recall has no row.
fn recalls_over(
    query: &QueryData,
    session: &Session,
    partition: &Partition,
) -> [Option<Vec<RecallRow>>; 2] {
    let rows = |recalls: &Recalls| -> Option<Vec<RecallRow>> {
        let (correct, total) = (recalls.correct.as_ref()?, recalls.total.as_ref()?);
        let (means, sds) = (recalls.mean(), recalls.sd());
        let sizes = session.sizes_over(partition);
        let counts = RecallCounts { names: &partition.names, sizes: &sizes, correct, total };
        Some(counts.rows_with(|k| means[k], |k| sds[k]))
    };
    let of_dynamics = query.of_dynamics.as_ref();
    if query.recalls.runs.is_empty() {
        return [of_dynamics.and_then(rows), None];
    }
    let apart = of_dynamics.filter(|_| !query.from_dynamics.is_empty());
    [rows(&query.recalls), apart.and_then(rows)]
}
