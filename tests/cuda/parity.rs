//! Training and scoring on the card against the CPU, from the same states.
//!
//! Both round every sum in their own order. Each operator keeps to |out - ref| <= (2 s + 8) u
//! sum|a||b|, s the longest chain of dependent additions (`ops_cuda` and `ops` hold them to it):
//! what an operator gives whose every product a b is off by up to (2 s + 8) u. What a step makes of
//! such errors, batch norm's amplification included, is measured, not guessed: moving every
//! parameter by one unit in the last place, up or down at random, moves every product by at least
//! u, and the largest change of a tensor over [`RUNS`] such runs of the CPU is its response. To
//! first order, then, a tensor is off by (2 s + 8) responses at most, and 8 u of its size for the
//! roundings after the last product. Roundings of a chain are independent, though, and add up as
//! the root of their number: the tests hold the card to (2 sqrt(s) + 8) responses, which is less.
//! Where a ReLU's input lies within rounding of 0 the gradient jumps; no step of these has such an
//! input, or a bound would exceed [`SHARP`].

use fairprune::exec::ArenaMode;
use fairprune::reference::{U, sgd};
use fairprune::tensor::Tensor;

use crate::cuda_device;
use crate::network::{
    Machine, Net, RESNET8, SGD, STEPS, State, Tensors, VGG16, card, cpu, one_ulp_apart,
};

/// Runs of the CPU, each one ulp away, behind a response.
const RUNS: u64 = 4;
/// A bound beyond this share of a tensor's largest value would accept wrong results.
const SHARP: f64 = 1e-3;

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) })
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    largest(a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs()))
}

fn size(values: &[f32]) -> f64 {
    largest(values.iter().map(|&v| f64::from(v).abs()))
}

/// Responses that a tensor may be off. The longest sums are fprop's and dgrad's: wgrad's splits are
/// of 128 positions, batch norm's parts shorter.
fn units(net: Net) -> f64 {
    2.0 * (net.chain as f64).sqrt() + 8.0
}

/// A tensor's bound, from what `others` made of it. `size` is that of the terms it sums.
fn bound<'a>(
    net: Net,
    what: &str,
    own: &[f32],
    size: f64,
    others: impl Iterator<Item = &'a [f32]>,
) -> f64 {
    let response = largest(others.map(|other| distance(own, other)));
    let bound = units(net) * response + 8.0 * U * size;
    assert!(bound <= SHARP * size, "{what}: bound {bound:.2e} says nothing");
    bound
}

/// The size of what the gradient `name` sums: its own, but that of the weight's gradient for the
/// bias of a convolution, which the batch norm behind it makes a sum of 0.
fn size_of_gradient(gradients: &Tensors, name: &str) -> f64 {
    let weight = name.strip_suffix("bias").map(|layer| format!("{layer}weight"));
    let convolution = weight.filter(|weight| gradients[weight].shape.len() == 4);
    let Some(weight) = convolution else { return size(&gradients[name].data) };
    let (bias, weight) = (size(&gradients[name].data), size(&gradients[&weight].data));
    assert!(bias <= SHARP * weight, "{name}: {bias:.2e} is not 0 up to rounding");
    weight
}

fn check(what: &str, error: f64, bound: f64) -> f64 {
    assert!(error <= bound, "{what}: error {error:.3e}, bound {bound:.3e}");
    error / bound
}

/// Initial weights, after some steps that make velocities and running statistics.
fn beginning(cpu: &mut Machine<fairprune::backend::Cpu>, net: Net, steps: usize) -> State {
    let weights = fairprune::nn::init::initialise(cpu.executor.network(), net.seed);
    cpu.executor.set_weights(&weights).unwrap();
    cpu.executor.zero_velocities().unwrap();
    cpu.train(0, steps);
    cpu.get()
}

