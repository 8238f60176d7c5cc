//! Distance to the centre of the sample's own class.

use rayon::prelude::*;

use super::sample_score::SampleScore;
use crate::error::Result;
use crate::prune::names::names;
use crate::prune::population::Population;
use crate::prune::rank::Direction;
use crate::prune::space::{CHUNK, Features, PairSum, Points, narrow};

/// The centre of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Centre {
    /// Mean of the features.
    #[default]
    Mean,
    /// Median of each dimension.
    Median,
}

names!(Centre, "centre", "mean" => Centre::Mean, "median" => Centre::Median);

/// Returns the Euclidean distance of every sample to the centre of its class in feature space. Far
/// samples are hard and kept.
///
/// With [`Centre::Mean`] this is the label-dependent form of SSP (Sorscher et al. 2022, as used by
/// arXiv 2404.05579). It takes O(N D) time and 16 bytes for each sample.
///
/// # Errors
/// Fails as [`Population::sizes`] and [`Features::check`] do.
pub fn class_distances(
    population: Population,
    features: Features,
    centre: Centre,
) -> Result<SampleScore> {
    let mut values = vec![f64::NAN; population.labels.len()];
    for members in population.members()? {
        let points = Points::new(features, &members)?;
        for (&position, distance) in members.iter().zip(centre_distances(points, centre)) {
            values[position] = distance;
        }
    }
    let variant = format!("Euclidean distance to the own class's {centre} of the features");
    Ok(SampleScore { values, direction: Direction::KeepHighest, variant })
}

/// Returns the Euclidean distances of a group's samples to its centre.
pub(crate) fn centre_distances(points: Points, centre: Centre) -> Vec<f64> {
    let centre = narrow(&match centre {
        Centre::Mean => points.mean(),
        Centre::Median => median(points),
    });
    distances_to(points, &centre)
}

/// Returns the Euclidean distances of a group's samples to one vector.
fn distances_to(points: Points, centre: &[f32]) -> Vec<f64> {
    let samples: Vec<usize> = (0..points.len()).collect();
    let mut distances = vec![0.0; points.len()];
    distances.par_chunks_mut(CHUNK).zip(samples.par_chunks(CHUNK)).for_each(|(out, samples)| {
        points.against(PairSum::SquaredDifference, centre, samples, out);
        out.iter_mut().for_each(|d| *d = d.sqrt());
    });
    distances
}

/// Returns the median of each dimension: for an even number of samples, the mean of the two in the
/// middle.
fn median(points: Points) -> Vec<f64> {
    let n = points.len();
    let of_dimension = |k: usize| {
        let mut column: Vec<f32> = (0..n).map(|i| points.row(i)[k]).collect();
        if n == 0 {
            return 0.0;
        }
        let (below, &mut high, _) = column.select_nth_unstable_by(n / 2, f32::total_cmp);
        match n % 2 {
            1 => f64::from(high),
            _ => {
                let low = below.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                (f64::from(low) + f64::from(high)) / 2.0
            }
        }
    };
    (0..points.dims()).into_par_iter().map(of_dimension).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        let values = [5.0f32, 1.0, 9.0, 2.0, 3.0, 8.0, 4.0, 4.0];
        let features = Features::new(&values, 2).unwrap();
        let of = |positions: &[usize]| median(Points::new(features, positions).unwrap());
        assert_eq!(of(&[0, 1, 2]), [5.0, 2.0]);
        assert_eq!(of(&[0, 1, 2, 3]), [4.5, 3.0]);
        assert_eq!(of(&[3]), [4.0, 4.0]);
        assert_eq!(of(&[]), [0.0, 0.0]);
    }
}
