//! Rows of single operators: every distinct layer of the network in each direction on tensors that no cache
//! holds, with the fraction of its floor and the tile that it takes.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use fairprune::backend::View;
use fairprune::ops::Operators;
use fairprune::ops::batch_norm::{BackwardInput, BatchNormProblem};
use fairprune::ops::conv2d::{Conv2dDirection, Conv2dProblem, Epilogue, NormGradient, TileChoice};
use fairprune::tensor::Dtype;

use super::card::Card;
use super::floor::{self, Load};
use super::results::Row;
use super::sets::Sets;
use super::settings::Settings;
use super::suites::stopped;
use super::timing::{Clock, Rates};

/// One operator's call on a set of views.
pub(super) type Call<B> =
    Box<dyn Fn(&B, &mut <B as fairprune::backend::Backend>::Memory, &[View]) -> Result<()>>;

/// A call and what it moves.
pub(super) struct Work<B: Operators> {
    pub name: String,
    pub images: usize,
    pub operations: f64,
    /// Elements and types of the views; the first `tensors` of them count as moved.
    pub views: Vec<(usize, Dtype)>,
    pub tensors: usize,
    pub call: Call<B>,
    /// The tile it takes, or is forced to take, and what that copies from L2.
    pub tile: Option<TileChoice>,
    pub copied: Option<f64>,
    /// Whether it is what is used, among others of its kind.
    pub planned: bool,
}

/// Rows of `kernels`.
pub fn rows<B: Operators>(backend: &Arc<B>, card: &Card, settings: &Settings) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for work in layers(backend, settings)? {
        if stopped()? {
            break;
        }
        rows.push(time(&**backend, card, work, settings)?);
    }
    Ok(rows)
}

/// The distinct convolutions of the network on a batch; whether none of a kind has a gradient to pass on,
/// since all see the images.
pub(super) fn convolutions(settings: &Settings) -> Result<Vec<(Conv2dProblem, bool)>> {
    let mut all: Vec<(Conv2dProblem, bool)> = Vec::new();
    for (problem, first) in floor::convolutions(settings)? {
        match all.iter_mut().find(|(p, _)| *p == problem) {
            Some(known) => known.1 &= first,
            None => all.push((problem, first)),
        }
    }
    Ok(all)
}

pub(super) fn describe(what: &str, p: &Conv2dProblem) -> String {
    let stride = if p.stride[0] > 1 { format!("/{}", p.stride[0]) } else { String::new() };
    format!("{what} {}x{}{stride} {}>{} @{}", p.r, p.s, p.c, p.k, p.h)
}

pub(super) fn workspace<B: Operators>(
    backend: &B,
    p: &Conv2dProblem,
    direction: Conv2dDirection,
    stored: Dtype,
) -> (usize, Dtype) {
    let len = match stored {
        Dtype::Bf16 => backend.conv2d_workspace_bf16(p, direction),
        _ => backend.conv2d_workspace(p, direction),
    };
    (len, Dtype::F32)
}

/// Every direction of every convolution, and the passes of the batch norm behind it.
fn layers<B: Operators>(backend: &Arc<B>, settings: &Settings) -> Result<Vec<Work<B>>> {
    let stored = settings.compute.precision.dtype();
    let mut works: Vec<Work<B>> = Vec::new();
    let mut norms = BTreeSet::new();
    for (p, first) in convolutions(settings)? {
        works.push(fprop(&**backend, p, stored));
        works.push(eval(&**backend, p, stored));
        works.extend(backward(&**backend, p, first, stored).into_iter().map(|(_, work)| work));
        let bn = BatchNormProblem { n: p.n, hw: p.p() * p.q(), c: p.k };
        if norms.insert((bn.hw, bn.c)) {
            passes(&mut works, bn, stored);
        }
    }
    Ok(works)
}

/// The call of one direction of a convolution on views of these sizes.
fn product<B: Operators>(
    backend: &B,
    what: &str,
    p: Conv2dProblem,
    direction: Conv2dDirection,
    (mut views, stored): (Vec<(usize, Dtype)>, Dtype),
    tensors: usize,
    call: Call<B>,
) -> Work<B> {
    views.push(workspace(backend, &p, direction, stored));
    let tuning = backend.conv2d_tuning().filter(|_| stored == Dtype::Bf16);
    let tile = tuning.and_then(|tuning| tuning.choice(&p, direction));
    let copied = tuning.and_then(|tuning| tuning.copied(&p, direction));
    Work {
        name: describe(what, &p),
        images: p.n,
        operations: 2.0 * p.macs() as f64,
        views,
        tensors,
        call,
        tile,
        copied: copied.map(|bytes| bytes as f64),
        planned: false,
    }
}

