//! Exponential class imbalance, injected into a training part.
//!
//! Class k of K, in label order, keeps n_k = n_max F^(-k/(K-1)) of its training samples, rounded down, at
//! least one and at most all it has; n_max is the size of the largest class and F the factor (Cui et al.,
//! "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, whose code divides by F in the
//! same way). Class 0 is the head, class K - 1 the tail. Validation and test parts stay as they are.
//!
//! The samples that stay are drawn with a seed, class by class, as a prefix of one shuffled order,
//! so that the samples of a larger factor are among those of a smaller one. The others are neither
//! trained on, nor held out, nor kept, as if they had never been there. Positions remain those of
//! the original training part.

use super::set::{DataSet, LongTail};
use super::split::by_class;
use crate::error::{Error, Result};
use crate::rng::{Philox, Stream};

/// Returns the n_k of classes of these sizes.
///
/// # Errors
/// The factor is below 1 or not finite.
pub fn long_tail_sizes(sizes: &[usize], factor: f64) -> Result<Vec<usize>> {
    if !(factor >= 1.0 && factor.is_finite()) {
        let expected = "a number of at least 1, such as 10 or 100";
        return Err(Error::invalid("`long_tail`", factor.to_string(), expected));
    }
    let largest = sizes.iter().copied().max().unwrap_or(0) as f64;
    let last = sizes.len().saturating_sub(1).max(1) as f64;
    let of = |(k, &size): (usize, &usize)| {
        let wanted = largest * libm::pow(1.0 / factor, k as f64 / last);
        // A whole number may come out a rounding error too small.
        let wanted = (wanted * (1.0 + 1e-12)).floor().max(1.0);
        size.min(wanted as usize)
    };
    Ok(sizes.iter().enumerate().map(of).collect())
}

impl DataSet {
    /// Returns the set with a long-tailed training part. Its fingerprint is another one, unless
    /// every sample stays.
    ///
    /// # Errors
    /// The factor is below 1 or not finite.
    pub fn with_long_tail(mut self, factor: f64, seed: u64) -> Result<DataSet> {
        let labels = &self.train.labels;
        let classes = self.classes.len();
        let sizes = long_tail_sizes(&super::split::class_sizes(labels, classes), factor)?;
        let philox = Philox::new(seed, Stream::LongTail);
        let mut present = Vec::with_capacity(sizes.iter().sum());
        for (k, mut positions) in by_class(labels, classes).into_iter().enumerate() {
            philox.sequence(k as u64).shuffle(&mut positions);
            present.extend_from_slice(&positions[..sizes[k]]);
        }
        present.sort_unstable();
        let of = self.fingerprint.clone();
        if present.len() < labels.len() {
            let mut hash = blake3::Hasher::new();
            hash.update(b"fairprune long tail");
            hash.update(of.as_bytes());
            present.iter().for_each(|&i| {
                hash.update(&(i as u64).to_le_bytes());
            });
            self.fingerprint = hash.finalize().to_hex()[..32].to_owned();
        }
        self.long_tail = Some(LongTail { factor, seed, present, of });
        Ok(self)
    }

    /// Returns the positions of the training part that are there: all, or those that a long tail
    /// leaves.
    pub fn present(&self) -> Vec<usize> {
        match &self.long_tail {
            Some(tail) => tail.present.clone(),
            None => (0..self.train.len()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes of CIFAR-10-LT and CIFAR-100-LT are those in the tables of their papers.
    #[test]
    fn sizes_are_those_of_the_long_tailed_cifars() {
        let ten = |factor| long_tail_sizes(&[5000; 10], factor).unwrap();
        assert_eq!(ten(100.0), [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]);
        assert_eq!(ten(10.0), [5000, 3871, 2997, 2320, 1796, 1391, 1077, 834, 645, 500]);
        assert_eq!(ten(100.0).iter().sum::<usize>(), 12_406);
        assert_eq!(long_tail_sizes(&[500; 100], 100.0).unwrap().iter().sum::<usize>(), 10_847);
        assert_eq!(ten(1.0), [5000; 10]);
        assert_eq!(long_tail_sizes(&[5000; 3], 100.0).unwrap(), [5000, 500, 50]);
    }

    #[test]
    fn no_class_grows_or_vanishes() {
        assert_eq!(long_tail_sizes(&[10, 100, 4, 0], 1e9).unwrap(), [10, 1, 1, 0]);
        assert_eq!(long_tail_sizes(&[7], 50.0).unwrap(), [7]);
        assert_eq!(long_tail_sizes(&[], 50.0).unwrap(), [0usize; 0]);
        for bad in [0.5, 0.0, -3.0, f64::NAN, f64::INFINITY] {
            assert!(long_tail_sizes(&[7, 7], bad).unwrap_err().to_string().contains("at least 1"));
        }
    }
}
