//! Training and scoring with activations stored as bf16: against f32, against itself, and with less fused
//! or recorded.
//!
//! The yardstick is f32's own response, as in `parity`: the CPU's step from convolution weights of which
//! each is moved by a random part of one rounding of bf16 (uniform within half a unit in the last place,
//! as rounding errors are) moves every product of a convolution as one rounding of its operands does. A
//! step in bf16 starts from rounded weights, which the CPU's step is given as well, and then stores each
//! block's convolution, output and both gradients rounded: four roundings where the perturbed run has one.
//! Roundings are independent, so that four add up to twice one; the tests hold a tensor to two of the
//! largest responses of [`RUNS`] runs, and two roundings of its own norm. Distances are Euclidean: where
//! a ReLU's input changes sign single values jump, in the perturbed runs as well.

use fairprune::exec::{ArenaMode, Compute, Fusion};
use fairprune::ops::Precision;
use fairprune::reference::U16;

use crate::commands::{TINY, data};
use crate::network::{
    BATCH, Machine, Net, RESNET8_BF16, RESNET50_BF16, STEPS, State, Tensors, computing, cpu,
};
use crate::parity::{bits_of, orders_agree};
use crate::program::{on_software_device, run};
use fairprune::backend::Cpu;
use fairprune::cuda::Cuda;
use fairprune::rng::{Philox, Stream};

/// Perturbed runs of the CPU.
const RUNS: u64 = 6;
/// The root of the roundings of a block.
const ROUNDINGS: f64 = 2.0;

const BF16: Compute = Compute { precision: Precision::Bf16, fusion: Fusion::ALL, record: true };

fn card(net: Net, compute: Compute) -> Machine<Cuda> {
    computing(net, ArenaMode::Shared, compute)
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|v| v * v).sum::<f64>().sqrt()
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    norm(a.iter().zip(b).map(|(&a, &b)| f64::from(a) - f64::from(b)))
}

fn size(a: &[f32]) -> f64 {
    norm(a.iter().map(|&v| f64::from(v)))
}

/// A state after some f32 steps on the CPU, its convolutions' weights rounded to bf16.
fn rounded_state(cpu: &mut Machine<Cpu>, net: Net) -> State {
    let weights = fairprune::nn::init::initialise(cpu.executor.network(), net.seed);
    cpu.executor.set_weights(&weights).unwrap();
    cpu.executor.zero_velocities().unwrap();
    cpu.train(0, 3);
    let mut state = cpu.get();
    for t in state.weights.tensors.values_mut().filter(|t| t.shape.len() == 4) {
        t.data.iter_mut().for_each(|v| *v = half::bf16::from_f32(*v).to_f32());
    }
    state
}

/// Every weight of a convolution moved as by one rounding of bf16.
fn one_rounding_apart(state: &State, seed: u64) -> State {
    let mut moved = state.clone();
    for (i, t) in moved.weights.tensors.values_mut().enumerate().filter(|t| t.1.shape.len() == 4) {
        let mut draws = Philox::new(seed, Stream::Shapes).sequence(i as u64);
        for v in &mut t.data {
            // 2^-7 of the power of two below it, times -1/2 to 1/2.
            let unit = f32::from_bits(v.to_bits() & 0x7f80_0000) / 128.0;
            *v += unit * (draws.uniform() - 0.5);
        }
    }
    moved
}

/// Error of each tensor over its bound; a bound above half a tensor's norm says little, and few are.
fn judge(own: &Tensors, ours: &Tensors, others: &[Tensors]) -> f64 {
    let (mut worst, mut sharp) = (0.0f64, 0);
    for (name, t) in own {
        let response = others.iter().map(|o| distance(&o[name].data, &t.data)).fold(0.0, f64::max);
        let bound = ROUNDINGS * (response + U16 * size(&t.data));
        let error = distance(&ours[name].data, &t.data);
        println!(
            "{name:<30} response {:.3}, error {:.3} of its norm",
            response / size(&t.data),
            error / size(&t.data)
        );
        assert!(error <= bound, "{name}: error {error:.3e}, bound {bound:.3e}");
        worst = worst.max(error / bound);
        sharp += usize::from(bound <= 0.5 * size(&t.data));
    }
    assert!(5 * sharp >= 4 * own.len(), "bounds of {sharp} of {} tensors say something", own.len());
    worst
}

