//! Images that are almost the same, by the angle between their features and by their pixels.

use rayon::prelude::*;

use super::looks::Looks;
use crate::error::{Error, Result};
use crate::prune::cost::PickCost;
use crate::prune::space::{CHUNK, Cosine, Features, Measure, Points};

/// The cosine of features from which on pixels of two samples are compared, unless another is given.
pub const NEAR: f64 = 0.95;
/// The correlation of pixels from which on such samples are near-duplicates, unless another is given.
pub const ALIKE: f64 = 0.95;

/// Number of samples that are compared with all before them at a time, and then among themselves.
const BLOCK: usize = 1024;
/// Number of samples that one task compares.
const QUERIES: usize = 32;

/// A sample that is near one before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearDuplicate {
    /// Position of the sample.
    pub sample: usize,
    /// Position of the most alike sample before it that is itself no near-duplicate; of equally
    /// alike ones the first.
    pub other: usize,
    /// The correlation of their pixels; the cosine of their features where no pixels are compared.
    pub similarity: f64,
}

/// What counts as near.
#[derive(Clone, Copy)]
pub struct Nearness<'a> {
    /// The least cosine of features, above 0 and at most 1.
    pub near: f64,
    /// The images by position, and the least correlation of their pixels, above 0 and at most 1; None
    /// goes by features alone.
    pub looks: Option<(&'a Looks, f64)>,
}

impl Nearness<'_> {
    /// Refuses bounds that nothing or everything reaches.
    ///
    /// # Errors
    /// A bound that is not above 0 and at most 1.
    pub fn check(&self) -> Result<()> {
        let bounds = [("`near`", Some(self.near)), ("`alike`", self.looks.map(|l| l.1))];
        for (what, bound) in bounds {
            if let Some(bound) = bound.filter(|b| !(*b > 0.0 && *b <= 1.0)) {
                return Err(Error::invalid(what, bound.to_string(), "above 0 and at most 1"));
            }
        }
        Ok(())
    }
}

/// Returns features less the mean of the rows at `positions`, N x D: features after a ReLU are not
/// negative, so that without this any two of them have a large cosine.
///
/// # Errors
/// Fails as [`Features::check`] does.
pub fn centred(features: Features, positions: &[usize]) -> Result<Vec<f32>> {
    let mean = Points::new(features, positions)?.mean();
    let mut values = vec![0.0; features.rows() * features.dims()];
    values.par_chunks_mut(features.dims()).enumerate().for_each(|(i, row)| {
        for ((v, &x), m) in row.iter_mut().zip(features.row(i)).zip(&mean) {
            *v = (f64::from(x) - m) as f32;
        }
    });
    Ok(values)
}

/// Returns, in the order of `order`, every sample that is near one before it. A sample that is returned stands for no other one, so that whatever is not returned is
/// not near anything else that is not: a chain of samples, each near the next, is not taken for one
/// thing. The first `fixed` samples of the order stand for others in any case.
///
/// This computes at most N^2 / 2 products of D values, in tiles, and 18 correlations of images for each
/// pair whose features are near. It takes N x 24 bytes and a block of similarities: no matrix of all
/// pairs. The result does not depend on the number of threads. A row of
/// zeros is near nothing.
///
/// # Errors
/// What [`Nearness::check`] and [`Features::check`] refuse.
pub fn near_duplicates(
    features: Features,
    order: &[usize],
    fixed: usize,
    nearness: &Nearness,
) -> Result<Vec<NearDuplicate>> {
    nearness.check()?;
    let space = Cosine::new(Points::new(features, order)?);
    let pairs = Pairs { space: &space, order, nearness };
    let (mut leaders, mut found) = (Vec::new(), Vec::new());
    for start in (0..order.len()).step_by(BLOCK) {
        let block: Vec<usize> = (start..order.len().min(start + BLOCK)).collect();
        let before = pairs.alike(&block, &leaders, false);
        let inside = pairs.alike(&block, &block, true);
        let mut is_leader = vec![false; block.len()];
        for (at, &sample) in block.iter().enumerate() {
            let earlier = inside[at].iter().filter(|(o, _)| is_leader[o - start]);
            let nearest = most_alike(before[at].iter().chain(earlier));
            is_leader[at] = nearest.is_none() || sample < fixed;
            found.extend(nearest.map(|(other, similarity)| NearDuplicate {
                sample: order[sample],
                other: order[other],
                similarity,
            }));
        }
        leaders.extend(block.iter().filter(|&&sample| is_leader[sample - start]));
    }
    Ok(found)
}

