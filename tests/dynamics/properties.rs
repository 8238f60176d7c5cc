//! What holds of every recording.

use fairprune::score::options::NeverLearned;
use fairprune::score::trajectories::{
    Trajectories, area_under_margin, confidence, forgetting, variability,
};
use fairprune::score::windows::{dual, dynamic_uncertainty, tdds};
use proptest::prelude::*;

/// Every score of one quantity whose values are from 0 to 1.
fn scores(values: &[f32], samples: usize) -> Vec<Vec<u32>> {
    let of = Trajectories::new(values, samples).unwrap();
    let epochs = of.epochs();
    [
        forgetting(of, NeverLearned::Hardest),
        area_under_margin(of),
        confidence(of),
        variability(of),
        dynamic_uncertainty(of, 3).unwrap(),
        dual(of, 3, epochs).unwrap(),
        tdds(of, 3, epochs, 0.9).unwrap(),
    ]
    .map(|scores| scores.iter().map(|v| v.to_bits()).collect())
    .to_vec()
}

/// T x N values of 0, 1 and between, some of them missing.
fn recordings() -> impl Strategy<Value = (Vec<f32>, usize)> {
    let value = prop_oneof![Just(0.0f32), Just(1.0), 0.0f32..1.0, Just(f32::NAN)];
    (3usize..9, 1usize..6).prop_flat_map(move |(epochs, samples)| {
        (proptest::collection::vec(value.clone(), epochs * samples), Just(samples))
    })
}

proptest! {
    /// A sample's score is its own: the same alone as among others, in whatever order.
    #[test]
    fn samples_do_not_see_each_other((values, samples) in recordings()) {
        let together = scores(&values, samples);
        for sample in 0..samples {
            let own: Vec<f32> = values[sample..].iter().step_by(samples).copied().collect();
            for (together, alone) in together.iter().zip(scores(&own, 1)) {
                prop_assert_eq!(together[sample], alone[0]);
            }
        }
    }

    /// Learned samples are forgotten at most every other presentation: never as often as the
    /// hardest, never-learned ones count.
    #[test]
    fn never_learned_is_above_every_count((values, samples) in recordings()) {
        let correct: Vec<f32> = values.iter().map(|&v| if v > 0.0 { v.round() } else { v }).collect();
        let of = Trajectories::new(&correct, samples).unwrap();
        let (hard, easy) =
            (forgetting(of, NeverLearned::Hardest), forgetting(of, NeverLearned::Zero));
        for (sample, (hard, easy)) in hard.iter().zip(&easy).enumerate() {
            let own = correct[sample..].iter().step_by(samples);
            let learned = own.clone().any(|&v| v == 1.0);
            let presented = own.filter(|v| !v.is_nan()).count();
            if presented == 0 {
                prop_assert!(hard.is_nan() && easy.is_nan());
            } else if learned {
                prop_assert_eq!(hard, easy);
                prop_assert!(*hard <= (presented / 2) as f32);
            } else {
                prop_assert_eq!((*hard, *easy), (of.epochs() as f32, 0.0));
            }
        }
    }

    /// An epoch that presented nobody adds nothing to what is read presentation by presentation.
    #[test]
    fn an_epoch_without_presentations_changes_no_mean((values, samples) in recordings()) {
        let mut longer = values.clone();
        longer.extend(vec![f32::NAN; samples]);
        let [short, long] = [&values, &longer].map(|v| {
            let of = Trajectories::new(v, samples).unwrap();
            [area_under_margin(of), variability(of), forgetting(of, NeverLearned::Zero)]
                .map(|scores| scores.iter().map(|v| v.to_bits()).collect::<Vec<u32>>())
        });
        prop_assert_eq!(short, long);
    }
}
