//! The rows of the suite `tune`: products of every convolution in every tile and family, gradient norms in
//! every form and, instantiated, every tile. What is used without being timed is marked.

use super::kernels::{time, time_on};
use super::rows::TimedRow;
use super::sets::Sets;
use super::timing::Timer;
use super::work::{OperatorWork, backward, convolutions, describe, fprop, workspace};
use crate::error::{Error, Result};
use crate::ops::Operators;
use crate::ops::conv2d::{
    Conv2dDirection, Conv2dProblem, GradNormForm, GradNormOperands, TileChoice, Tuning,
};
use crate::tensor::Dtype;

/// What the device of tests calls itself.
const SOFTWARE: &str = "software device";

/// Times everything.
pub fn rows<B: Operators>(timer: &Timer<B>) -> Result<Vec<TimedRow>> {
    if timer.card.name().is_none_or(|card| card.contains(SOFTWARE)) {
        timer.watch.note("note: no card: these times mean nothing for one");
    }
    let layers = convolutions(timer.settings)?;
    let mut rows = Vec::new();
    let stored = timer.settings.compute.precision.dtype();
    if let Some(tuning) = timer.backend.conv2d_tuning().filter(|_| stored == Dtype::Bf16) {
        let inner = [
            Conv2dDirection::Fprop,
            Conv2dDirection::Dgrad,
            Conv2dDirection::DgradNorm,
            Conv2dDirection::Wgrad,
        ];
        for &(p, first) in &layers {
            let directions =
                if first { &[Conv2dDirection::Fprop, Conv2dDirection::Wgrad][..] } else { &inner };
            for &direction in directions {
                if timer.watch.is_stopped() {
                    return Ok(rows);
                }
                rows.extend(tiles(timer, tuning, &p, direction)?);
            }
        }
    }
    for (p, _) in &layers {
        rows.extend(forms(timer, p)?);
    }
    Ok(rows)
}

/// Times one direction of a problem in every way; the planned one is marked.
fn tiles<B: Operators>(
    timer: &Timer<B>,
    tuning: &dyn Tuning,
    p: &Conv2dProblem,
    direction: Conv2dDirection,
) -> Result<Vec<TimedRow>> {
    let backend = &**timer.backend;
    let planned = tuning.choice(p, direction);
    let mut choices = tuning.choices(p, direction);
    if direction == Conv2dDirection::Wgrad {
        // The splits that suit a tile, half and twice as many.
        let around = |c: &TileChoice| [c.splits / 2, c.splits, 2 * c.splits].map(|s| (*c, s));
        let all = choices.iter().flat_map(around).filter(|(_, splits)| *splits > 0);
        choices = all.map(|(choice, splits)| TileChoice { splits, ..choice }).collect();
    }
    choices.extend(planned.filter(|planned| !choices.contains(planned)));
    let mut works: Vec<(TileChoice, OperatorWork<B>)> = Vec::new();
    for choice in choices {
        tuning.force(Some(choice));
        // What is taken has fewer splits where there are too few positions.
        let taken = tuning.choice(p, direction).unwrap_or(choice);
        let known = works.iter().any(|(before, _)| *before == taken);
        let work = if known { None } else { Some(one(backend, p, (direction, taken))) };
        tuning.force(None);
        let Some(work) = work.transpose()? else { continue };
        let name = format!("{} {taken}", work.name);
        works.push((taken, OperatorWork { name, planned: Some(taken) == planned, ..work }));
    }
    // They differ in workspace alone.
    let Some(largest) = works.iter().map(|(_, work)| &work.views).max_by_key(|v| total(v)) else {
        return Ok(Vec::new());
    };
    let mut sets = Sets::new(backend, largest)?;
    let mut rows = Vec::new();
    for (taken, work) in works {
        if timer.watch.is_stopped() {
            break;
        }
        tuning.force(Some(taken));
        let row = time_on(&mut sets, timer, work);
        tuning.force(None);
        rows.push(row?);
    }
    Ok(rows)
}

/// Bytes of views.
fn total(views: &[(usize, Dtype)]) -> usize {
    views.iter().map(|(len, dtype)| len * dtype.size()).sum()
}

/// One direction as it is forced.
fn one<B: Operators>(
    backend: &B,
    p: &Conv2dProblem,
    (direction, choice): (Conv2dDirection, TileChoice),
) -> Result<OperatorWork<B>> {
    let works = match direction {
        Conv2dDirection::Fprop => vec![(direction, fprop(backend, *p, Dtype::Bf16))],
        _ => backward(backend, *p, false, Dtype::Bf16),
    };
    let work = works.into_iter().find(|(d, _)| *d == direction).map(|(_, work)| work);
    let Some(work) = work else {
        return Err(Error::Internal(format!("{direction:?} is no product of a layer")));
    };
    Ok(OperatorWork { tile: Some(choice), ..work })
}

/// Times the gradient norms of a problem in every form and tile; what scoring takes is marked.
fn forms<B: Operators>(timer: &Timer<B>, p: &Conv2dProblem) -> Result<Vec<TimedRow>> {
    let (backend, stored) = (&**timer.backend, timer.settings.compute.precision.dtype());
    let tuning = backend.conv2d_tuning().filter(|_| stored == Dtype::Bf16);
    let force = |tile| tuning.into_iter().for_each(|tuning| tuning.force(tile));
    let chosen = backend.conv2d_grad_norm_form(p, stored);
    let shifted = (p.stride == [1, 1]).then_some(GradNormForm::ShiftedGram);
    let mut rows = Vec::new();
    for form in [GradNormForm::Instantiate, GradNormForm::Gram].into_iter().chain(shifted) {
        let direction = Conv2dDirection::GradNorm(form);
        let planned = tuning.and_then(|tuning| tuning.choice(p, direction));
        let tiles = match (planned, tuning) {
            (Some(_), Some(tuning)) => tuning.choices(p, direction).into_iter().map(Some).collect(),
            _ => vec![None],
        };
        for tile in tiles {
            if timer.watch.is_stopped() {
                return Ok(rows);
            }
            force(tile);
            let mut work = norm(backend, *p, form, tile, stored);
            work.planned = form == chosen && tile == planned;
            let row = time(timer, work);
            force(None);
            rows.push(row?);
        }
    }
    Ok(rows)
}

/// Gradient norms in one form.
fn norm<B: Operators>(
    backend: &B,
    p: Conv2dProblem,
    form: GradNormForm,
    tile: Option<TileChoice>,
    stored: Dtype,
) -> OperatorWork<B> {
    let direction = Conv2dDirection::GradNorm(form);
    let space = workspace(backend, &p, direction, stored);
    let tuning = backend.conv2d_tuning().filter(|_| tile.is_some());
    let copied = tuning.and_then(|tuning| tuning.copied(&p, direction));
    let copied = copied.map(|bytes| bytes as f64);
    let tiled = tile.map_or(String::new(), |tile| format!(" {tile}"));
    OperatorWork {
        name: describe(&format!("{form:?}"), &p) + &tiled,
        images: p.n,
        operations: 2.0 * p.macs() as f64,
        views: vec![(p.x_len(), stored), (p.y_len(), stored), (p.n, Dtype::F32), space],
        tensors: 2,
        tile,
        copied,
        planned: false,
        call: Box::new(move |b, m, v| {
            let (x, dy, bias, norms, workspace) = (v[0], v[1], false, v[2], v[3]);
            b.conv2d_grad_norm(m, &p, &GradNormOperands { x, dy, bias, norms, form, workspace })
        }),
    }
}
