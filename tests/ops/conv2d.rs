//! Convolution: every direction and epilogue on awkward shapes, exactly and within bounds.

use fairprune::backend::{Cpu, Isa, View};
use fairprune::ops::conv2d::{Conv2d, Conv2dProblem, Direction, Epilogue, GradNormForm};
use fairprune::reference::conv2d as oracle;
use fairprune::reference::{Sums, U, equal, judge, within};
use fairprune::rng::{Philox, Stream};

use super::fence::{Fenced, Fill};

/// n h w c k r s, stride, pad.
const SHAPES: &[([usize; 7], [usize; 2], [usize; 2])] = &[
    ([0, 5, 6, 3, 8, 3, 3], [1, 1], [1, 1]),
    ([1, 5, 6, 3, 8, 3, 3], [1, 1], [1, 1]),
    ([3, 8, 8, 3, 16, 3, 3], [1, 1], [1, 1]),
    ([17, 6, 5, 8, 8, 3, 3], [1, 1], [1, 1]),
    ([3, 9, 7, 16, 16, 3, 3], [1, 1], [1, 1]),
    ([3, 9, 7, 16, 32, 3, 3], [2, 2], [1, 1]),
    ([2, 8, 8, 16, 32, 1, 1], [2, 2], [0, 0]),
    ([2, 9, 9, 17, 33, 1, 1], [2, 2], [0, 0]),
    ([17, 4, 4, 24, 48, 3, 3], [1, 1], [1, 1]),
    ([3, 7, 7, 64, 64, 1, 1], [1, 1], [0, 0]),
    ([2, 15, 13, 3, 24, 7, 7], [2, 2], [3, 3]),
    ([3, 11, 10, 5, 10, 5, 3], [2, 1], [2, 0]),
    ([3, 10, 11, 1, 1, 2, 3], [1, 3], [0, 2]),
    ([1, 7, 8, 10, 17, 3, 2], [3, 2], [1, 1]),
    ([3, 5, 5, 100, 33, 3, 3], [1, 1], [1, 1]),
    ([2, 3, 4, 130, 24, 3, 3], [2, 2], [1, 1]),
    ([17, 1, 1, 48, 10, 1, 1], [1, 1], [0, 0]),
    ([1, 1, 17, 64, 100, 1, 1], [1, 1], [0, 0]),
    ([3, 3, 3, 16, 5, 3, 3], [1, 1], [0, 0]),
    ([3, 2, 2, 16, 5, 3, 3], [2, 2], [1, 1]),
    ([1, 40, 70, 8, 8, 3, 3], [1, 1], [1, 1]),
    // Images large enough to be cut into bands of rows.
    ([1, 70, 80, 16, 8, 3, 3], [1, 1], [1, 1]),
    ([1, 121, 118, 4, 24, 3, 3], [2, 2], [1, 1]),
    ([2, 30, 50, 32, 40, 1, 1], [1, 1], [0, 0]),
    // Weights large enough for fewer gradient chunks.
    ([9, 3, 4, 180, 192, 3, 3], [1, 1], [1, 1]),
    ([3, 4, 4, 512, 512, 3, 3], [1, 1], [1, 1]),
    ([2, 4, 4, 256, 512, 3, 3], [2, 2], [1, 1]),
];

fn problems() -> impl Iterator<Item = Conv2dProblem> {
    SHAPES.iter().map(|&([n, h, w, c, k, r, s], stride, pad)| Conv2dProblem {
        n,
        h,
        w,
        c,
        k,
        r,
        s,
        stride,
        pad,
    })
}

/// Inputs of one problem.
struct Inputs {
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
    bias: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    residual: Vec<f32>,
    before: Vec<f32>,
}

impl Inputs {
    fn new(p: &Conv2dProblem, mut value: impl FnMut() -> f32) -> Self {
        let mut take = |len: usize| (0..len).map(|_| value()).collect::<Vec<f32>>();
        Inputs {
            x: take(p.x_len()),
            w: take(p.w_len()),
            dy: take(p.y_len()),
            bias: take(p.k),
            scale: take(p.k),
            shift: take(p.k),
            residual: take(p.y_len()),
            before: take(p.x_len()),
        }
    }

    /// Integers from -2 to 2.
    fn integers(p: &Conv2dProblem) -> Self {
        let mut rng = Philox::new(1, Stream::Init).sequence(0);
        Inputs::new(p, || rng.below(5) as f32 - 2.0)
    }

