//! The optimiser: exact steps, bounds, and what a bad step leaves as it is.

use super::fence::{Fenced, Fill};
use super::values::{Values, as_u32, bits, words};
use super::{CaseFailure, CaseOutcome, Subject, ensure};
use crate::ops::sgd::{Sgd, SgdOperands, SgdProblem};
use crate::reference::sgd as oracle;
use crate::reference::{U, equal, within};

/// Lengths off every vector and block. The longest are several tasks of the CPU's update.
const LENGTHS: &[usize] = &[0, 1, 3, 17, 1023, 1025, 4099, 65_536, 70_001];

/// Longest length of a reduced subject.
const REDUCED: usize = 5000;

const PROBLEMS: [SgdProblem; 4] = [
    SgdProblem { momentum: 0.0, weight_decay: 0.0, nesterov: false },
    SgdProblem { momentum: 0.5, weight_decay: 0.0, nesterov: false },
    SgdProblem { momentum: 0.5, weight_decay: 0.25, nesterov: false },
    SgdProblem { momentum: 0.5, weight_decay: 0.25, nesterov: true },
];

fn lengths<B>(subject: &Subject<B>) -> impl Iterator<Item = usize> + use<B> {
    let most = if subject.reduced { REDUCED } else { usize::MAX };
    LENGTHS.iter().copied().filter(move |&len| len <= most)
}

/// (w, v, state) after a call.
pub type SgdOutput = (Vec<f32>, Vec<f32>, Vec<u32>);

/// Makes one call with learning rates `lrs`.
pub fn step<B: Sgd>(
    subject: &Subject<B>,
    p: &SgdProblem,
    [dw, w, v]: [&[f32]; 3],
    lrs: &[f32],
    state: [u32; 4],
) -> Result<SgdOutput, CaseFailure> {
    let state = bits(&state);
    let tensors = [
        Fill::Values(dw),
        Fill::Values(w),
        Fill::Values(v),
        Fill::Values(lrs),
        Fill::Values(&state),
    ];
    let mut f = Fenced::new(subject, &tensors)?;
    let [dw, w, v, lrs, state] = f.views[..] else { unreachable!() };
    let operands = SgdOperands { dw, w, v, lrs, state: as_u32(state) };
    subject.backend.sgd(&mut f.memory, p, &operands)?;
    Ok((f.read(1)?, f.read(2)?, words(&f.read(4)?)))
}

pub fn integers_give_exact_results<B: Sgd>(subject: &Subject<B>) -> CaseOutcome {
    for p in PROBLEMS {
        for len in lengths(subject) {
            let mut values = Values::new(1);
            let [dw, w, v] = [(); 3].map(|()| values.integers(len, 8));
            // The call takes the second of three rates.
            let (new_w, new_v, state) =
                step(subject, &p, [&dw, &w, &v], &[9.0, 0.5, 9.0], [1, 3, 0, 21])?;
            let [w_ref, v_ref] = oracle::step(&p, 0.5, &dw, &w, &v);
            equal(&format!("w {p:?} {len}"), &new_w, &w_ref.value)?;
            equal(&format!("v {p:?} {len}"), &new_v, &v_ref.value)?;
            ensure(state == [2, 3, 0, 22], || format!("state {state:?} after [1, 3, 0, 21]"))?;
        }
    }
    Ok(())
}

pub fn random_results_are_within_bounds<B: Sgd>(subject: &Subject<B>) -> CaseOutcome {
    for p in PROBLEMS {
        let p = SgdProblem { weight_decay: 5e-4 * p.weight_decay, momentum: 1.8 * p.momentum, ..p };
        let len = lengths(subject).max().unwrap_or(0);
        let mut values = Values::new(2);
        let [dw, w, v] = [(); 3].map(|()| values.uniform(len));
        let (new_w, new_v, _) = step(subject, &p, [&dw, &w, &v], &[0.1], [0; 4])?;
        let [w_ref, v_ref] = oracle::step(&p, 0.1, &dw, &w, &v);
        within(&format!("v {p:?}"), &new_v, &v_ref, 0, U)?;
        within(&format!("w {p:?}"), &new_w, &w_ref, 1, U)?;
    }
    Ok(())
}

pub fn a_bad_step_updates_nothing_but_counts<B: Sgd>(subject: &Subject<B>) -> CaseOutcome {
    let (nan, before) = ([f32::NAN; 3], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let call = [&nan[..], &before[0], &before[1]];
    let (w, v, state) = step(subject, &PROBLEMS[3], call, &[0.1], [0, 1, 9, 30])?;
    ensure(w == before[0] && v == before[1], || format!("updated to {w:?}, {v:?}"))?;
    ensure(state == [1, 1, 9, 31], || format!("state {state:?} after [0, 1, 9, 30]"))
}

pub fn scoring_only_counts<B: Sgd>(subject: &Subject<B>) -> CaseOutcome {
    let state = bits(&[4, 5, 6, 7]);
    let mut f = Fenced::new(subject, &[Fill::Values(&state)])?;
    let view = as_u32(f.views[0]);
    subject.backend.advance(&mut f.memory, view)?;
    let state = words(&f.read(0)?);
    ensure(state == [5, 5, 6, 8], || format!("state {state:?} after [4, 5, 6, 7]"))
}

pub fn wrong_lengths_are_refused<B: Sgd>(subject: &Subject<B>) -> CaseOutcome {
    let (ones, state) = ([1.0; 3], bits(&[0; 4]));
    for (dw, v) in [(2, 3), (3, 2)] {
        let tensors = [
            Fill::Values(&ones[..dw]),
            Fill::Values(&ones),
            Fill::Values(&ones[..v]),
            Fill::Values(&ones),
            Fill::Values(&state),
        ];
        let mut f = Fenced::new(subject, &tensors)?;
        let [dw, w, v, lrs, state] = f.views[..] else { unreachable!() };
        let operands = SgdOperands { dw, w, v, lrs, state: as_u32(state) };
        let result = subject.backend.sgd(&mut f.memory, &PROBLEMS[0], &operands);
        ensure(result.is_err(), || format!("accepted {} gradients for 3 weights", dw.len))?;
        ensure(f.read(1)? == ones, || "w was written".to_owned())?;
    }
    Ok(())
}
