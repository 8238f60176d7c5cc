//! Rows of single operators: every distinct layer of the network in each direction on tensors that no cache
//! holds, with the fraction of its floor and the tile that it takes.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use fairprune::backend::{ALIGN, View};
use fairprune::nn::ValueId;
use fairprune::ops::batch_norm::{BackwardInput, BatchNormProblem};
use fairprune::ops::conv2d::{Choice, Conv2dProblem, Direction, Epilogue, NormGradient};
use fairprune::ops::gather::CHANNELS_BF16;
use fairprune::ops::{Operators, Precision};
use fairprune::rng::{Philox, Stream};
use fairprune::tensor::Dtype;

use super::results::Row;
use super::settings::Settings;
use super::timing::{Clock, Rates};

/// Bytes that the tensors of all sets together take at least: beyond any cache.
const WORKING_SET: usize = 256 << 20;
/// Calls of a repeat at least, so that launches overlap.
const CALLS: usize = 8;
/// Most values that are drawn, which longer tensors repeat: whole alignments, and no multiple of their
/// rows.
const DRAWN: usize = ALIGN / 2 * 8191;

/// What a card can do: operations a second in bf16 and f32, bytes a second. From measurements of that
/// card published or made elsewhere; without them there is no floor.
fn ceilings(device: &str) -> Option<[f64; 3]> {
    device.contains("H200").then_some([790e12, 60e12, 4.3e12])
}

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
    /// The tile it takes, or is forced to take.
    pub tile: Option<Choice>,
}

/// Rows of `kernels`.
pub fn rows<B: Operators>(
    backend: &Arc<B>,
    device: Option<&str>,
    settings: &Settings,
) -> Result<Vec<Row>> {
    let works = layers(backend, settings)?;
    works.into_iter().map(|work| time(&**backend, device, work, settings)).collect()
}

