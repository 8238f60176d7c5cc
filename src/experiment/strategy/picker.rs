//! Methods that pick samples one after another, as rankings of strategies: their names, their options,
//! and what query runs must give them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::experiment::text;
use crate::prune::{
    Centre, Features, Inputs, KCenterStart, MEMORY, Need, Picking, Picks, Population,
    Probabilities, Scope, Score, Selector, Space, Validation, Wanted, pick,
};
use crate::score::{Method, features};

/// One of [`Selector::ALL`], by its place there: without options, so that strategies compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Picker(usize);

/// Options of all of them; None takes the method's own default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct PickerOptions {
    #[serde(with = "text")]
    pub start: Option<KCenterStart>,
    #[serde(with = "text")]
    pub centre: Option<Centre>,
    #[serde(with = "text")]
    pub space: Option<Space>,
    pub lambda: Option<f64>,
    pub beta: Option<f64>,
    pub strata: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exponent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<f64>,
    pub neighbours: Option<usize>,
    pub forward: Option<f64>,
    pub reverse: Option<f64>,
    pub step: Option<f64>,
    pub refresh: Option<usize>,
    #[serde(with = "text")]
    pub scope: Option<Scope>,
    /// The score that CCS divides into strata, Beta sampling draws by, the difficulty window orders
    /// and D2 spreads; CCS drops by the area under the margin.
    #[serde(with = "text")]
    pub base: Option<Method>,
    /// Bytes for rows of distances.
    pub memory: usize,
}

impl Default for PickerOptions {
    fn default() -> Self {
        PickerOptions {
            start: None,
            centre: None,
            space: None,
            lambda: None,
            beta: None,
            strata: None,
            exponent: None,
            endpoint: None,
            neighbours: None,
            forward: None,
            reverse: None,
            step: None,
            refresh: None,
            scope: None,
            base: None,
            memory: MEMORY,
        }
    }
}

impl Picker {
    /// All, in the order of help and tables.
    pub fn all() -> impl Iterator<Item = Picker> {
        (0..Selector::ALL.len()).map(Picker)
    }

    /// As on the command line and in files.
    pub fn name(self) -> &'static str {
        Selector::ALL[self.0].name()
    }

    /// As in tables and figures.
    pub fn label(self) -> &'static str {
        Selector::ALL[self.0].label()
    }

    /// The names of all, for messages.
    pub fn names() -> String {
        Picker::all().map(Picker::name).collect::<Vec<_>>().join(", ")
    }

    /// The method with its options.
    pub fn selector(self, options: &PickerOptions) -> Selector {
        let mut selector = Selector::ALL[self.0];
        fn set<T: Copy>(place: &mut T, value: Option<T>) {
            *place = value.unwrap_or(*place);
        }
        match &mut selector {
            Selector::CoreSet { start } | Selector::ContextualDiversity { start } => {
                set(start, options.start);
            }
            Selector::FacilityLocation { space } => set(space, options.space),
            Selector::GraphCut { space, lambda } => {
                set(space, options.space);
                set(lambda, options.lambda);
            }
            Selector::GradMatch { lambda } => set(lambda, options.lambda),
            Selector::Glister { step, refresh } => {
                set(step, options.step);
                set(refresh, options.refresh);
            }
            Selector::Moderate { centre } => set(centre, options.centre),
            Selector::Ccs { beta, strata } => {
                set(beta, options.beta);
                set(strata, options.strata);
            }
            Selector::BetaSampling { exponent } => set(exponent, options.exponent),
            Selector::Window { endpoint } => set(endpoint, options.endpoint),
            Selector::D2 { neighbours, forward, reverse } => {
                set(neighbours, options.neighbours);
                set(forward, options.forward);
                set(reverse, options.reverse);
            }
            Selector::Herding | Selector::Craig => {}
        }
        selector
    }

    fn needs(self, options: &PickerOptions) -> &'static [Need] {
        self.selector(options).needs()
    }

    /// Whether it looks at features of the training samples.
    pub fn needs_features(self, options: &PickerOptions) -> bool {
        self.needs(options).contains(&Need::Features)
    }

    /// Whether it looks at a network's predictions.
    pub fn needs_probabilities(self, options: &PickerOptions) -> bool {
        self.needs(options).contains(&Need::Probabilities)
    }

    /// Whether it looks at features and predictions of validation images.
    pub fn needs_validation(self, options: &PickerOptions) -> bool {
        self.needs(options).contains(&Need::Validation)
    }

    /// The score it starts from.
    pub fn base(self, options: &PickerOptions) -> Option<Method> {
        let default = match Selector::ALL[self.0] {
            Selector::Ccs { .. } => Method::Aum,
            Selector::BetaSampling { .. } => Method::Dual,
            Selector::Window { .. } => Method::El2n,
            Selector::D2 { .. } => Method::Forgetting,
            _ => return None,
        };
        Some(options.base.unwrap_or(default))
    }

    /// What CCS drops the hardest of.
    fn hardness(self) -> Option<Method> {
        matches!(Selector::ALL[self.0], Selector::Ccs { .. }).then_some(Method::Aum)
    }

    /// The mean probability of the label that Beta sampling goes by.
    fn confidence(self) -> Option<Method> {
        let beta = matches!(Selector::ALL[self.0], Selector::BetaSampling { .. });
        beta.then_some(Method::EarlyConfidence)
    }

    /// All scores that it looks at.
    pub fn methods(self, options: &PickerOptions) -> Vec<Method> {
        let beside = self.hardness().into_iter().chain(self.confidence());
        let mut methods: Vec<Method> = self.base(options).into_iter().chain(beside).collect();
        methods.dedup();
        methods
    }

    /// The method and its options, for the record of a run.
    pub fn describe(self, options: &PickerOptions) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("variant".to_owned(), json!(self.selector(options).variant()));
        if let Some(base) = self.base(options) {
            map.insert("base".to_owned(), json!(base.name()));
        }
        if let Some(scope) = options.scope {
            map.insert("scope".to_owned(), json!(scope.to_string()));
        }
        map
    }
}