/// x, w and y as they are stored.
fn stored_tensors(p: &Conv2dProblem, stored: Dtype) -> [(usize, Dtype); 3] {
    [p.x_len(), p.w_len(), p.y_len()].map(|len| (len, stored))
}

/// fprop with statistics.
pub(super) fn fprop<B: Operators>(backend: &B, p: Conv2dProblem, stored: Dtype) -> Work<B> {
    let ([x, w, y], k) = (stored_tensors(&p, stored), (p.k, Dtype::F32));
    let call: Call<B> = Box::new(move |b, m, v| {
        let epilogue = Epilogue::Statistics { mean: v[3], m2: v[4] };
        Ok(b.conv2d_fprop(m, &p, v[0], v[1], None, v[2], epilogue, v[5])?)
    });
    product(backend, "fprop", p, Conv2dDirection::Fprop, (vec![x, w, y, k, k], stored), 3, call)
}

/// fprop as scoring has it.
fn eval<B: Operators>(backend: &B, p: Conv2dProblem, stored: Dtype) -> Work<B> {
    let ([x, w, y], k) = (stored_tensors(&p, stored), (p.k, Dtype::F32));
    let call: Call<B> = Box::new(move |b, m, v| {
        let epilogue = Epilogue::Affine { scale: v[3], shift: v[4], residual: None, relu: true };
        Ok(b.conv2d_fprop(m, &p, v[0], v[1], None, v[2], epilogue, v[5])?)
    });
    product(backend, "eval", p, Conv2dDirection::Fprop, (vec![x, w, y, k, k], stored), 3, call)
}

/// dgrad, dgrad with batch norm's sums, wgrad: those that the layer has.
pub(super) fn backward<B: Operators>(
    backend: &B,
    p: Conv2dProblem,
    first: bool,
    stored: Dtype,
) -> Vec<(Conv2dDirection, Work<B>)> {
    let ([x, w, y], c) = (stored_tensors(&p, stored), (p.c, Dtype::F32));
    let mut works = Vec::new();
    if !first {
        let call: Call<B> =
            Box::new(move |b, m, v| Ok(b.conv2d_dgrad(m, &p, v[0], v[1], v[2], false, v[3])?));
        let views = (vec![y, w, x], stored);
        let work = product(backend, "dgrad", p, Conv2dDirection::Dgrad, views, 3, call);
        works.push((Conv2dDirection::Dgrad, work));
    }
    if !first && stored == Dtype::Bf16 {
        let call: Call<B> = Box::new(move |b, m, v| {
            let norm = NormGradient {
                out: Some(v[3]),
                y: v[4],
                mean: v[5],
                rstd: v[6],
                dgamma: v[7],
                dbeta: v[8],
            };
            Ok(b.conv2d_dgrad_norm(m, &p, v[0], v[1], v[2], false, &norm, v[9])?)
        });
        let views = (vec![y, w, x, x, x, c, c, c, c], stored);
        let work = product(backend, "dgrad+bn", p, Conv2dDirection::DgradNorm, views, 5, call);
        works.push((Conv2dDirection::DgradNorm, work));
    }
    let call: Call<B> =
        Box::new(move |b, m, v| Ok(b.conv2d_wgrad(m, &p, v[0], v[1], v[2], None, v[3])?));
    let views = (vec![x, y, (p.w_len(), Dtype::F32)], stored);
    works.push((
        Conv2dDirection::Wgrad,
        product(backend, "wgrad", p, Conv2dDirection::Wgrad, views, 3, call),
    ));
    works
}

