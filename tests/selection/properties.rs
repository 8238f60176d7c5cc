//! What must hold of every method on any data.

use fairprune::prune::{
    Centre, ClusterMetric, KCenterStart, KMeans, Order, Picks, QuotaOptions, QuotaRule,
    SampleScore, Scope, Selection, Selector, Space, Wanted, cal, class_distances, last_layer_grand,
    least_confidence, pick, prototype_distances, select,
};
use proptest::prelude::*;

use super::sample::{Data, counts, of_class, sequence};

pub const SCOPES: [Scope; 2] = [Scope::Class, Scope::Whole];

/// Every method with its default options, and the variants that differ in more than a number.
pub fn variants() -> Vec<Selector> {
    let mut variants = Selector::ALL.to_vec();
    variants.extend([
        Selector::CoreSet { start: KCenterStart::Random },
        Selector::ContextualDiversity { start: KCenterStart::Random },
        Selector::FacilityLocation { space: Space::Gradients },
        Selector::GraphCut { space: Space::Gradients, lambda: 0.3 },
        Selector::Glister { step: 0.05, refresh: 3 },
        Selector::Moderate { centre: Centre::Mean },
        Selector::Ccs { beta: 0.5, strata: 7 },
        Selector::BetaSampling { exponent: 0.5 },
        Selector::Window { endpoint: 0.6 },
    ]);
    variants
}

/// Whether a larger subset contains the smaller: Beta sampling has other chances at each size.
pub fn nests(selector: &Selector) -> bool {
    !matches!(selector, Selector::BetaSampling { .. })
}

/// Every score of the samples.
fn scores(data: &Data, seed: u64) -> Vec<SampleScore> {
    let (population, features) = (data.population(), data.features());
    let probabilities = data.probabilities();
    let clusters = KMeans { metric: ClusterMetric::Euclidean, ..KMeans::new(2) };
    vec![
        class_distances(population, features, Centre::Mean).unwrap(),
        class_distances(population, features, Centre::Median).unwrap(),
        prototype_distances(population, features, KMeans::new(3), seed).unwrap(),
        prototype_distances(population, features, clusters, seed).unwrap(),
        last_layer_grand(population, features, probabilities).unwrap(),
        least_confidence(population, probabilities).unwrap(),
        cal(population, features, probabilities, 4, seed).unwrap(),
    ]
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) }
}