#[test]
fn a_training_step_is_that_of_f32_up_to_its_roundings() {
    let net = RESNET8_BF16;
    let mut cpu = cpu(net);
    let state = rounded_state(&mut cpu, net);
    let mut step = |state: &State| {
        cpu.set(state);
        cpu.train(3, 1);
        cpu.get()
    };
    let own = step(&state);
    let others: Vec<State> =
        (0..RUNS).map(|seed| step(&one_rounding_apart(&state, seed))).collect();
    let gradients: Vec<Tensors> = others.into_iter().map(|s| s.gradients).collect();
    let [fused, apart] = [Fusion::ALL, Fusion::NONE].map(|fusion| {
        let mut card = card(net, Compute { fusion, ..BF16 });
        card.set(&state);
        card.train(3, 1);
        let ours = card.get().gradients;
        let worst = judge(&own.gradients, &ours, &gradients);
        println!("fusion {fusion}: largest error {worst:.2} of its bound");
        ours
    });
    // Both sum the same stored values in another order: that is far below what storing rounds.
    for (name, t) in &apart {
        let error = distance(&fused[name].data, &t.data);
        let rounding = distance(&own.gradients[name].data, &t.data);
        assert!(
            5.0 * error <= rounding,
            "{name}: fused {error:.3e} from apart, f32 {rounding:.3e}"
        );
    }
}

#[test]
fn scores_are_those_of_f32_up_to_roundings() {
    let net = RESNET8_BF16;
    let mut cpu = cpu(net);
    let state = rounded_state(&mut cpu, net);
    let mut scores = |state: &State| {
        cpu.set(state);
        cpu.scores()
    };
    let own = scores(&state);
    let others: Vec<_> = (0..RUNS).map(|s| scores(&one_rounding_apart(&state, s))).collect();
    for fusion in [Fusion::ALL, Fusion::NONE] {
        let mut card = card(net, Compute { fusion, ..BF16 });
        card.set(&state);
        for (i, ours) in card.scores().iter().enumerate() {
            let response = others.iter().map(|o| distance(&o[i], &own[i])).fold(0.0, f64::max);
            let bound = ROUNDINGS * (response + U16 * size(&own[i]));
            let error = distance(ours, &own[i]);
            println!("fusion {fusion}, score {i}: {error:.2e}, bound {bound:.2e}");
            assert!(error <= bound && bound <= 0.5 * size(&own[i]), "{error:.3e}, {bound:.3e}");
        }
    }
}

#[test]
fn twenty_steps_lower_the_loss() {
    let net = RESNET8_BF16;
    let mut card = card(net, BF16);
    let weights = fairprune::nn::init::initialise(card.executor.network(), net.seed);
    card.executor.set_weights(&weights).unwrap();
    card.executor.zero_velocities().unwrap();
    card.train(0, STEPS);
    let mean = |losses: Vec<f32>| losses.iter().sum::<f32>() / losses.len() as f32;
    let [first, last] = [0, STEPS - 4].map(|start| mean(card.losses(start, 4)));
    println!("loss {first:.3} in the first steps, {last:.3} in the last");
    assert!(last < 0.8 * first, "{first} became {last}");
}

/// Recorded or not, in one arena or a buffer a tensor, again: the same bits.
#[test]
fn runs_repeat_replays_and_arenas_agree_bit_for_bit() {
    for (net, steps) in [(RESNET8_BF16, 4), (RESNET50_BF16, 3)] {
        let eager = Compute { record: false, ..BF16 };
        let first = bits_of(net, steps, card(net, eager));
        assert_eq!(first, bits_of(net, steps, card(net, BF16)), "{}: replayed", net.arch);
        let debug = computing(net, ArenaMode::Debug, eager);
        assert_eq!(first, bits_of(net, steps, debug), "{}: the debug arena", net.arch);
    }
}

