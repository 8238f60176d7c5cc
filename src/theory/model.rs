//! The two classes, the rule of least risk, and the rule of least worst-class risk.

use super::tail::{ln_mills, ln_upper_tail, upper_tail};
use crate::error::{Error, Result};

/// Lengths and sizes must lie between these two, so that no square of a ratio overflows.
const SMALLEST: f64 = 1e-75;
const LARGEST: f64 = 1e75;

/// Two classes, x given y = k normal with mean mu_k and standard deviation s_k.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoGaussians {
    means: [f64; 2],
    /// mu_1 - mu_0, which is positive.
    pub(super) distance: f64,
    pub(super) sigmas: [f64; 2],
    pub(super) sizes: [f64; 2],
}

/// What is predicted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// 1 where x is above this, else 0.
    Threshold(f64),
    /// Predicts this class, whatever x is.
    Always(usize),
}

/// A rule and its errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// The rule.
    pub rule: Rule,
    /// Probability that a sample of each class is taken for the other.
    pub risks: [f64; 2],
    pub(super) cut: MeanDistances,
}

impl Decision {
    /// Returns the threshold, if the rule has one.
    pub fn threshold(&self) -> Option<f64> {
        match self.rule {
            Rule::Threshold(t) => Some(t),
            Rule::Always(_) => None,
        }
    }

    /// Returns the class that is always predicted, if x does not matter.
    pub fn degenerate(&self) -> Option<usize> {
        match self.rule {
            Rule::Threshold(_) => None,
            Rule::Always(class) => Some(class),
        }
    }

    /// Returns the larger of the two risks.
    pub fn worst(&self) -> f64 {
        self.risks[0].max(self.risks[1])
    }
}

/// The stationary point t* of the total risk, a local minimum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalMinimum {
    /// The rule with threshold t*.
    pub decision: Decision,
    /// Whether no other rule has a smaller total risk. If not, always predicting the class of the
    /// larger deviation has.
    pub global: bool,
}

/// A threshold as its signed distances from the means, t - mu_0 and mu_1 - t; infinite ones belong
/// to constant rules. The two are kept apart, because the smaller of them would lose its digits in
/// one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MeanDistances(pub(super) [f64; 2]);

impl MeanDistances {
    /// Makes the rule that always predicts `class`.
    pub(super) fn always(class: usize) -> MeanDistances {
        let mut distances = [f64::INFINITY; 2];
        distances[1 - class] = f64::NEG_INFINITY;
        MeanDistances(distances)
    }
}

impl TwoGaussians {
    /// Makes classes with these means, standard deviations and sizes. Sizes are sample counts or
    /// anything in proportion to them, such as priors.
    ///
    /// # Errors
    /// [`Error::Invalid`]: means that are equal, in the other order or not finite, or a distance of
    /// the means, a deviation or a size outside [1e-75, 1e75].
    pub fn new(means: [f64; 2], sigmas: [f64; 2], sizes: [f64; 2]) -> Result<Self> {
        for class in 0..2 {
            finite(class, means[class])?;
            within(&format!("standard deviation of class {class}"), sigmas[class])?;
            within(&format!("size of class {class}"), sizes[class])?;
        }
        let [mu0, mu1] = means;
        let found = format!("{mu0} and {mu1}");
        if mu0 == mu1 {
            let expected = "different means: no threshold tells classes of equal means apart";
            return Err(Error::invalid("means", found, expected));
        }
        if mu0 > mu1 {
            let expected = "the smaller mean first: number the classes the other way round";
            return Err(Error::invalid("means", found, expected));
        }
        within("distance of the means", mu1 - mu0)?;
        Ok(TwoGaussians { means, distance: mu1 - mu0, sigmas, sizes })
    }

