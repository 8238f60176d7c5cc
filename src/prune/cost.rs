//! Estimates of what a method will cost, made before it runs.

use super::greedy::{grad_match_bytes, row_bytes};
use super::selector::{Scope, Selector, Space};
use super::wanted::Wanted;
use crate::error::Result;

/// The arithmetic and memory of a method. In the formulas n is the samples of a group, m the picks
/// among them, D the dimensions, K the classes and V the validation samples. Lazy methods are given
/// their upper bound; they mostly need a fraction of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PickCost {
    /// Floating-point operations, a multiply-add being two.
    pub flops: f64,
    /// Time on one core, by measured rates of each method; `docs/scores/selection.md` names the
    /// machine.
    pub seconds: f64,
    /// Bytes beyond the inputs.
    pub bytes: f64,
    /// The formula by which the time grows, such as `n m D`.
    pub class: &'static str,
}

/// Sizes of the inputs of a method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputSizes {
    /// D, dimensions of the features.
    pub dims: usize,
    /// K, classes of the predictions.
    pub classes: usize,
    /// V, validation samples.
    pub validation: usize,
}

/// The number of gains that lazy greedy is expected to bring up to date for each pick.
const LAZY: f64 = 16.0;

impl Selector {
    /// Returns the cost of the wanted picks from classes of `sizes`. Groups are worked off one
    /// after another, so their times add up, and the largest decides the memory.
    ///
    /// # Errors
    /// The wanted counts do not fit the classes.
    pub fn cost(
        &self,
        sizes: &[usize],
        wanted: &Wanted,
        scope: Scope,
        shape: InputSizes,
        memory: usize,
    ) -> Result<PickCost> {
        wanted.check(sizes)?;
        let samples: usize = sizes.iter().sum();
        let groups: Vec<(usize, usize)> = match scope {
            Scope::Whole => vec![(samples, wanted.most(samples))],
            Scope::Class => {
                let counts = wanted.of_each_class(sizes, 0)?;
                sizes.iter().copied().zip(counts).filter(|group| group.1 > 0).collect()
            }
        };
        let bytes = 16.0 * samples as f64;
        let mut total = PickCost { flops: 0.0, seconds: 0.0, bytes, class: self.class() };
        // A method that picks inside a class looks at the validation samples of that class only.
        let validation = match scope {
            Scope::Whole => shape.validation,
            Scope::Class => shape.validation.div_ceil(groups.len().max(1)),
        };
        let shape = InputSizes { validation, ..shape };
        let mut most: f64 = 0.0;
        for (n, m) in groups {
            let (flops, bytes) = self.of_group(n, m, shape, memory);
            total.flops += flops;
            total.seconds += 1e-9 * self.nanoseconds(n, m, shape, memory);
            most = most.max(bytes);
        }
        total.bytes += most;
        Ok(total)
    }

