//! Least squares with weights that are not negative, grown by one variable at a time.
//!
//! min over w >= 0 of w' (G + lam I) w / 2 - b' w, by the active-set method of Lawson and Hanson
//! (1974) from the last solution. The Cholesky factor of the variables with positive weights is
//! updated as they come and go, so a step costs t^2 and the memory is t (t + 1) / 2 x 8 bytes.

use crate::isa::{Isa, multiversion};

/// A variable whose new part is smaller than this, relative to its square, depends on the others.
const DEPENDENT: f64 = 1e-7;
/// A slope that is smaller than the greatest by this factor counts as 0.
const FLAT: f64 = 1e-10;

/// The problem and its solution so far.
pub(crate) struct Nnls {
    lambda: f64,
    target: Vec<f64>,
    weights: Vec<f64>,
    /// Variables with positive weights; `factor` has the rows of their L, L L' = G + lam I.
    positive: Vec<usize>,
    factor: Vec<Vec<f64>>,
    isa: Isa,
}

impl Nnls {
    pub(crate) fn new(lambda: f64) -> Self {
        Nnls {
            lambda,
            target: Vec::new(),
            weights: Vec::new(),
            positive: Vec::new(),
            factor: Vec::new(),
            isa: Isa::detect(),
        }
    }

    /// Adds a variable with target `b` and weight 0.
    pub(crate) fn push(&mut self, b: f64) {
        self.target.push(b);
        self.weights.push(0.0);
    }

    /// Returns one weight for each variable.
    pub(crate) fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Returns the variables of positive weight.
    pub(crate) fn positive(&self) -> &[usize] {
        &self.positive
    }

    /// Finds the optimum. `gram(i, j)` is G, and `slopes` tells b - G w of every variable.
    pub(crate) fn solve(
        &mut self,
        gram: impl Fn(usize, usize) -> f64,
        mut slopes: impl FnMut(&Nnls) -> Vec<f64>,
    ) {
        let flat = FLAT * self.target.iter().fold(0.0, |most: f64, b| most.max(b.abs()));
        let mut refused = vec![false; self.weights.len()];
        // Each round lowers the objective, so that only rounding errors could make the loop go on
        // for ever.
        for _ in 0..4 * self.weights.len() + 16 {
            let slopes = slopes(self);
            let open = (0..refused.len()).filter(|&i| !refused[i] && !(self.weights[i] > 0.0));
            let steepest = open.max_by(|&a, &b| slopes[a].total_cmp(&slopes[b]).then(b.cmp(&a)));
            let Some(best) = steepest.filter(|&i| slopes[i] > flat) else { break };
            if self.let_in(best, &gram) {
                self.settle();
            }
            refused[best] = !(self.weights[best] > 0.0);
        }
    }

    /// Appends a row to the factor, unless the variable depends on those that are in it.
    fn let_in(&mut self, variable: usize, gram: impl Fn(usize, usize) -> f64) -> bool {
        let column = self.positive.iter().map(|&p| gram(variable, p));
        let mut row = self.forward(column);
        let square = gram(variable, variable) + self.lambda;
        let rest = square - dot(self.isa, &row, &row);
        let independent = rest > DEPENDENT * square;
        if independent {
            row.push(rest.sqrt());
            self.factor.push(row);
            self.positive.push(variable);
        }
        independent
    }

    /// Computes L^-1 times `right`.
    fn forward(&self, right: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut solved: Vec<f64> = Vec::with_capacity(self.factor.len() + 1);
        for (row, b) in self.factor.iter().zip(right) {
            let at = solved.len();
            let known = dot(self.isa, &row[..at], &solved);
            solved.push((b - known) / row[at]);
        }
        solved
    }

    /// Returns the unconstrained solution over the positive variables.
    fn unconstrained(&self) -> Vec<f64> {
        let mut x = self.forward(self.positive.iter().map(|&p| self.target[p]));
        for i in (0..x.len()).rev() {
            x[i] /= self.factor[i][i];
            let (value, row) = (x[i], &self.factor[i]);
            x[..i].iter_mut().zip(row).for_each(|(x, l)| *x -= l * value);
        }
        x
    }

