//! A window of each class's difficulties.
//!
//! Source: Zhang et al. 2025 (NUCS, arXiv 2504.13234): of the samples of a class, ordered from easy
//! to hard, those between the quantiles k - r and k are kept, r being the kept fraction.

use super::Key;

/// Returns the samples from the `end`th easiest down to the easiest, then from there up to the
/// hardest: every prefix is a window that ends at `end`, while there are easier samples. A greater
/// value is harder, and equal ones are ranked by their draws.
pub(crate) fn window_order(values: &[f64], end: usize, keys: &[Key]) -> Vec<usize> {
    let mut ranked: Vec<usize> = (0..values.len()).collect();
    ranked.sort_unstable_by(|&a, &b| {
        (values[a] + 0.0).total_cmp(&(values[b] + 0.0)).then_with(|| keys[a].cmp(&keys[b]))
    });
    let (below, above) = ranked.split_at(end.min(values.len()));
    below.iter().rev().chain(above).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prune::greedy::keys;

    #[test]
    fn prefixes_are_windows_that_end_at_the_quantile() {
        let values = [3.0, 0.0, 4.0, 1.0, 2.0];
        let keys = keys(&[0, 1, 2, 3, 4], 0);
        assert_eq!(window_order(&values, 3, &keys), [4, 3, 1, 0, 2]);
        assert_eq!(window_order(&values, 5, &keys), [2, 0, 4, 3, 1]);
        assert_eq!(window_order(&values, 0, &keys), [1, 3, 4, 0, 2]);
        assert_eq!(window_order(&values, 9, &keys), window_order(&values, 5, &keys));
        assert!(window_order(&[], 1, &[]).is_empty());
    }
}
