//! Recorded dynamics and features on the card: its own presentations, its own last layer.

use std::sync::Arc;

use bytes::Bytes;

use fairprune::artefact::dynamics::Quantity;
use fairprune::backend::Cpu;
use fairprune::exec::ArenaMode;
use fairprune::ops::gather::Gather;

use crate::cuda_device;
use crate::recorded_run::{Run, SAMPLES, check, check_features, executor, logits, part};

const EPOCHS: usize = 3;

#[test]
fn the_card_records_its_own_presentations() {
    let (images, labels) = part();
    let cuda = Arc::new(cuda_device::open());
    let on_card = cuda.images(&Bytes::from(images.clone())).unwrap();
    let mut e = executor(Arc::clone(&cuda), true, ArenaMode::Debug);
    let recorded = Run::whole(EPOCHS).record(&mut e, &on_card, &labels).unwrap();
    let mut plain = executor(cuda, false, ArenaMode::Shared);
    let z = logits(&mut plain, &on_card, &labels, EPOCHS);
    check(&recorded, &z, &labels);
    // The same samples are presented, and in the first epoch they look the same as on the CPU.
    let mut e = executor(Arc::new(Cpu::new(2).unwrap()), true, ArenaMode::Shared);
    let own = Run::whole(EPOCHS).record(&mut e, &Bytes::from(images), &labels).unwrap();
    for ((quantity, card), (_, cpu)) in recorded.iter().zip(&own) {
        let absent = |values: &[f32]| values.iter().map(|v| v.is_nan()).collect::<Vec<bool>>();
        assert_eq!(absent(card), absent(cpu), "{quantity:?}");
        let loss = *quantity == Quantity::Loss;
        for (card, cpu) in card.iter().zip(cpu).take(SAMPLES).filter(|p| loss && !p.0.is_nan()) {
            assert!((card - cpu).abs() <= 1e-3 * (1.0 + cpu), "{card} on the card, {cpu}");
        }
    }
}

#[test]
fn the_card_s_last_layer_makes_logits_and_norms_of_its_features() {
    let (images, labels) = part();
    let cuda = Arc::new(cuda_device::open());
    let images = cuda.images(&Bytes::from(images)).unwrap();
    let mut e = executor(cuda, false, ArenaMode::Debug);
    check_features(&mut e, &images, &labels);
}