    fn class(&self) -> &'static str {
        match self {
            Selector::CoreSet { .. } | Selector::Herding => "n m D",
            Selector::ContextualDiversity { .. } => "n m K",
            Selector::FacilityLocation { space: Space::Features } => "n^2 D",
            Selector::FacilityLocation { .. } | Selector::Craig => "n^2 (D + K)",
            Selector::GraphCut { space: Space::Features, .. } => "n m D",
            Selector::GraphCut { .. } => "n m (D + K) + n K D",
            Selector::GradMatch { .. } => "n m (D + K) + n m^2 + n K D",
            Selector::Glister { .. } => "m (n + V) K D",
            Selector::Moderate { .. } => "n D + n log n",
            Selector::Ccs { .. } | Selector::BetaSampling { .. } | Selector::Window { .. } => {
                "n log n"
            }
            Selector::D2 { .. } => "n^2 D",
        }
    }

    /// Estimates the nanoseconds of one core for m picks of n samples: the terms of `class` with
    /// measured factors. The terms without D are passes over all samples for each pick. Where rows
    /// of distances do not fit `memory` this is a lower bound, because how often gains are brought
    /// up to date depends on the data.
    fn nanoseconds(&self, n: usize, m: usize, shape: InputSizes, memory: usize) -> f64 {
        let (d, k) = (shape.dims as f64, shape.classes as f64);
        let (n, m, v, len) = (n as f64, m as f64, shape.validation as f64, n);
        let kept = row_bytes(len, memory) >= 4.0 * n * n;
        let rows = |pair: f64, update: f64| match kept {
            true => n * n * pair + (n + LAZY * m) * n * update,
            false => (2.0 * n + LAZY * m) * n * (pair + update),
        };
        match *self {
            Selector::CoreSet { .. } => n * m * (0.03 * d + 12.0),
            Selector::ContextualDiversity { .. } => n * m * (0.9 * k + 8.0),
            Selector::Herding => n * m * (0.25 * d + 8.0),
            Selector::FacilityLocation { space: Space::Features } => rows(0.05 * d, 5.5),
            Selector::FacilityLocation { space: Space::Gradients } => rows(0.06 * (d + k), 7.5),
            Selector::Craig => rows(0.06 * (d + k), 7.5),
            Selector::GraphCut { space: Space::Features, .. } => n * m * (0.25 * d + 15.0),
            Selector::GraphCut { space: Space::Gradients, .. } => {
                n * m * (0.25 * (d + k) + 15.0) + 0.5 * n * k * d
            }
            Selector::GradMatch { .. } => {
                n * m * 0.4 * (d + k) + 0.35 * m * m * (n + m) + 0.5 * n * k * d
            }
            Selector::Glister { refresh, .. } => {
                m * n * (0.1 * k * d + 37.0) + m / refresh as f64 * 0.1 * v * k * d
            }
            Selector::Moderate { .. } => 12.0 * n * d + 20.0 * n * n.max(2.0).log2(),
            Selector::Ccs { strata, .. } => 10.0 * n * n.max(2.0).log2() + strata as f64 * m,
            Selector::BetaSampling { .. } => 120.0 * n + 20.0 * n * n.max(2.0).log2(),
            Selector::Window { .. } => 10.0 * n * n.max(2.0).log2(),
            Selector::D2 { .. } => n * n * (0.045 * d + 4.5),
        }
    }

    /// Returns (operations, bytes) for m picks of n samples.
    fn of_group(&self, n: usize, m: usize, shape: InputSizes, memory: usize) -> (f64, f64) {
        let (d, k, v) = (shape.dims as f64, shape.classes as f64, shape.validation as f64);
        let (samples, picks) = (n as f64, m as f64);
        let sort = 20.0 * samples * samples.max(2.0).log2();
        let gradients = samples * (4.0 * k + 16.0);
        // Rows of distances are computed once if all can be kept; otherwise they are computed
        // twice, and again when they are needed.
        let rows = |pair: f64| {
            let row = samples * pair;
            match row_bytes(n, memory) >= 4.0 * samples * samples {
                true => samples * row + (samples + LAZY * picks) * 3.0 * samples,
                false => (2.0 * samples + LAZY * picks) * row,
            }
        };
        let facility = 84.0 * samples + row_bytes(n, memory);
        match *self {
            Selector::CoreSet { .. } => (3.0 * d * samples * picks, 60.0 * samples),
            Selector::ContextualDiversity { .. } => {
                (4.0 * k * samples * picks, (8.0 * k + 52.0) * samples)
            }
            Selector::Herding => (3.0 * d * samples * picks, 24.0 * samples),
            Selector::FacilityLocation { space: Space::Features } => (rows(2.0 * d), facility),
            Selector::FacilityLocation { space: Space::Gradients } => {
                (rows(2.0 * (d + k)), facility + gradients)
            }
            Selector::Craig => (rows(3.0 * (d + k)), facility + gradients),
            Selector::GraphCut { space: Space::Features, .. } => {
                (2.0 * d * samples * (picks + 2.0), 48.0 * samples)
            }
            Selector::GraphCut { space: Space::Gradients, .. } => {
                let totals = 4.0 * samples * k * d;
                (2.0 * (d + k) * samples * picks + totals, 40.0 * samples + gradients)
            }
            Selector::GradMatch { .. } => {
                let products = 2.0 * (d + k) * samples * picks + 4.0 * samples * k * d;
                let solving = samples * picks * picks + picks * picks * picks;
                (products + solving, grad_match_bytes(n, m) + gradients)
            }
            Selector::Glister { refresh, .. } => {
                let refreshes = picks / refresh as f64;
                let each = 2.0 * samples * k * d + 2.0 * v * d;
                let bytes = 24.0 * samples + v * (12.0 * k + 24.0) + 12.0 * k * d;
                (picks * each + refreshes * 2.0 * v * k * d, bytes + gradients)
            }
            Selector::Moderate { .. } => (7.0 * samples * d + sort, 60.0 * samples),
            Selector::Ccs { strata, .. } => (sort + 2.0 * strata as f64 * picks, 80.0 * samples),
            Selector::BetaSampling { .. } => (sort + 100.0 * samples, 88.0 * samples),
            Selector::Window { .. } => (sort, 48.0 * samples),
            Selector::D2 { neighbours, .. } => {
                let near = neighbours as f64;
                let messages = 32.0 * near * picks;
                (3.0 * d * samples * samples, (92.0 + 16.0 * near) * samples + messages)
            }
        }
    }
}

