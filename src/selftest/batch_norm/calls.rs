//! Batch normalisation's inputs, and its calls on fenced memory.

use half::bf16;

use crate::backend::View;
use crate::ops::batch_norm::{ApplyOperands, BackwardInput, BatchNorm, BatchNormProblem};
use crate::reference::batch_norm as oracle;
use crate::selftest::fence::{Fenced, Fill};
use crate::selftest::values::Values;
use crate::selftest::{CaseFailure, Subject};

/// The inputs of one problem.
pub struct NormInputs {
    pub(super) y: Vec<f32>,
    pub(super) dout: Vec<f32>,
    pub(super) residual: Vec<f32>,
    /// Output of a ReLU, of which about half is 0.
    pub(super) out: Vec<f32>,
    pub(super) mean: Vec<f32>,
    pub(super) rstd: Vec<f32>,
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
    pub(super) dgamma: Vec<f32>,
    pub(super) dbeta: Vec<f32>,
    /// Whether whole tensors are stored as bf16.
    pub(super) bf16: bool,
}

impl NormInputs {
    /// Makes small integers and powers of two, on which no operation rounds.
    pub(super) fn exact(p: &BatchNormProblem) -> Self {
        let mut v = Values::new(1);
        let count = p.count().max(1) as f32;
        let multiples = |v: Vec<f32>| v.into_iter().map(|v| v * count).collect();
        NormInputs {
            y: v.integers(p.len(), 4),
            dout: v.integers(p.len(), 3),
            residual: v.integers(p.len(), 4),
            out: v.choose(p.len(), &[0.0, 0.0, 1.0, 2.0]),
            mean: v.integers(p.c, 2),
            rstd: v.choose(p.c, &[0.5, 1.0, 2.0]),
            gamma: v.integers(p.c, 3),
            beta: v.integers(p.c, 3),
            dgamma: multiples(v.integers(p.c, 3)),
            dbeta: multiples(v.integers(p.c, 3)),
            bf16: false,
        }
    }

    /// Makes uniform values.
    pub fn random(p: &BatchNormProblem) -> Self {
        let mut v = Values::new(2);
        let scaled = |v: Vec<f32>, by: f32| v.into_iter().map(|v| v * by).collect();
        NormInputs {
            y: v.uniform(p.len()),
            dout: v.uniform(p.len()),
            residual: v.uniform(p.len()),
            out: v.uniform(p.len()).into_iter().map(|v| v.max(0.0)).collect(),
            mean: v.uniform(p.c),
            rstd: v.uniform(p.c).into_iter().map(|v| 1.5 + v).collect(),
            gamma: v.uniform(p.c),
            beta: v.uniform(p.c),
            dgamma: scaled(v.uniform(p.c), p.count() as f32),
            dbeta: scaled(v.uniform(p.c), p.count() as f32),
            bf16: false,
        }
    }

    /// Rounds whole tensors to bf16 and stores them so.
    pub fn rounded(mut self) -> Self {
        for tensor in [&mut self.y, &mut self.dout, &mut self.residual, &mut self.out] {
            tensor.iter_mut().for_each(|v| *v = bf16::from_f32(*v).to_f32());
        }
        NormInputs { bf16: true, ..self }
    }

    /// Fills a whole tensor.
    pub(super) fn stored<'v>(&self, values: &'v [f32]) -> Fill<'v> {
        if self.bf16 { Fill::Values16(values) } else { Fill::Values(values) }
    }

    /// Makes room for a tensor that is to be written.
    pub(super) fn output<'v>(&self, len: usize) -> Fill<'v> {
        if self.bf16 { Fill::Poison16(len) } else { Fill::Poison(len) }
    }

    pub(super) fn oracle(&self, relu: bool) -> oracle::BackwardValues<'_> {
        oracle::BackwardValues {
            dout: &self.dout,
            out: relu.then_some(&self.out),
            y: &self.y,
            mean: &self.mean,
            rstd: &self.rstd,
        }
    }

    /// Lays out the memory of a backward call: dout, out, y, mean, rstd, then `more`.
    pub(super) fn backward<'a, 'b, B: BatchNorm>(
        &'a self,
        subject: &Subject<'b, B>,
        more: impl IntoIterator<Item = Fill<'a>>,
    ) -> Result<Fenced<'b, B>, CaseFailure> {
        let mut tensors: Vec<Fill> =
            [&self.dout, &self.out, &self.y].map(|v| self.stored(v.as_slice())).into();
        tensors.extend([&self.mean, &self.rstd].map(|v| Fill::Values(v.as_slice())));
        tensors.extend(more);
        Fenced::new(subject, &tensors)
    }
}

