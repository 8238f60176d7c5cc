//! Running a method: which samples it picks, in which order, with which weights.

use super::budget::Budget;
use super::greedy::{
    Ccs, D2, Facility, Glister, GradMatch, GraphCut, Greedy, Herding, KCenter, Key, Known, Refresh,
    Shape, anchor, arrivals, central_order, drawn, keys, least, window_order,
};
use super::population::Population;
use super::prototype::{Centre, centre_distances, class_distances};
use super::rank::Direction;
use super::selector::{
    Inputs, KCenterStart, Scope, Score, Selector, Space, Validation, check_chances,
};
use super::space::{
    Cosine, CosineDistance, Divergence, Features, Gradients, Neighbour, Points, Probabilities,
    SquaredEuclidean, check_labels, nearest,
};
use super::wanted::Wanted;
use crate::error::{Error, Result};
use crate::rng::{Philox, Stream};
use serde::{Deserialize, Serialize};

/// A method, its inputs and its options.
#[derive(Clone, Copy, Debug)]
pub struct Picking<'a> {
    /// The method.
    pub selector: Selector,
    /// Where the method picks; [`Selector::scope`] tells the usual one.
    pub scope: Scope,
    /// What is known of the samples.
    pub inputs: Inputs<'a>,
    /// Seed that decides ties and random starts.
    pub seed: u64,
    /// Bytes that facility location and CRAIG may fill with distances to save time, and that
    /// GradMatch may need. It changes no result.
    pub memory: usize,
}

/// The usual [`Picking::memory`], 1 GiB.
pub const MEMORY: usize = 1 << 30;

/// What was picked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Picks {
    /// Positions in the original training set, first pick first. Inside classes each class's picks
    /// are in their order, and classes take turns in proportion to their counts.
    pub order: Vec<usize>,
    /// What each pick stands for in training, where the method says so.
    pub weights: Option<Vec<f64>>,
}

/// Returns the samples that a method picks: exactly as many as wanted. With a larger count and the
/// same seed every method first picks the same samples again, in every class in which it picks;
/// [`Selector::BetaSampling`] alone does not, because its chances depend on how much is wanted.
///
/// # Errors
/// [`Error::Invalid`]: what [`Population::sizes`], [`Features::check`] and [`Probabilities::check`]
/// refuse, an input that the method lacks, an option out of range, more samples wanted than there
/// are, too little memory for GradMatch.
pub fn pick(population: Population, picking: &Picking, wanted: &Wanted) -> Result<Picks> {
    picking.selector.check()?;
    let members = population.members()?;
    let sizes: Vec<usize> = members.iter().map(Vec::len).collect();
    wanted.check(&sizes)?;
    let inputs = CheckedPicking::new(population, picking)?;
    match picking.scope {
        Scope::Class => inside_classes(&inputs, &members, wanted),
        Scope::Whole => among_all(&inputs, &sizes, wanted),
    }
}

fn inside_classes(
    inputs: &CheckedPicking,
    members: &[Vec<usize>],
    wanted: &Wanted,
) -> Result<Picks> {
    let sizes: Vec<usize> = members.iter().map(Vec::len).collect();
    let seed = inputs.picking.seed;
    let counts = wanted.of_each_class(&sizes, seed)?;
    let mut picks = Vec::new();
    let mut weighted = true;
    for (class, (members, &count)) in members.iter().zip(&counts).enumerate() {
        if count == 0 {
            continue;
        }
        let validation = inputs.validation_samples(Some(class))?;
        let validation = validation.as_slice();
        let group = Group { members, one_class: true, validation, most: count, wanted: count };
        let mut greedy = inputs.greedy(&group)?;
        let mut picked = Vec::with_capacity(count);
        while picked.len() < count {
            picked.push(next(greedy.as_mut())?);
        }
        let weights = greedy.weights(&picked)?;
        weighted &= weights.is_some();
        let weights = weights.unwrap_or_else(|| vec![0.0; count]);
        let keys = keys(members, seed);
        for (rank, (sample, weight)) in picked.into_iter().zip(weights).enumerate() {
            picks.push(Turn { rank, count, key: keys[sample], position: members[sample], weight });
        }
    }
    picks.sort_unstable_by(|a, b| {
        // The samples of a class take their turns at (rank + 1/2) / count, compared here in whole
        // numbers.
        let turn = |t: &Turn, other: &Turn| (2 * t.rank as u128 + 1) * other.count as u128;
        turn(a, b).cmp(&turn(b, a)).then_with(|| a.key.cmp(&b.key))
    });
    let weights = weighted.then(|| picks.iter().map(|t| t.weight).collect());
    let order: Vec<usize> = picks.iter().map(|t| t.position).collect();
    let weights = weights.filter(|_| inputs.picking.selector.gives_weights());
    Ok(Picks { order, weights })
}