    /// Moves to the unconstrained solution, and takes out the variables that would become negative
    /// on the way.
    fn settle(&mut self) {
        loop {
            let goal = self.unconstrained();
            let ahead = self.positive.iter().zip(&goal).filter(|(_, goal)| **goal <= 0.0);
            let reach = ahead
                .map(|(&p, goal)| self.weights[p] / (self.weights[p] - goal).max(f64::MIN_POSITIVE))
                .fold(f64::INFINITY, f64::min);
            if reach == f64::INFINITY {
                for (&p, goal) in self.positive.iter().zip(goal) {
                    self.weights[p] = goal;
                }
                return;
            }
            let mut out = None;
            for (k, (&p, &goal)) in self.positive.iter().zip(&goal).enumerate() {
                let w = self.weights[p];
                let ratio = w / (w - goal).max(f64::MIN_POSITIVE);
                if goal <= 0.0 && ratio <= reach && out.is_none() {
                    out = Some((k, p));
                }
                self.weights[p] = (w + reach.min(1.0) * (goal - w)).max(0.0);
            }
            if let Some((k, p)) = out {
                self.weights[p] = 0.0;
                self.let_out(k);
            }
        }
    }

    /// Takes the k-th row out of the factor; rotations bring the rows below it back into shape.
    fn let_out(&mut self, k: usize) {
        self.positive.remove(k);
        self.factor.remove(k);
        for j in k..self.factor.len() {
            let (a, b) = (self.factor[j][j], self.factor[j][j + 1]);
            let length = a.hypot(b);
            let (cos, sin) = (a / length, b / length);
            for row in &mut self.factor[j..] {
                let (x, y) = (row[j], row[j + 1]);
                row[j] = cos * x + sin * y;
                row[j + 1] = cos * y - sin * x;
            }
            self.factor[j].truncate(j + 1);
        }
    }
}

multiversion! {
    /// Returns < a, b >: eight partial sums, which are then added in their order.
    fn dot(a: &[f64], b: &[f64]) -> f64 {
        let mut lanes = [0.0f64; 8];
        let ((a, few), (b, rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
        for (a, b) in a.iter().zip(b) {
            for l in 0..8 {
                lanes[l] += a[l] * b[l];
            }
        }
        for (lane, (a, b)) in lanes.iter_mut().zip(few.iter().zip(rest)) {
            *lane += a * b;
        }
        lanes.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Philox, Stream};

    /// Makes the Gram matrix and the target of random vectors in few dimensions, so that some
    /// weights become 0.
    fn problem(n: usize, dims: usize, seed: u64) -> (Vec<Vec<f64>>, Vec<f64>) {
        let mut draw = Philox::new(seed, Stream::Init).sequence(0);
        let mut vector = || (0..dims).map(|_| f64::from(draw.normal())).collect::<Vec<f64>>();
        let rows: Vec<Vec<f64>> = (0..n).map(|_| vector()).collect();
        let goal = vector();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        let gram = rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect();
        (gram, rows.iter().map(|a| dot(a, &goal)).collect())
    }

    fn slopes(solver: &Nnls, gram: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let w = solver.weights();
        let explained = |i: usize| (0..w.len()).map(|j| gram(i, j) * w[j]).sum::<f64>();
        (0..w.len()).map(|i| solver.target[i] - explained(i)).collect()
    }

    /// The conditions of Karush, Kuhn and Tucker decide, because the problem is strictly convex.
    #[test]
    fn the_optimum_after_every_variable() {
        for seed in 0..20 {
            let (gram, target) = problem(25, 6, seed);
            let mut solver = Nnls::new(0.3);
            for t in 0..25 {
                solver.push(target[t]);
                solver.solve(|i, j| gram[i][j], |s| slopes(s, |i, j| gram[i][j]));
                let w = solver.weights();
                for i in 0..=t {
                    let slope =
                        target[i] - 0.3 * w[i] - (0..=t).map(|j| gram[i][j] * w[j]).sum::<f64>();
                    assert!(w[i] >= 0.0);
                    match w[i] > 0.0 {
                        true => assert!(slope.abs() < 1e-9, "slope {slope} at weight {}", w[i]),
                        false => assert!(slope < 1e-8, "slope {slope} at weight 0"),
                    }
                }
            }
        }
    }

    #[test]
    fn duplicates_share_and_zeros_stay_out() {
        let gram = [[4.0, 4.0, 0.0], [4.0, 4.0, 0.0], [0.0, 0.0, 0.0]];
        let mut solver = Nnls::new(1.0);
        for b in [2.0, 2.0, 0.0] {
            solver.push(b);
            solver.solve(|i, j| gram[i][j], |s| slopes(s, |i, j| gram[i][j]));
        }
        let w = solver.weights();
        assert!((w[0] - 2.0 / 9.0).abs() < 1e-12 && (w[1] - w[0]).abs() < 1e-12, "{w:?}");
        assert_eq!(w[2], 0.0);
    }
}
