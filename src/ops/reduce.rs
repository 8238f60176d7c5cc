//! Fixed-order reductions shared by the CPU operators: the order depends on the problem alone,
//! never on threads or instruction sets.

/// Lanes that hold whole positions of `c` channels: at least 64 values, so that narrow tensors
/// still fill vector registers.
pub(crate) fn lanes(c: usize) -> usize {
    c * 64usize.div_ceil(c)
}

/// `values` repeated to `lanes` entries.
pub(crate) fn repeat(values: &[f32], lanes: usize) -> Vec<f32> {
    values.iter().copied().cycle().take(lanes).collect()
}

/// Sums lanes of the same channel in ascending order: channel = lane mod `sums.len()`.
pub(crate) fn fold_lanes(acc: &[f32], sums: &mut [f32]) {
    let c = sums.len();
    sums.copy_from_slice(&acc[..c]);
    for group in acc[c..].chunks(c) {
        for (s, &a) in sums.iter_mut().zip(group) {
            *s += a;
        }
    }
}

/// Sums rows of `width` pairwise, in place: row i += row i + step for step = 1, 2, 4, ...
/// The total ends in row 0.
pub(crate) fn tree_sum(rows: &mut [f32], width: usize) {
    let n = rows.len() / width;
    let mut step = 1;
    while step < n {
        for i in (0..n - step).step_by(2 * step) {
            let (low, high) = rows.split_at_mut((i + step) * width);
            for (a, &b) in low[i * width..][..width].iter_mut().zip(&high[..width]) {
                *a += b;
            }
        }
        step *= 2;
    }
}

/// Merges `n` rows of per-channel (mean, M2), each over `count` values, in the tree of
/// [`tree_sum`] (Chan, Golub, LeVeque 1983). The result ends in row 0.
pub(crate) fn merge_moments(means: &mut [f32], m2s: &mut [f32], c: usize, count: usize, n: usize) {
    let mut counts = vec![count as f32; n];
    let mut step = 1;
    while step < n {
        for i in (0..n - step).step_by(2 * step) {
            let j = i + step;
            let total = counts[i] + counts[j];
            let (weight, cross) = (counts[j] / total, counts[i] * (counts[j] / total));
            for k in 0..c {
                let delta = means[j * c + k] - means[i * c + k];
                means[i * c + k] += delta * weight;
                m2s[i * c + k] += m2s[j * c + k] + delta * delta * cross;
            }
            counts[i] = total;
        }
        step *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_sum_reaches_every_row() {
        for n in [1usize, 2, 3, 5, 8, 13] {
            let mut rows: Vec<f32> = (0..n).flat_map(|i| [i as f32, 1.0]).collect();
            tree_sum(&mut rows, 2);
            assert_eq!(rows[..2], [(n * (n - 1) / 2) as f32, n as f32], "{n} rows");
        }
    }

    #[test]
    fn merged_moments_are_those_of_all_values() {
        let values: Vec<f64> = (0..35).map(|i| f64::from(i * i % 17)).collect();
        let mut means: Vec<f32> = Vec::new();
        let mut m2s: Vec<f32> = Vec::new();
        for part in values.chunks(7) {
            let mean = part.iter().sum::<f64>() / 7.0;
            means.push(mean as f32);
            m2s.push(part.iter().map(|v| (v - mean).powi(2)).sum::<f64>() as f32);
        }
        merge_moments(&mut means, &mut m2s, 1, 7, 5);
        let mean = values.iter().sum::<f64>() / 35.0;
        let m2: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        assert!((f64::from(means[0]) - mean).abs() < 1e-5);
        assert!((f64::from(m2s[0]) - m2).abs() < 1e-3);
    }

    #[test]
    fn lanes_fold_to_channels() {
        let acc = [1.0, 2.0, 3.0, 10.0, 20.0, 30.0];
        let mut sums = [0.0; 3];
        fold_lanes(&acc, &mut sums);
        assert_eq!(sums, [11.0, 22.0, 33.0]);
        assert_eq!(lanes(3), 66);
        assert_eq!(lanes(512), 512);
    }
}