/// A class's pick on its way into the common order.
struct Turn {
    rank: usize,
    count: usize,
    key: Key,
    position: usize,
    weight: f64,
}

fn among_all(inputs: &CheckedPicking, sizes: &[usize], wanted: &Wanted) -> Result<Picks> {
    let population = inputs.population;
    let mut open = wanted.counts.clone();
    let most = wanted.most(sizes.iter().sum());
    let validation = inputs.validation_samples(None)?;
    let (members, wanted_of_all) = (population.eligible, wanted.total);
    let validation = validation.as_slice();
    let group = Group { members, one_class: false, validation, most, wanted: wanted_of_all };
    let mut picked = Vec::with_capacity(wanted.total);
    if wanted.total == 0 {
        let weights = inputs.picking.selector.gives_weights().then(Vec::new);
        return Ok(Picks { order: picked, weights });
    }
    let mut greedy = inputs.greedy(&group)?;
    while picked.len() < wanted.total {
        let sample = next(greedy.as_mut())?;
        if let Some(open) = &mut open {
            let left = &mut open[population.labels[population.eligible[sample]] as usize];
            if *left == 0 {
                continue;
            }
            *left -= 1;
        }
        picked.push(sample);
    }
    let weights = greedy.weights(&picked)?;
    Ok(Picks { order: picked.iter().map(|&i| population.eligible[i]).collect(), weights })
}

fn next(greedy: &mut (dyn Greedy + '_)) -> Result<usize> {
    greedy.next()?.ok_or_else(|| Error::Internal("a greedy method ran out of samples".to_owned()))
}

/// Samples among which a method picks.
struct Group<'a> {
    members: &'a [usize],
    one_class: bool,
    validation: &'a [usize],
    /// The most picks that will be asked for.
    most: usize,
    /// The picks that will be kept.
    wanted: usize,
}

/// A method whose inputs are known to be there.
struct CheckedPicking<'a> {
    population: Population<'a>,
    picking: &'a Picking<'a>,
}

impl<'a> CheckedPicking<'a> {
    fn new(population: Population<'a>, picking: &'a Picking<'a>) -> Result<Self> {
        let checked = CheckedPicking { population, picking };
        if let Selector::Glister { .. } = picking.selector {
            let Validation { features, probabilities, labels } = checked.validation()?;
            let (train, classes) = (checked.features()?, checked.probabilities()?.classes());
            let shape = (labels.len(), labels.len(), train.dims(), classes);
            let found =
                (features.rows(), probabilities.rows(), features.dims(), probabilities.classes());
            if found != shape {
                return Err(Error::invalid(
                    "validation set",
                    format!("{found:?} rows, rows, dimensions and classes"),
                    format!("{shape:?}: one row a label, as wide as those of training"),
                ));
            }
            let all: Vec<usize> = (0..labels.len()).collect();
            check_labels(labels, &all, classes)?;
        }
        Ok(checked)
    }

    fn missing(&self, what: &str) -> Error {
        Error::invalid(
            self.picking.selector.name(),
            format!("no {what}"),
            format!("{what} to pick by"),
        )
    }