    /// Makes classes in several dimensions with covariance s_k^2 I. They pose the problem of one
    /// dimension along the line through the means, with positions measured from the mean of class
    /// 0.
    ///
    /// # Errors
    /// Fails as [`TwoGaussians::new`] does, and for means of unlike or no dimension.
    pub fn isotropic(
        means: [&[f64]; 2],
        sigmas: [f64; 2],
        sizes: [f64; 2],
    ) -> Result<TwoGaussians> {
        let [a, b] = means;
        if a.len() != b.len() || a.is_empty() {
            let found = format!("{} and {} coordinates", a.len(), b.len());
            return Err(Error::invalid("means", found, "as many for class 0 as for class 1"));
        }
        for (class, mean) in means.iter().enumerate() {
            for &coordinate in *mean {
                finite(class, coordinate)?;
            }
        }
        if let ([mu0], [mu1]) = (a, b) {
            return Self::new([*mu0, *mu1], sigmas, sizes);
        }
        Self::new([0.0, norm(a, b)], sigmas, sizes)
    }

    /// Returns the means, which are (0, distance) in several dimensions.
    pub fn means(&self) -> [f64; 2] {
        self.means
    }

    /// Returns the standard deviations.
    pub fn sigmas(&self) -> [f64; 2] {
        self.sigmas
    }

    /// Returns the sizes, as given.
    pub fn sizes(&self) -> [f64; 2] {
        self.sizes
    }

    /// Returns the risks of the rule "1 where x > t".
    pub fn risks(&self, t: f64) -> [f64; 2] {
        let [mu0, mu1] = self.means;
        self.risks_at(MeanDistances([t - mu0, mu1 - t]))
    }

    /// Returns the stationary point t* of N_0 R_0 + N_1 R_1 that is a local minimum. There is none
    /// where the class of the larger deviation has the larger likelihood everywhere.
    pub fn local_minimum(&self) -> Option<LocalMinimum> {
        self.local_minimum_under(self.ln_odds())
    }

    /// Returns the rule of least total risk N_0 R_0 + N_1 R_1.
    pub fn minimiser(&self) -> Decision {
        self.minimiser_under(self.ln_odds())
    }

    /// Returns the rule of least worst-class risk: t = (mu_0 s_1 + mu_1 s_0) / (s_0 + s_1), where
    /// both risks are P(Z > (mu_1 - mu_0) / (s_0 + s_1)).
    pub fn worst_optimum(&self) -> Decision {
        let [s0, s1] = self.sigmas;
        let z = self.distance / (s0 + s1);
        self.decision(MeanDistances([z * s0, z * s1]))
    }

    /// Returns the priors under which [`TwoGaussians::minimiser`] is
    /// [`TwoGaussians::worst_optimum`], which are s_0 : s_1; `None` where under these priors always
    /// predicting one class has a smaller risk.
    pub fn optimal_priors(&self) -> Option<[f64; 2]> {
        let [s0, s1] = self.sigmas;
        let best = self.local_minimum_under(libm::log(s0 / s1))?;
        best.global.then(|| [1.0 / (1.0 + s1 / s0), 1.0 / (1.0 + s0 / s1)])
    }

    /// Returns the largest density at which random pruning inside classes can produce the
    /// [`TwoGaussians::optimal_priors`], in (0, 1]; `None` where there are no such priors.
    pub fn reachable_density(&self) -> Option<f64> {
        let [p0, p1] = self.optimal_priors()?;
        let [n0, n1] = self.sizes;
        // At that density one class is kept whole: (N_0 + N_1) d p_k = N_k.
        Some(((n0 / p0).min(n1 / p1) / (n0 + n1)).min(1.0))
    }

    pub(super) fn ln_odds(&self) -> f64 {
        libm::log(self.sizes[0] / self.sizes[1])
    }

    /// Returns [`TwoGaussians::minimiser`] under the prior odds phi_0 : phi_1 = exp(`ln_odds`).
    pub(super) fn minimiser_under(&self, ln_odds: f64) -> Decision {
        if ln_odds.is_infinite() {
            return self.decision(MeanDistances::always(usize::from(ln_odds < 0.0)));
        }
        match self.local_minimum_under(ln_odds) {
            Some(LocalMinimum { decision, global: true }) => decision,
            _ => self.decision(MeanDistances::always(self.wider())),
        }
    }

