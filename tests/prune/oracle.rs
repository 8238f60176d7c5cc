//! Slow allocators, independent of the library.

/// round-half-up(percent / 100 * samples), in integers.
pub fn budget(percent: usize, samples: usize) -> usize {
    (2 * percent * samples + 100) / 200
}

/// clamp(c w, lower, size) with c found by bisection, for weights of which some are positive.
fn by_bisection(weights: &[f64], lower: &[f64], sizes: &[f64], total: f64) -> Vec<f64> {
    let at = |c: f64| -> Vec<f64> {
        let classes = weights.iter().zip(lower.iter().zip(sizes));
        classes.map(|(w, (&low, &high))| (c * w).max(low).min(high)).collect()
    };
    let (mut low, mut high) = (0.0f64, 1e-6f64);
    while at(high).iter().sum::<f64>() < total && high < 1e30 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if at(middle).iter().sum::<f64>() < total { low = middle } else { high = middle }
    }
    at(high)
}

/// The same with classes of weight 0, which share what the others cannot take.
pub fn shares(weights: &[f64], lower: &[f64], sizes: &[f64], total: f64) -> Vec<f64> {
    let most = |k: usize| if weights[k] > 0.0 { sizes[k] } else { lower[k] };
    if (0..sizes.len()).map(most).sum::<f64>() >= total {
        let upper: Vec<f64> = (0..sizes.len()).map(most).collect();
        return by_bisection(weights, lower, &upper, total);
    }
    let lower: Vec<f64> =
        (0..sizes.len()).map(|k| if weights[k] > 0.0 { sizes[k] } else { lower[k] }).collect();
    by_bisection(sizes, &lower, sizes, total)
}

/// Algorithm 1 as the paper tells it: give, cap, and give the excess again to all the others.
/// Every class that is full in a round leaves in that round.
pub fn by_rounds(weights: &[f64], sizes: &[f64], total: f64) -> Vec<f64> {
    let mut shares = vec![0.0; sizes.len()];
    let mut open: Vec<usize> = (0..sizes.len()).filter(|&k| weights[k] > 0.0).collect();
    let mut left = total;
    while !open.is_empty() {
        let c = left / open.iter().map(|&k| weights[k]).sum::<f64>();
        let (full, rest): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|&&k| c * weights[k] >= sizes[k]);
        for &k in if full.is_empty() { &rest } else { &full } {
            shares[k] = (c * weights[k]).min(sizes[k]);
            left -= shares[k];
        }
        open = if full.is_empty() { full } else { rest };
    }
    shares
}

/// The least sum of squared deviations from `shares` over all whole counts of sum `budget`.
pub fn least_deviation(shares: &[f64], sizes: &[usize], budget: usize) -> f64 {
    let Some((&share, shares)) = shares.split_first() else {
        return if budget == 0 { 0.0 } else { f64::INFINITY };
    };
    (0..=sizes[0].min(budget))
        .map(|n| (n as f64 - share).powi(2) + least_deviation(shares, &sizes[1..], budget - n))
        .fold(f64::INFINITY, f64::min)
}
