//! Data for tests: drawn, so that any part of it can be made again.

use fairprune::prune::{
    Direction, Features, Inputs, MEMORY, Picking, Picks, Population, Probabilities, Scope, Score,
    Selector, Validation, Wanted, pick,
};
use fairprune::rng::{Philox, Sequence, Stream};

/// Everything that a method can ask for.
#[derive(Clone, Debug, Default)]
pub struct Data {
    pub dims: usize,
    pub classes: usize,
    pub labels: Vec<u32>,
    pub eligible: Vec<usize>,
    pub features: Vec<f32>,
    pub probabilities: Vec<f32>,
    pub score: Vec<f64>,
    pub margin: Vec<f64>,
    /// Mean probability of the label.
    pub confidence: Vec<f64>,
    pub validation_features: Vec<f32>,
    pub validation_probabilities: Vec<f32>,
    pub validation_labels: Vec<u32>,
}

pub fn sequence(seed: u64) -> Sequence {
    Philox::new(seed, Stream::Shapes).sequence(0)
}

/// Probabilities of classes 0 to k - 1, leaning towards `label`.
fn predict(draw: &mut Sequence, label: u32, classes: usize, into: &mut Vec<f32>) {
    let logits = (0..classes as u32).map(|c| draw.normal() + if c == label { 1.5 } else { 0.0 });
    let powers: Vec<f32> = logits.map(f32::exp).collect();
    let sum: f32 = powers.iter().sum();
    into.extend(powers.iter().map(|p| p / sum));
}

/// The probability of each sample's label.
pub fn of_labels(probabilities: &[f32], labels: &[u32], classes: usize) -> Vec<f64> {
    let rows = probabilities.chunks(classes).zip(labels);
    rows.map(|(row, &label)| f64::from(row[label as usize])).collect()
}

impl Data {
    /// `n` samples of three classes with `dims` features, all eligible.
    pub fn random(n: usize, dims: usize, seed: u64) -> Data {
        let classes = 3;
        let mut draw = sequence(seed);
        let mut data = Data { dims, classes, ..Data::default() };
        for i in 0..n {
            let label = if i < classes { i as u32 } else { draw.below(classes as u32) };
            data.labels.push(label);
            data.eligible.push(i);
            data.features.extend((0..dims).map(|_| draw.normal() + label as f32));
            predict(&mut draw, label, classes, &mut data.probabilities);
            data.score.push(f64::from(draw.normal()).powi(2));
            data.margin.push(f64::from(draw.normal()));
        }
        data.confidence = of_labels(&data.probabilities, &data.labels, classes);
        for v in 0..3 * classes as u32 {
            let label = v % classes as u32;
            data.validation_labels.push(label);
            data.validation_features.extend((0..dims).map(|_| draw.normal() + label as f32));
            predict(&mut draw, label, classes, &mut data.validation_probabilities);
        }
        data
    }

    pub fn population(&self) -> Population<'_> {
        Population { labels: &self.labels, eligible: &self.eligible, classes: self.classes }
    }

    pub fn features(&self) -> Features<'_> {
        Features::new(&self.features, self.dims).unwrap()
    }

    pub fn probabilities(&self) -> Probabilities<'_> {
        Probabilities::new(&self.probabilities, self.classes).unwrap()
    }

    pub fn inputs(&self) -> Inputs<'_> {
        let validation = Validation {
            features: Features::new(&self.validation_features, self.dims).unwrap(),
            probabilities: Probabilities::new(&self.validation_probabilities, self.classes)
                .unwrap(),
            labels: &self.validation_labels,
        };
        Inputs {
            features: Some(self.features()),
            probabilities: Some(self.probabilities()),
            score: Some(Score { values: &self.score, direction: Direction::KeepHighest }),
            hardness: Some(Score { values: &self.margin, direction: Direction::KeepLowest }),
            confidence: Some(&self.confidence),
            validation: Some(validation),
        }
    }

    pub fn picking(&self, selector: Selector, scope: Scope, seed: u64) -> Picking<'_> {
        Picking { selector, scope, inputs: self.inputs(), seed, memory: MEMORY }
    }

    pub fn pick(&self, selector: Selector, scope: Scope, wanted: &Wanted, seed: u64) -> Picks {
        pick(self.population(), &self.picking(selector, scope, seed), wanted).unwrap()
    }

    /// Sizes of the classes.
    pub fn sizes(&self) -> Vec<usize> {
        self.population().sizes().unwrap()
    }
}

/// Class counts of some picks.
pub fn counts(data: &Data, order: &[usize]) -> Vec<usize> {
    let mut counts = vec![0; data.classes];
    order.iter().for_each(|&i| counts[data.labels[i] as usize] += 1);
    counts
}

/// The picks of one class, in order.
pub fn of_class(data: &Data, order: &[usize], class: u32) -> Vec<usize> {
    order.iter().copied().filter(|&i| data.labels[i] == class).collect()
}
