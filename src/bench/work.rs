//! Single operators as they are timed: the call, the tensors it is on, and what it moves.

use super::floor;
use super::settings::Measurement;
use crate::backend::{Backend, View};
use crate::error::Result;
use crate::ops::Operators;
use crate::ops::batch_norm::{ApplyOperands, BackwardInput, BatchNormProblem};
use crate::ops::conv2d::{
    Conv2dDirection, Conv2dProblem, DgradOperands, Epilogue, FpropOperands, NormGradient,
    TileChoice, WgradOperands,
};
use crate::tensor::Dtype;

/// One operator's call on a set of views.
pub type OperatorCall<B> = Box<dyn Fn(&B, &mut <B as Backend>::Memory, &[View]) -> Result<()>>;

/// A call and what it moves.
pub struct OperatorWork<B: Operators> {
    pub name: String,
    pub images: usize,
    pub operations: f64,
    /// Elements and types of the views; the first `tensors` of them count as moved.
    pub views: Vec<(usize, Dtype)>,
    pub tensors: usize,
    pub call: OperatorCall<B>,
    /// The tile it takes, or is forced to take, and what that copies from L2.
    pub tile: Option<TileChoice>,
    pub copied: Option<f64>,
    /// Whether it is what is used, among others of its kind.
    pub planned: bool,
}

/// The distinct convolutions of the network on a batch; whether none of a kind has a gradient to pass on,
/// since all see the images.
pub fn convolutions(settings: &Measurement) -> Result<Vec<(Conv2dProblem, bool)>> {
    let mut all: Vec<(Conv2dProblem, bool)> = Vec::new();
    let precision = settings.compute.precision;
    for (problem, first) in floor::convolutions(&settings.spec(), settings.batch, precision)? {
        match all.iter_mut().find(|(p, _)| *p == problem) {
            Some(known) => known.1 &= first,
            None => all.push((problem, first)),
        }
    }
    Ok(all)
}

/// A convolution for people: `fprop 3x3/2 64>128 @32`, with filter, stride, channels and height.
pub fn describe(what: &str, p: &Conv2dProblem) -> String {
    let stride = if p.stride[0] > 1 { format!("/{}", p.stride[0]) } else { String::new() };
    format!("{what} {}x{}{stride} {}>{} @{}", p.r, p.s, p.c, p.k, p.h)
}

/// Length and type of the workspace that a convolution of tensors stored as `stored` needs.
pub fn workspace<B: Operators>(
    backend: &B,
    p: &Conv2dProblem,
    direction: Conv2dDirection,
    stored: Dtype,
) -> (usize, Dtype) {
    let len = backend.conv2d_workspace(p, direction, stored);
    (len, Dtype::F32)
}