impl PickCost {
    /// Makes the cost of a score, at 10^10 operations a second.
    fn of(flops: f64, bytes: f64, class: &'static str) -> PickCost {
        PickCost { flops, seconds: 1e-10 * flops, bytes, class }
    }

    /// Returns the cost of [`class_distances`](super::class_distances).
    pub fn class_distances(samples: usize, shape: InputSizes) -> PickCost {
        let n = samples as f64;
        PickCost::of(5.0 * n * shape.dims as f64, 32.0 * n, "N D")
    }

    /// Returns an upper bound of the cost of [`prototype_distances`](super::prototype_distances).
    pub fn prototype_distances(
        samples: usize,
        shape: InputSizes,
        options: super::KMeans,
    ) -> PickCost {
        let (n, d, k) = (samples as f64, shape.dims as f64, options.clusters as f64);
        let passes = options.rounds as f64 + 2.0;
        PickCost::of(3.0 * n * k * d * passes, 64.0 * n + 12.0 * k * d, "N K D rounds")
    }

    /// Returns the cost of [`cal`](super::cal).
    pub fn cal(samples: usize, shape: InputSizes, neighbours: usize) -> PickCost {
        let (n, d, k) = (samples as f64, shape.dims as f64, shape.classes as f64);
        let near = neighbours as f64;
        let flops = 3.0 * n * n * d + 4.0 * n * near * k;
        PickCost::of(flops, n * (40.0 + 16.0 * near + 8.0 * k), "N^2 D")
    }

    /// Returns the cost of [`last_layer_grand`](super::last_layer_grand).
    pub fn last_layer_grand(samples: usize, shape: InputSizes) -> PickCost {
        let (n, d, k) = (samples as f64, shape.dims as f64, shape.classes as f64);
        PickCost::of(2.0 * n * (d + k), n * (4.0 * k + 32.0), "N (D + K)")
    }

