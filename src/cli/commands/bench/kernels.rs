//! Rows of single operators: every distinct layer of the network in each direction on tensors that no cache
//! holds, with the fraction of its floor; and gradient norms in every form (`tune`).

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use fairprune::backend::{ALIGN, View};
use fairprune::nn::ValueId;
use fairprune::ops::batch_norm::{BackwardInput, BatchNormProblem};
use fairprune::ops::conv2d::{Conv2dProblem, Direction, Epilogue, GradNormForm, NormGradient};
use fairprune::ops::gather::CHANNELS_BF16;
use fairprune::ops::{Operators, Precision};
use fairprune::rng::{Philox, Stream};
use fairprune::tensor::Dtype;

use super::results::Row;
use super::settings::{Settings, Suite};
use super::timing::{Clock, Rates};

/// Bytes that the tensors of all sets together take at least: beyond any cache.
const WORKING_SET: usize = 256 << 20;
/// Calls of a repeat at least, so that launches overlap.
const CALLS: usize = 8;

/// What a card can do: operations a second in bf16 and f32, bytes a second. From measurements of that
/// card published or made elsewhere; without them there is no floor.
fn ceilings(device: &str) -> Option<[f64; 3]> {
    device.contains("H200").then_some([790e12, 60e12, 4.3e12])
}

/// One operator's call on a set of views.
type Call<B> =
    Box<dyn Fn(&B, &mut <B as fairprune::backend::Backend>::Memory, &[View]) -> Result<()>>;

/// A call and what it moves.
struct Work<B: Operators> {
    name: String,
    images: usize,
    operations: f64,
    /// Elements and types of the views; the first `tensors` of them count as moved.
    views: Vec<(usize, Dtype)>,
    tensors: usize,
    call: Call<B>,
}

/// Rows of `kernels` or `tune`.
pub fn rows<B: Operators>(
    backend: &Arc<B>,
    device: Option<&str>,
    suite: Suite,
    settings: &Settings,
) -> Result<Vec<Row>> {
    let works = match suite {
        Suite::Tune => forms(backend, settings)?,
        _ => layers(backend, settings)?,
    };
    works.into_iter().map(|work| time(&**backend, device, work, settings)).collect()
}

/// The distinct convolutions of the network on a batch; whether each sees the images.
fn convolutions(settings: &Settings) -> Result<Vec<(Conv2dProblem, bool)>> {
    let network = settings.spec.build()?;
    let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
    for node in network.nodes.iter().filter(|n| n.inputs.len() == 1) {
        let Some(problem) = network.conv_problem(node, settings.batch) else { continue };
        if problem.h == 1 && problem.w == 1 {
            // The last layer.
            continue;
        }
        let first = node.inputs[0] == ValueId(0);
        let padded = first && settings.compute.precision == Precision::Bf16;
        let c = if padded { CHANNELS_BF16 } else { problem.c };
        let problem = Conv2dProblem { c, ..problem };
        if seen.insert(format!("{problem:?}")) {
            all.push((problem, first));
        }
    }
    Ok(all)
}

fn describe(what: &str, p: &Conv2dProblem) -> String {
    let stride = if p.stride[0] > 1 { format!("/{}", p.stride[0]) } else { String::new() };
    format!("{what} {}x{}{stride} {}>{} @{}", p.r, p.s, p.c, p.k, p.h)
}

fn workspace<B: Operators>(
    backend: &B,
    p: &Conv2dProblem,
    direction: Direction,
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
    let plain = Dtype::F32;
    let mut works: Vec<Work<B>> = Vec::new();
    let mut norms = BTreeSet::new();
    for (p, first) in convolutions(settings)? {
        let space = |direction| workspace(&**backend, &p, direction, stored);
        let [x, w, y] = [(p.x_len(), stored), (p.w_len(), stored), (p.y_len(), stored)];
        let operations = 2.0 * p.macs() as f64;
        let mut add = |name: String, views: Vec<(usize, Dtype)>, tensors, call: Call<B>| {
            works.push(Work { name, images: p.n, operations, views, tensors, call });
        };
        let k = (p.k, plain);
        add(
            describe("fprop", &p),
            vec![x, w, y, k, k, space(Direction::Fprop)],
            3,
            Box::new(move |b, m, v| {
                let epilogue = Epilogue::Statistics { mean: v[3], m2: v[4] };
                Ok(b.conv2d_fprop(m, &p, v[0], v[1], None, v[2], epilogue, v[5])?)
            }),
        );
        add(
            describe("eval", &p),
            vec![x, w, y, k, k, space(Direction::Fprop)],
            3,
            Box::new(move |b, m, v| {
                let epilogue =
                    Epilogue::Affine { scale: v[3], shift: v[4], residual: None, relu: true };
                Ok(b.conv2d_fprop(m, &p, v[0], v[1], None, v[2], epilogue, v[5])?)
            }),
        );
        if !first {
            add(
                describe("dgrad", &p),
                vec![y, w, x, space(Direction::Dgrad)],
                3,
                Box::new(move |b, m, v| Ok(b.conv2d_dgrad(m, &p, v[0], v[1], v[2], false, v[3])?)),
            );
        }
        if !first && stored == Dtype::Bf16 {
            let c = (p.c, plain);
            add(
                describe("dgrad+bn", &p),
                vec![y, w, x, x, x, c, c, c, c, space(Direction::DgradNorm)],
                5,
                Box::new(move |b, m, v| {
                    let norm = NormGradient {
                        out: Some(v[3]),
                        y: v[4],
                        mean: v[5],
                        rstd: v[6],
                        dgamma: v[7],
                        dbeta: v[8],
                    };
                    Ok(b.conv2d_dgrad_norm(m, &p, v[0], v[1], v[2], false, &norm, v[9])?)
                }),
            );
        }
        add(
            describe("wgrad", &p),
            vec![x, y, (p.w_len(), plain), space(Direction::Wgrad)],
            3,
            Box::new(move |b, m, v| Ok(b.conv2d_wgrad(m, &p, v[0], v[1], v[2], None, v[3])?)),
        );
        let bn = BatchNormProblem { n: p.n, hw: p.p() * p.q(), c: p.k };
        if norms.insert((bn.hw, bn.c)) {
            passes(&mut works, bn, stored);
        }
    }
    Ok(works)
}

