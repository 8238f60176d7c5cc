//! Weights of picks, as training takes them.

use super::pick::Picks;
use super::population::Population;
use crate::error::{Error, Result};

/// Returns one weight for each pick, in ascending order of positions. The weights of the picks are
/// divided by their mean, which changes nothing in a loss that is divided by the sum of weights;
/// with `inside_classes` they are divided by the mean of their own class, so that a class counts in
/// training as its share of the subset says, and quotas are not undone by weights that stand for
/// all samples of the class. Where all weights of a class are 0 they become 1. The result is `None`
/// where the picks have no weights.
///
/// # Errors
/// [`Error::Invalid`]: a weight that is no finite number from 0 up. [`Error::Internal`]: a pick
/// that is not in the population.
pub fn training_weights(
    population: Population,
    picks: &Picks,
    inside_classes: bool,
) -> Result<Option<Vec<f32>>> {
    let Some(weights) = &picks.weights else { return Ok(None) };
    let mut ascending: Vec<(usize, f64)> =
        picks.order.iter().copied().zip(weights.iter().copied()).collect();
    ascending.sort_unstable_by_key(|&(position, _)| position);
    let cells = if inside_classes { population.classes } else { 1 };
    let mut sums = vec![(0.0f64, 0u32); cells];
    let mut of = Vec::with_capacity(ascending.len());
    for &(position, weight) in &ascending {
        if !(0.0..f64::INFINITY).contains(&weight) {
            let what = format!("weight of sample {position}");
            return Err(Error::invalid(what, weight.to_string(), "a finite number from 0 up"));
        }
        let label = population.labels.get(position).map(|&l| l as usize);
        let cell = if inside_classes { label } else { Some(0) };
        let cell = cell.filter(|&c| c < cells).ok_or_else(|| {
            Error::Internal(format!("the pick {position} is in none of {cells} classes"))
        })?;
        sums[cell].0 += weight;
        sums[cell].1 += 1;
        of.push(cell);
    }
    let divided = |(&(_, weight), &cell): (&(usize, f64), &usize)| match sums[cell] {
        (sum, count) if sum > 0.0 => (weight * f64::from(count) / sum) as f32,
        _ => 1.0,
    };
    Ok(Some(ascending.iter().zip(&of).map(divided).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [u32; 6] = [0, 0, 1, 1, 1, 2];

    fn weights(order: &[usize], weights: &[f64], inside: bool) -> Result<Option<Vec<f32>>> {
        let eligible: Vec<usize> = (0..6).collect();
        let population = Population { labels: &LABELS, eligible: &eligible, classes: 3 };
        let picks = Picks { order: order.to_vec(), weights: Some(weights.to_vec()) };
        training_weights(population, &picks, inside)
    }

    #[test]
    fn weights_follow_their_samples_and_average_one() {
        // Positions 0 and 1 (class 0) have 1 and 3, position 4 has 5, position 5 has 7.
        let (order, raw) = ([4, 1, 5, 0], [5.0, 3.0, 7.0, 1.0]);
        assert_eq!(weights(&order, &raw, true).unwrap().unwrap(), [0.5, 1.5, 1.0, 1.0]);
        assert_eq!(weights(&order, &raw, false).unwrap().unwrap(), [0.25, 0.75, 1.25, 1.75]);
    }

    #[test]
    fn a_class_without_weight_weighs_as_much_as_it_has_samples() {
        let found = weights(&[3, 2, 0], &[0.0, 0.0, 0.2], true).unwrap().unwrap();
        assert_eq!(found, [1.0; 3]);
        assert_eq!(weights(&[3, 2], &[0.0, 4.0], true).unwrap().unwrap(), [2.0, 0.0]);
        assert_eq!(weights(&[], &[], true).unwrap().unwrap(), [0.0f32; 0]);
    }

    #[test]
    fn what_is_no_weight_is_refused() {
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            let message = weights(&[2, 1], &[bad, 1.0], true).unwrap_err().to_string();
            assert!(message.contains("weight of sample 2"), "{message}");
        }
        assert!(weights(&[9], &[1.0], true).is_err());
        let eligible = [0];
        let population = Population { labels: &LABELS, eligible: &eligible, classes: 3 };
        let picks = Picks { order: vec![0], weights: None };
        assert_eq!(training_weights(population, &picks, true).unwrap(), None);
    }
}