/// Random data with some samples held out, and `eligible` in random order.
fn data() -> impl Strategy<Value = Data> {
    (4..60usize, 1..40usize, any::<u64>()).prop_map(|(n, dims, seed)| {
        let mut data = Data::random(n, dims, seed);
        let mut draw = sequence(seed ^ 1);
        data.eligible.retain(|&i| i < 3 || draw.below(5) > 0);
        draw.shuffle(&mut data.eligible);
        data
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn totals_are_exact_and_subsets_nest(data in data(), some: [f64; 2], seed: u64) {
        let sizes = data.sizes();
        let n = data.eligible.len();
        let part = |of: usize, f: f64| (f.abs().fract() * (of + 1) as f64) as usize;
        let totals = [part(n, some[0]).min(part(n, some[1])), part(n, some[0]).max(part(n, some[1]))];
        for selector in variants() {
            for scope in SCOPES {
                let [small, large] = totals.map(|t| data.pick(selector, scope, &Wanted::of_any(t), seed));
                prop_assert_eq!([small.order.len(), large.order.len()], totals);
                let mut seen = large.order.clone();
                seen.sort_unstable();
                seen.dedup();
                prop_assert_eq!(seen.len(), totals[1], "a sample twice");
                prop_assert!(seen.iter().all(|i| data.eligible.contains(i)));
                for picks in [&small, &large] {
                    let weights = picks.weights.as_ref().map(Vec::len);
                    prop_assert_eq!(weights, selector.gives_weights().then_some(picks.order.len()));
                }
                match scope {
                    _ if !nests(&selector) => {}
                    Scope::Whole => prop_assert_eq!(&large.order[..totals[0]], &small.order[..]),
                    // Rounding of the classes' shares may take one sample back.
                    Scope::Class => for class in 0..3 {
                        let few = of_class(&data, &small.order, class);
                        let many = of_class(&data, &large.order, class);
                        prop_assert!(few.len() <= many.len() + 1);
                        let shared = few.len().min(many.len());
                        prop_assert_eq!(&few[..shared], &many[..shared]);
                    },
                }
            }
            // Class counts: exact in both scopes, and a part of what larger ones pick.
            let few: Vec<usize> = sizes.iter().map(|&n| part(n, some[0] * 0.5)).collect();
            let many: Vec<usize> =
                few.iter().zip(&sizes).map(|(&k, &n)| k + part(n - k, some[1])).collect();
            for scope in SCOPES {
                let [few_picks, many_picks] = [&few, &many]
                    .map(|c| data.pick(selector, scope, &Wanted::of_classes(c.clone()), seed));
                prop_assert_eq!(&counts(&data, &few_picks.order), &few);
                prop_assert_eq!(&counts(&data, &many_picks.order), &many);
                for class in 0..if nests(&selector) { 3 } else { 0 } {
                    let many = of_class(&data, &many_picks.order, class);
                    prop_assert_eq!(of_class(&data, &few_picks.order, class), &many[..few[class as usize]]);
                }
            }
        }
    }

    /// Everything is keyed on positions: the order in which they are listed says nothing.
    #[test]
    fn the_list_of_eligible_samples_has_no_order(data in data(), seed: u64) {
        let mut sorted = data.clone();
        sorted.eligible.sort_unstable();
        for (one, other) in scores(&data, seed).into_iter().zip(scores(&sorted, seed)) {
            for (i, (a, b)) in one.values.iter().zip(&other.values).enumerate() {
                let same = a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-6 * a.abs().max(1.0);
                prop_assert!(same, "{} of sample {}: {} and {}", one.variant, i, a, b);
            }
        }
        for selector in variants() {
            for scope in SCOPES {
                let wanted = Wanted::of_any(data.eligible.len() / 2);
                let [one, other] = [&data, &sorted].map(|d| d.pick(selector, scope, &wanted, seed));
                prop_assert_eq!(one.order, other.order, "{} {}", selector, scope);
            }
        }
    }

    /// Renumbering the samples renumbers the picks, where nothing is drawn.
    #[test]
    fn samples_have_no_number(data in data(), seed: u64) {
        let n = data.labels.len();
        let mut new_of: Vec<usize> = (0..n).collect();
        sequence(seed).shuffle(&mut new_of);
        let mut moved = data.clone();
        for (old, &new) in new_of.iter().enumerate() {
            let (d, k) = (data.dims, data.classes);
            moved.labels[new] = data.labels[old];
            moved.score[new] = data.score[old];
            moved.features[new * d..][..d].copy_from_slice(&data.features[old * d..][..d]);
            moved.probabilities[new * k..][..k]
                .copy_from_slice(&data.probabilities[old * k..][..k]);
        }
        moved.eligible = data.eligible.iter().map(|&i| new_of[i]).collect();
        let drawn = |s: &Selector| {
            matches!(s, Selector::Ccs { .. } | Selector::Moderate { .. } | Selector::BetaSampling { .. }
                | Selector::CoreSet { start: KCenterStart::Random }
                | Selector::ContextualDiversity { start: KCenterStart::Random })
        };
        // In so few dimensions samples are often at equal angles, and gains tie by symmetry.
        prop_assume!(data.dims > 4);
        for selector in variants().into_iter().filter(|s| !drawn(s)) {
            let symmetric = matches!(selector, Selector::FacilityLocation { .. } | Selector::Craig);
            for class in 0..3u32 {
                let size = of_class(&data, &data.eligible, class).len();
                let mut wanted = vec![0; 3];
                // Of two samples left alone with each other either may go first.
                wanted[class as usize] = if symmetric { 1 } else { size.div_ceil(2) };
                let wanted = Wanted::of_classes(wanted);
                let before = data.pick(selector, Scope::Class, &wanted, seed).order;
                let after = moved.pick(selector, Scope::Class, &wanted, seed).order;
                if size > 2 {
                    let renamed: Vec<usize> = before.iter().map(|&i| new_of[i]).collect();
                    prop_assert_eq!(renamed, after, "{}", selector);
                }
            }
        }
    }

    #[test]
    fn picks_are_what_select_keeps(data in data(), percent in 1..=100usize, seed: u64) {
        let density = percent as f64 / 100.0;
        let recalls = [Some(0.9), Some(0.5), Some(0.7)];
        prop_assume!(density * data.eligible.len() as f64 >= 1.0);
        for rule in [None, Some(QuotaRule::Metriq), Some(QuotaRule::Balanced)] {
            let quota = rule.map(|rule| {
                QuotaOptions { rule, recalls: &recalls, ..QuotaOptions::default() }
            });
            let wanted = Wanted::new(data.population(), density, quota.as_ref(), seed).unwrap();
            for selector in Selector::ALL {
                for scope in SCOPES {
                    let picks = data.pick(selector, scope, &wanted, seed);
                    let order = Order::Picked(&picks.order);
                    let selection = Selection { order, quota: quota.clone(), density, seed };
                    let subset = select(data.population(), &selection).unwrap();
                    let mut sorted = picks.order.clone();
                    sorted.sort_unstable();
                    prop_assert_eq!(subset.kept, sorted);
                }
            }
        }
    }
}

/// The same bits on one, two and five threads.
#[test]
fn threads_change_nothing() {
    // More than one chunk, so that there is something to divide.
    let data = Data::random(700, 21, 5);
    let run = |threads: usize| -> (Vec<Picks>, Vec<Vec<u64>>) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut picks = Vec::new();
            for selector in variants() {
                for scope in SCOPES {
                    let picking = data.picking(selector, scope, 3);
                    let wanted = Wanted::of_any(60);
                    picks.push(pick(data.population(), &picking, &wanted).unwrap());
                }
            }
            let bits = |s: SampleScore| s.values.into_iter().map(f64::to_bits).collect();
            (picks, scores(&data, 3).into_iter().map(bits).collect())
        })
    };
    let expected = run(1);
    for threads in [2, 5] {
        assert!(run(threads) == expected, "{threads} threads");
    }
}

/// Cluster sizes count every sample once; GradMatch's weights are a solution.
#[test]
fn weights_account_for_every_sample() {
    let data = Data::random(90, 6, 8);
    let wanted = Wanted::of_classes(vec![4, 0, 9]);
    let sizes = data.sizes();
    for selector in [Selector::Craig, Selector::FacilityLocation { space: Space::Features }] {
        let picks = data.pick(selector, Scope::Class, &wanted, 0);
        let weights = picks.weights.unwrap();
        let total: f64 = weights.iter().sum();
        assert_eq!(total, (sizes[0] + sizes[2]) as f64);
        assert!(weights.iter().all(|&w| w >= 1.0));
        let filtered = data.pick(selector, Scope::Whole, &wanted, 0).weights.unwrap();
        assert_eq!(filtered.iter().sum::<f64>(), 90.0);
    }
    let picks = data.pick(Selector::GradMatch { lambda: 0.5 }, Scope::Whole, &wanted, 0);
    assert!(picks.weights.unwrap().iter().all(|&w| w >= 0.0));
}