/// The distinct convolutions of the network on a batch; whether each sees the images.
pub(super) fn convolutions(settings: &Settings) -> Result<Vec<(Conv2dProblem, bool)>> {
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

pub(super) fn describe(what: &str, p: &Conv2dProblem) -> String {
    let stride = if p.stride[0] > 1 { format!("/{}", p.stride[0]) } else { String::new() };
    format!("{what} {}x{}{stride} {}>{} @{}", p.r, p.s, p.c, p.k, p.h)
}

pub(super) fn workspace<B: Operators>(
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
    direction: Direction,
    (mut views, stored): (Vec<(usize, Dtype)>, Dtype),
    tensors: usize,
    call: Call<B>,
) -> Work<B> {
    views.push(workspace(backend, &p, direction, stored));
    let choice = || backend.conv2d_choice_bf16(&p, direction);
    let tile = if stored == Dtype::Bf16 { choice() } else { None };
    let (name, operations) = (describe(what, &p), 2.0 * p.macs() as f64);
    Work { name, images: p.n, operations, views, tensors, call, tile }
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
    product(backend, "fprop", p, Direction::Fprop, (vec![x, w, y, k, k], stored), 3, call)
}

/// fprop as scoring has it.
fn eval<B: Operators>(backend: &B, p: Conv2dProblem, stored: Dtype) -> Work<B> {
    let ([x, w, y], k) = (stored_tensors(&p, stored), (p.k, Dtype::F32));
    let call: Call<B> = Box::new(move |b, m, v| {
        let epilogue = Epilogue::Affine { scale: v[3], shift: v[4], residual: None, relu: true };
        Ok(b.conv2d_fprop(m, &p, v[0], v[1], None, v[2], epilogue, v[5])?)
    });
    product(backend, "eval", p, Direction::Fprop, (vec![x, w, y, k, k], stored), 3, call)
}

/// dgrad, dgrad with batch norm's sums, wgrad: those that the layer has.
pub(super) fn backward<B: Operators>(
    backend: &B,
    p: Conv2dProblem,
    first: bool,
    stored: Dtype,
) -> Vec<(Direction, Work<B>)> {
    let ([x, w, y], c) = (stored_tensors(&p, stored), (p.c, Dtype::F32));
    let mut works = Vec::new();
    if !first {
        let call: Call<B> =
            Box::new(move |b, m, v| Ok(b.conv2d_dgrad(m, &p, v[0], v[1], v[2], false, v[3])?));
        let views = (vec![y, w, x], stored);
        let work = product(backend, "dgrad", p, Direction::Dgrad, views, 3, call);
        works.push((Direction::Dgrad, work));
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
        let work = product(backend, "dgrad+bn", p, Direction::DgradNorm, views, 5, call);
        works.push((Direction::DgradNorm, work));
    }
    let call: Call<B> =
        Box::new(move |b, m, v| Ok(b.conv2d_wgrad(m, &p, v[0], v[1], v[2], None, v[3])?));
    let views = (vec![x, y, (p.w_len(), Dtype::F32)], stored);
    works.push((Direction::Wgrad, product(backend, "wgrad", p, Direction::Wgrad, views, 3, call)));
    works
}

/// The passes of a batch norm.
fn passes<B: Operators>(works: &mut Vec<Work<B>>, p: BatchNormProblem, stored: Dtype) {
    let (t, c, work) = ((p.len(), stored), (p.c, Dtype::F32), (p.workspace(), Dtype::F32));
    let mut add = |what: &str, views: Vec<(usize, Dtype)>, tensors, call: Call<B>| {
        let name = format!("{what} {} x {}", p.hw, p.c);
        works.push(Work { name, images: p.n, operations: 0.0, views, tensors, call, tile: None });
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
        let longest = views.iter().map(|v| v.0).max().unwrap_or(0).next_multiple_of(ALIGN);
        let step = longest.clamp(ALIGN, DRAWN);
        let drawn = View { buffer: count as u32, offset: 0, len: step, dtype: Dtype::F32 };
        let rounded = View { offset: drawn.bytes(), dtype: Dtype::Bf16, ..drawn };
        let mut sizes = vec![bytes; count];
        sizes.push(drawn.bytes() + rounded.bytes());
        let mut memory = backend.allocate(&sizes, false)?;
        let sets: Vec<Vec<View>> = (0..count).map(|i| place(i).0).collect();
        let mut draws = Philox::new(1, Stream::Shapes).sequence(0);
        let values: Vec<f32> = (0..step).map(|_| 2.0 * draws.uniform() - 1.0).collect();
        if B::BF16 {
            backend.upload(&mut memory, drawn, &values)?;
            backend.cast(&mut memory, drawn, rounded)?;
        }
        for view in sets.iter().flatten() {
            for first in (0..view.len).step_by(step) {
                let len = step.min(view.len - first);
                let offset = view.offset + first * view.dtype.size();
                let to = View { offset, len, ..*view };
                // On a card, which fills gigabytes faster than a host draws or copies them.
                match (B::BF16, view.dtype) {
                    (false, _) => backend.upload(&mut memory, to, &values[..len])?,
                    (true, Dtype::Bf16) => backend.cast(&mut memory, drawn.prefix(len), to)?,
                    (true, _) => backend.cast(&mut memory, rounded.prefix(len), to)?,
                }
            }
        }
        Ok(Sets { backend, memory, sets })
    }
}

pub(super) fn time<B: Operators>(
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
    let row = Row {
        work: work.name,
        images_per_second: rates,
        peak_bytes: 0,
        planned_bytes: None,
        repeats: times.len(),
        images_a_repeat: images as usize,
        fraction_of_floor: floor.map(|floor| floor * rates.median / work.images as f64),
        tile: work.tile.map(|tile| tile.to_string()),
        injected_slowdown: clock.slowdown,
    };
    // What was measured survives whoever is stopped before the end.
    tracing::info!("row {}", serde_json::to_string(&row)?);
    Ok(row)
}
