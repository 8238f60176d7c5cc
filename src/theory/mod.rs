//! Two Gaussians, exactly: what pruning does to the risks of two classes.
//!
//! y in {0, 1} with N_0 and N_1 samples, x given y normal with mean mu_y and standard deviation s_y,
//! mu_0 < mu_1, and the rule "1 where x > t". Everything has a closed form, so that the claims of
//! the method can be checked instead of believed:
//!
//! - [`TwoGaussians::minimiser`]: the threshold of least total risk, and its class risks;
//! - [`TwoGaussians::worst_optimum`]: the threshold of least worst-class risk, and
//!   [`TwoGaussians::optimal_priors`], under which the first is the second;
//! - [`TwoGaussians::metriq`]: random pruning inside classes, quotas in proportion to the risks;
//! - [`TwoGaussians::ssp`]: pruning all samples within a margin of their class mean;
//! - [`TwoGaussians::study`]: all of this at several densities; [`simulate`] checks it by drawing.
//!
//! Source: section 5 and appendices of Vysogorets, Ahuja and Kempe, "Robust Data Pruning" (arXiv
//! 2404.05579); the case of unequal variances is solved here without dividing by their difference.
//! Classes of several dimensions with covariance s_y^2 I and a linear rule are the same problem
//! along the line through the means.
//!
//! Nothing cancels: risks are computed from distances to the means in units of s_y, comparisons and
//! ratios of vanishing risks from logarithms and Mills ratios. A risk below 1e-308 is 0.
//!
//! ```
//! use fairprune::theory::TwoGaussians;
//!
//! let classes = TwoGaussians::new([-1.0, 1.0], [0.5, 1.0], [1.0, 1.0])?;
//! let best = classes.minimiser();
//! assert!((best.threshold().unwrap() + 0.1700).abs() < 5e-5);
//! assert!((best.risks[0] - 0.0485).abs() < 5e-5 && (best.risks[1] - 0.1210).abs() < 5e-5);
//! # Ok::<(), fairprune::error::Error>(())
//! ```

mod model;
mod pruning;
mod simulate;
mod study;
mod tail;

pub use model::{Decision, LocalMinimum, Rule, TwoGaussians};
pub use pruning::{Jump, RandomPruning, Ssp};
pub use simulate::{Estimate, Simulation, simulate};
pub use study::{StudyRow, TheoryStudy};
pub use tail::{ln_mills, ln_upper_tail, upper_tail};