    /// With D = mu_1 - mu_0, L = ln(phi_0 s_1 / (phi_1 s_0)), S^2 = D^2 + 2 (s_1^2 - s_0^2) L, the
    /// densities phi_0 f_0 and phi_1 f_1 meet where
    ///
    ///   (t* - mu_0) / s_0 = (D^2 + 2 s_1^2 L) / (D s_0 + s_1 S)
    ///   (mu_1 - t*) / s_1 = (D^2 - 2 s_0^2 L) / (D s_1 + s_0 S)
    ///
    /// which is the root of the quadratic equation in the form that does not cancel; equal
    /// deviations are no special case.
    pub(super) fn local_minimum_under(&self, ln_odds: f64) -> Option<LocalMinimum> {
        let ([s0, s1], d) = (self.sigmas, self.distance);
        let l = ln_odds + libm::log(s1 / s0);
        let square = d * d + 2.0 * (s1 - s0) * (s1 + s0) * l;
        if !(square >= 0.0) {
            return None;
        }
        let s = square.sqrt();
        let z0 = (d * d + 2.0 * s1 * s1 * l) / (d * s0 + s1 * s);
        let z1 = (d * d - 2.0 * s0 * s0 * l) / (d * s1 + s0 * s);
        // The rule is compared with always predicting the wider class w: it loses a share of w and
        // wins a share of the narrow class n. Where the tails vanish, their Mills ratios decide,
        // because phi_0 f_0 = phi_1 f_1.
        let wins = |narrow: f64, wide: f64, s_narrow: f64, s_wide: f64, ln_odds: f64| {
            if narrow < 0.0 {
                libm::log(s_wide) + ln_mills(wide) <= libm::log(s_narrow) + ln_mills(-narrow)
            } else {
                ln_upper_tail(wide) <= ln_odds + ln_upper_tail(-narrow)
            }
        };
        let global = match self.wider() {
            _ if s0 == s1 => true,
            1 => wins(z0, z1, s0, s1, ln_odds),
            _ => wins(z1, z0, s1, s0, -ln_odds),
        };
        Some(LocalMinimum { decision: self.decision(MeanDistances([z0 * s0, z1 * s1])), global })
    }

    /// Returns the class of the larger deviation.
    pub(super) fn wider(&self) -> usize {
        usize::from(self.sigmas[1] > self.sigmas[0])
    }

    pub(super) fn risks_at(&self, MeanDistances(distances): MeanDistances) -> [f64; 2] {
        [upper_tail(distances[0] / self.sigmas[0]), upper_tail(distances[1] / self.sigmas[1])]
    }

    pub(super) fn decision(&self, cut: MeanDistances) -> Decision {
        let MeanDistances([u, v]) = cut;
        let [mu0, mu1] = self.means;
        let rule = if u == f64::NEG_INFINITY {
            Rule::Always(1)
        } else if v == f64::NEG_INFINITY {
            Rule::Always(0)
        } else if u.abs() <= v.abs() {
            Rule::Threshold(mu0 + u)
        } else {
            Rule::Threshold(mu1 - v)
        };
        Decision { rule, risks: self.risks_at(cut), cut }
    }
}

/// Returns the Euclidean distance, without squares that overflow or vanish.
fn norm(a: &[f64], b: &[f64]) -> f64 {
    let differences = || a.iter().zip(b).map(|(x, y)| y - x);
    let largest = differences().fold(0.0, |m: f64, d| m.max(d.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    largest * differences().map(|d| (d / largest).powi(2)).sum::<f64>().sqrt()
}

fn finite(class: usize, value: f64) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    let what = format!("mean of class {class}");
    Err(Error::invalid(what, value.to_string(), "finite numbers"))
}

fn within(what: &str, value: f64) -> Result<()> {
    if (SMALLEST..=LARGEST).contains(&value) {
        return Ok(());
    }
    let expected = format!("a number from {SMALLEST:e} to {LARGEST:e}");
    Err(Error::invalid(what, value.to_string(), expected))
}
