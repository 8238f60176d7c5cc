//! The order in which an epoch presents the samples.

use crate::rng::{Philox, Stream};

/// Returns one epoch's order of `subset` (positions in a part of `len` samples): the subsequence
/// that the full permutation of the part leaves, so that pruned and full runs are paired.
pub fn epoch_order(seed: u64, epoch: u32, len: usize, subset: &[u32]) -> Vec<u32> {
    let mut wanted = vec![false; len];
    subset.iter().for_each(|&i| wanted[i as usize] = true);
    let mut order: Vec<u32> = (0..len as u32).collect();
    Philox::new(seed, Stream::Order).sequence(u64::from(epoch)).shuffle(&mut order);
    order.retain(|&i| wanted[i as usize]);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subset_is_a_subsequence_of_the_full_order() {
        let all: Vec<u32> = (0..50).collect();
        let some: Vec<u32> = (0..50).filter(|i| i % 3 == 0).collect();
        let full = epoch_order(9, 4, 50, &all);
        let pruned = epoch_order(9, 4, 50, &some);
        let expected: Vec<u32> = full.iter().copied().filter(|i| i % 3 == 0).collect();
        assert_eq!(pruned, expected);
        assert_ne!(full, epoch_order(9, 5, 50, &all));
        let mut sorted = full;
        sorted.sort_unstable();
        assert_eq!(sorted, all);
    }
}
