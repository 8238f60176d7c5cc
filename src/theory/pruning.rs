//! What two ways of pruning do to the rule of least risk.

use std::f64::consts::{LN_2, SQRT_2};

use super::model::{Decision, MeanDistances, TwoGaussians};
use super::tail::{ln_mills, ln_upper_tail, upper_tail};
use crate::error::{Error, Result};

/// Number of deviations beyond which no tail is left.
const BEYOND: f64 = 40.0;

/// Classes pruned at random, and the rule of least risk on what is left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomPruning {
    /// Kept share of each class, in [0, 1].
    pub densities: [f64; 2],
    /// The rule, with its risks on unpruned classes.
    pub decision: Decision,
}

/// Classes of which the samples near the class mean are pruned, and the rule of least risk on what
/// is left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ssp {
    /// Samples closer than this to the mean of their class are pruned.
    pub margin: f64,
    /// Kept share of each class, 2 P(Z > margin / s_k).
    pub densities: [f64; 2],
    /// The rule, with its risks on unpruned classes.
    pub decision: Decision,
}

/// Where the rule of least risk after SSP leaves that of the full data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jump {
    /// The rule leaves below this kept share of all samples.
    pub density: f64,
    /// The rule leaves above this margin.
    pub margin: f64,
}

impl TwoGaussians {
    /// Prunes by MetriQ at a density in (0, 1]: class k keeps the share min(1, c R_k), with R_k its
    /// risk under [`TwoGaussians::minimiser`] and the c that spends the density. The result is
    /// `None` where that rule is degenerate, because the risks are then 0 and 1 and the quotas are
    /// undefined.
    ///
    /// Until a class is kept whole the prior odds are N_0 R_0 : N_1 R_1, which at a stationary point
    /// is s_0 m(z_0) : s_1 m(z_1) with the Mills ratio m and z_k the distance of the threshold from
    /// mean k in deviations: it exists however small the risks are.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a density outside (0, 1].
    pub fn metriq(&self, density: f64) -> Result<Option<RandomPruning>> {
        check_density(density)?;
        let full = self.minimiser();
        if full.degenerate().is_some() {
            return Ok(None);
        }
        let MeanDistances([u, v]) = full.cut;
        let [s0, s1] = self.sigmas;
        let ln_odds = libm::log(s0 / s1) + ln_mills(u / s0) - ln_mills(v / s1);
        let [n0, n1] = self.sizes;
        let budget = density * n0 + density * n1;
        let share = |ln_odds: f64| 1.0 / (1.0 + libm::exp(-ln_odds));
        let kept = [budget * share(ln_odds), budget * share(-ln_odds)];
        // This is what class k leaves when the other is kept whole, n + m being the budget: d n -
        // (1 - d) m.
        let rest = |n: f64, whole: f64| (density * n - (1.0 - density) * whole).max(0.0);
        let (kept, ln_odds) = if kept[0] >= n0 {
            let rest = rest(n1, n0);
            ([n0, rest], libm::log(n0 / rest))
        } else if kept[1] >= n1 {
            let rest = rest(n0, n1);
            ([rest, n1], libm::log(rest / n1))
        } else {
            (kept, ln_odds)
        };
        let densities = [(kept[0] / n0).min(1.0), (kept[1] / n1).min(1.0)];
        Ok(Some(RandomPruning { densities, decision: self.minimiser_under(ln_odds) }))
    }

    /// Prunes all samples within one margin of their class mean, at a density in (0, 1]. (In
    /// several dimensions the margin counts along the line through the means.)
    ///
    /// The rule of least risk is the best of t*, mu_0 - M, mu_1 + M and the two constant rules: the
    /// risk rises inside the hole of class 0, falls inside that of class 1, is flat in both, and has
    /// its unpruned slope elsewhere.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a density outside (0, 1].
    pub fn ssp(&self, density: f64) -> Result<Ssp> {
        check_density(density)?;
        if density == 1.0 {
            return Ok(Ssp { margin: 0.0, densities: [1.0; 2], decision: self.minimiser() });
        }
        let farthest = BEYOND * self.sigmas[0].max(self.sigmas[1]);
        let margin = last(farthest, |margin| self.excess(margin, density) >= 0.0);
        let decision = self.decision(self.best_cut(&self.minimiser(), margin));
        Ok(Ssp { margin, densities: self.kept_shares(margin), decision })
    }

