//! A convolution's inputs, and its calls on fenced memory.

use crate::ops::conv2d::{Conv2d, Conv2dProblem, Direction, Epilogue, GradNormForm};
use crate::selftest::fence::{Fenced, Fill};
use crate::selftest::values::Values;
use crate::selftest::{Failure, Subject};

/// Inputs of one problem.
pub struct Inputs {
    pub x: Vec<f32>,
    pub w: Vec<f32>,
    pub dy: Vec<f32>,
    pub bias: Vec<f32>,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub residual: Vec<f32>,
    pub before: Vec<f32>,
}

impl Inputs {
    fn new(p: &Conv2dProblem, mut take: impl FnMut(usize) -> Vec<f32>) -> Self {
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
    pub fn integers(p: &Conv2dProblem) -> Self {
        let mut values = Values::new(1);
        Inputs::new(p, |len| values.integers(len, 2))
    }

    /// Uniform in [-1, 1).
    pub fn random(p: &Conv2dProblem) -> Self {
        let mut values = Values::new(2);
        Inputs::new(p, |len| values.uniform(len))
    }
}

/// Calls of one problem on its inputs, each on memory of its own.
pub struct Calls<'s, 'a, B> {
    subject: &'s Subject<'a, B>,
    p: Conv2dProblem,
    i: &'s Inputs,
}

/// One output.
type Output = Result<Vec<f32>, Failure>;

impl<'s, 'a, B: Conv2d> Calls<'s, 'a, B> {
    /// Calls of `p` on `i`.
    pub fn new(subject: &'s Subject<'a, B>, p: &Conv2dProblem, i: &'s Inputs) -> Self {
        Calls { subject, p: *p, i }
    }

    fn fenced(&self, direction: Direction, tensors: &[Fill]) -> Result<Fenced<'a, B>, Failure> {
        let work = self.subject.backend.conv2d_workspace(&self.p, direction);
        let tensors = tensors.iter().map(|t| match t {
            Fill::Values(v) => Fill::Values(v),
            Fill::Poison(len) => Fill::Poison(*len),
        });
        let all: Vec<Fill> = tensors.chain([Fill::Poison(work)]).collect();
        Fenced::new(self.subject, &all)
    }

    /// y without epilogue, optionally with bias.
    pub fn fprop(&self, bias: bool) -> Output {
        let (p, i) = (&self.p, self.i);
        let tensors = [
            Fill::Values(&i.x),
            Fill::Values(&i.w),
            Fill::Values(&i.bias),
            Fill::Poison(p.y_len()),
        ];
        let mut f = self.fenced(Direction::Fprop, &tensors)?;
        let [x, w, b, y, work] = f.views[..] else { unreachable!() };
        let (bias, epilogue) = (bias.then_some(b), Epilogue::None);
        self.subject.backend.conv2d_fprop(&mut f.memory, p, x, w, bias, y, epilogue, work)?;
        f.read(3)
    }

    /// (y, mean, m2) with the statistics epilogue, optionally with bias.
    pub fn fprop_statistics(&self, bias: bool) -> Result<[Vec<f32>; 3], Failure> {
        let (p, i) = (&self.p, self.i);
        let tensors = [
            Fill::Values(&i.x),
            Fill::Values(&i.w),
            Fill::Values(&i.bias),
            Fill::Poison(p.y_len()),
            Fill::Poison(p.k),
            Fill::Poison(p.k),
        ];
        let mut f = self.fenced(Direction::Fprop, &tensors)?;
        let [x, w, b, y, mean, m2, work] = f.views[..] else { unreachable!() };
        let (bias, epilogue) = (bias.then_some(b), Epilogue::Statistics { mean, m2 });
        self.subject.backend.conv2d_fprop(&mut f.memory, p, x, w, bias, y, epilogue, work)?;
        Ok([f.read(3)?, f.read(4)?, f.read(5)?])
    }

    /// y with the affine epilogue, bias included.
    pub fn fprop_affine(&self, residual: bool, relu: bool) -> Output {
        let (p, i) = (&self.p, self.i);
        let tensors = [
            Fill::Values(&i.x),
            Fill::Values(&i.w),
            Fill::Values(&i.bias),
            Fill::Values(&i.scale),
            Fill::Values(&i.shift),
            Fill::Values(&i.residual),
            Fill::Poison(p.y_len()),
        ];
        let mut f = self.fenced(Direction::Fprop, &tensors)?;
        let [x, w, b, scale, shift, r, y, work] = f.views[..] else { unreachable!() };
        let epilogue = Epilogue::Affine { scale, shift, residual: residual.then_some(r), relu };
        self.subject.backend.conv2d_fprop(&mut f.memory, p, x, w, Some(b), y, epilogue, work)?;
        f.read(6)
    }

    /// dx, or dx added to what it held.
    pub fn dgrad(&self, accumulate: bool) -> Output {
        let (p, i) = (&self.p, self.i);
        let before = if accumulate { Fill::Values(&i.before) } else { Fill::Poison(p.x_len()) };
        let tensors = [Fill::Values(&i.dy), Fill::Values(&i.w), before];
        let mut f = self.fenced(Direction::Dgrad, &tensors)?;
        let [dy, w, dx, work] = f.views[..] else { unreachable!() };
        self.subject.backend.conv2d_dgrad(&mut f.memory, p, dy, w, dx, accumulate, work)?;
        f.read(2)
    }

    /// (dw, db); without a bias db stays NaN.
    pub fn wgrad(&self, bias: bool) -> Result<[Vec<f32>; 2], Failure> {
        let (p, i) = (&self.p, self.i);
        let tensors =
            [Fill::Values(&i.x), Fill::Values(&i.dy), Fill::Poison(p.w_len()), Fill::Poison(p.k)];
        let mut f = self.fenced(Direction::Wgrad, &tensors)?;
        let [x, dy, dw, db, work] = f.views[..] else { unreachable!() };
        let db = bias.then_some(db);
        self.subject.backend.conv2d_wgrad(&mut f.memory, p, x, dy, dw, db, work)?;
        Ok([f.read(2)?, f.read(3)?])
    }

    /// Norms added to what `norms` held, namely 1 a sample.
    pub fn grad_norm(&self, bias: bool, form: GradNormForm) -> Output {
        let (p, i) = (&self.p, self.i);
        let ones = vec![1.0; p.n];
        let tensors = [Fill::Values(&i.x), Fill::Values(&i.dy), Fill::Values(&ones)];
        let mut f = self.fenced(Direction::GradNorm(form), &tensors)?;
        let [x, dy, norms, work] = f.views[..] else { unreachable!() };
        let backend = self.subject.backend;
        backend.conv2d_grad_norm(&mut f.memory, p, x, dy, bias, norms, form, work)?;
        f.read(2)
    }
}
