//! The same seed gives the same bits: whatever the number of threads, the instruction set, the
//! arena's mode, the batch size of scoring, evaluations in between, or a kill and a resume.

mod run;

use fairprune::backend::Isa;
use fairprune::error::Error;
use fairprune::exec::{ArenaMode, Mode};
use fairprune::isa::bf16::Bf16Form;
use fairprune::nn::NetworkSpec;
use fairprune::nn::init::initialise;
use fairprune::train::checkpoint;
use run::{
    FIELDS, Machine, Part, Training, executor, limited, networks, recipe, score, trained_bits,
    wide_networks,
};

/// 3 batches of 6 and one of 4.
const SAMPLES: usize = 22;

/// Bits of a run over two epochs with evaluation, then of both scoring passes.
fn everything(machine: &Machine, spec: &NetworkSpec) -> Vec<u64> {
    let (recipe, part) = (recipe(2), Part::new(spec, SAMPLES, 3));
    let mut executor = executor(machine, spec, &recipe, SAMPLES, 7);
    let training = Training {
        recipe: &recipe,
        steps: 7,
        part: &part,
        evaluate_every: 1,
        checkpoint: None,
        stop_at: None,
    };
    let outcome = training.run(&mut executor).unwrap();
    assert!(outcome.weights.tensors.values().flat_map(|t| &t.data).all(|v| v.is_finite()));
    let mut bits = trained_bits(&executor, &outcome);
    for mode in [Mode::Score, Mode::GradNorm] {
        let fields = if mode == Mode::Score { FIELDS.len() - 1 } else { FIELDS.len() };
        let columns = score(&mut executor, mode, &part);
        bits.extend(columns[..fields].iter().flatten().map(|v| u64::from(v.to_bits())));
    }
    bits
}

#[test]
fn thread_counts_agree_bit_for_bit() {
    for spec in networks() {
        let [one, two, five] =
            [1, 2, 5].map(|threads| everything(&Machine { threads, ..Machine::usual() }, &spec));
        assert!(one == two, "2 threads differ from 1: {spec:?}");
        assert!(one == five, "5 threads differ from 1: {spec:?}");
    }
}

#[test]
fn instruction_sets_agree_bit_for_bit() {
    for spec in networks() {
        let portable = everything(&Machine { isa: Isa::Portable, ..Machine::usual() }, &spec);
        for isa in [Isa::Avx2, Isa::Avx512] {
            if isa > Isa::detect() {
                println!("skipped: this processor has no {}", isa.name());
                continue;
            }
            let other = everything(&Machine { isa, ..Machine::usual() }, &spec);
            assert!(portable == other, "{} differs: {spec:?}", isa.name());
        }
    }
}

/// In bf16 the order of sums decides, and nothing else: neither threads nor the instructions, nor what unused
/// memory holds.
#[test]
fn bf16_depends_on_the_order_of_sums_alone() {
    for spec in wide_networks() {
        let mut of_forms = Vec::new();
        for form in [Bf16Form::Tiles, Bf16Form::Pairs] {
            let usual = Machine::bf16(form);
            let expected = everything(&Machine { isa: Isa::Portable, ..usual }, &spec);
            for other in [
                usual,
                Machine { threads: 1, ..usual },
                Machine { threads: 5, ..usual },
                Machine { arena: ArenaMode::Debug, ..usual },
            ] {
                assert!(everything(&other, &spec) == expected, "{other:?} differs: {spec:?}");
            }
            of_forms.push(expected);
        }
        assert!(of_forms[0] != of_forms[1], "both orders give one result: {spec:?}");
    }
}

/// The debug arena gives each tensor its own poisoned memory: a step that reads what nothing
/// wrote, or a tensor whose place was handed on too early, shows here.
#[test]
fn arena_modes_agree_bit_for_bit() {
    for spec in networks() {
        let [shared, debug] = [ArenaMode::Shared, ArenaMode::Debug]
            .map(|arena| everything(&Machine { arena, ..Machine::usual() }, &spec));
        assert!(shared == debug, "{spec:?}");
    }
}

#[test]
fn repeated_runs_agree_and_seeds_matter() {
    let spec = networks()[0];
    assert!(everything(&Machine::usual(), &spec) == everything(&Machine::usual(), &spec));
    let network = spec.build().unwrap();
    assert_ne!(initialise(&network, 1), initialise(&network, 2));
}

