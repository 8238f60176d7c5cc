//! Class risks found by drawing samples: a check of the formulas that shares nothing with them.

use std::f64::consts::PI;

use rayon::prelude::*;

use super::model::{Decision, Rule};
use crate::error::{Error, Result};
use crate::rng::{Philox, Sequence, Stream};

/// Number of normal draws from one stream of the generator.
const CHUNK: u64 = 1 << 16;

/// What to draw.
#[derive(Clone, Copy, Debug)]
pub struct Simulation<'a> {
    /// Means of the classes, of the same dimension, as they are given to the model.
    pub means: [&'a [f64]; 2],
    /// Standard deviation of every coordinate.
    pub sigmas: [f64; 2],
    /// Samples of each class.
    pub samples: u64,
    /// Seed of the draws. A seed gives the same counts, whatever the number of threads.
    pub seed: u64,
}

/// Risks found by drawing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Share of each class's samples on the wrong side.
    pub risks: [f64; 2],
    /// Standard deviation of that share if the exact risks are right, sqrt(R (1 - R) / samples).
    pub standard_errors: [f64; 2],
}

/// Draws samples of both classes in all their dimensions and applies every rule to them. In several
/// dimensions a rule's threshold counts along the line through the means, from the mean of class 0.
///
/// # Errors
/// [`Error::Invalid`]: no samples, means of unlike or no dimension, or equal ones.
pub fn simulate(simulation: &Simulation, decisions: &[Decision]) -> Result<Vec<Estimate>> {
    let [a, b] = simulation.means;
    if simulation.samples == 0 {
        return Err(Error::invalid("samples to draw", "0", "at least 1"));
    }
    if a.len() != b.len() || a.is_empty() || a == b {
        let found = format!("{a:?} and {b:?}");
        return Err(Error::invalid("means", found, "two different points of one dimension"));
    }
    let errors = [0, 1].map(|class| count_errors(simulation, class, decisions));
    let estimate = |(i, decision): (usize, &Decision)| {
        let n = simulation.samples as f64;
        Estimate {
            risks: [0, 1].map(|class: usize| errors[class][i] as f64 / n),
            standard_errors: decision.risks.map(|risk| (risk * (1.0 - risk) / n).sqrt()),
        }
    };
    Ok(decisions.iter().enumerate().map(estimate).collect())
}

/// Counts the samples of `class` that each rule takes for the other class. The counts add up to the
/// same numbers whatever the order of the chunks.
fn count_errors(simulation: &Simulation, class: usize, decisions: &[Decision]) -> Vec<u64> {
    let axis = MeanAxis::new(simulation.means);
    let philox = Philox::new(simulation.seed, Stream::Theory);
    let chunk = (CHUNK / simulation.means[0].len() as u64).max(1);
    let count = |i: u64| {
        let mut normals = Normals { words: philox.sequence(2 * i + class as u64), second: None };
        let samples = chunk.min(simulation.samples - i * chunk);
        let mut errors = vec![0u64; decisions.len()];
        for _ in 0..samples {
            let x = axis.draw(simulation.means[class], simulation.sigmas[class], &mut normals);
            for (errors, decision) in errors.iter_mut().zip(decisions) {
                let predicted = match decision.rule {
                    Rule::Threshold(t) => usize::from(x > t),
                    Rule::Always(class) => class,
                };
                *errors += u64::from(predicted != class);
            }
        }
        errors
    };
    let add = |mut sum: Vec<u64>, errors: Vec<u64>| {
        sum.iter_mut().zip(errors).for_each(|(sum, errors)| *sum += errors);
        sum
    };
    let chunks = simulation.samples.div_ceil(chunk);
    (0..chunks).into_par_iter().map(count).reduce(|| vec![0; decisions.len()], add)
}

/// The line through the means.
struct MeanAxis<'a> {
    /// The point that positions are measured from, and the unit vector; `None` in one dimension,
    /// where the coordinate is the position.
    line: Option<(&'a [f64], Vec<f64>)>,
}

impl<'a> MeanAxis<'a> {
    fn new([a, b]: [&'a [f64]; 2]) -> Self {
        if a.len() == 1 {
            return MeanAxis { line: None };
        }
        let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
        let largest = difference.iter().fold(0.0, |m: f64, d| m.max(d.abs()));
        let scaled: Vec<f64> = difference.iter().map(|d| d / largest).collect();
        let norm = scaled.iter().map(|d| d * d).sum::<f64>().sqrt();
        MeanAxis { line: Some((a, scaled.iter().map(|d| d / norm).collect())) }
    }

    /// Draws the position of a random sample.
    fn draw(&self, mean: &[f64], sigma: f64, normals: &mut Normals) -> f64 {
        let Some((origin, direction)) = &self.line else { return mean[0] + sigma * normals.next() };
        let coordinates = mean.iter().zip(origin.iter().zip(direction));
        coordinates.map(|(m, (o, d))| (m + sigma * normals.next() - o) * d).sum()
    }
}

/// Standard normal numbers by the method of Box and Muller, which uses both of each pair.
struct Normals {
    words: Sequence,
    second: Option<f64>,
}

impl Normals {
    fn next(&mut self) -> f64 {
        if let Some(second) = self.second.take() {
            return second;
        }
        let radius = (-2.0 * libm::log(1.0 - self.words.uniform_f64())).sqrt();
        let (sin, cos) = libm::sincos(2.0 * PI * self.words.uniform_f64());
        self.second = Some(radius * sin);
        radius * cos
    }
}