/// One step from `before`: what it leaves on the card (`ours`), the CPU, and its perturbed runs.
fn judge_step(net: Net, before: &State, ours: &State, own: &State, others: &[State]) -> f64 {
    let mut worst = 0.0f64;
    for (name, gradient) in &own.gradients {
        let of = |tensors: &Tensors| tensors[name].data.clone();
        let moved = others.iter().map(|s| s.gradients[name].data.as_slice());
        let size = size_of_gradient(&own.gradients, name);
        let limit = bound(net, name, &gradient.data, size, moved);
        let ours_dw = of(&ours.gradients);
        worst = worst.max(check(name, distance(&ours_dw, &gradient.data), limit));
        // Updates are judged by the card's own gradients: a short chain, whose terms are known.
        let [w, v] = sgd::step(
            &SGD,
            net.lr,
            &ours_dw,
            &of(&before.weights.tensors),
            &of(&before.velocities),
        );
        for (what, out, reference) in
            [("weight", of(&ours.weights.tensors), w), ("velocity", of(&ours.velocities), v)]
        {
            fairprune::reference::within(&format!("{what} {name}"), &out, &reference, 4, U)
                .unwrap();
        }
    }
    let statistics = |s: &State| -> Vec<(String, Tensor)> {
        let all = s.weights.tensors.iter().filter(|(name, _)| name.contains("running_"));
        all.map(|(name, t)| (name.clone(), t.clone())).collect()
    };
    for (name, own) in statistics(own) {
        let moved = others.iter().map(|s| s.weights.tensors[&name].data.as_slice());
        let limit = bound(net, &name, &own.data, size(&own.data), moved);
        let error = distance(&ours.weights.tensors[&name].data, &own.data);
        worst = worst.max(check(&name, error, limit));
    }
    worst
}

fn training_steps_are_those_of_the_cpu(net: Net, steps: usize) {
    let (mut cpu, mut card) = (cpu(net), card(net, ArenaMode::Shared));
    let mut before = beginning(&mut cpu, net, 3);
    let mut worst = 0.0f64;
    for step in 0..steps {
        let mut after = |state: &State| {
            cpu.set(state);
            cpu.train(step, 1);
            cpu.get()
        };
        let others: Vec<State> =
            (0..RUNS).map(|seed| after(&one_ulp_apart(&before, seed))).collect();
        let own = after(&before);
        card.set(&before);
        card.train(step, 1);
        worst = worst.max(judge_step(net, &before, &card.get(), &own, &others));
        before = own;
    }
    println!("largest error: {worst:.2e} of its bound");
}

#[test]
fn twenty_training_steps_are_those_of_the_cpu() {
    training_steps_are_those_of_the_cpu(RESNET8, STEPS);
}

#[test]
fn training_steps_of_vgg_are_those_of_the_cpu() {
    training_steps_are_those_of_the_cpu(VGG16, 2);
}

/// Distance of all weights and running statistics, as one vector.
fn apart(a: &State, b: &State) -> f64 {
    let pairs = a.weights.tensors.values().zip(b.weights.tensors.values());
    let squares = pairs.flat_map(|(a, b)| a.data.iter().zip(&b.data)).map(|(&a, &b)| {
        let difference = f64::from(a) - f64::from(b);
        difference * difference
    });
    squares.sum::<f64>().sqrt()
}

#[test]
fn a_free_run_stays_as_close_as_runs_one_ulp_apart() {
    let (mut cpu, mut card) = (cpu(RESNET8), card(RESNET8, ArenaMode::Shared));
    let start = beginning(&mut cpu, RESNET8, 3);
    let mut run = |from: &State| -> Vec<State> {
        cpu.set(from);
        (0..STEPS)
            .map(|step| {
                cpu.train(step, 1);
                cpu.get()
            })
            .collect()
    };
    let own = run(&start);
    let other = run(&one_ulp_apart(&start, 0));
    card.set(&start);
    for step in 0..STEPS {
        card.train(step, 1);
        let [error, yardstick] =
            [card.get(), other[step].clone()].map(|state| apart(&own[step], &state));
        println!("step {step}: {error:.2e}, one ulp apart {yardstick:.2e}");
        assert!(error <= 4.0 * yardstick, "step {step}: {error:.3e} against {yardstick:.3e}");
    }
}