/// Every score of a sample, gradient norm included, is the same alone and in any batch.
#[test]
fn scores_do_not_depend_on_the_batch() {
    let plain = networks().map(|spec| (spec, Machine::usual()));
    let bf16 = wide_networks().map(|spec| (spec, Machine::bf16(Bf16Form::detect())));
    for (spec, machine) in plain.into_iter().chain(bf16) {
        let (recipe, part) = (recipe(1), Part::new(&spec, SAMPLES, 4));
        for mode in [Mode::Score, Mode::GradNorm] {
            // Alone; with a rest of 1; with a rest of 4; all at once.
            let [alone, small, large, whole] = [1, 3, 9, SAMPLES].map(|batch| {
                let mut executor = executor(&machine, &spec, &recipe, SAMPLES, batch);
                let weights = initialise(executor.network(), 6);
                executor.set_weights(&weights).unwrap();
                score(&mut executor, mode, &part)
            });
            for (i, field) in FIELDS.iter().enumerate() {
                assert_eq!(alone[i], small[i], "{field:?} in batches of 3, {mode:?}, {spec:?}");
                assert_eq!(alone[i], large[i], "{field:?} in batches of 9, {mode:?}, {spec:?}");
                assert_eq!(alone[i], whole[i], "{field:?} in one batch, {mode:?}, {spec:?}");
            }
            let grand = &alone[FIELDS.len() - 1];
            let scored = grand.iter().all(|&v| v > 0.0 && v.is_finite());
            assert_eq!(scored, mode == Mode::GradNorm, "gradient norms: {grand:?}");
        }
    }
}

/// The gradient pass keeps the convolution's output and normalises it apart, so it rounds once
/// more than the fused scoring pass; its scores agree to rounding.
#[test]
fn both_passes_give_the_same_scores() {
    for spec in networks() {
        let (recipe, part) = (recipe(1), Part::new(&spec, SAMPLES, 4));
        let mut executor = executor(&Machine::usual(), &spec, &recipe, SAMPLES, SAMPLES);
        let weights = initialise(executor.network(), 6);
        executor.set_weights(&weights).unwrap();
        let forward = score(&mut executor, Mode::Score, &part);
        let gradient = score(&mut executor, Mode::GradNorm, &part);
        for i in 0..FIELDS.len() - 1 {
            for (a, b) in forward[i].iter().zip(&gradient[i]) {
                let error = (a - b).abs();
                assert!(error <= 1e-4 * (1.0 + a.abs()), "{:?}: {a} and {b}", FIELDS[i]);
            }
        }
    }
}

#[test]
fn evaluation_changes_no_training() {
    let spec = networks()[0];
    let (recipe, part) = (recipe(3), Part::new(&spec, SAMPLES, 3));
    let run = |evaluate_every| {
        let mut executor = executor(&Machine::usual(), &spec, &recipe, SAMPLES, 7);
        let steps = 11;
        let (checkpoint, stop_at) = (None, None);
        let training =
            Training { recipe: &recipe, steps, part: &part, evaluate_every, checkpoint, stop_at };
        let outcome = training.run(&mut executor).unwrap();
        (outcome.weights, executor.velocities().unwrap())
    };
    assert!(run(0) == run(1));
}

/// Stopped at every step the loop looks at, the last one included, and continued.
#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    resumes_with_the_same_bits(&Machine::usual(), networks()[0]);
    resumes_with_the_same_bits(&Machine::bf16(Bf16Form::detect()), wide_networks()[0]);
}

fn resumes_with_the_same_bits(machine: &Machine, spec: NetworkSpec) {
    let (recipe, part) = (recipe(5), Part::new(&spec, SAMPLES, 3));
    let dir = tempfile::tempdir().unwrap();
    let run = |steps, name: &str, stop_at| {
        let mut executor = executor(machine, &spec, &recipe, SAMPLES, 7);
        let checkpoint = Some(dir.path().join(name));
        let evaluate_every = 2;
        let training =
            Training { recipe: &recipe, steps, part: &part, evaluate_every, checkpoint, stop_at };
        training.run(&mut executor).map(|outcome| trained_bits(&executor, &outcome))
    };
    // 4 steps an epoch; the loop looks every 8 steps and at the end of an epoch. 18 steps end in
    // the middle of an epoch, 24 = 3 looks end at its end.
    for steps in [18, 16, 24] {
        let reference = run(steps, &format!("whole-{steps}"), None).unwrap();
        for stop in [4, 8, 12, 16].into_iter().filter(|&s| s < steps).chain([steps]) {
            let name = format!("cut-{steps}-{stop}");
            let stopped = run(steps, &name, Some(stop));
            assert!(matches!(stopped, Err(Error::Interrupted)), "{stop} of {steps}");
            assert!(run(steps, &name, None).unwrap() == reference, "{stop} of {steps}");
        }
    }
}