/// The most alike of a list; of equally alike ones the first.
fn most_alike<'a>(list: impl Iterator<Item = &'a (usize, f64)>) -> Option<(usize, f64)> {
    list.copied().min_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)))
}

/// Pairs of samples, by their places in the order.
struct Pairs<'a> {
    space: &'a Cosine<'a>,
    order: &'a [usize],
    nearness: &'a Nearness<'a>,
}

impl Pairs<'_> {
    /// The places of `others` that are near each of `queries`, with their similarities: all of them, or
    /// the most alike alone.
    fn alike(&self, queries: &[usize], others: &[usize], all: bool) -> Vec<Vec<(usize, f64)>> {
        let lists = queries.par_chunks(QUERIES).flat_map_iter(|queries| {
            let mut lists: Vec<Vec<(usize, f64)>> = vec![Vec::new(); queries.len()];
            let mut tile = vec![0.0; queries.len() * CHUNK];
            for others in others.chunks(CHUNK) {
                let tile = &mut tile[..queries.len() * others.len()];
                self.space.distances(queries, others, tile);
                for ((&query, row), list) in
                    queries.iter().zip(tile.chunks(others.len())).zip(&mut lists)
                {
                    let near = others.iter().zip(row).filter(|(other, _)| **other < query);
                    list.extend(near.filter_map(|(&other, distance)| {
                        Some((other, self.similarity(query, other, 1.0 - distance)?))
                    }));
                    if !all && list.len() > 1 {
                        *list = most_alike(list.iter()).into_iter().collect();
                    }
                }
            }
            lists
        });
        lists.collect()
    }

    /// How alike two near samples are; None where they are not near.
    fn similarity(&self, query: usize, other: usize, cosine: f64) -> Option<f64> {
        if !(cosine >= self.nearness.near) {
            return None;
        }
        let Some((looks, least)) = self.nearness.looks else { return Some(cosine) };
        let correlation = looks.correlation(self.order[query], self.order[other]);
        (correlation >= least).then_some(correlation)
    }
}