#[test]
fn replays_of_f32_steps_are_the_steps() {
    let net = crate::network::RESNET8;
    let eager = Compute { record: false, ..Compute::default() };
    let first = bits_of(net, 4, card(net, eager));
    assert_eq!(first, bits_of(net, 4, card(net, Compute::default())));
}

/// An epoch whose weights and images lie where those of the one before did replays what that one recorded.
#[test]
fn recorded_steps_outlast_their_epoch() {
    let weights = |factor: f32| vec![factor; BATCH * STEPS];
    let sources: Vec<u32> = (0..(BATCH * STEPS) as u32).rev().collect();
    let run = |record: bool| {
        let mut card = card(RESNET8_BF16, Compute { record, ..BF16 });
        let fresh = fairprune::nn::init::initialise(card.executor.network(), RESNET8_BF16.seed);
        card.executor.set_weights(&fresh).unwrap();
        let mut epoch = |start: usize, weights: Option<Vec<f32>>, sources: Option<&[u32]>| {
            card.executor.set_sample_weights(weights.as_deref()).unwrap();
            card.executor.set_sources(sources).unwrap();
            let kept = card.executor.recorded_steps();
            card.train(start, 3);
            kept
        };
        let kept = [
            epoch(0, None, None),
            epoch(3, None, None),
            epoch(6, Some(weights(0.5)), None),
            epoch(9, Some(weights(2.0)), None),
            epoch(12, None, Some(&sources)),
            epoch(15, None, Some(&sources[..])),
        ];
        (kept, card.get())
    };
    let (kept, replayed) = run(true);
    assert_eq!(kept, [0, 1, 0, 1, 0, 1]);
    let (kept, eager) = run(false);
    assert_eq!(kept, [0; 6]);
    assert!(replayed == eager, "replays differ from steps");
}

#[test]
fn block_and_thread_orders_agree_bit_for_bit() {
    if crate::cuda_device::real() {
        println!("skipped: a card's order cannot be set");
        return;
    }
    orders_agree("bf16::prints_its_bits");
}

#[test]
#[ignore = "run in children by the test above"]
fn prints_its_bits() {
    println!("bits {}", bits_of(RESNET8_BF16, 3, card(RESNET8_BF16, BF16)));
}

#[test]
fn channels_off_the_groups_of_eight_are_refused() {
    let net = crate::network::RESNET8;
    let refused = std::panic::catch_unwind(|| card(net, BF16));
    let message = *refused.err().expect("width 4 was accepted").downcast::<String>().unwrap();
    assert!(
        message.contains("multiples of 8 channels") && message.contains("`precision`"),
        "{message}"
    );
}

/// `--precision` is stated where a result is, decides the job's identity, and is refused on a processor.
#[test]
fn commands_take_the_precision_and_say_so() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    data(root);
    let tiny = TINY.replace("--width 4", "--width 8");
    let program = |line: &str| run(on_software_device().current_dir(root), line);
    let good = |line: &str| {
        let outcome = program(line);
        assert_eq!(outcome.code, 0, "{line}\n{}{}", outcome.out, outcome.err);
        outcome
    };
    let read = |file: &str| std::fs::read(root.join(file)).unwrap();
    good(&format!("train --data data {tiny} --split holdout --precision bf16 --out half"));
    good(&format!("train --data data {tiny} --split holdout --out whole"));
    assert_ne!(read("half/model.safetensors"), read("whole/model.safetensors"));
    let again = program(&format!("train --data data {tiny} --split holdout --out half --resume"));
    assert_eq!(again.code, 2, "another precision goes on with the job: {}", again.out);
    let weights = "--weights half/model.safetensors --device cuda";
    let recall = |precision: &str| {
        good(&format!("eval --data data {weights} --precision {precision} --json")).out
    };
    assert!(recall("bf16").contains("recall") && recall("f32").contains("recall"));
    let scores = "--method el2n,grand --precision bf16 --out scores";
    good(&format!("score --data data {weights} {scores}"));
    let on_cpu =
        good(&format!("eval --data data {} --precision bf16", weights.replace("cuda", "cpu")));
    assert!(on_cpu.out.contains("recall"), "{}", on_cpu.out);
    let refused =
        program(&format!("train --data data {TINY} --split holdout --precision bf16 --out narrow"));
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("multiples of 8 channels"), "{}", refused.err);
}