    /// Finds where [`TwoGaussians::ssp`] leaves the rule of the full data. It does so once: the
    /// risk of t* on what is left stays the same until t* is inside a hole, and that of the other
    /// rules falls with the margin. The result is `None` where the full rule is constant, or at
    /// densities below the smallest number.
    pub fn ssp_jump(&self) -> Option<Jump> {
        let full = self.minimiser();
        if full.degenerate().is_some() {
            return None;
        }
        let MeanDistances([u, v]) = full.cut;
        let farthest = BEYOND * self.sigmas[0].max(self.sigmas[1]) + u.abs() + v.abs();
        let margin = last(farthest, |margin| self.best_cut(&full, margin) == full.cut);
        let density = self.kept(margin) / (self.sizes[0] + self.sizes[1]);
        (density > 0.0).then_some(Jump { density, margin })
    }

    fn kept_shares(&self, margin: f64) -> [f64; 2] {
        self.sigmas.map(|s| (2.0 * upper_tail(margin / s)).min(1.0))
    }

    /// Returns the number of samples that are left, in units of the sizes.
    fn kept(&self, margin: f64) -> f64 {
        let [d0, d1] = self.kept_shares(margin);
        self.sizes[0] * d0 + self.sizes[1] * d1
    }

    /// Returns the samples that are left beyond the share `density`: the sum of N_k (2 P(Z > M /
    /// s_k) - d), computed as N_k (1 - d) - N_k erf(M / (s_k sqrt 2)) where that is the small
    /// number.
    fn excess(&self, margin: f64, density: f64) -> f64 {
        let (mut constant, mut varying) = (0.0, 0.0);
        for (n, s) in self.sizes.into_iter().zip(self.sigmas) {
            let z = margin / s;
            if z < 0.5 {
                constant += n * (1.0 - density);
                varying -= n * libm::erf(z / SQRT_2);
            } else {
                constant -= n * density;
                varying += n * 2.0 * upper_tail(z);
            }
        }
        constant + varying
    }

    /// Returns the cut of least risk outside the margins, or the full one where others are only as
    /// good.
    fn best_cut(&self, full: &Decision, margin: f64) -> MeanDistances {
        let beyond = self.distance + margin;
        let others = [
            MeanDistances([-margin, beyond]),
            MeanDistances([beyond, -margin]),
            MeanDistances::always(0),
            MeanDistances::always(1), //
        ];
        let mut best = (full.cut, self.ln_errors(full.cut, margin));
        for cut in others {
            let errors = self.ln_errors(cut, margin);
            if errors < best.1 {
                best = (cut, errors);
            }
        }
        best.0
    }

    /// Returns ln of the number of samples that are left and on the wrong side of the cut.
    fn ln_errors(&self, MeanDistances(distances): MeanDistances, margin: f64) -> f64 {
        let class = |k: usize| {
            let s = self.sigmas[k];
            libm::log(self.sizes[k]) + ln_beyond(distances[k] / s, margin / s)
        };
        let (a, b) = (class(0), class(1));
        let (low, high) = (a.min(b), a.max(b));
        if high == f64::NEG_INFINITY { high } else { high + libm::log1p(libm::exp(low - high)) }
    }
}

/// Returns ln P(Z > z and |Z| > margin).
fn ln_beyond(z: f64, margin: f64) -> f64 {
    if z >= margin {
        ln_upper_tail(z)
    } else if z > -margin {
        ln_upper_tail(margin)
    } else {
        let tail = ln_upper_tail(margin);
        tail + LN_2 + libm::log1p(-0.5 * libm::exp(ln_upper_tail(-z) - tail))
    }
}

/// Returns the largest number in [0, end] for which `holds`, which must hold at 0 and not above
/// some number. It bisects over the bit patterns, which are ordered as the numbers are.
fn last(end: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0u64, end.to_bits());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(f64::from_bits(middle)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::from_bits(low)
}

fn check_density(density: f64) -> Result<()> {
    if density > 0.0 && density <= 1.0 {
        return Ok(());
    }
    Err(Error::invalid("density", density.to_string(), "above 0 and at most 1"))
}
