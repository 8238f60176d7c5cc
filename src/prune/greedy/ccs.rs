//! Coverage-centric selection: samples of every difficulty, without the hardest.
//!
//! Source: Zheng et al. 2023 (CCS). The hardest beta N samples are dropped; the others are put in
//! 50 strata of equal width of a score; the strata are given budgets from the smallest up, each an
//! equal share of what is left, so that small ones are kept whole and the rest goes to the others;
//! inside a stratum the draw is random.
//!
//! A stratum's budget never falls when the total grows by one, and exactly one of them grows.
//! Subsets therefore nest, and the selection is an order: sample T + 1 comes from the stratum
//! whose budget grows from T to T + 1. After the last of them come the dropped samples, the least
//! hard first, so that every density can be had.

use super::{Greedy, Key};
use crate::error::Result;

/// The order that CCS implies.
pub(crate) struct Ccs {
    /// Strata that are not empty, smallest first, each in reversed random order.
    strata: Vec<Vec<usize>>,
    sizes: Vec<usize>,
    budgets: Vec<usize>,
    /// Dropped samples, the hardest first.
    dropped: Vec<usize>,
}

impl Ccs {
    /// Makes the order: `values` is the score whose range is divided into strata, and a greater
    /// `hardness` is harder. `keys` decide ties, and `draws` decide the order inside a stratum.
    pub(crate) fn new(
        values: &[f64],
        hardness: &[f64],
        drop: usize,
        strata: usize,
        keys: &[Key],
        draws: &[Key],
    ) -> Self {
        let mut by_hardness: Vec<usize> = (0..values.len()).collect();
        by_hardness.sort_unstable_by(|&a, &b| {
            (hardness[b] + 0.0).total_cmp(&(hardness[a] + 0.0)).then_with(|| keys[a].cmp(&keys[b]))
        });
        let mut kept = by_hardness.split_off(drop.min(values.len()));
        kept.sort_unstable_by_key(|&i| std::cmp::Reverse(draws[i]));

        let low = kept.iter().map(|&i| values[i]).fold(f64::INFINITY, f64::min);
        let high = kept.iter().map(|&i| values[i]).fold(f64::NEG_INFINITY, f64::max);
        let width = (high - low) / strata as f64;
        let mut filled = vec![Vec::new(); strata];
        for i in kept {
            // The last stratum includes both its ends. Equal scores make one stratum.
            let stratum = ((values[i] - low) / width) as usize;
            filled[stratum.min(strata - 1)].push(i);
        }
        filled.retain(|s: &Vec<usize>| !s.is_empty());
        // Strata of one size are told apart by a draw of their samples.
        let lot = |s: &Vec<usize>| s.iter().map(|&i| keys[i]).min();
        filled.sort_by_key(|s| (s.len(), lot(s)));
        let sizes = filled.iter().map(Vec::len).collect();
        let budgets = vec![0; filled.len()];
        Ccs { strata: filled, sizes, budgets, dropped: by_hardness }
    }
}

/// Gives equal shares from the smallest stratum up, each at most the stratum's size.
fn budgets(sizes: &[usize], total: usize) -> Vec<usize> {
    let mut left = total;
    let shares = sizes.iter().enumerate().map(|(s, &size)| {
        let budget = size.min(left / (sizes.len() - s));
        left -= budget;
        budget
    });
    shares.collect()
}

impl Greedy for Ccs {
    fn next(&mut self) -> Result<Option<usize>> {
        let total: usize = self.budgets.iter().sum();
        let grown = budgets(&self.sizes, total + 1);
        let stratum = (0..grown.len()).find(|&s| grown[s] > self.budgets[s]);
        self.budgets = grown;
        Ok(match stratum {
            Some(s) => self.strata[s].pop(),
            None => self.dropped.pop(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_strata_are_kept_whole_and_the_others_share() {
        assert_eq!(budgets(&[2, 10, 30], 21), [2, 9, 10]);
        assert_eq!(budgets(&[2, 10, 30], 30), [2, 10, 18]);
        assert_eq!(budgets(&[5, 5], 3), [1, 2]);
        assert_eq!(budgets(&[], 3), [0; 0]);
    }

    #[test]
    fn one_more_sample_is_one_more_in_one_stratum() {
        for sizes in [vec![1, 1, 4, 9], vec![3, 3, 3], vec![7], vec![2, 5, 5, 6, 40]] {
            for total in 0..sizes.iter().sum() {
                let (now, next) = (budgets(&sizes, total), budgets(&sizes, total + 1));
                assert_eq!(now.iter().sum::<usize>(), total);
                assert!(now.iter().zip(&next).all(|(a, b)| a <= b), "{now:?} {next:?}");
            }
        }
    }
}