    /// Uniform in [-1, 1).
    fn random(p: &Conv2dProblem) -> Self {
        let mut rng = Philox::new(2, Stream::Init).sequence(0);
        Inputs::new(p, || 2.0 * rng.uniform() - 1.0)
    }
}

fn workspace(cpu: &Cpu, p: &Conv2dProblem, direction: Direction) -> Fill<'static> {
    Fill::Poison(cpu.conv2d_workspace(p, direction))
}

/// y without epilogue, optionally with bias.
fn fprop(cpu: &Cpu, p: &Conv2dProblem, i: &Inputs, bias: bool) -> Vec<f32> {
    let work = workspace(cpu, p, Direction::Fprop);
    let tensors = [
        Fill::Values(&i.x),
        Fill::Values(&i.w),
        Fill::Values(&i.bias),
        Fill::Poison(p.y_len()),
        work,
    ];
    let mut f = Fenced::new(cpu, &tensors);
    let [x, w, b, y, work] = f.views[..] else { unreachable!() };
    let bias = bias.then_some(b);
    cpu.conv2d_fprop(&mut f.memory, p, x, w, bias, y, Epilogue::None, work).unwrap();
    f.read(3)
}

/// (y, mean, m2) with the statistics epilogue.
fn fprop_statistics(cpu: &Cpu, p: &Conv2dProblem, i: &Inputs) -> [Vec<f32>; 3] {
    let work = workspace(cpu, p, Direction::Fprop);
    let tensors = [
        Fill::Values(&i.x),
        Fill::Values(&i.w),
        Fill::Poison(p.y_len()),
        Fill::Poison(p.k),
        Fill::Poison(p.k),
        work,
    ];
    let mut f = Fenced::new(cpu, &tensors);
    let [x, w, y, mean, m2, work] = f.views[..] else { unreachable!() };
    let epilogue = Epilogue::Statistics { mean, m2 };
    cpu.conv2d_fprop(&mut f.memory, p, x, w, None, y, epilogue, work).unwrap();
    [f.read(2), f.read(3), f.read(4)]
}

/// y with the affine epilogue, bias included.
fn fprop_affine(cpu: &Cpu, p: &Conv2dProblem, i: &Inputs, residual: bool, relu: bool) -> Vec<f32> {
    let work = workspace(cpu, p, Direction::Fprop);
    let tensors = [
        Fill::Values(&i.x),
        Fill::Values(&i.w),
        Fill::Values(&i.bias),
        Fill::Values(&i.scale),
        Fill::Values(&i.shift),
        Fill::Values(&i.residual),
        Fill::Poison(p.y_len()),
        work,
    ];
    let mut f = Fenced::new(cpu, &tensors);
    let [x, w, b, scale, shift, r, y, work] = f.views[..] else { unreachable!() };
    let epilogue = Epilogue::Affine { scale, shift, residual: residual.then_some(r), relu };
    cpu.conv2d_fprop(&mut f.memory, p, x, w, Some(b), y, epilogue, work).unwrap();
    f.read(6)
}

fn dgrad(cpu: &Cpu, p: &Conv2dProblem, i: &Inputs, accumulate: bool) -> Vec<f32> {
    let work = workspace(cpu, p, Direction::Dgrad);
    let before = if accumulate { Fill::Values(&i.before) } else { Fill::Poison(p.x_len()) };
    let tensors = [Fill::Values(&i.dy), Fill::Values(&i.w), before, work];
    let mut f = Fenced::new(cpu, &tensors);
    let [dy, w, dx, work] = f.views[..] else { unreachable!() };
    cpu.conv2d_dgrad(&mut f.memory, p, dy, w, dx, accumulate, work).unwrap();
    f.read(2)
}

/// (dw, db)
fn wgrad(cpu: &Cpu, p: &Conv2dProblem, i: &Inputs, bias: bool) -> [Vec<f32>; 2] {
    let work = workspace(cpu, p, Direction::Wgrad);
    let tensors =
        [Fill::Values(&i.x), Fill::Values(&i.dy), Fill::Poison(p.w_len()), Fill::Poison(p.k), work];
    let mut f = Fenced::new(cpu, &tensors);
    let [x, dy, dw, db, work] = f.views[..] else { unreachable!() };
    cpu.conv2d_wgrad(&mut f.memory, p, x, dy, dw, bias.then_some(db), work).unwrap();
    [f.read(2), f.read(3)]
}