/// Scores after `steps` training steps: running statistics must have come near the batches', or
/// the logits of a deep network saturate the softmax.
fn scores_are_those_of_the_cpu(net: Net, steps: usize) {
    let (mut cpu, mut card) = (cpu(net), card(net, ArenaMode::Shared));
    let state = beginning(&mut cpu, net, steps);
    let mut scores = |state: &State| {
        cpu.set(state);
        cpu.scores()
    };
    let others: Vec<[Vec<f32>; 3]> =
        (0..RUNS).map(|seed| scores(&one_ulp_apart(&state, seed))).collect();
    let own = scores(&state);
    card.set(&state);
    let ours = card.scores();
    for (i, what) in ["EL2N", "EL2N, gradient pass", "GraNd"].iter().enumerate() {
        assert!(own[i].iter().all(|&v| v > 0.0), "{what}: {:?}", own[i]);
        let others = others.iter().map(|o| o[i].as_slice());
        let limit = bound(net, what, &own[i], size(&own[i]), others);
        let share = check(what, distance(&ours[i], &own[i]), limit);
        println!("{what}: {share:.2e} of its bound");
    }
}

#[test]
fn scores_of_every_sample_are_those_of_the_cpu() {
    scores_are_those_of_the_cpu(RESNET8, 3);
}

#[test]
fn scores_of_vgg_are_those_of_the_cpu() {
    scores_are_those_of_the_cpu(VGG16, 20);
}

/// A hash of everything that some steps and both scoring passes leave on a new device.
fn bits(net: Net, steps: usize, arena: ArenaMode) -> String {
    bits_of(net, steps, card(net, arena))
}

/// The same on one that computes otherwise.
pub fn bits_of(net: Net, steps: usize, mut card: Machine<fairprune::cuda::Cuda>) -> String {
    let seed = if net.arch == "resnet50" { net.seed } else { 1 };
    let weights = fairprune::nn::init::initialise(card.executor.network(), seed);
    card.executor.set_weights(&weights).unwrap();
    card.executor.zero_velocities().unwrap();
    card.train(0, steps);
    let state = card.get();
    let mut hash = blake3::Hasher::new();
    for tensors in [&state.weights.tensors, &state.velocities, &state.gradients] {
        for t in tensors.values() {
            assert!(t.data.iter().all(|v| v.is_finite()));
            hash.update(bytemuck::cast_slice(&t.data));
        }
    }
    // Twice: the second pass may be a replay of what the first recorded.
    for scores in card.scores().into_iter().chain(card.scores()) {
        hash.update(bytemuck::cast_slice(&scores));
    }
    hash.finalize().to_hex().to_string()
}

#[test]
fn runs_repeat_and_arenas_agree_bit_for_bit() {
    let first = bits(RESNET8, 5, ArenaMode::Shared);
    assert_eq!(first, bits(RESNET8, 5, ArenaMode::Shared), "a second run");
    assert_eq!(first, bits(RESNET8, 5, ArenaMode::Debug), "the debug arena");
    let vgg = bits(VGG16, 1, ArenaMode::Shared);
    assert_eq!(vgg, bits(VGG16, 1, ArenaMode::Debug), "the debug arena, VGG");
}

/// The software device reads its order at start, so each runs in a child; a card has its own.
#[test]
fn block_and_thread_orders_agree_bit_for_bit() {
    if cuda_device::real() {
        println!("skipped: a card's order cannot be set");
        return;
    }
    orders_agree("parity::prints_its_bits");
}

/// What the ignored test `name` prints as its bits is the same in every order.
pub fn orders_agree(name: &str) {
    let hash = |order: &str| {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture"])
            .env("FAIRPRUNE_EMULATOR_ORDER", order)
            .output()
            .unwrap();
        let out = String::from_utf8(child.stdout).unwrap();
        let hash = out.lines().find_map(|line| line.split_once("bits ").map(|l| l.1.to_owned()));
        let err = String::from_utf8_lossy(&child.stderr);
        hash.filter(|_| child.status.success())
            .unwrap_or_else(|| panic!("order {order}: {out}{err}"))
    };
    let [forward, backward, shuffled] = ["0", "1", "2"].map(hash);
    assert_eq!(forward, backward, "backward");
    assert_eq!(forward, shuffled, "shuffled");
}

#[test]
#[ignore = "run in children by the test above"]
fn prints_its_bits() {
    println!("bits {}", bits(RESNET8, 5, ArenaMode::Shared));
}
