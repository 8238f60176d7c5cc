//! A convolution's inputs, and its calls on fenced memory.

use half::bf16;

use crate::ops::conv2d::{
    Conv2d, Conv2dDirection, Conv2dProblem, DgradOperands, Epilogue, FpropOperands, GradNormForm,
    GradNormOperands, NormGradient, WgradOperands,
};
use crate::selftest::fence::{Fenced, Fill};
use crate::selftest::values::Values;
use crate::selftest::{CaseFailure, Subject};
use crate::tensor::Dtype;

/// The inputs of one problem.
pub struct ConvInputs {
    pub x: Vec<f32>,
    pub w: Vec<f32>,
    pub dy: Vec<f32>,
    pub bias: Vec<f32>,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub residual: Vec<f32>,
    pub before: Vec<f32>,
}

impl ConvInputs {
    fn new(p: &Conv2dProblem, mut take: impl FnMut(usize) -> Vec<f32>) -> Self {
        ConvInputs {
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

    /// Makes integers from -2 to 2.
    pub fn integers(p: &Conv2dProblem) -> Self {
        let mut values = Values::new(1);
        ConvInputs::new(p, |len| values.integers(len, 2))
    }

    /// Makes uniform values in [-1, 1).
    pub fn random(p: &Conv2dProblem) -> Self {
        let mut values = Values::new(2);
        ConvInputs::new(p, |len| values.uniform(len))
    }

    /// Rounds everything to bf16 that can be stored so.
    pub fn rounded(mut self) -> Self {
        for tensor in [&mut self.x, &mut self.w, &mut self.dy, &mut self.residual, &mut self.before]
        {
            tensor.iter_mut().for_each(|v| *v = bf16::from_f32(*v).to_f32());
        }
        self
    }
}

/// What a batch norm before the convolution left: its input's tensor, output and statistics.
pub struct NormInputs {
    pub y: Vec<f32>,
    pub out: Vec<f32>,
    pub mean: Vec<f32>,
    pub rstd: Vec<f32>,
}

impl NormInputs {
    /// Makes small integers and powers of two.
    pub fn integers(p: &Conv2dProblem) -> Self {
        let mut v = Values::new(3);
        NormInputs {
            y: v.integers(p.x_len(), 4),
            out: v.choose(p.x_len(), &[0.0, 0.0, 1.0, 2.0]),
            mean: v.integers(p.c, 2),
            rstd: v.choose(p.c, &[0.5, 1.0, 2.0]),
        }
    }

    /// Makes uniform values, rounded to bf16 where they are stored so.
    pub fn random(p: &Conv2dProblem) -> Self {
        let mut v = Values::new(4);
        let rounded =
            |v: Vec<f32>| v.into_iter().map(|v| bf16::from_f32(v).to_f32()).collect::<Vec<f32>>();
        NormInputs {
            y: rounded(v.uniform(p.x_len())),
            out: rounded(v.uniform(p.x_len())).into_iter().map(|v| v.max(0.0)).collect(),
            mean: v.uniform(p.c),
            rstd: v.uniform(p.c).into_iter().map(|v| 1.5 + v).collect(),
        }
    }
}

/// The calls of one problem on its inputs, each on memory of its own.
pub struct Calls<'s, 'a, B> {
    subject: &'s Subject<'a, B>,
    p: Conv2dProblem,
    i: &'s ConvInputs,
    /// Whether activations and weights are stored as bf16.
    bf16: bool,
}

/// The value of one output.
type Output = Result<Vec<f32>, CaseFailure>;

impl<'s, 'a, B: Conv2d> Calls<'s, 'a, B> {
    /// Makes the calls of `p` on `i`.
    pub fn new(subject: &'s Subject<'a, B>, p: &Conv2dProblem, i: &'s ConvInputs) -> Self {
        Calls { subject, p: *p, i, bf16: false }
    }

    /// Makes the calls with x, w, y, dy, dx and the residual stored as bf16.
    pub fn bf16(subject: &'s Subject<'a, B>, p: &Conv2dProblem, i: &'s ConvInputs) -> Self {
        Calls { bf16: true, ..Calls::new(subject, p, i) }
    }

    fn fenced(
        &self,
        direction: Conv2dDirection,
        tensors: impl IntoIterator<Item = Fill<'s>>,
    ) -> Result<Fenced<'a, B>, CaseFailure> {
        let backend = self.subject.backend;
        let dtype = if self.bf16 { Dtype::Bf16 } else { Dtype::F32 };
        let work = backend.conv2d_workspace(&self.p, direction, dtype);
        let all: Vec<Fill> = tensors.into_iter().chain([Fill::Poison(work)]).collect();
        Fenced::new(self.subject, &all)
    }

    /// Fills a tensor, in bf16 where the calls store it so.
    fn stored<'v>(&self, values: &'v [f32]) -> Fill<'v> {
        if self.bf16 { Fill::Values16(values) } else { Fill::Values(values) }
    }

    fn output(&self, len: usize) -> Fill<'s> {
        if self.bf16 { Fill::Poison16(len) } else { Fill::Poison(len) }
    }

    /// Returns y without epilogue, optionally with bias.
    pub fn fprop(&self, bias: bool) -> Output {
        let (p, i) = (&self.p, self.i);
        let tensors =
            [self.stored(&i.x), self.stored(&i.w), Fill::Values(&i.bias), self.output(p.y_len())];
        let mut f = self.fenced(Conv2dDirection::Fprop, tensors)?;
        let [x, w, b, y, work] = f.views[..] else { unreachable!() };
        let (bias, epilogue) = (bias.then_some(b), Epilogue::None);
        let operands = FpropOperands { x, w, bias, y, epilogue, workspace: work };
        self.subject.backend.conv2d_fprop(&mut f.memory, p, &operands)?;
        f.read(3)
    }

    /// Returns (y, mean, m2) with the statistics epilogue, optionally with bias.
    pub fn fprop_statistics(&self, bias: bool) -> Result<[Vec<f32>; 3], CaseFailure> {
        let (p, i) = (&self.p, self.i);
        let tensors = [
            self.stored(&i.x),
            self.stored(&i.w),
            Fill::Values(&i.bias),
            self.output(p.y_len()),
            Fill::Poison(p.k),
            Fill::Poison(p.k),
        ];
        let mut f = self.fenced(Conv2dDirection::Fprop, tensors)?;
        let [x, w, b, y, mean, m2, work] = f.views[..] else { unreachable!() };
        let (bias, epilogue) = (bias.then_some(b), Epilogue::Statistics { mean, m2 });
        let operands = FpropOperands { x, w, bias, y, epilogue, workspace: work };
        self.subject.backend.conv2d_fprop(&mut f.memory, p, &operands)?;
        Ok([f.read(3)?, f.read(4)?, f.read(5)?])
    }

    /// Returns y with the affine epilogue, bias included.
    pub fn fprop_affine(&self, residual: bool, relu: bool) -> Output {
        let (p, i) = (&self.p, self.i);
        let tensors = [
            self.stored(&i.x),
            self.stored(&i.w),
            Fill::Values(&i.bias),
            Fill::Values(&i.scale),
            Fill::Values(&i.shift),
            self.stored(&i.residual),
            self.output(p.y_len()),
        ];
        let mut f = self.fenced(Conv2dDirection::Fprop, tensors)?;
        let [x, w, b, scale, shift, r, y, work] = f.views[..] else { unreachable!() };
        let epilogue = Epilogue::Affine { scale, shift, residual: residual.then_some(r), relu };
        let operands = FpropOperands { x, w, bias: Some(b), y, epilogue, workspace: work };
        self.subject.backend.conv2d_fprop(&mut f.memory, p, &operands)?;
        f.read(6)
    }

    /// Returns dx, or dx added to what it held.
    pub fn dgrad(&self, accumulate: bool) -> Output {
        let (p, i) = (&self.p, self.i);
        let before = if accumulate { self.stored(&i.before) } else { self.output(p.x_len()) };
        let tensors = [self.stored(&i.dy), self.stored(&i.w), before];
        let mut f = self.fenced(Conv2dDirection::Dgrad, tensors)?;
        let [dy, w, dx, work] = f.views[..] else { unreachable!() };
        let operands = DgradOperands { dy, w, dx, accumulate, norm: None, workspace: work };
        self.subject.backend.conv2d_dgrad(&mut f.memory, p, &operands)?;
        f.read(2)
    }

    /// Returns (dx, dgamma, dbeta) with the sums of the batch norm before.
    pub fn dgrad_norm(
        &self,
        accumulate: bool,
        relu: bool,
        norm: &NormInputs,
    ) -> Result<[Vec<f32>; 3], CaseFailure> {
        let (p, i) = (&self.p, self.i);
        let before = if accumulate { self.stored(&i.before) } else { self.output(p.x_len()) };
        let work =
            self.subject.backend.conv2d_workspace(p, Conv2dDirection::DgradNorm, Dtype::Bf16);
        let tensors = [
            self.stored(&i.dy),
            self.stored(&i.w),
            before,
            self.stored(&norm.out),
            self.stored(&norm.y),
            Fill::Values(&norm.mean),
            Fill::Values(&norm.rstd),
            Fill::Poison(p.c),
            Fill::Poison(p.c),
            Fill::Poison(work),
        ];
        let mut f = Fenced::new(self.subject, &tensors)?;
        let [dy, w, dx, out, y, mean, rstd, dgamma, dbeta, work] = f.views[..] else {
            unreachable!()
        };
        let norm = NormGradient { out: relu.then_some(out), y, mean, rstd, dgamma, dbeta };
        let operands = DgradOperands { dy, w, dx, accumulate, norm: Some(norm), workspace: work };
        self.subject.backend.conv2d_dgrad(&mut f.memory, p, &operands)?;
        Ok([f.read(2)?, f.read(7)?, f.read(8)?])
    }

    /// Returns (dw, db); without a bias db stays NaN.
    pub fn wgrad(&self, bias: bool) -> Result<[Vec<f32>; 2], CaseFailure> {
        let (p, i) = (&self.p, self.i);
        let tensors =
            [self.stored(&i.x), self.stored(&i.dy), Fill::Poison(p.w_len()), Fill::Poison(p.k)];
        let mut f = self.fenced(Conv2dDirection::Wgrad, tensors)?;
        let [x, dy, dw, db, work] = f.views[..] else { unreachable!() };
        let db = bias.then_some(db);
        let operands = WgradOperands { x, dy, dw, db, workspace: work };
        self.subject.backend.conv2d_wgrad(&mut f.memory, p, &operands)?;
        Ok([f.read(2)?, f.read(3)?])
    }

    /// Returns norms added to what `norms` held, namely 1 for each sample.
    pub fn grad_norm(&self, bias: bool, form: GradNormForm) -> Output {
        let (p, i) = (&self.p, self.i);
        let ones = vec![1.0; p.n];
        let tensors = [self.stored(&i.x), self.stored(&i.dy), Fill::Values(&ones)];
        let mut f = self.fenced(Conv2dDirection::GradNorm(form), tensors)?;
        let [x, dy, norms, work] = f.views[..] else { unreachable!() };
        let operands = GradNormOperands { x, dy, bias, norms, form, workspace: work };
        self.subject.backend.conv2d_grad_norm(&mut f.memory, p, &operands)?;
        f.read(2)
    }
}