pub(super) fn backward_input(views: &[View], relu: bool, mask_in_place: bool) -> BackwardInput {
    let [dout, out, y, mean, rstd] = views[..5] else { unreachable!() };
    BackwardInput { dout, out: relu.then_some(out), y, mean, rstd, mask_in_place }
}

pub(super) fn statistics<B: BatchNorm>(
    subject: &Subject<B>,
    p: &BatchNormProblem,
    y: Fill,
) -> Result<[Vec<f32>; 2], CaseFailure> {
    let tensors = [y, Fill::Poison(p.c), Fill::Poison(p.c), Fill::Poison(p.workspace())];
    let mut f = Fenced::new(subject, &tensors)?;
    let [y, mean, m2, work] = f.views[..] else { unreachable!() };
    subject.backend.batch_norm_statistics(&mut f.memory, p, y, mean, m2, work)?;
    Ok([f.read(1)?, f.read(2)?])
}

pub(super) fn apply<B: BatchNorm>(
    subject: &Subject<B>,
    p: &BatchNormProblem,
    i: &NormInputs,
    residual: bool,
    relu: bool,
) -> Result<Vec<f32>, CaseFailure> {
    let tensors = [
        i.stored(&i.y),
        Fill::Values(&i.gamma),
        Fill::Values(&i.beta),
        i.stored(&i.residual),
        i.output(p.len()),
    ];
    let mut f = Fenced::new(subject, &tensors)?;
    let [y, scale, shift, r, out] = f.views[..] else { unreachable!() };
    let residual = residual.then_some(r);
    let operands = ApplyOperands { y, scale_shift: [scale, shift], residual, relu, out };
    subject.backend.batch_norm_apply(&mut f.memory, p, &operands)?;
    f.read(4)
}

/// Returns (dgamma, dbeta, dout afterwards).
pub(super) fn reduce<B: BatchNorm>(
    subject: &Subject<B>,
    p: &BatchNormProblem,
    i: &NormInputs,
    relu: bool,
    mask: bool,
) -> Result<[Vec<f32>; 3], CaseFailure> {
    let more = [p.c, p.c, p.workspace()].map(Fill::Poison);
    let mut f = i.backward(subject, more)?;
    let input = backward_input(&f.views, relu, mask);
    let [dgamma, dbeta, work] = f.views[5..] else { unreachable!() };
    subject.backend.batch_norm_backward_reduce(&mut f.memory, p, &input, dgamma, dbeta, work)?;
    Ok([f.read(5)?, f.read(6)?, f.read(0)?])
}

pub(super) fn backward_apply<B: BatchNorm>(
    subject: &Subject<B>,
    p: &BatchNormProblem,
    i: &NormInputs,
    relu: bool,
) -> Result<Vec<f32>, CaseFailure> {
    let more = [
        Fill::Values(&i.gamma),
        Fill::Values(&i.dgamma),
        Fill::Values(&i.dbeta),
        i.output(p.len()),
    ];
    let mut f = i.backward(subject, more)?;
    let input = backward_input(&f.views, relu, false);
    let [gamma, dgamma, dbeta, dy] = f.views[5..] else { unreachable!() };
    let gradients = [dgamma, dbeta];
    subject.backend.batch_norm_backward_apply(&mut f.memory, p, &input, gamma, gradients, dy)?;
    f.read(8)
}

/// Returns (dy, norms on top of 1 for each sample, dout afterwards); gamma serves as the scale.
pub(super) fn backward_eval<B: BatchNorm>(
    subject: &Subject<B>,
    p: &BatchNormProblem,
    i: &NormInputs,
    relu: bool,
    mask: bool,
) -> Result<[Vec<f32>; 3], CaseFailure> {
    let ones = vec![1.0; p.n];
    let more = [Fill::Values(&i.gamma), i.output(p.len()), Fill::Values(&ones)];
    let mut f = i.backward(subject, more)?;
    let input = backward_input(&f.views, relu, mask);
    let [scale, dy, norms] = f.views[5..] else { unreachable!() };
    subject.backend.batch_norm_backward_eval(&mut f.memory, p, &input, scale, dy, norms)?;
    Ok([f.read(6)?, f.read(7)?, f.read(0)?])
}