impl PickCost {
    /// Returns the cost of [`near_duplicates`] among `samples` in `dims` dimensions but for the pixels of
    /// pairs whose features are near, of which nobody knows the number before.
    pub fn near_duplicates(samples: usize, dims: usize) -> PickCost {
        let (pairs, width) = (0.5 * (samples as f64).powi(2), dims as f64);
        let block = (BLOCK * BLOCK.min(samples)) as f64;
        PickCost {
            flops: 2.0 * pairs * width,
            seconds: 1e-9 * pairs * (0.045 * width + 2.0),
            bytes: samples as f64 * (24.0 + 4.0 * width) + 16.0 * block,
            class: "n^2 D",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unit vectors in the plane at these degrees.
    fn at(degrees: &[f32]) -> Vec<f32> {
        degrees.iter().flat_map(|d| [d.to_radians().cos(), d.to_radians().sin()]).collect()
    }

    fn near(degrees: &[f32], order: &[usize], fixed: usize) -> Vec<(usize, usize)> {
        let values = at(degrees);
        let features = Features::new(&values, 2).unwrap();
        let nearness = Nearness { near: 10f64.to_radians().cos(), looks: None };
        let found = near_duplicates(features, order, fixed, &nearness).unwrap();
        found.iter().map(|n| (n.sample, n.other)).collect()
    }

    #[test]
    fn a_chain_is_not_one_thing() {
        // Each is 8 degrees from the next: the second goes, and then the third stays.
        assert_eq!(near(&[0.0, 8.0, 16.0, 24.0], &[0, 1, 2, 3], 0), [(1, 0), (3, 2)]);
        assert_eq!(near(&[0.0, 8.0, 16.0, 24.0], &[1, 0, 2, 3], 0), [(0, 1), (2, 1)]);
        // What is held out stands for others even where it is near something itself.
        assert_eq!(near(&[0.0, 8.0, 16.0, 24.0], &[0, 1, 2, 3], 2), [(1, 0), (2, 1)]);
    }

    #[test]
    fn the_most_alike_is_named_and_then_the_first() {
        assert_eq!(near(&[0.0, 12.0, 5.0], &[0, 1, 2], 0), [(2, 0)]);
        assert_eq!(near(&[0.0, 12.0, 7.0], &[0, 1, 2], 0), [(2, 1)]);
        assert_eq!(near(&[4.0, 90.0, 4.0, 4.0], &[0, 1, 2, 3], 3), [(2, 0), (3, 0)]);
        assert_eq!(near(&[4.0, 90.0], &[], 0), []);
    }

    /// Blocks and tiles change nothing: the plain rule, pair by pair.
    #[test]
    fn many_samples_are_treated_as_few() {
        let (count, dims, threshold) = (2500, 5, 0.9);
        let mut state = 7u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as f32 / 65536.0 - 0.5
        };
        let values: Vec<f32> = (0..count * dims).map(|_| draw()).collect();
        let features = Features::new(&values, dims).unwrap();
        let order: Vec<usize> = (0..count).rev().collect();
        let fixed = 300;
        let nearness = Nearness { near: threshold, looks: None };
        let found = near_duplicates(features, &order, fixed, &nearness).unwrap();
        let cosine = |a: usize, b: usize| {
            let (a, b) = (features.row(a), features.row(b));
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
            };
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        let (mut leaders, mut expected): (Vec<usize>, Vec<(usize, usize)>) = Default::default();
        for (place, &i) in order.iter().enumerate() {
            let near = leaders.iter().map(|&j| (j, cosine(i, j))).filter(|n| n.1 >= threshold);
            let best = near.reduce(|best, next| if next.1 > best.1 { next } else { best });
            expected.extend(best.map(|(j, _)| (i, j)));
            if best.is_none() || place < fixed {
                leaders.push(i);
            }
        }
        assert!(expected.len() > 500 && expected.len() < 2400, "{}", expected.len());
        let pairs: Vec<(usize, usize)> = found.iter().map(|n| (n.sample, n.other)).collect();
        assert_eq!(pairs, expected);
        assert!(found.iter().all(|n| (n.similarity - cosine(n.sample, n.other)).abs() < 1e-5));
    }

    /// Features of one direction, and images of which two look alike.
    #[test]
    fn pixels_decide_among_near_features() {
        let images: Vec<Vec<u8>> = [0, 7, 0, 3]
            .map(|seed: u8| {
                (0..12 * 12 * 3).map(|i| (i as u8).wrapping_mul(31 + 2 * seed)).collect()
            })
            .into();
        let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
        let looks = Looks::of(&images, [12, 12]);
        let features = Features::new(&[1.0, 2.0, 3.0, 4.0], 1).unwrap();
        let of = |looks| {
            let nearness = Nearness { near: 0.9, looks };
            near_duplicates(features, &[0, 1, 2, 3], 0, &nearness).unwrap()
        };
        let found = of(Some((&looks, 0.95)));
        let pairs: Vec<_> = found.iter().map(|n| (n.sample, n.other)).collect();
        assert_eq!((pairs, found[0].similarity), (vec![(2, 0)], looks.correlation(2, 0)));
        assert_eq!(of(None).len(), 3);
    }

    #[test]
    fn centred_features_have_mean_zero() {
        let features = Features::new(&[1.0, 5.0, 3.0, 7.0, 100.0, 0.0], 2).unwrap();
        assert_eq!(centred(features, &[0, 1]).unwrap(), [-1.0, -1.0, 1.0, 1.0, 98.0, -6.0]);
    }

    #[test]
    fn unusable_input_is_named() {
        let features = Features::new(&[1.0, f32::NAN], 1).unwrap();
        let looks = Looks::of(&[], [1, 1]);
        let says = |order: &[usize], near, word: &str| {
            let nearness = Nearness { near, looks: Some((&looks, 0.9)) };
            let found = near_duplicates(features, order, 0, &nearness);
            let message = found.unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        };
        for threshold in [0.0, -1.0, 1.5, f64::NAN] {
            says(&[0], threshold, "`near`");
        }
        let beyond = Nearness { near: 0.5, looks: Some((&looks, 1.5)) };
        assert!(beyond.check().unwrap_err().to_string().contains("`alike`"));
        says(&[0, 1], 0.5, "NaN");
        says(&[2], 0.5, "position 2");
    }
}