    fn features(&self) -> Result<Features<'a>> {
        self.picking.inputs.features.ok_or_else(|| self.missing("features"))
    }

    fn probabilities(&self) -> Result<Probabilities<'a>> {
        self.picking.inputs.probabilities.ok_or_else(|| self.missing("probabilities"))
    }

    fn validation(&self) -> Result<Validation<'a>> {
        self.picking.inputs.validation.ok_or_else(|| self.missing("validation set"))
    }

    fn score(&self) -> Result<Score<'a>> {
        self.picking.inputs.score.ok_or_else(|| self.missing("score"))
    }

    /// Returns the validation samples of a class, or all of them; none where the method needs none.
    fn validation_samples(&self, class: Option<usize>) -> Result<Vec<usize>> {
        let Selector::Glister { .. } = self.picking.selector else { return Ok(Vec::new()) };
        let labels = self.validation()?.labels;
        let of_class = |&i: &usize| class.is_none_or(|class| labels[i] as usize == class);
        let samples: Vec<usize> = (0..labels.len()).filter(of_class).collect();
        if samples.is_empty() {
            let what = class.map_or("no sample".to_owned(), |k| format!("no sample of class {k}"));
            return Err(Error::invalid("validation set", what, "samples to lower the loss of"));
        }
        Ok(samples)
    }

    /// Sets up the method for a group, before its first pick.
    fn greedy<'g>(&'g self, group: &Group<'g>) -> Result<Box<dyn Greedy + 'g>>
    where
        'a: 'g,
    {
        let (positions, seed) = (group.members, self.picking.seed);
        let memory = self.picking.memory;
        let points = || Points::new(self.features()?, positions);
        let gradients = || Gradients::new(points()?, self.probabilities()?, self.population.labels);
        Ok(match self.picking.selector {
            Selector::CoreSet { start } => {
                let points = points()?;
                let first = match start {
                    KCenterStart::Mean => {
                        least(&centre_distances(points, Centre::Mean), positions, seed)
                    }
                    KCenterStart::Random => drawn(positions, seed),
                };
                Box::new(KCenter::new(SquaredEuclidean::new(points), first, positions, seed))
            }
            Selector::ContextualDiversity { start } => {
                let divergence = Divergence::new(self.probabilities()?, positions)?;
                let first = match start {
                    KCenterStart::Mean => least(&divergence.to_mean(), positions, seed),
                    KCenterStart::Random => drawn(positions, seed),
                };
                Box::new(KCenter::new(divergence, first, positions, seed))
            }
            Selector::Herding => Box::new(Herding::new(points()?, positions, seed)),
            Selector::FacilityLocation { space: Space::Features } => {
                Box::new(Facility::new(Cosine::new(points()?), positions, seed, memory))
            }
            Selector::FacilityLocation { space: Space::Gradients } => {
                let distance = CosineDistance(gradients()?);
                Box::new(Facility::new(distance, positions, seed, memory))
            }
            Selector::Craig => Box::new(Facility::new(gradients()?, positions, seed, memory)),
            Selector::GraphCut { space: Space::Features, lambda } => {
                Box::new(GraphCut::new(Cosine::new(points()?), lambda, positions, seed))
            }
            Selector::GraphCut { space: Space::Gradients, lambda } => {
                Box::new(GraphCut::new(gradients()?, lambda, positions, seed))
            }
            Selector::GradMatch { lambda } => {
                let most = group.most;
                Box::new(GradMatch::new(gradients()?, lambda, positions, seed, most, memory)?)
            }
            Selector::Glister { step, refresh } => {
                let refresh = Refresh { step, every: refresh };
                Box::new(self.glister(group, gradients()?, refresh)?)
            }
            Selector::Moderate { centre } => Box::new(self.moderate(group, points()?, centre)?),
            Selector::Ccs { beta, strata } => Box::new(self.ccs(positions, beta, strata)?),
            Selector::BetaSampling { exponent } => Box::new(self.beta(group, exponent)?),
            Selector::Window { endpoint } => {
                let end = Budget::new(endpoint, positions.len())?.count;
                let values = self.difficulty(positions)?;
                Box::new(Known(window_order(&values, end, &keys(positions, seed)).into_iter()))
            }
            Selector::D2 { neighbours, forward, reverse } => {
                let values = self.difficulty(positions)?;
                let lists = neighbour_lists(points()?, positions, neighbours, seed);
                Box::new(D2::new(&values, lists, forward, reverse, positions, seed))
            }
        })
    }

    fn glister<'g>(
        &'g self,
        group: &Group<'g>,
        train: Gradients<'g>,
        refresh: Refresh,
    ) -> Result<Glister<'g>>
    where
        'a: 'g,
    {
        let Validation { features, probabilities, labels } = self.validation()?;
        let samples = group.validation;
        let validation = Gradients::new(Points::new(features, samples)?, probabilities, labels)?;
        let rows = samples.iter().flat_map(|&i| probabilities.row(i).iter().copied());
        let labels = samples.iter().map(|&i| labels[i]).collect();
        let (positions, seed) = (group.members, self.picking.seed);
        Ok(Glister::new(train, validation, rows, labels, refresh, positions, seed))
    }

    fn moderate(&self, group: &Group, points: Points, centre: Centre) -> Result<Known> {
        let positions = group.members;
        let values: Vec<f64> = match group.one_class {
            true => centre_distances(points, centre),
            false => {
                let all = class_distances(self.population, self.features()?, centre)?;
                positions.iter().map(|&position| all.values[position]).collect()
            }
        };
        Ok(Known(central_order(&values, &keys(positions, self.picking.seed)).into_iter()))
    }

    fn ccs(&self, positions: &[usize], beta: f64, strata: usize) -> Result<Ccs> {
        let score = self.score()?;
        let values = self.values(score, positions)?;
        let hard = self.picking.inputs.hardness.unwrap_or(score);
        let sign = if hard.direction == Direction::KeepHighest { 1.0 } else { -1.0 };
        let hardness: Vec<f64> =
            self.values(hard, positions)?.into_iter().map(|v| sign * v).collect();
        let drop = Budget::new(beta, positions.len())?.count;
        let ties = keys(positions, self.picking.seed);
        Ok(Ccs::new(&values, &hardness, drop, strata, &ties, &self.draws(positions)))
    }

    fn draws(&self, positions: &[usize]) -> Vec<Key> {
        let draw = Philox::new(self.picking.seed, Stream::Subset);
        positions.iter().map(|&p| draw.block(p as u64, 0)).collect()
    }

    fn beta(&self, group: &Group, exponent: f64) -> Result<Known> {
        let positions = group.members;
        let scores = self.difficulty(positions)?;
        let confidence = self.picking.inputs.confidence;
        let confidence = confidence.ok_or_else(|| self.missing("confidence"))?;
        check_chances(positions, &scores, confidence)?;
        let means: Vec<f64> = positions.iter().map(|&p| confidence[p]).collect();
        let ties = keys(positions, self.picking.seed);
        let rate = 1.0 - group.wanted as f64 / positions.len().max(1) as f64;
        let shape = Shape::new(anchor(&scores, &means, &ties), rate, exponent);
        let order = arrivals(&scores, &means, shape, &ties, &self.draws(positions));
        Ok(Known(order.into_iter()))
    }

    /// Returns the score at `positions`, turned so that greater is harder.
    fn difficulty(&self, positions: &[usize]) -> Result<Vec<f64>> {
        let score = self.score()?;
        let mut values = self.values(score, positions)?;
        if score.direction == Direction::KeepLowest {
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            values.iter_mut().for_each(|v| *v = most - *v);
        }
        Ok(values)
    }

    /// Returns the finite values of a score at `positions`.
    fn values(&self, score: Score, positions: &[usize]) -> Result<Vec<f64>> {
        let value = |&position: &usize| match score.values.get(position) {
            Some(&value) if value.is_finite() => Ok(value),
            found => Err(Error::invalid(
                format!("score of training sample {position}"),
                found.map_or("none".to_owned(), |v| v.to_string()),
                "a finite number",
            )),
        };
        positions.iter().map(value).collect()
    }
}

/// Returns the nearest neighbours of every sample with their Euclidean distances.
fn neighbour_lists(
    points: Points,
    positions: &[usize],
    neighbours: usize,
    seed: u64,
) -> Vec<Vec<Neighbour>> {
    let mut lists = nearest(&SquaredEuclidean::new(points), positions, neighbours, seed);
    lists.iter_mut().flatten().for_each(|n| n.distance = n.distance.sqrt());
    lists
}
