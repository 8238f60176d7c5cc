//! One operator call of a plan.

use crate::backend::View;
use crate::error::Result;
use crate::ops::Operators;
use crate::ops::batch_norm::{AffineMap, ApplyOperands, BackwardInput, BatchNormProblem};
use crate::ops::conv2d::{
    Conv2dProblem, DgradOperands, Epilogue, FpropOperands, GradNormOperands, NormGradient,
    WgradOperands,
};
use crate::ops::gather::GatherProblem;
use crate::ops::loss_score::{BatchViews, LogitGradient, LossScoreProblem};
use crate::ops::pool::{GlobalPoolProblem, MaxPoolProblem};
use crate::ops::sgd::{SgdOperands, SgdProblem};

/// A call with its problem and its views.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Gather {
        problem: GatherProblem,
        order: View,
        /// Images of the positions; empty: their own.
        sources: View,
        state: View,
        out: View,
    },
    ConvFprop {
        problem: Conv2dProblem,
        operands: FpropOperands,
    },
    ConvDgrad {
        problem: Conv2dProblem,
        operands: DgradOperands,
    },
    ConvWgrad {
        problem: Conv2dProblem,
        operands: WgradOperands,
    },
    ConvGradNorm {
        problem: Conv2dProblem,
        operands: GradNormOperands,
    },
    BnStatistics {
        problem: BatchNormProblem,
        y: View,
        mean: View,
        m2: View,
        workspace: View,
    },
    BnFinalize {
        count: usize,
        mean: View,
        m2: View,
        map: AffineMap,
    },
    BnEvalAffine {
        map: AffineMap,
    },
    BnApply {
        problem: BatchNormProblem,
        operands: ApplyOperands,
    },
    BnBackwardReduce {
        problem: BatchNormProblem,
        input: BackwardInput,
        dgamma: View,
        dbeta: View,
        workspace: View,
    },
    BnBackwardApply {
        problem: BatchNormProblem,
        input: BackwardInput,
        gamma: View,
        dgamma: View,
        dbeta: View,
        dy: View,
    },
    BnBackwardEval {
        problem: BatchNormProblem,
        input: BackwardInput,
        scale: View,
        dy: View,
        norms: View,
    },
    MaxPool {
        problem: MaxPoolProblem,
        x: View,
        y: View,
        taps: View,
    },
    MaxPoolBackward {
        problem: MaxPoolProblem,
        dy: View,
        taps: View,
        dx: View,
    },
    GlobalPool {
        problem: GlobalPoolProblem,
        x: View,
        y: View,
    },
    GlobalPoolBackward {
        problem: GlobalPoolProblem,
        dy: View,
        dx: View,
    },
    LossScore {
        problem: LossScoreProblem,
        logits: View,
        batch: BatchViews,
        gradient: LogitGradient,
        dlogits: View,
    },
    Zero {
        view: View,
    },
    StoreNorms {
        problem: LossScoreProblem,
        norms: View,
        batch: BatchViews,
    },
    Sgd {
        problem: SgdProblem,
        operands: SgdOperands,
    },
    Advance {
        state: View,
    },
    Cast {
        from: View,
        to: View,
    },
}

impl Step {
    /// Calls `f` on every view of the step, which may replace it.
    pub(super) fn visit(&mut self, f: &mut impl FnMut(&mut View)) {
        match self {
            Step::Gather { order, sources, state, out, .. } => {
                [order, sources, state, out].into_iter().for_each(f)
            }
            Step::ConvFprop { operands, .. } => visit_fprop(operands, f),
            Step::ConvDgrad { operands, .. } => {
                let DgradOperands { dy, w, dx, norm, workspace, .. } = operands;
                [dy, w, dx, workspace].into_iter().for_each(&mut *f);
                if let Some(NormGradient { out, y, mean, rstd, dgamma, dbeta }) = norm {
                    [y, mean, rstd, dgamma, dbeta].into_iter().chain(out).for_each(f);
                }
            }
            Step::ConvWgrad { operands, .. } => {
                let WgradOperands { x, dy, dw, db, workspace } = operands;
                [x, dy, dw, workspace].into_iter().chain(db).for_each(f);
            }
            Step::ConvGradNorm { operands, .. } => {
                let GradNormOperands { x, dy, norms, workspace, .. } = operands;
                [x, dy, norms, workspace].into_iter().for_each(f);
            }
            Step::BnStatistics { y, mean, m2, workspace, .. } => {
                [y, mean, m2, workspace].into_iter().for_each(f);
            }
            Step::BnFinalize { mean, m2, map, .. } => {
                [mean, m2].into_iter().for_each(&mut *f);
                visit_map(map, f);
            }
            Step::BnEvalAffine { map } => visit_map(map, f),
            Step::BnApply { operands, .. } => {
                let ApplyOperands { y, scale_shift, residual, out, .. } = operands;
                [y, out].into_iter().chain(scale_shift).chain(residual).for_each(f);
            }
            Step::BnBackwardReduce { input, dgamma, dbeta, workspace, .. } => {
                visit_input(input, f);
                [dgamma, dbeta, workspace].into_iter().for_each(f);
            }
            Step::BnBackwardApply { input, gamma, dgamma, dbeta, dy, .. } => {
                visit_input(input, f);
                [gamma, dgamma, dbeta, dy].into_iter().for_each(f);
            }
            Step::BnBackwardEval { input, scale, dy, norms, .. } => {
                visit_input(input, f);
                [scale, dy, norms].into_iter().for_each(f);
            }
            Step::MaxPool { x, y, taps, .. } => [x, y, taps].into_iter().for_each(f),
            Step::MaxPoolBackward { dy, taps, dx, .. } => [dy, taps, dx].into_iter().for_each(f),
            Step::GlobalPool { x, y, .. } => [x, y].into_iter().for_each(f),
            Step::GlobalPoolBackward { dy, dx, .. } => [dy, dx].into_iter().for_each(f),
            Step::LossScore { logits, batch, gradient, dlogits, .. } => {
                [logits, dlogits].into_iter().for_each(&mut *f);
                visit_batch(batch, f);
                if let LogitGradient::Mean { class_weights, sample_weights, .. } = gradient {
                    [class_weights, sample_weights].into_iter().for_each(f);
                }
            }
            Step::Zero { view } => f(view),
            Step::StoreNorms { norms, batch, .. } => {
                f(norms);
                visit_batch(batch, f);
            }
            Step::Sgd { operands, .. } => {
                let SgdOperands { dw, w, v, lrs, state } = operands;
                [dw, w, v, lrs, state].into_iter().for_each(f);
            }
            Step::Advance { state } => f(state),
            Step::Cast { from, to } => [from, to].into_iter().for_each(f),
        }
    }

