//! Agreement of two rankings.

use super::class::pearson;
use crate::error::Result;

/// Returns Spearman's rank correlation: Pearson's of the ranks, equal values sharing the mean of
/// theirs. It is `None` with fewer than two pairs or where one side is constant.
///
/// # Errors
/// The slices differ in length.
pub fn rank_correlation(a: &[f64], b: &[f64]) -> Result<Option<f64>> {
    let of_b: Vec<Option<f64>> = ranks(b).into_iter().map(Some).collect();
    pearson(&ranks(a), &of_b)
}

/// Returns the rank of each value, from 0.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = first as f64 + (tied.len() - 1) as f64 / 2.0;
        tied.iter().for_each(|&i| ranks[i] = rank);
        first += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_alone_counts_and_ties_share_their_rank() {
        let a = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(rank_correlation(&a, &[0.1, 5.0, 900.0, 1e9]).unwrap(), Some(1.0));
        assert_eq!(rank_correlation(&a, &[3.0, 2.0, 1.0, 0.0]).unwrap(), Some(-1.0));
        // Ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3: 4.5 / sqrt(4.5 x 5).
        let tied = rank_correlation(&a, &[0.0, 7.0, 7.0, 9.0]).unwrap().unwrap();
        assert!((tied - 4.5 / 22.5f64.sqrt()).abs() < 1e-15, "{tied}");
        assert_eq!(ranks(&[2.0, 1.0, 2.0]), [1.5, 0.0, 1.5]);
        assert_eq!(rank_correlation(&a, &[1.0; 4]).unwrap(), None);
        assert_eq!(rank_correlation(&[1.0], &[1.0]).unwrap(), None);
        assert!(rank_correlation(&a, &[1.0]).is_err());
    }
}
