//! Risks from their definition, as probabilities of intervals, and minima found by looking.

/// P(Z < z).
fn below(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// Two classes and the margin around their means that is cut out.
#[derive(Clone, Copy, Debug)]
pub struct Classes {
    pub means: [f64; 2],
    pub sigmas: [f64; 2],
    pub sizes: [f64; 2],
    pub margin: f64,
}

impl Classes {
    /// P(low < x < high) of class k, the margin left out.
    fn mass(&self, k: usize, low: f64, high: f64) -> f64 {
        let (mu, s) = (self.means[k], self.sigmas[k]);
        let interval = |low: f64, high: f64| {
            if high <= low { 0.0 } else { below((high - mu) / s) - below((low - mu) / s) }
        };
        interval(low, high.min(mu - self.margin)) + interval(low.max(mu + self.margin), high)
    }

    /// Samples that the threshold puts on the wrong side, as a share of all, pruned ones included.
    pub fn risk(&self, t: f64) -> f64 {
        let [n0, n1] = self.sizes;
        let errors = [self.mass(0, t, f64::INFINITY), self.mass(1, f64::NEG_INFINITY, t)];
        (n0 * errors[0] + n1 * errors[1]) / (n0 + n1)
    }

    /// Kept share of all samples.
    pub fn kept(&self) -> f64 {
        let [n0, n1] = self.sizes;
        let all = |k| self.mass(k, f64::NEG_INFINITY, f64::INFINITY);
        (n0 * all(0) + n1 * all(1)) / (n0 + n1)
    }

    /// Ten deviations around everything.
    pub fn range(&self) -> (f64, f64) {
        let s = self.sigmas[0].max(self.sigmas[1]);
        (self.means[0] - 10.0 * s - self.margin, self.means[1] + 10.0 * s + self.margin)
    }
}

/// The least value of `f` on [low, high] and at the infinities, and where it is: every local
/// minimum of a fine grid, refined by golden sections.
pub fn minimum(f: impl Fn(f64) -> f64, (low, high): (f64, f64)) -> (f64, f64) {
    const POINTS: usize = 4000;
    let at = |i: usize| low + (high - low) * i as f64 / POINTS as f64;
    let values: Vec<f64> = (0..=POINTS).map(|i| f(at(i))).collect();
    let mut best = (f64::NEG_INFINITY, f(f64::NEG_INFINITY));
    let mut offer = |t: f64, value: f64| {
        if value < best.1 {
            best = (t, value);
        }
    };
    offer(f64::INFINITY, f(f64::INFINITY));
    for i in 1..POINTS {
        if values[i] <= values[i - 1] && values[i] <= values[i + 1] {
            let t = golden_section(&f, at(i - 1), at(i + 1));
            offer(t, f(t));
        }
    }
    best
}

fn golden_section(f: &impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    for _ in 0..80 {
        let (a, b) = (high - ratio * (high - low), low + ratio * (high - low));
        if f(a) <= f(b) {
            high = b;
        } else {
            low = a;
        }
    }
    (low + high) / 2.0
}
