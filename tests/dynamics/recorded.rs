//! What a run records is what its presentations were, whatever interrupts it.

use std::sync::Arc;

use bytes::Bytes;

use fairprune::artefact::dynamics::Quantity;
use fairprune::backend::Cpu;
use fairprune::error::Error;
use fairprune::exec::ArenaMode;
use fairprune::train::Recording;

use crate::recorded_run::{Run, SAMPLES, check, executor, logits, part};

const EPOCHS: usize = 6;

fn cpu(threads: usize) -> Arc<Cpu> {
    Arc::new(Cpu::new(threads).unwrap())
}

fn bits(recorded: &[(Quantity, Vec<f32>)]) -> Vec<u32> {
    recorded.iter().flat_map(|(_, values)| values).map(|v| v.to_bits()).collect()
}

#[test]
fn recorded_quantities_are_those_of_each_presentation() {
    let (images, labels) = part();
    let images = Bytes::from(images);
    let mut e = executor(cpu(2), true, ArenaMode::Debug);
    let recorded = Run::whole(EPOCHS).record(&mut e, &images, &labels).unwrap();
    assert_eq!(recorded.len(), Quantity::ALL.len());
    let mut plain = executor(cpu(2), false, ArenaMode::Shared);
    let logits = logits(&mut plain, &images, &labels, EPOCHS);
    check(&recorded, &logits, &labels);
    // Something was learned and something forgotten, or the check says little.
    let correct = &recorded.iter().find(|r| r.0 == Quantity::Correct).unwrap().1;
    let right = correct.iter().filter(|v| **v == 1.0).count();
    assert!(right > 0 && right < EPOCHS * (SAMPLES - 1), "{right} correct presentations");
}

#[test]
fn threads_and_the_divergence_change_nothing_else() {
    let (images, labels) = part();
    let images = Bytes::from(images);
    let mut one = executor(cpu(1), true, ArenaMode::Shared);
    let mut three = executor(cpu(3), true, ArenaMode::Shared);
    let whole = Run::whole(EPOCHS);
    let [one, three] = [&mut one, &mut three].map(|e| whole.record(e, &images, &labels).unwrap());
    assert_eq!(bits(&one), bits(&three));
    let mut e = executor(cpu(2), false, ArenaMode::Shared);
    let plain = Run { recording: Recording { divergence: false }, ..Run::whole(EPOCHS) };
    let plain = plain.record(&mut e, &images, &labels).unwrap();
    assert_eq!(bits(&plain), bits(&one[..5]));
}

/// Interrupted at every step of two epochs, at their ends, and at the last step.
#[test]
fn a_resumed_recording_equals_an_uninterrupted_one() {
    let (images, labels) = part();
    let images = Bytes::from(images);
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, stop_at| {
        let mut e = executor(cpu(2), true, ArenaMode::Shared);
        let checkpoint = Some(dir.path().join(name).join("checkpoint"));
        std::fs::create_dir_all(dir.path().join(name)).unwrap();
        let run = Run { checkpoint, stop_at, ..Run::whole(EPOCHS) };
        run.record(&mut e, &images, &labels).map(|recorded| bits(&recorded))
    };
    let whole = run("whole", None).unwrap();
    for stop in [1, 2, 3, 4, 5, 6, 17, 18] {
        let name = format!("cut-{stop}");
        assert!(matches!(run(&name, Some(stop)), Err(Error::Interrupted)), "{stop}");
        assert!(run(&name, None).unwrap() == whole, "{stop}");
    }
    // Cut at every step: each run does one more.
    for stop in 1..=3 * EPOCHS as u64 {
        assert!(matches!(run("steps", Some(stop)), Err(Error::Interrupted)), "{stop}");
    }
    assert!(run("steps", None).unwrap() == whole);
}

/// The end of the budget inside an epoch marks the rest as not presented, and only the rest.
#[test]
fn a_run_that_ends_inside_an_epoch_says_who_was_left_out() {
    let (images, labels) = part();
    let images = Bytes::from(images);
    let mut e = executor(cpu(2), true, ArenaMode::Shared);
    let whole = Run::whole(EPOCHS).record(&mut e, &images, &labels).unwrap();
    let mut e = executor(cpu(2), true, ArenaMode::Shared);
    let cut = Run { until: 7, ..Run::whole(EPOCHS) };
    let cut = cut.record(&mut e, &images, &labels).unwrap();
    for ((quantity, whole), (_, cut)) in whole.iter().zip(&cut) {
        assert_eq!(cut.len(), 3 * SAMPLES, "{quantity:?}");
        let presented = cut[2 * SAMPLES..].iter().filter(|v| !v.is_nan()).count();
        let first = *quantity == Quantity::Divergence;
        assert!(presented == 8 || first && presented < 8, "{quantity:?}: {presented}");
        for (cut, whole) in cut.iter().zip(whole).filter(|p| !p.0.is_nan()) {
            assert_eq!(cut.to_bits(), whole.to_bits(), "{quantity:?}");
        }
    }
}

#[test]
fn a_checkpoint_without_its_rows_is_refused() {
    let (images, labels) = part();
    let images = Bytes::from(images);
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = Some(dir.path().join("checkpoint"));
    let mut e = executor(cpu(1), true, ArenaMode::Shared);
    let cut = Run { checkpoint: checkpoint.clone(), stop_at: Some(7), ..Run::whole(EPOCHS) };
    assert!(matches!(cut.record(&mut e, &images, &labels), Err(Error::Interrupted)));
    std::fs::remove_file(dir.path().join("dynamics.rows")).unwrap();
    let again = Run { checkpoint, ..Run::whole(EPOCHS) };
    let message = again.record(&mut e, &images, &labels).unwrap_err().to_string();
    assert!(message.contains("dynamics.rows") && message.contains("`force`"), "{message}");
}
