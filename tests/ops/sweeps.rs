//! Convolutions in bf16 that are too large for one sweep of a task, or whose groups of images are not full: on
//! small integers they are those in f32, rounded once.

use fairprune::backend::{Backend, Cpu, View};
use fairprune::isa::bf16::{narrow, widen};
use fairprune::ops::conv2d::{
    Conv2d, Conv2dDirection, Conv2dProblem, DgradOperands, Epilogue, FpropOperands, GradNormForm,
    GradNormOperands, NormGradient, WgradOperands,
};
use fairprune::rng::{Philox, Stream};
use fairprune::tensor::Dtype;

/// n, h, w, c, k, r; stride and padding of both dimensions.
const PROBLEMS: [([usize; 6], usize, usize); 9] = [
    // A task goes through its 20 rows in two sweeps.
    ([16, 20, 224, 128, 8, 3], 1, 1),
    ([1, 41, 224, 128, 64, 3], 2, 1),
    // Rows of its weight gradient are summed two by two, from the second row on in one of the parts.
    ([96, 4, 100, 32, 32, 3], 1, 1),
    ([20, 4, 4, 512, 512, 3], 1, 1),
    ([3, 9, 13, 40, 24, 3], 2, 1),
    ([5, 7, 7, 64, 80, 1], 1, 0),
    ([5, 8, 8, 64, 128, 1], 2, 0),
    ([2, 30, 30, 8, 16, 7], 2, 3),
    ([33, 6, 5, 24, 40, 3], 1, 0),
];

/// Tensors of one call, each in a buffer of its own.
struct Tensors<'a> {
    cpu: &'a Cpu,
    memory: <Cpu as Backend>::Memory,
    views: Vec<View>,
}

impl<'a> Tensors<'a> {
    /// NaN wherever nothing is uploaded.
    fn new(cpu: &'a Cpu, sizes: &[(usize, Dtype)]) -> Self {
        let bytes: Vec<usize> = sizes.iter().map(|(len, dtype)| len * dtype.size()).collect();
        let memory = cpu.allocate(&bytes, true).unwrap();
        let views = sizes.iter().enumerate();
        let views =
            views.map(|(i, &(len, dtype))| View { buffer: i as u32, offset: 0, len, dtype });
        Tensors { cpu, memory, views: views.collect() }
    }

    fn set(&mut self, i: usize, values: &[f32]) {
        self.cpu.upload(&mut self.memory, self.views[i], values).unwrap();
    }

    fn get(&self, i: usize) -> Vec<f32> {
        let mut values = vec![0.0; self.views[i].len];
        self.cpu.download(&self.memory, self.views[i], &mut values).unwrap();
        values
    }
}

/// -1, 0 and 1.
fn integers(len: usize, seed: u64) -> Vec<f32> {
    let mut draws = Philox::new(seed, Stream::Shapes).sequence(0);
    (0..len).map(|_| draws.below(3) as f32 - 1.0).collect()
}

struct Case {
    p: Conv2dProblem,
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
}

impl Case {
    fn all() -> impl Iterator<Item = Case> {
        PROBLEMS.into_iter().map(|([n, h, w, c, k, r], stride, pad)| {
            let p = Conv2dProblem { n, h, w, c, k, r, s: r, stride: [stride; 2], pad: [pad; 2] };
            let [x, w] = [integers(p.x_len(), 1), integers(p.w_len(), 2)];
            Case { p, x, w, dy: integers(p.y_len(), 3) }
        })
    }

    fn workspace(&self, cpu: &Cpu, of: Conv2dDirection, dtype: Dtype) -> (usize, Dtype) {
        (cpu.conv2d_workspace(&self.p, of, dtype), Dtype::F32)
    }