/// The call of one direction of a convolution on views of these sizes.
fn product<B: Operators>(
    backend: &B,
    what: &str,
    p: Conv2dProblem,
    direction: Conv2dDirection,
    (mut views, stored): (Vec<(usize, Dtype)>, Dtype),
    tensors: usize,
    call: OperatorCall<B>,
) -> OperatorWork<B> {
    views.push(workspace(backend, &p, direction, stored));
    let tuning = backend.conv2d_tuning().filter(|_| stored == Dtype::Bf16);
    let tile = tuning.and_then(|tuning| tuning.choice(&p, direction));
    let copied = tuning.and_then(|tuning| tuning.copied(&p, direction));
    OperatorWork {
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
pub fn fprop<B: Operators>(backend: &B, p: Conv2dProblem, stored: Dtype) -> OperatorWork<B> {
    let ([x, w, y], k) = (stored_tensors(&p, stored), (p.k, Dtype::F32));
    let call: OperatorCall<B> = Box::new(move |b, m, v| {
        let epilogue = Epilogue::Statistics { mean: v[3], m2: v[4] };
        let (x, w, bias, y, workspace) = (v[0], v[1], None, v[2], v[5]);
        b.conv2d_fprop(m, &p, &FpropOperands { x, w, bias, y, epilogue, workspace })
    });
    product(backend, "fprop", p, Conv2dDirection::Fprop, (vec![x, w, y, k, k], stored), 3, call)
}

/// fprop as scoring has it.
pub fn eval<B: Operators>(backend: &B, p: Conv2dProblem, stored: Dtype) -> OperatorWork<B> {
    let ([x, w, y], k) = (stored_tensors(&p, stored), (p.k, Dtype::F32));
    let call: OperatorCall<B> = Box::new(move |b, m, v| {
        let epilogue = Epilogue::Affine { scale: v[3], shift: v[4], residual: None, relu: true };
        let (x, w, bias, y, workspace) = (v[0], v[1], None, v[2], v[5]);
        b.conv2d_fprop(m, &p, &FpropOperands { x, w, bias, y, epilogue, workspace })
    });
    product(backend, "eval", p, Conv2dDirection::Fprop, (vec![x, w, y, k, k], stored), 3, call)
}

/// dgrad of the first three views: dy, w and dx.
fn dgrad_operands(views: &[View], norm: Option<NormGradient>, workspace: View) -> DgradOperands {
    let (dy, w, dx, accumulate) = (views[0], views[1], views[2], false);
    DgradOperands { dy, w, dx, accumulate, norm, workspace }
}

/// dgrad, dgrad with batch norm's sums, wgrad: those that the layer has.
pub fn backward<B: Operators>(
    backend: &B,
    p: Conv2dProblem,
    first: bool,
    stored: Dtype,
) -> Vec<(Conv2dDirection, OperatorWork<B>)> {
    let ([x, w, y], c) = (stored_tensors(&p, stored), (p.c, Dtype::F32));
    let mut works = Vec::new();
    if !first {
        let call: OperatorCall<B> =
            Box::new(move |b, m, v| b.conv2d_dgrad(m, &p, &dgrad_operands(v, None, v[3])));
        let views = (vec![y, w, x], stored);
        let work = product(backend, "dgrad", p, Conv2dDirection::Dgrad, views, 3, call);
        works.push((Conv2dDirection::Dgrad, work));
    }
    if !first && stored == Dtype::Bf16 {
        let call: OperatorCall<B> = Box::new(move |b, m, v| {
            let norm = NormGradient {
                out: Some(v[3]),
                y: v[4],
                mean: v[5],
                rstd: v[6],
                dgamma: v[7],
                dbeta: v[8],
            };
            b.conv2d_dgrad(m, &p, &dgrad_operands(v, Some(norm), v[9]))
        });
        let views = (vec![y, w, x, x, x, c, c, c, c], stored);
        let work = product(backend, "dgrad+bn", p, Conv2dDirection::DgradNorm, views, 5, call);
        works.push((Conv2dDirection::DgradNorm, work));
    }
    let call: OperatorCall<B> = Box::new(move |b, m, v| {
        let (x, dy, dw, db, workspace) = (v[0], v[1], v[2], None, v[3]);
        b.conv2d_wgrad(m, &p, &WgradOperands { x, dy, dw, db, workspace })
    });
    let views = (vec![x, y, (p.w_len(), Dtype::F32)], stored);
    works.push((
        Conv2dDirection::Wgrad,
        product(backend, "wgrad", p, Conv2dDirection::Wgrad, views, 3, call),
    ));
    works
}

/// The passes of a batch norm.
pub fn passes<B: Operators>(works: &mut Vec<OperatorWork<B>>, p: BatchNormProblem, stored: Dtype) {
    let (t, c, work) = ((p.len(), stored), (p.c, Dtype::F32), (p.workspace(), Dtype::F32));
    let mut add = |what: &str, views: Vec<(usize, Dtype)>, tensors, call: OperatorCall<B>| {
        let name = format!("{what} {} x {}", p.hw, p.c);
        works.push(OperatorWork {
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
        Box::new(move |b, m, v| b.batch_norm_statistics(m, &p, v[0], v[1], v[2], v[3])),
    );
    add(
        "apply",
        vec![t, t, t, c, c],
        3,
        Box::new(move |b, m, v| {
            let (y, scale_shift, residual, out) = (v[0], [v[3], v[4]], Some(v[1]), v[2]);
            let operands = ApplyOperands { y, scale_shift, residual, relu: true, out };
            b.batch_norm_apply(m, &p, &operands)
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
            b.batch_norm_backward_reduce(m, &p, &input, v[5], v[6], v[7])
        }),
    );
    add(
        "backward",
        vec![t, t, t, t, c, c, c, c, c],
        4,
        Box::new(move |b, m, v| {
            let input = input(v);
            b.batch_norm_backward_apply(m, &p, &input, v[6], [v[7], v[8]], v[3])
        }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::Compute;
    use crate::ops::Precision;

    fn settings(arch: &str, width: usize, precision: Precision) -> Measurement {
        let (arch, compute) = (arch.parse().unwrap(), Compute::new(precision));
        Measurement { arch, width: Some(width), compute, ..Measurement::default() }
    }

    /// With 8 channels in the first stage a convolution of the images, padded to 8, is one of inner layers too.
    #[test]
    fn a_layer_like_the_first_still_passes_gradients_on() {
        let all = convolutions(&settings("resnet8", 8, Precision::Bf16)).unwrap();
        let like_first: Vec<_> = all.iter().filter(|(p, _)| p.c == 8 && p.k == 8).collect();
        assert!(matches!(like_first[..], [(_, false)]), "{all:?}");
        let wider = convolutions(&settings("resnet8", 16, Precision::Bf16)).unwrap();
        assert_eq!(wider.iter().filter(|(_, first)| *first).count(), 1);
    }

    #[test]
    fn layers_of_single_pixels_are_timed_and_the_last_layer_is_not() {
        let all = convolutions(&settings("vgg16", 64, Precision::F32)).unwrap();
        assert!(all.iter().all(|(p, _)| p.k != 10), "{all:?}");
        assert_eq!(all.iter().map(|(p, _)| p.h).min(), Some(2));
    }
}