/// Which options are about which methods.
const OPTIONS: [(&str, &[&str]); 15] = [
    ("start", &["coreset", "contextual-diversity"]),
    ("centre", &["moderate"]),
    ("space", &["graph-cut", "facility-location"]),
    ("lambda", &["graph-cut", "grad-match"]),
    ("beta", &["ccs"]),
    ("strata", &["ccs"]),
    ("exponent", &["beta-sampling"]),
    ("endpoint", &["difficulty-window"]),
    ("neighbours", &["d2"]),
    ("forward", &["d2"]),
    ("reverse", &["d2"]),
    ("step", &["glister"]),
    ("refresh", &["glister"]),
    ("base", &["ccs", "beta-sampling", "difficulty-window", "d2"]),
    ("memory", &["facility-location", "craig", "grad-match"]),
];

impl PickerOptions {
    /// Refuses numbers that one of `pickers` cannot have.
    pub fn check(&self, pickers: &[Picker]) -> Result<()> {
        pickers.iter().try_for_each(|p| p.selector(self).check())
    }

    /// The options that are set and do nothing to `pickers`.
    pub fn idle(&self, pickers: &[Picker]) -> Vec<Idle> {
        let set = [
            self.start.is_some(),
            self.centre.is_some(),
            self.space.is_some(),
            self.lambda.is_some(),
            self.beta.is_some(),
            self.strata.is_some(),
            self.exponent.is_some(),
            self.endpoint.is_some(),
            self.neighbours.is_some(),
            self.forward.is_some(),
            self.reverse.is_some(),
            self.step.is_some(),
            self.refresh.is_some(),
            self.base.is_some(),
            self.memory != MEMORY,
        ];
        let idle = OPTIONS.iter().zip(set).filter(|((_, owners), set)| {
            *set && !pickers.iter().any(|p| owners.contains(&p.name()))
        });
        let about = |owners: &[&str]| format!("{}, which is not asked for", owners.join(", "));
        let mut idle: Vec<Idle> =
            idle.map(|((setting, owners), _)| Idle { setting, about: about(owners) }).collect();
        if self.scope.is_some() && pickers.is_empty() {
            let about = "selection methods, none is asked for".to_owned();
            idle.push(Idle { setting: "scope", about });
        }
        idle
    }
}

/// An option or setting that does nothing to what is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    /// The name of its field.
    pub setting: &'static str,
    /// What it is about.
    pub about: String,
}

impl FromStr for Picker {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = || Error::invalid("selection method", name, Picker::names());
        Picker::all().find(|p| p.name() == name).ok_or_else(known)
    }
}