    /// y, and mean and m2 of its channels.
    fn fprop(&self, cpu: &Cpu, dtype: Dtype) -> [Vec<f32>; 3] {
        let p = &self.p;
        let work = self.workspace(cpu, Conv2dDirection::Fprop, dtype);
        let plain = (p.k, Dtype::F32);
        let sizes =
            [(p.x_len(), dtype), (p.w_len(), dtype), (p.y_len(), dtype), plain, plain, work];
        let mut t = Tensors::new(cpu, &sizes);
        t.set(0, &self.x);
        t.set(1, &self.w);
        let [x, w, y, mean, m2, workspace] = t.views[..] else { unreachable!() };
        let epilogue = Epilogue::Statistics { mean, m2 };
        let operands = FpropOperands { x, w, bias: None, y, epilogue, workspace };
        cpu.conv2d_fprop(&mut t.memory, p, &operands).unwrap();
        [2, 3, 4].map(|i| t.get(i))
    }

    /// dx added to 1 everywhere.
    fn dgrad(&self, cpu: &Cpu, dtype: Dtype) -> Vec<f32> {
        let p = &self.p;
        let work = self.workspace(cpu, Conv2dDirection::Dgrad, dtype);
        let sizes = [(p.y_len(), dtype), (p.w_len(), dtype), (p.x_len(), dtype), work];
        let mut t = Tensors::new(cpu, &sizes);
        t.set(0, &self.dy);
        t.set(1, &self.w);
        t.set(2, &vec![1.0; p.x_len()]);
        let [dy, w, dx, workspace] = t.views[..] else { unreachable!() };
        let operands = DgradOperands { dy, w, dx, accumulate: true, norm: None, workspace };
        cpu.conv2d_dgrad(&mut t.memory, p, &operands).unwrap();
        t.get(2)
    }

    /// dx masked by x, and the sums of dz xhat and of dz with mean 0 and rstd 1.
    fn dgrad_norm(&self, cpu: &Cpu) -> [Vec<f32>; 3] {
        let (p, dtype) = (&self.p, Dtype::Bf16);
        let work = self.workspace(cpu, Conv2dDirection::DgradNorm, dtype);
        let plain = (p.c, Dtype::F32);
        let sizes = [
            (p.y_len(), dtype),
            (p.w_len(), dtype),
            (p.x_len(), dtype),
            (p.x_len(), dtype),
            plain,
            plain,
            plain,
            plain,
            work,
        ];
        let mut t = Tensors::new(cpu, &sizes);
        t.set(0, &self.dy);
        t.set(1, &self.w);
        t.set(3, &self.x);
        t.set(4, &vec![0.0; p.c]);
        t.set(5, &vec![1.0; p.c]);
        let [dy, w, dx, y, mean, rstd, dgamma, dbeta, workspace] = t.views[..] else {
            unreachable!()
        };
        let norm = Some(NormGradient { out: Some(y), y, mean, rstd, dgamma, dbeta });
        let operands = DgradOperands { dy, w, dx, accumulate: false, norm, workspace };
        cpu.conv2d_dgrad(&mut t.memory, p, &operands).unwrap();
        [2, 6, 7].map(|i| t.get(i))
    }

    fn wgrad(&self, cpu: &Cpu, dtype: Dtype) -> Vec<f32> {
        let p = &self.p;
        let work = self.workspace(cpu, Conv2dDirection::Wgrad, dtype);
        let sizes = [(p.x_len(), dtype), (p.y_len(), dtype), (p.w_len(), Dtype::F32), work];
        let mut t = Tensors::new(cpu, &sizes);
        t.set(0, &self.x);
        t.set(1, &self.dy);
        let [x, dy, dw, workspace] = t.views[..] else { unreachable!() };
        let operands = WgradOperands { x, dy, dw, db: None, workspace };
        cpu.conv2d_wgrad(&mut t.memory, p, &operands).unwrap();
        t.get(2)
    }

    fn norms(&self, cpu: &Cpu, dtype: Dtype) -> Vec<f32> {
        let (p, form) = (&self.p, GradNormForm::Instantiate);
        let work = self.workspace(cpu, Conv2dDirection::GradNorm(form), dtype);
        let sizes = [(p.x_len(), dtype), (p.y_len(), dtype), (p.n, Dtype::F32), work];
        let mut t = Tensors::new(cpu, &sizes);
        t.set(0, &self.x);
        t.set(1, &self.dy);
        t.set(2, &vec![0.0; p.n]);
        let [x, dy, norms, workspace] = t.views[..] else { unreachable!() };
        let operands = GradNormOperands { x, dy, bias: false, norms, form, workspace };
        cpu.conv2d_grad_norm(&mut t.memory, p, &operands).unwrap();
        t.get(2)
    }
}