/// The passes of a batch norm.
fn passes<B: Operators>(works: &mut Vec<Work<B>>, p: BatchNormProblem, stored: Dtype) {
    let (t, c, work) = ((p.len(), stored), (p.c, Dtype::F32), (p.workspace(), Dtype::F32));
    let mut add = |what: &str, views: Vec<(usize, Dtype)>, tensors, call: Call<B>| {
        let name = format!("{what} {} x {}", p.hw, p.c);
        works.push(Work { name, images: p.n, operations: 0.0, views, tensors, call });
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

/// Gradient norms of every convolution in every form; the one that scoring takes is marked.
fn forms<B: Operators>(backend: &Arc<B>, settings: &Settings) -> Result<Vec<Work<B>>> {
    let stored = settings.compute.precision.dtype();
    let mut works: Vec<Work<B>> = Vec::new();
    for (p, _) in convolutions(settings)? {
        let chosen = match stored {
            Dtype::Bf16 => backend.conv2d_grad_norm_form_bf16(&p),
            _ => backend.conv2d_grad_norm_form(&p),
        };
        let shifted = (p.stride == [1, 1]).then_some(GradNormForm::ShiftedGram);
        let all = [GradNormForm::Instantiate, GradNormForm::Gram].into_iter().chain(shifted);
        for form in all {
            let mark = if form == chosen { " *" } else { "" };
            let direction = Direction::GradNorm(form);
            let space = workspace(&**backend, &p, direction, stored);
            works.push(Work {
                name: format!("{}{mark}", describe(&format!("{form:?}"), &p)),
                images: p.n,
                operations: 2.0 * p.macs() as f64,
                views: vec![(p.x_len(), stored), (p.y_len(), stored), (p.n, Dtype::F32), space],
                tensors: 2,
                call: Box::new(move |b, m, v| {
                    Ok(b.conv2d_grad_norm(m, &p, v[0], v[1], false, v[2], form, v[3])?)
                }),
            });
        }
    }
    Ok(works)
}

/// Sets of tensors that are used in turn.
struct Sets<'a, B: Operators> {
    backend: &'a B,
    memory: B::Memory,
    sets: Vec<Vec<View>>,
}

impl<'a, B: Operators> Sets<'a, B> {
    /// As many as no cache holds, of random values: never zeros.
    fn new(backend: &'a B, views: &[(usize, Dtype)]) -> Result<Self> {
        let place = |buffer: usize| -> (Vec<View>, usize) {
            let (mut placed, mut offset) = (Vec::new(), 0);
            for &(len, dtype) in views {
                let view = View { buffer: buffer as u32, offset, len, dtype };
                offset = (offset + view.bytes()).next_multiple_of(ALIGN);
                placed.push(view);
            }
            (placed, offset)
        };
        let bytes = place(0).1.max(ALIGN);
        let count = WORKING_SET.div_ceil(bytes).clamp(2, 16);
        let mut memory = backend.allocate(&vec![bytes; count], false)?;
        let sets: Vec<Vec<View>> = (0..count).map(|i| place(i).0).collect();
        let mut draws = Philox::new(1, Stream::Shapes).sequence(0);
        let values: Vec<f32> = (0..65_537).map(|_| 2.0 * draws.uniform() - 1.0).collect();
        for view in sets.iter().flatten() {
            let values: Vec<f32> = values.iter().cycle().take(view.len).copied().collect();
            backend.upload(&mut memory, *view, &values)?;
        }
        Ok(Sets { backend, memory, sets })
    }
}

fn time<B: Operators>(
    backend: &B,
    device: Option<&str>,
    work: Work<B>,
    settings: &Settings,
) -> Result<Row> {
    let mut sets = Sets::new(backend, &work.views)?;
    let calls = sets.sets.len().max(CALLS);
    let run = |sets: &mut Sets<B>| -> Result<()> {
        for call in 0..calls {
            let views = &sets.sets[call % sets.sets.len()];
            (work.call)(sets.backend, &mut sets.memory, views)?;
        }
        Ok(sets.backend.synchronize()?)
    };
    run(&mut sets)?;
    let clock = Clock { seconds: settings.seconds, slowdown: settings.slowdown.of(&work.name) };
    let times = clock.repeat(&mut sets, |_| Ok(()), run, |_| ())?;
    let images = (work.images * calls) as f64;
    let rates: Vec<f64> = times.iter().map(|t| images / t).collect();
    let rates = Rates::of(&rates);
    let moved = work.views.iter().take(work.tensors).map(|(len, dtype)| len * dtype.size());
    let bytes = moved.sum::<usize>() as f64;
    let floor = device.and_then(ceilings).map(|[halves, floats, memory]| {
        let rate = if settings.compute.precision == Precision::Bf16 { halves } else { floats };
        (work.operations / rate).max(bytes / memory)
    });
    Ok(Row {
        work: work.name,
        images_per_second: rates,
        peak_bytes: 0,
        planned_bytes: None,
        repeats: times.len(),
        images_a_repeat: images as usize,
        fraction_of_floor: floor.map(|floor| floor * rates.median / work.images as f64),
        injected_slowdown: clock.slowdown,
    })
}