/// The benchmark verifies what it times, in bf16 and with everything apart.
#[test]
fn the_benchmark_runs_in_bf16() {
    let line = "bench --device cuda --threads 1 --arch resnet8 --width 8 --batch 8 --image-size 8 \
                --samples 16 --seconds 0 --precision bf16 --json";
    for more in ["", " --fuse none --no-graphs --no-dependent-launch"] {
        let outcome = run(&mut on_software_device(), &format!("{line}{more}"));
        assert_eq!(outcome.code, 0, "{}{}", outcome.out, outcome.err);
        let document: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
        assert_eq!(document["precision"], "bf16");
        assert_eq!(
            document["fuse"],
            if more.is_empty() { serde_json::Value::Null } else { "none".into() }
        );
        assert_eq!(document["rows"].as_array().unwrap().len(), 3);
    }
}

/// Operators by themselves, beside a floor only where the card's ceilings are known.
#[test]
fn the_benchmark_times_single_operators() {
    let line = "bench --device cuda --threads 1 --arch resnet8 --width 8 --batch 2 --image-size 8 \
                --seconds 0 --suite kernels --suite tune --json --precision";
    let (mut documents, mut timed) = (String::new(), 0);
    for (precision, least) in [("bf16", 60), ("f32", 50)] {
        let outcome = run(&mut on_software_device(), &format!("{line} {precision}"));
        assert_eq!(outcome.code, 0, "{}{}", outcome.out, outcome.err);
        let document: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
        let rows = document["rows"].as_array().unwrap();
        assert!(rows.len() >= least, "{} rows", rows.len());
        let of = |what: &str| {
            rows.iter().filter(|r| r["work"].as_str().unwrap().starts_with(what)).count()
        };
        assert!(of("dgrad") > 0 && of("apply") > 0 && of("Gram") > 0 && of("fprop 3x3") > 0);
        assert_eq!(of("dgrad+bn") > 0, precision == "bf16");
        let chosen = |what: &[&str]| {
            let works = rows.iter().filter(|r| r["planned"] == true);
            let works = works.map(|r| r["work"].as_str().unwrap());
            works.filter(|w| what.iter().any(|d| w.starts_with(d))).count()
        };
        let forms = chosen(&["Instantiate", "Gram", "ShiftedGram"]);
        let layers = of("Gram");
        assert_eq!(forms, layers, "one form and tile a layer");
        let instantiated = if precision == "bf16" { 3 * layers } else { layers };
        assert_eq!(of("Instantiate"), instantiated, "every tile that gathers");
        // `kernels` has a row of fprop and of wgrad a layer, `tune` one for each of their tiles.
        let tiles = rows.iter().filter(|r| r.get("tile").is_some()).count();
        if precision == "bf16" {
            assert_eq!(chosen(&["fprop"]), layers, "one tile a layer");
            assert_eq!(chosen(&["wgrad"]), layers, "one tile a layer");
            let halos =
                rows.iter().filter(|r| r["tile"].as_str().is_some_and(|t| t.contains("halo")));
            assert!(halos.count() > 3 && tiles > 40, "{tiles} rows with a tile");
        } else {
            assert_eq!(tiles, 0);
        }
        for row in rows {
            assert!(row["images_per_second"]["median"].as_f64().unwrap() > 0.0, "{row}");
            assert!(row.get("fraction_of_floor").is_none(), "the software device has no floor");
        }
        timed += rows.len();
        documents.push_str(&outcome.out);
    }
    // Every one of them is compared, each precision with its own.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("both.json");
    std::fs::write(&file, documents).unwrap();
    let line = format!("bench compare {0} {0} --json", file.display());
    let outcome = run(&mut on_software_device(), &line);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let document: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    let count = |key: &str| document[key].as_array().unwrap().len();
    assert_eq!([count("rows"), count("only_old"), count("only_new")], [timed, 0, 0]);
}