/// The passes of a batch norm.
fn passes<B: Operators>(works: &mut Vec<Work<B>>, p: BatchNormProblem, stored: Dtype) {
    let (t, c, work) = ((p.len(), stored), (p.c, Dtype::F32), (p.workspace(), Dtype::F32));
    let mut add = |what: &str, views: Vec<(usize, Dtype)>, tensors, call: Call<B>| {
        let name = format!("{what} {} x {}", p.hw, p.c);
        works.push(Work {
            name,
            images: p.n,
            operations: 0.0,
            views,
            tensors,
            call,
            tile: None,
            copied: None,
            planned: false,
        });
    };
    add(
        "statistics",
        vec![t, c, c, work],
        1,
        Box::new(move |b, m, v| Ok(b.batch_norm_statistics(m, &p, v[0], v[1], v[2], v[3])?)),
    );
    add(
        "apply",
        vec![t, t, t, c, c],
        3,
        Box::new(move |b, m, v| {
            Ok(b.batch_norm_apply(m, &p, v[0], [v[3], v[4]], Some(v[1]), true, v[2])?)
        }),
    );
    let input = |v: &[View]| BackwardInput {
        dout: v[0],
        out: Some(v[1]),
        y: v[2],
        mean: v[4],
        rstd: v[5],
        mask_in_place: false,
    };
    add(
        "reduce",
        vec![t, t, t, c, c, c, c, work],
        3,
        Box::new(move |b, m, v| {
            let input = BackwardInput { mean: v[3], rstd: v[4], ..input(v) };
            Ok(b.batch_norm_backward_reduce(m, &p, &input, v[5], v[6], v[7])?)
        }),
    );
    add(
        "backward",
        vec![t, t, t, t, c, c, c, c, c],
        4,
        Box::new(move |b, m, v| {
            let input = input(v);
            Ok(b.batch_norm_backward_apply(m, &p, &input, v[6], v[7], v[8], v[3])?)
        }),
    );
}

/// Times one operator on sets of its own.
pub(super) fn time<B: Operators>(
    backend: &B,
    card: &Card,
    work: Work<B>,
    settings: &Settings,
) -> Result<Row> {
    let mut sets = Sets::new(backend, &work.views)?;
    time_on(&mut sets, card, work, settings)
}

/// The same on sets of views that are at least as long.
pub(super) fn time_on<B: Operators>(
    sets: &mut Sets<B>,
    card: &Card,
    work: Work<B>,
    settings: &Settings,
) -> Result<Row> {
    let calls = sets.call(&work)?;
    let clock = Clock { seconds: settings.seconds, slowdown: settings.slowdown.of(&work.name) };
    let run = |sets: &mut &mut Sets<B>| sets.call(&work).map(|_| ());
    let times = clock.repeat(&mut &mut *sets, |_| Ok(()), run, |_| ())?;
    let images = (work.images * calls) as f64;
    let rates: Vec<f64> = times.iter().map(|t| images / t).collect();
    let rates = Rates::of(&rates);
    let moved = work.views.iter().take(work.tensors).map(|(len, dtype)| len * dtype.size());
    let (operations, bytes) = (work.operations, moved.sum::<usize>() as f64);
    let load = Load { operations, bytes, copied: work.copied };
    let floor = card.ceilings().map(|c| c.seconds(&[load], settings.compute.precision));
    let floor = floor.map(|f| f.of(work.images as f64 / rates.median));
    let row = Row {
        work: work.name,
        images: None,
        images_per_second: rates,
        peak_bytes: 0,
        planned_bytes: None,
        pinned_bytes: None,
        repeats: times.len(),
        images_a_repeat: images as usize,
        fraction_of_floor: floor.map(|(fraction, _)| fraction),
        limits: floor.map(|(_, limits)| limits),
        planned: work.planned,
        clocks: card.state(),
        tile: work.tile.map(|tile| tile.to_string()),
        injected_slowdown: clock.slowdown,
    };
    // What was measured survives whoever is killed before the end.
    tracing::info!("row {}", serde_json::to_string(&row)?);
    Ok(row)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn settings(words: &str) -> Settings {
        let line = format!("fairprune bench {words}");
        match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
            Command::Bench(args) => Settings::new(&args.suite, &args.common).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// With 8 channels in the first stage a convolution of the images, padded to 8, is one of inner layers too.
    #[test]
    fn a_layer_like_the_first_still_passes_gradients_on() {
        let all = convolutions(&settings("--arch resnet8 --width 8 --precision bf16")).unwrap();
        let like_first: Vec<_> = all.iter().filter(|(p, _)| p.c == 8 && p.k == 8).collect();
        assert!(matches!(like_first[..], [(_, false)]), "{all:?}");
        let wider = convolutions(&settings("--arch resnet8 --width 16 --precision bf16")).unwrap();
        assert_eq!(wider.iter().filter(|(_, first)| *first).count(), 1);
    }

    #[test]
    fn layers_of_single_pixels_are_timed_and_the_last_layer_is_not() {
        let all = convolutions(&settings("--arch vgg16 --image-size 32")).unwrap();
        assert!(all.iter().all(|(p, _)| p.k != 10), "{all:?}");
        assert_eq!(all.iter().map(|(p, _)| p.h).min(), Some(2));
    }
}