/// Norms added to what `norms` held, namely 1 a sample.
fn grad_norm(cpu: &Cpu, p: &Conv2dProblem, i: &Inputs, bias: bool, form: GradNormForm) -> Vec<f32> {
    let work = workspace(cpu, p, Direction::GradNorm(form));
    let ones = vec![1.0; p.n];
    let tensors = [Fill::Values(&i.x), Fill::Values(&i.dy), Fill::Values(&ones), work];
    let mut f = Fenced::new(cpu, &tensors);
    let [x, dy, norms, work] = f.views[..] else { unreachable!() };
    cpu.conv2d_grad_norm(&mut f.memory, p, x, dy, bias, norms, form, work).unwrap();
    f.read(2)
}

/// Forms a problem can be computed in; Gram matrices of large maps would take seconds.
fn forms(p: &Conv2dProblem) -> impl Iterator<Item = GradNormForm> {
    let small = p.n == 0 || p.p() * p.q() <= 1000;
    let gram = small.then_some(GradNormForm::Gram);
    let shifted = (small && p.stride == [1, 1]).then_some(GradNormForm::ShiftedGram);
    [GradNormForm::Instantiate].into_iter().chain(gram).chain(shifted)
}

fn cpu() -> Cpu {
    Cpu::new(0).unwrap()
}

/// The scale, shift, residual and ReLU of the affine epilogue on an oracle's sums.
fn affine(y: &Sums, p: &Conv2dProblem, i: &Inputs, residual: bool, relu: bool) -> Sums {
    let mut out = Sums::zeros(y.value.len());
    for (j, (&v, &m)) in y.value.iter().zip(&y.magnitude).enumerate() {
        let (scale, shift) = (f64::from(i.scale[j % p.k]), f64::from(i.shift[j % p.k]));
        out.value[j] = v * scale + shift;
        out.magnitude[j] = m * scale.abs() + shift.abs();
        if residual {
            out.value[j] += f64::from(i.residual[j]);
            out.magnitude[j] += f64::from(i.residual[j]).abs();
        }
        if relu {
            out.value[j] = out.value[j].max(0.0);
        }
    }
    out
}

#[test]
fn integers_give_exact_results() {
    let cpu = cpu();
    for p in problems() {
        let i = Inputs::integers(&p);
        let y = oracle::fprop(&p, &i.x, &i.w, None);
        equal(&format!("fprop {p:?}"), &fprop(&cpu, &p, &i, false), &y.value).unwrap();
        let y = oracle::fprop(&p, &i.x, &i.w, Some(&i.bias));
        equal(&format!("fprop, bias {p:?}"), &fprop(&cpu, &p, &i, true), &y.value).unwrap();
        for (residual, relu) in [(false, false), (true, false), (false, true), (true, true)] {
            let out = fprop_affine(&cpu, &p, &i, residual, relu);
            let y = affine(&y, &p, &i, residual, relu);
            equal(&format!("affine {residual} {relu} {p:?}"), &out, &y.value).unwrap();
        }
        let dx = oracle::dgrad(&p, &i.dy, &i.w, None);
        equal(&format!("dgrad {p:?}"), &dgrad(&cpu, &p, &i, false), &dx.value).unwrap();
        let dx = oracle::dgrad(&p, &i.dy, &i.w, Some(&i.before));
        equal(&format!("dgrad += {p:?}"), &dgrad(&cpu, &p, &i, true), &dx.value).unwrap();
        let [dw, db] = wgrad(&cpu, &p, &i, true);
        equal(&format!("wgrad {p:?}"), &dw, &oracle::wgrad(&p, &i.x, &i.dy).value).unwrap();
        equal(&format!("db {p:?}"), &db, &oracle::bias_grad(&p, &i.dy).value).unwrap();
        let [again, untouched] = wgrad(&cpu, &p, &i, false);
        assert_eq!(again, dw);
        assert!(untouched.iter().all(|v| v.is_nan()), "db written without a bias");
    }
}

#[test]
fn integer_gradient_norms_are_exact() {
    let cpu = cpu();
    for p in problems() {
        let i = Inputs::integers(&p);
        for bias in [false, true] {
            let norms = oracle::grad_norms(&p, &i.x, &i.dy, bias);
            let expected: Vec<f64> =
                norms.value.iter().map(|v| f64::from(*v as f32) + 1.0).collect();
            for form in forms(&p) {
                let out = grad_norm(&cpu, &p, &i, bias, form);
                equal(&format!("{form:?} bias {bias} {p:?}"), &out, &expected).unwrap();
            }
        }
    }
}

