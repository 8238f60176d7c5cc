//! Conversion between f32 and bf16: every value of bf16, every kind of rounding.

use half::bf16;

use super::fence::{Fenced, Fill};
use super::values::{Values, bits, words};
use super::{CaseFailure, CaseOutcome, Subject, ensure};
use crate::backend::View;
use crate::ops::cast::Cast;
use crate::tensor::Dtype;

/// Returns `values` of one type as the other.
fn cast<B: Cast>(
    subject: &Subject<B>,
    values: &[f32],
    rounds: bool,
) -> Result<Vec<f32>, CaseFailure> {
    let tensors = if rounds {
        [Fill::Values(values), Fill::Poison16(values.len())]
    } else {
        [Fill::Values16(values), Fill::Poison(values.len())]
    };
    let mut f = Fenced::new(subject, &tensors)?;
    let [from, to] = f.views[..] else { unreachable!() };
    subject.backend.cast(&mut f.memory, from, to)?;
    f.read(1)
}

pub fn every_bf16_is_a_float<B: Cast>(subject: &Subject<B>) -> CaseOutcome {
    let all: Vec<f32> = (0..=u16::MAX).map(|b| bf16::from_bits(b).to_f32()).collect();
    let out = cast(subject, &all, false)?;
    let same = out.iter().zip(&all).all(|(o, a)| o == a || (o.is_nan() && a.is_nan()));
    ensure(same, || "a value of bf16 is not the same in f32".to_owned())
}

pub fn floats_are_rounded_to_the_nearest<B: Cast>(subject: &Subject<B>) -> CaseOutcome {
    // The values are ties to even in both directions, what lies beside them, the largest, the
    // smallest, and NaN.
    let near = |word: u32| [word - 1, word, word + 1];
    let edges = [0x3f80_8000, 0x3f81_8000, 0xbf80_8000, 0x7f7f_8000, 0x0000_8000, 0x8000_8000];
    let edges: Vec<u32> = edges.into_iter().flat_map(near).collect();
    let mut values = bits(&edges);
    values.extend([f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.0, -0.0, f32::MAX]);
    values.extend(Values::new(1).uniform(1000));
    // Lengths are on and off the eight values of a thread, and those of a block.
    for len in [0, 1, 7, 8, 9, 24, values.len()] {
        let out = cast(subject, &values[..len], true)?;
        for (o, &v) in out.iter().zip(&values) {
            let expected = bf16::from_f32(v).to_f32();
            let same = o.to_bits() == expected.to_bits() || (o.is_nan() && expected.is_nan());
            ensure(same, || format!("{v:e} became {o:e}, expected {expected:e}"))?;
        }
        ensure(out.len() == len, || format!("{} of {len} values", out.len()))?;
    }
    Ok(())
}

pub fn wrong_types_are_refused<B: Cast>(subject: &Subject<B>) -> CaseOutcome {
    let one = [1.0; 8];
    let mut f = Fenced::new(subject, &[Fill::Values(&one), Fill::Poison16(8)])?;
    let [from, to] = f.views[..] else { unreachable!() };
    for (a, b) in [
        (from, to.prefix(6)),
        (from, View { dtype: Dtype::F32, len: 4, ..to }),
        (View { dtype: Dtype::U32, ..from }, to),
        (to, to),
    ] {
        let result = subject.backend.cast(&mut f.memory, a, b);
        ensure(result.is_err(), || format!("accepted {a:?} to {b:?}"))?;
    }
    ensure(words(&f.read(0)?) == words(&one), || "the source was written".to_owned())?;
    ensure(f.read(1)?.iter().all(|v| v.is_nan()), || "the result was written".to_owned())
}