fn rounded(values: Vec<f32>) -> Vec<f32> {
    values.into_iter().map(|v| widen(narrow(v))).collect()
}

fn close(found: &[f32], expected: &[f64], scale: f64, what: &str) {
    for (i, (&f, &e)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(f) - e).abs() <= 1e-5 * scale, "{what} {i}: {f}, expected {e}");
    }
}

#[test]
fn outputs_and_their_statistics() {
    let cpu = Cpu::new(2).unwrap();
    for case in Case::all() {
        let [y, mean, m2] = case.fprop(&cpu, Dtype::Bf16);
        assert!(y == rounded(case.fprop(&cpu, Dtype::F32)[0].clone()), "{:?}", case.p);
        let (k, count) = (case.p.k, (y.len() / case.p.k) as f64);
        let of = |channel: usize| y.iter().skip(channel).step_by(k).map(|&v| f64::from(v));
        let means: Vec<f64> = (0..k).map(|c| of(c).sum::<f64>() / count).collect();
        let squares: Vec<f64> =
            (0..k).map(|c| of(c).map(|v| (v - means[c]).powi(2)).sum()).collect();
        let largest = squares.iter().copied().fold(0.0, f64::max);
        close(&mean, &means, (largest / count).sqrt(), &format!("mean of {:?}", case.p));
        close(&m2, &squares, largest, &format!("m2 of {:?}", case.p));
    }
}

#[test]
fn gradients_of_inputs_and_their_sums() {
    let cpu = Cpu::new(2).unwrap();
    for case in Case::all() {
        let expected = case.dgrad(&cpu, Dtype::F32);
        assert!(case.dgrad(&cpu, Dtype::Bf16) == rounded(expected.clone()), "{:?}", case.p);
        let [dz, dgamma, dbeta] = case.dgrad_norm(&cpu);
        let alone = rounded(expected.iter().map(|v| v - 1.0).collect());
        let masked: Vec<f32> =
            alone.iter().zip(&case.x).map(|(&v, &x)| if x > 0.0 { v } else { 0.0 }).collect();
        assert!(dz == masked, "{:?}", case.p);
        let c = case.p.c;
        let sum = |by: &dyn Fn(usize) -> f32, channel: usize| -> f64 {
            (channel..dz.len()).step_by(c).map(|i| f64::from(dz[i] * by(i))).sum()
        };
        let sums: Vec<f64> = (0..c).map(|channel| sum(&|_| 1.0, channel)).collect();
        let with_xhat: Vec<f64> = (0..c).map(|channel| sum(&|i| case.x[i], channel)).collect();
        let scale = dz.iter().map(|v| f64::from(v.abs())).sum::<f64>() / c as f64;
        close(&dbeta, &sums, scale, &format!("dbeta of {:?}", case.p));
        close(&dgamma, &with_xhat, scale, &format!("dgamma of {:?}", case.p));
    }
}

#[test]
fn gradients_of_weights() {
    let cpu = Cpu::new(2).unwrap();
    for case in Case::all() {
        let expected = case.wgrad(&cpu, Dtype::F32);
        assert!(case.wgrad(&cpu, Dtype::Bf16) == expected, "{:?}", case.p);
    }
}

#[test]
fn norms_of_samples() {
    let cpu = Cpu::new(2).unwrap();
    for case in Case::all() {
        let expected: Vec<f64> = case.norms(&cpu, Dtype::F32).into_iter().map(f64::from).collect();
        let scale = expected.iter().copied().fold(0.0, f64::max);
        close(&case.norms(&cpu, Dtype::Bf16), &expected, scale, &format!("{:?}", case.p));
    }
}