#[test]
fn random_results_are_within_bounds() {
    let cpu = cpu();
    for p in problems() {
        let i = Inputs::random(&p);
        let window = p.r * p.s * p.c;
        let y = oracle::fprop(&p, &i.x, &i.w, Some(&i.bias));
        let out = fprop(&cpu, &p, &i, true);
        within(&format!("fprop {p:?}"), &out, &y, window, U).unwrap();
        let y = affine(&y, &p, &i, true, true);
        let out = fprop_affine(&cpu, &p, &i, true, true);
        within(&format!("affine {p:?}"), &out, &y, window + 2, U).unwrap();
        let dx = oracle::dgrad(&p, &i.dy, &i.w, Some(&i.before));
        let out = dgrad(&cpu, &p, &i, true);
        within(&format!("dgrad {p:?}"), &out, &dx, p.r * p.s * p.k + 1, U).unwrap();
        let [dw, db] = wgrad(&cpu, &p, &i, true);
        let chain = p.y_len() / p.k + 3;
        within(&format!("wgrad {p:?}"), &dw, &oracle::wgrad(&p, &i.x, &i.dy), chain, U).unwrap();
        within(&format!("db {p:?}"), &db, &oracle::bias_grad(&p, &i.dy), chain, U).unwrap();
    }
}

#[test]
fn random_gradient_norms_are_within_bounds() {
    let cpu = cpu();
    for p in problems() {
        let i = Inputs::random(&p);
        for bias in [false, true] {
            let norms = oracle::grad_norms(&p, &i.x, &i.dy, bias);
            let expected: Vec<f64> = norms.value.iter().map(|v| v + 1.0).collect();
            let positions = if p.n == 0 { 0 } else { p.p() * p.q() };
            for form in forms(&p) {
                let out = grad_norm(&cpu, &p, &i, bias, form);
                // Errors of the gradient enter twice; squaring, summing, storing add their own.
                judge(&format!("{form:?} bias {bias} {p:?}"), &out, &expected, |n| {
                    let (chain, size) = match form {
                        GradNormForm::Instantiate => (positions, norms.instantiated[n]),
                        _ => (p.r * p.s * p.c + p.k, norms.gram[n]),
                    };
                    let own = (2 * 24 + 8) as f64 * U * norms.value[n];
                    2.0 * (2 * chain + 8) as f64 * U * size + own + U * expected[n]
                })
                .unwrap();
            }
        }
    }
}

#[test]
fn statistics_are_those_of_the_output() {
    let cpu = cpu();
    for p in problems() {
        let i = Inputs::random(&p);
        let [y, mean, m2] = fprop_statistics(&cpu, &p, &i);
        assert_eq!(y, fprop(&cpu, &p, &i, false), "statistics change y: {p:?}");
        let (mean_ref, m2_ref) = oracle::moments(&y, p.k);
        let rows = y.len() / p.k;
        let size: Vec<f64> = (0..p.k)
            .map(|k| y.iter().skip(k).step_by(p.k).map(|v| f64::from(v.abs())).sum::<f64>())
            .collect();
        let chain = (2 * rows + 8) as f64 * U;
        judge(&format!("mean {p:?}"), &mean, &mean_ref, |k| chain * size[k] / rows.max(1) as f64)
            .unwrap();
        judge(&format!("m2 {p:?}"), &m2, &m2_ref, |k| {
            // The mean's own error adds its square once a row.
            let mean = chain * size[k] / rows.max(1) as f64;
            chain * m2_ref[k] + rows as f64 * mean * mean
        })
        .unwrap();
    }
}

/// A large common offset would ruin a variance taken as E[y^2] - E[y]^2.
#[test]
fn statistics_survive_a_large_mean() {
    let cpu = cpu();
    let p =
        Conv2dProblem { n: 64, h: 16, w: 16, c: 1, k: 8, r: 1, s: 1, stride: [1, 1], pad: [0, 0] };
    let mut i = Inputs::random(&p);
    i.x.iter_mut().for_each(|v| *v = 1000.0 + 0.01 * *v);
    i.w.fill(1.0);
    let [y, _, m2] = fprop_statistics(&cpu, &p, &i);
    let (_, reference) = oracle::moments(&y, p.k);
    judge("m2", &m2, &reference, |k| 1e-3 * reference[k]).unwrap();
}

