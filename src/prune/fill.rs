//! Water-filling: shares proportional to weights between a lower and an upper bound.
//!
//! For weights w_k and bounds l_k <= h_k the shares are
//!
//! x_k = clamp(c w_k, l_k, h_k), with the one c >= 0 for which sum_k x_k = T.
//!
//! The sum grows with c and is linear between the breakpoints l_k / w_k and h_k / w_k. The
//! breakpoints are sorted, the interval that contains the solution is found by bisection over them,
//! and c follows from one division. Time O(K log K); each sum is formed afresh, so no error builds up.

/// A class as the allocator sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bin {
    /// Relative claim, finite and not negative.
    pub weight: f64,
    /// Least share.
    pub lower: f64,
    /// Greatest share, `lower <= upper`: the class size.
    pub upper: f64,
}

/// Returns the shares of all bins. They sum to `total`, which is first brought into [sum of lower,
/// sum of upper].
///
/// Bins of weight 0 get their lower bound. Only when every other bin is full do they share what is
/// left, in proportion to their upper bounds.
pub(super) fn water_fill(bins: &[Bin], total: f64) -> Vec<f64> {
    let lower = sum(bins.iter().map(|b| b.lower));
    let upper = sum(bins.iter().map(|b| b.upper));
    let total = total.max(lower).min(upper);

    let claims = |b: &Bin| b.weight > 0.0;
    let room = sum(bins.iter().filter(|b| claims(b)).map(|b| b.upper));
    let others_lower = sum(bins.iter().filter(|b| !claims(b)).map(|b| b.lower));
    if room + others_lower >= total {
        let claiming: Vec<Bin> = bins.iter().copied().filter(claims).collect();
        let level = water_level(&claiming, total - others_lower);
        bins.iter().map(|b| if claims(b) { b.at(level) } else { b.lower }).collect()
    } else {
        let by_size = |b: &Bin| Bin { weight: b.upper, ..*b };
        let rest: Vec<Bin> = bins.iter().filter(|b| !claims(b)).map(by_size).collect();
        let level = water_level(&rest, total - room);
        bins.iter().map(|b| if claims(b) { b.upper } else { by_size(b).at(level) }).collect()
    }
}

impl Bin {
    fn at(&self, level: f64) -> f64 {
        (level * self.weight).clamp(self.lower, self.upper)
    }

    /// Returns the levels at which the bin leaves its lower bound and reaches its upper one. An
    /// empty bin of weight 0 never moves.
    fn breakpoints(&self) -> (f64, f64) {
        if self.upper > 0.0 {
            (self.lower / self.weight, self.upper / self.weight)
        } else {
            (0.0, 0.0)
        }
    }
}

/// Finds the c of the module's formula.
fn water_level(bins: &[Bin], total: f64) -> f64 {
    let mut breakpoints: Vec<f64> = bins
        .iter()
        .flat_map(|b| {
            let (leave, full) = b.breakpoints();
            [leave, full]
        })
        .collect();
    breakpoints.sort_unstable_by(f64::total_cmp);
    breakpoints.dedup();
    let filled = |level: f64| sum(bins.iter().map(|b| b.at(level)));
    let above = breakpoints.partition_point(|&level| filled(level) <= total);
    let left = if above == 0 { 0.0 } else { breakpoints[above - 1] };
    let right = breakpoints.get(above).copied().unwrap_or(left);

    let moves = |b: &Bin| {
        let (leave, full) = b.breakpoints();
        leave <= left && left < full
    };
    let slope = sum(bins.iter().filter(|b| moves(b)).map(|b| b.weight));
    let fixed = sum(bins.iter().filter(|b| !moves(b)).map(|b| b.at(left)));
    if slope > 0.0 { ((total - fixed) / slope).max(left).min(right) } else { left }
}

/// Returns Neumaier's compensated sum, so that adding up a hundred thousand classes costs no more
/// than one rounding.
pub(super) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut total, mut lost) = (0.0f64, 0.0f64);
    for value in values {
        let next = total + value;
        lost += if total.abs() >= value.abs() {
            (total - next) + value
        } else {
            (value - next) + total
        };
        total = next;
    }
    total + lost
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bins(rows: &[(f64, f64, f64)]) -> Vec<Bin> {
        rows.iter().map(|&(weight, lower, upper)| Bin { weight, lower, upper }).collect()
    }

    #[test]
    fn proportional_while_nothing_binds() {
        let b = bins(&[(1.0, 0.0, 100.0), (3.0, 0.0, 100.0)]);
        assert_eq!(water_fill(&b, 40.0), [10.0, 30.0]);
    }

    #[test]
    fn two_bins_fill_at_the_same_level() {
        let b = bins(&[(9.0, 0.0, 10.0), (9.0, 0.0, 10.0), (20.0, 0.0, 100.0), (10.0, 0.0, 100.0)]);
        assert_eq!(water_fill(&b, 110.0), [10.0, 10.0, 60.0, 30.0]);
    }

    #[test]
    fn lower_bounds_hold_and_the_rest_is_proportional() {
        let b = bins(&[(1.0, 20.0, 100.0), (3.0, 0.0, 100.0), (1.0, 5.0, 100.0)]);
        assert_eq!(water_fill(&b, 60.0), [20.0, 30.0, 10.0]);
    }

    #[test]
    fn weightless_bins_get_what_no_other_can_take_by_size() {
        let b = bins(&[(2.0, 0.0, 10.0), (0.0, 0.0, 30.0), (0.0, 0.0, 60.0)]);
        assert_eq!(water_fill(&b, 10.0), [10.0, 0.0, 0.0]);
        assert_eq!(water_fill(&b, 19.0), [10.0, 3.0, 6.0]);
        let floors = bins(&[(2.0, 0.0, 10.0), (0.0, 4.0, 30.0), (0.0, 0.0, 60.0)]);
        assert_eq!(water_fill(&floors, 12.0), [8.0, 4.0, 0.0]);
        assert_eq!(water_fill(&floors, 20.0), [10.0, 4.0, 6.0]);
    }

    #[test]
    fn totals_outside_the_bounds_are_brought_inside() {
        let b = bins(&[(1.0, 2.0, 5.0), (0.0, 1.0, 3.0), (4.0, 0.0, 0.0)]);
        assert_eq!(water_fill(&b, 0.0), [2.0, 1.0, 0.0]);
        assert_eq!(water_fill(&b, 99.0), [5.0, 3.0, 0.0]);
        assert_eq!(water_fill(&[], 3.0), [0.0; 0]);
    }

    #[test]
    fn compensated_sum_keeps_small_terms() {
        let values = std::iter::once(1e16).chain(std::iter::repeat_n(1.0, 1000));
        assert_eq!(sum(values), 1e16 + 1000.0);
    }
}