/// A batch size at which the last look falls inside the last epoch: the state then holds all
/// steps, but the epoch has no record yet.
#[test]
fn a_run_stopped_at_its_last_step_still_records_the_epoch() {
    let spec = networks()[0];
    let recipe = fairprune::train::Recipe { batch: 2, ..recipe(1) };
    let part = Part::new(&spec, SAMPLES, 3);
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, stop_at| {
        let mut executor = executor(&Machine::usual(), &spec, &recipe, SAMPLES, 7);
        let (steps, evaluate_every) = (8, 1);
        let checkpoint = Some(dir.path().join(name));
        let training =
            Training { recipe: &recipe, steps, part: &part, evaluate_every, checkpoint, stop_at };
        training.run(&mut executor).map(|o| (trained_bits(&executor, &o), o.history.len()))
    };
    let whole = run("whole", None).unwrap();
    assert_eq!(whole.1, 1);
    assert!(matches!(run("cut", Some(8)), Err(Error::Interrupted)));
    assert!(run("cut", None).unwrap() == whole);
}

#[test]
fn a_diverged_run_names_the_step_and_keeps_a_finite_state() {
    let spec = networks()[0];
    let mild = recipe(4);
    let wild = fairprune::train::Recipe { lr: 1e30, ..recipe(4) };
    let part = Part::new(&spec, SAMPLES, 3);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let run = |recipe, stop_at| {
        let mut executor = executor(&Machine::usual(), &spec, recipe, SAMPLES, 7);
        let (steps, evaluate_every) = (16, 0);
        let checkpoint = Some(path.clone());
        let training = Training { recipe, steps, part: &part, evaluate_every, checkpoint, stop_at };
        training.run(&mut executor)
    };
    assert!(matches!(run(&mild, Some(4)), Err(Error::Interrupted)));
    // The same identity on purpose: the state is continued with a rate that must diverge.
    let message = match run(&wild, None) {
        Err(error @ Error::Diverged { .. }) => error.to_string(),
        other => panic!("{:?}", other.map(|o| o.steps)),
    };
    assert!(message.contains("step "), "{message}");
    let state = checkpoint::load(&path, "a test").unwrap().unwrap();
    let kept = state.weights.tensors.values().chain(state.velocities.values());
    assert!(kept.flat_map(|t| &t.data).all(|v| v.is_finite()), "the state is spoilt");
}

/// Short of memory, passes without updates run in smaller batches and give the same bits; a
/// training pass is refused with the batch that would fit.
#[test]
fn memory_limits_shrink_scoring_but_never_training() {
    let machine = Machine::usual();
    for spec in networks() {
        let part = Part::new(&spec, SAMPLES, 4);
        let scoring = |limit| limited(&machine, &spec, Mode::Score, SAMPLES, limit);
        let mut roomy = scoring(None).unwrap();
        let weights = initialise(roomy.network(), 6);
        roomy.set_weights(&weights).unwrap();
        let expected = score(&mut roomy, Mode::Score, &part);
        let mut tight = scoring(Some(roomy.planned_memory().total() * 3 / 4)).unwrap();
        assert!(tight.batch(Mode::Score) < roomy.batch(Mode::Score), "{spec:?}");
        tight.set_weights(&weights).unwrap();
        assert_eq!(score(&mut tight, Mode::Score, &part), expected, "{spec:?}");
        let training = |limit| limited(&machine, &spec, Mode::Train, SAMPLES, limit);
        let whole = training(None).unwrap().planned_memory().total();
        match training(Some(whole - 1)) {
            Err(Error::OutOfMemory { needed, free, largest_batch }) => {
                assert_eq!((needed, free), (whole, whole - 1));
                assert_eq!(largest_batch, Some(SAMPLES - 1), "{spec:?}");
            }
            Err(other) => panic!("{spec:?}: {other}"),
            Ok(_) => panic!("{spec:?}: a byte too few was enough"),
        }
    }
}