/// Every result of every direction, for comparing bits.
fn everything(cpu: &Cpu, p: &Conv2dProblem, i: &Inputs) -> Vec<Vec<u32>> {
    let mut all = vec![
        fprop(cpu, p, i, true),
        fprop_affine(cpu, p, i, true, true),
        dgrad(cpu, p, i, false),
        dgrad(cpu, p, i, true),
    ];
    all.extend(fprop_statistics(cpu, p, i));
    all.extend(wgrad(cpu, p, i, true));
    all.extend(forms(p).map(|form| grad_norm(cpu, p, i, true, form)));
    all.into_iter().map(|v| v.into_iter().map(f32::to_bits).collect()).collect()
}

#[test]
fn instruction_sets_agree_bit_for_bit() {
    let best = Isa::detect();
    let reference = Cpu::with_isa(2, Isa::Portable).unwrap();
    for isa in [Isa::Avx2, Isa::Avx512] {
        if isa > best {
            println!("skipped: this processor has no {}", isa.name());
            continue;
        }
        let cpu = Cpu::with_isa(2, isa).unwrap();
        for p in problems().filter(|p| p.macs() < 10_000_000) {
            let i = Inputs::random(&p);
            assert_eq!(
                everything(&cpu, &p, &i),
                everything(&reference, &p, &i),
                "{} differs: {p:?}",
                isa.name()
            );
        }
    }
}

#[test]
fn thread_counts_agree_bit_for_bit() {
    let cpus = [1, 2, 5].map(|threads| Cpu::new(threads).unwrap());
    for p in problems() {
        let i = Inputs::random(&p);
        let [one, two, five] = cpus.each_ref().map(|cpu| everything(cpu, &p, &i));
        assert_eq!(one, two, "2 threads differ: {p:?}");
        assert_eq!(one, five, "5 threads differ: {p:?}");
    }
}

#[test]
fn a_batch_of_one_is_a_row_of_a_batch() {
    let cpu = cpu();
    for p in problems().filter(|p| p.n > 1) {
        let i = Inputs::random(&p);
        let one = p.with_n(1);
        let (x, y) = (one.x_len(), one.y_len());
        let whole_y = fprop(&cpu, &p, &i, true);
        let whole_dx = dgrad(&cpu, &p, &i, false);
        for n in [0, p.n - 1] {
            let row = Inputs {
                x: i.x[n * x..(n + 1) * x].to_vec(),
                dy: i.dy[n * y..(n + 1) * y].to_vec(),
                w: i.w.clone(),
                bias: i.bias.clone(),
                ..Inputs::random(&one)
            };
            assert_eq!(fprop(&cpu, &one, &row, true), whole_y[n * y..(n + 1) * y], "{p:?}");
            assert_eq!(dgrad(&cpu, &one, &row, false), whole_dx[n * x..(n + 1) * x], "{p:?}");
            for form in forms(&p) {
                let whole = grad_norm(&cpu, &p, &i, true, form);
                assert_eq!(grad_norm(&cpu, &one, &row, true, form), whole[n..n + 1], "{p:?}");
            }
        }
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let cpu = cpu();
    let p = problems().nth(2).unwrap();
    let i = Inputs::random(&p);
    let needed = cpu.conv2d_workspace(&p, Direction::Fprop);
    for (x_len, y_len, work) in [
        (p.x_len() - 1, p.y_len(), needed),
        (p.x_len(), p.y_len() - 1, needed),
        (p.x_len(), p.y_len(), needed - 1),
    ] {
        let tensors = [
            Fill::Values(&i.x[..x_len]),
            Fill::Values(&i.w),
            Fill::Poison(y_len),
            Fill::Poison(work),
        ];
        let mut f = Fenced::new(&cpu, &tensors);
        let [x, w, y, work] = f.views[..] else { unreachable!() };
        let result = cpu.conv2d_fprop(&mut f.memory, &p, x, w, None, y, Epilogue::None, work);
        assert!(result.is_err(), "accepted x {x_len}, y {y_len}");
        assert!(f.read(2).iter().all(|v| v.is_nan()), "y was written");
    }
    let bad = Conv2dProblem { pad: [3, 3], ..p };
    let mut f = Fenced::new(&cpu, &[Fill::Values(&i.x)]);
    let none = View::EMPTY;
    let x = f.views[0];
    assert!(cpu.conv2d_dgrad(&mut f.memory, &bad, x, x, none, false, none).is_err());
}