    /// Runs the step.
    pub(super) fn run<B: Operators>(
        &self,
        backend: &B,
        memory: &mut B::Memory,
        images: &B::Images,
    ) -> Result<()> {
        match self {
            Step::Gather { problem, order, sources, state, out } => {
                backend.gather(memory, problem, images, [*order, *sources], *state, *out)
            }
            Step::ConvFprop { problem, operands } => {
                backend.conv2d_fprop(memory, problem, operands)
            }
            Step::ConvDgrad { problem, operands } => {
                backend.conv2d_dgrad(memory, problem, operands)
            }
            Step::ConvWgrad { problem, operands } => {
                backend.conv2d_wgrad(memory, problem, operands)
            }
            Step::ConvGradNorm { problem, operands } => {
                backend.conv2d_grad_norm(memory, problem, operands)
            }
            Step::BnStatistics { problem, y, mean, m2, workspace } => {
                backend.batch_norm_statistics(memory, problem, *y, *mean, *m2, *workspace)
            }
            Step::BnFinalize { count, mean, m2, map } => {
                backend.batch_norm_finalize(memory, *count, [*mean, *m2], map)
            }
            Step::BnEvalAffine { map } => backend.batch_norm_eval_affine(memory, map),
            Step::BnApply { problem, operands } => {
                backend.batch_norm_apply(memory, problem, operands)
            }
            Step::BnBackwardReduce { problem, input, dgamma, dbeta, workspace } => backend
                .batch_norm_backward_reduce(memory, problem, input, *dgamma, *dbeta, *workspace),
            Step::BnBackwardApply { problem, input, gamma, dgamma, dbeta, dy } => backend
                .batch_norm_backward_apply(memory, problem, input, *gamma, [*dgamma, *dbeta], *dy),
            Step::BnBackwardEval { problem, input, scale, dy, norms } => {
                backend.batch_norm_backward_eval(memory, problem, input, *scale, *dy, *norms)
            }
            Step::MaxPool { problem, x, y, taps } => {
                backend.max_pool(memory, problem, *x, *y, *taps)
            }
            Step::MaxPoolBackward { problem, dy, taps, dx } => {
                backend.max_pool_backward(memory, problem, *dy, *taps, *dx)
            }
            Step::GlobalPool { problem, x, y } => backend.global_pool(memory, problem, *x, *y),
            Step::GlobalPoolBackward { problem, dy, dx } => {
                backend.global_pool_backward(memory, problem, *dy, *dx)
            }
            Step::LossScore { problem, logits, batch, gradient, dlogits } => {
                backend.loss_score(memory, problem, *logits, batch, *gradient, *dlogits)
            }
            Step::Zero { view } => backend.fill(memory, *view, 0.0),
            Step::StoreNorms { problem, norms, batch } => {
                backend.store_norms(memory, problem, *norms, batch)
            }
            Step::Sgd { problem, operands } => backend.sgd(memory, problem, operands),
            Step::Advance { state } => backend.advance(memory, *state),
            Step::Cast { from, to } => backend.cast(memory, *from, *to),
        }
    }
}

fn visit_fprop(operands: &mut FpropOperands, f: &mut impl FnMut(&mut View)) {
    let FpropOperands { x, w, bias, y, epilogue, workspace } = operands;
    [x, w, y, workspace].into_iter().chain(bias).for_each(&mut *f);
    match epilogue {
        Epilogue::None => {}
        Epilogue::Statistics { mean, m2 } => [mean, m2].into_iter().for_each(f),
        Epilogue::Affine { scale, shift, residual, .. } => {
            [scale, shift].into_iter().chain(residual).for_each(f);
        }
    }
}

fn visit_map(map: &mut AffineMap, f: &mut impl FnMut(&mut View)) {
    let AffineMap { affine, running, rstd, scale_shift } = map;
    [&mut affine.gamma, &mut affine.beta, rstd]
        .into_iter()
        .chain(running)
        .chain(scale_shift)
        .for_each(f);
}

fn visit_input(input: &mut BackwardInput, f: &mut impl FnMut(&mut View)) {
    [&mut input.dout, &mut input.y, &mut input.mean, &mut input.rstd]
        .into_iter()
        .chain(&mut input.out)
        .for_each(f);
}

fn visit_batch(batch: &mut BatchViews, f: &mut impl FnMut(&mut View)) {
    [&mut batch.order, &mut batch.labels, &mut batch.state, &mut batch.table, &mut batch.previous]
        .into_iter()
        .for_each(f);
}
