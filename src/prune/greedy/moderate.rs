//! An order that begins in the middle of a ranking.
//!
//! Source: Xia et al., "Moderate Coreset" (ICLR 2023): of the distances to the class centre, the
//! samples around the median are kept, neither the typical nor the outlying ones.

use super::Key;

/// Returns the samples from the middle of `values` outwards. Every prefix of it is a window of the
/// ranking that is central within half a sample.
///
/// Equal values are ranked by their draws, and of two samples equally far from the middle the one
/// with the lower draw comes first.
pub(crate) fn central_order(values: &[f64], keys: &[Key]) -> Vec<usize> {
    let mut ranked: Vec<usize> = (0..values.len()).collect();
    ranked.sort_unstable_by(|&a, &b| {
        (values[a] + 0.0).total_cmp(&(values[b] + 0.0)).then_with(|| keys[a].cmp(&keys[b]))
    });
    let last = values.len().saturating_sub(1);
    let mut order: Vec<(usize, usize)> =
        ranked.into_iter().enumerate().map(|(rank, i)| ((2 * rank).abs_diff(last), i)).collect();
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| keys[a.1].cmp(&keys[b.1])));
    order.into_iter().map(|(_, i)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prune::greedy::keys;

    #[test]
    fn every_prefix_is_a_central_window() {
        for n in [1usize, 2, 7, 10] {
            let values: Vec<f64> = (0..n).map(|i| (i * 3 % n) as f64).collect();
            let positions: Vec<usize> = (0..n).collect();
            for seed in 0..20 {
                let order = central_order(&values, &keys(&positions, seed));
                for k in 1..=n {
                    let mut window: Vec<f64> = order[..k].iter().map(|&i| values[i]).collect();
                    window.sort_unstable_by(f64::total_cmp);
                    let low = window[0] as usize;
                    assert!(window.iter().enumerate().all(|(i, &v)| v == (low + i) as f64));
                    let (below, above) = (low, n - low - k);
                    assert!(below.abs_diff(above) <= 1, "{below} below, {above} above");
                }
            }
        }
    }

    #[test]
    fn nothing_has_no_middle() {
        assert!(central_order(&[], &[]).is_empty());
    }
}