impl fmt::Display for Picker {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a network, or the user, says of all samples of a part, in data-set order.
#[derive(Clone, Debug, Default)]
pub struct Material {
    pub features: Option<Arc<features::FeatureMatrix>>,
    /// N x K.
    pub probabilities: Option<Vec<f32>>,
    pub validation: Option<ValidationMaterial>,
}

/// What a network says of the validation images.
#[derive(Clone, Debug)]
pub struct ValidationMaterial {
    pub features: features::FeatureMatrix,
    pub probabilities: Vec<f32>,
    pub labels: Vec<u32>,
}

/// How many samples of whom.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub population: Population<'a>,
    pub wanted: &'a Wanted,
    /// Whether quotas decide how many of each class.
    pub quotas: bool,
    pub seed: u64,
}

impl Material {
    /// The picks of `picker`; `score` gives the values of a score, one a training sample.
    pub fn pick<'a>(
        &'a self,
        picker: Picker,
        options: &PickerOptions,
        asked: Asked,
        score: impl Fn(Method) -> Result<&'a [f64]>,
    ) -> Result<Picks> {
        let Asked { population, wanted, quotas, seed } = asked;
        let selector = picker.selector(options);
        let of = |method: Method| -> Result<Score> {
            Ok(Score { values: score(method)?, direction: method.direction() })
        };
        let table = |f: &'a features::FeatureMatrix| Features::new(&f.values, f.width);
        // Of predictions; the population may be one of groups.
        let classes = match &self.probabilities {
            Some(p) => p.len() / population.labels.len().max(1),
            None => population.classes,
        };
        let gradients = picker.needs_features(options) && picker.needs_probabilities(options);
        if gradients && classes != population.classes {
            let found = format!("{} groups", population.classes);
            let expected = "classes: it looks at gradients of class predictions";
            return Err(Error::invalid(picker.name(), found, expected));
        }
        let validation = match &self.validation {
            Some(v) if picker.needs_validation(options) => Some(Validation {
                features: table(&v.features)?,
                probabilities: Probabilities::new(&v.probabilities, classes)?,
                labels: &v.labels,
            }),
            _ => None,
        };
        let inputs = Inputs {
            features: self.features.as_deref().map(table).transpose()?,
            probabilities: self
                .probabilities
                .as_ref()
                .map(|p| Probabilities::new(p, classes))
                .transpose()?,
            score: picker.base(options).map(of).transpose()?,
            hardness: picker.hardness().map(of).transpose()?,
            confidence: picker.confidence().map(&score).transpose()?,
            validation,
        };
        let scope = options.scope.unwrap_or_else(|| selector.scope(quotas));
        let picking = Picking { selector, scope, inputs, seed, memory: options.memory };
        pick(population, &picking, wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_selectors_and_no_score_has_one() {
        for picker in Picker::all() {
            assert_eq!(picker.name().parse::<Picker>().unwrap(), picker);
            assert!(picker.name().parse::<Method>().is_err());
        }
        assert!("best".parse::<Picker>().unwrap_err().to_string().contains("coreset, herding"));
    }

    #[test]
    fn options_reach_the_methods_that_have_them() {
        let options = PickerOptions {
            start: Some(KCenterStart::Random),
            lambda: Some(2.0),
            beta: Some(0.3),
            strata: Some(7),
            base: Some(Method::El2n),
            ..PickerOptions::default()
        };
        let of = |name: &str| name.parse::<Picker>().unwrap();
        assert_eq!(
            of("coreset").selector(&options),
            Selector::CoreSet { start: KCenterStart::Random }
        );
        assert_eq!(of("ccs").selector(&options), Selector::Ccs { beta: 0.3, strata: 7 });
        assert_eq!(of("ccs").methods(&options), [Method::El2n, Method::Aum]);
        assert_eq!(of("ccs").methods(&PickerOptions::default()), [Method::Aum]);
        assert_eq!(of("d2").methods(&PickerOptions::default()), [Method::Forgetting]);
        let of_beta = of("beta-sampling").methods(&PickerOptions::default());
        assert_eq!(of_beta, [Method::Dual, Method::EarlyConfidence]);
        assert!(of("herding").methods(&options).is_empty());
        assert!(of("glister").needs_validation(&options));
        assert_eq!(of("graph-cut").describe(&options)["variant"], "cosine of features, lambda 2");
    }
}