    /// Returns the cost of [`least_confidence`](super::least_confidence).
    pub fn least_confidence(samples: usize, shape: InputSizes) -> PickCost {
        let (n, k) = (samples as f64, shape.classes as f64);
        PickCost::of(n * k, 16.0 * n, "N K")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prune::MEMORY;

    const SHAPE: InputSizes = InputSizes { dims: 512, classes: 10, validation: 5000 };

    #[test]
    fn a_tenth_of_the_work_inside_ten_classes() {
        let sizes = [5000; 10];
        let cost = |selector: Selector, scope| {
            selector.cost(&sizes, &Wanted::of_any(15_000), scope, SHAPE, MEMORY).unwrap()
        };
        let core_set = Selector::ALL[0];
        let (whole, class) = (cost(core_set, Scope::Whole), cost(core_set, Scope::Class));
        assert_eq!(whole.flops, 3.0 * 512.0 * 50_000.0 * 15_000.0);
        assert_eq!(class.flops * 10.0, whole.flops);
        assert!(class.bytes < whole.bytes);
        for selector in Selector::ALL {
            for scope in [Scope::Whole, Scope::Class] {
                let cost = cost(selector, scope);
                assert!(cost.flops > 0.0 && cost.flops.is_finite(), "{selector} {cost:?}");
                // A matrix of all pairs would take 10^10 bytes; GradMatch says that it would.
                let large = selector.name() == "grad-match" && scope == Scope::Whole;
                assert_eq!(cost.bytes > 2e9, large, "{selector} {scope} {cost:?}");
            }
        }
    }

    #[test]
    fn less_memory_is_more_work() {
        let cost = |memory| {
            let wanted = Wanted::of_any(1000);
            Selector::Craig.cost(&[5000], &wanted, Scope::Class, SHAPE, memory).unwrap()
        };
        let (ample, none) = (cost(MEMORY), cost(0));
        assert!(ample.flops < none.flops && ample.bytes > none.bytes);
    }

    /// Seconds that picking a tenth inside ten classes took (`docs/scores/selection.md`): N = 10,000 and
    /// 50,000 with 64 dimensions, then with 512; 10 classes, 1,000 validation samples. The reading of the
    /// files is taken off, so that values below a tenth of a second say little.
    const MEASURED: [(&str, [f64; 4]); 11] = [
        ("moderate", [0.02, 0.06, 0.06, 0.44]),
        ("coreset", [0.02, 0.21, 0.05, 0.61]),
        ("herding", [0.03, 0.65, 0.09, 4.0]),
        ("graph-cut", [0.05, 0.86, 0.11, 4.2]),
        ("ccs", [0.0, 0.01, 0.0, 0.01]),
        ("contextual-diversity", [0.03, 0.25, 0.03, 0.25]),
        ("grad-match", [0.10, 5.3, 0.17, 11.0]),
        ("glister", [0.14, 2.5, 0.35, 13.9]),
        ("d2", [0.07, 2.1, 0.27, 9.5]),
        ("craig", [0.23, 6.4, 0.45, 20.9]),
        ("facility-location", [0.21, 4.1, 0.35, 15.3]),
    ];

    #[test]
    fn times_are_those_measured_within_a_factor_of_two() {
        let sizes = [(10_000, 64), (50_000, 64), (10_000, 512), (50_000, 512)];
        for (name, seconds) in MEASURED {
            let selector: Selector = name.parse().unwrap();
            for ((n, dims), measured) in sizes.into_iter().zip(seconds) {
                let shape = InputSizes { dims, classes: 10, validation: 1000 };
                let wanted = Wanted::of_any(n / 10);
                let cost = selector.cost(&[n / 10; 10], &wanted, Scope::Class, shape, MEMORY);
                let found = cost.unwrap().seconds;
                let near = (0.5..=2.0).contains(&(found / measured));
                // Times below a twentieth of a second are too short to compare.
                let little = found < 0.05 && measured < 0.05;
                assert!(near || little, "{name}, {n} x {dims}: {found} s, measured {measured} s");
            }
        }
        // Herding among all of 50,000 x 64 is the case that an earlier estimate called 0.8 s.
        let shape = InputSizes { dims: 64, classes: 10, validation: 0 };
        let wanted = Wanted::of_any(5000);
        let cost = Selector::Herding.cost(&[5000; 10], &wanted, Scope::Whole, shape, MEMORY);
        assert!((5.2..=20.8).contains(&cost.unwrap().seconds));
    }

    #[test]
    fn impossible_counts_are_refused() {
        let wanted = Wanted::of_classes(vec![3, 1]);
        let cost = Selector::Herding.cost(&[2, 2], &wanted, Scope::Class, SHAPE, MEMORY);
        assert!(cost.unwrap_err().to_string().contains("class 0"));
    }
}
