//! Norms of layers in somebody else's memory: exact on small integers, whatever the layout, the groups and
//! the threads; normalisations against their formulas in float64.

use fairprune::backend::Cpu;
use fairprune::ops::conv2d::Conv2dProblem;
use fairprune::ops::sample_norm::{
    AffineParameters, ChannelStatistics, ConvLayer, EmbeddingLayer, SampleScratch, StridedBatch,
    ValueType, batch_norm, conv, embedding, group_norm, layer_norm,
};
use fairprune::reference::conv2d::wgrad;
use fairprune::rng::{Philox, Stream};

const BOTH: AffineParameters = AffineParameters { weight: true, bias: true };

/// Whole numbers from -2 to 2, whose products and sums are exact in every order.
fn integers(len: usize, seed: u64) -> Vec<f32> {
    let mut draws = Philox::new(seed, Stream::Ties).sequence(0);
    (0..len).map(|_| (draws.next_u64() % 5) as f32 - 2.0).collect()
}

/// Numbers between -1 and 1.
fn fractions(len: usize, seed: u64) -> Vec<f32> {
    let mut draws = Philox::new(seed, Stream::Ties).sequence(0);
    (0..len).map(|_| (draws.next_u64() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn channels_last(values: &[f32], shape: [usize; 4]) -> StridedBatch<'_> {
    StridedBatch::channels_last(values, shape).unwrap()
}

/// The same values, channels first.
fn channels_first(values: &[f32], [n, h, w, c]: [usize; 4]) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for (i, &v) in values.iter().enumerate() {
        let (sample, position, channel) = (i / (h * w * c), i / c % (h * w), i % c);
        out[(sample * c + channel) * h * w + position] = v;
    }
    assert_eq!(out.len(), n * h * w * c);
    out
}

fn strided(values: &[f32], shape: [usize; 4]) -> StridedBatch<'_> {
    let [_, h, w, c] = shape;
    let strides = [h * w * c, w, 1, h * w];
    // SAFETY: the strides are those of the whole slice with channels first.
    unsafe { StridedBatch::new(values.as_ptr().cast(), ValueType::F32, shape, strides) }
}

/// The squared norms of a convolution with groups, sample by sample and group by group.
fn expected(layer: &ConvLayer, x: &[f32], dy: &[f32]) -> Vec<f64> {
    let p = &layer.problem;
    let (c, k) = (p.c / layer.groups, p.k / layer.groups);
    let one = Conv2dProblem { n: 1, c, k, ..*p };
    let part = |values: &[f32], n: usize, all: usize, own: usize, g: usize| -> Vec<f32> {
        let len = values.len() / p.n.max(1);
        let rows = values[n * len..(n + 1) * len].chunks(all);
        rows.flat_map(|row| row[g * own..(g + 1) * own].to_vec()).collect()
    };
    let norm = |n: usize| -> f64 {
        (0..layer.groups)
            .map(|g| {
                let (x, dy) = (part(x, n, p.c, c, g), part(dy, n, p.k, k, g));
                let weight: f64 = wgrad(&one, &x, &dy).value.iter().map(|v| v * v).sum();
                let sums = (0..k).map(|i| dy.iter().skip(i).step_by(k).map(|&v| f64::from(v)));
                let bias: f64 = sums.map(|s| s.sum::<f64>().powi(2)).sum();
                f64::from(u8::from(layer.weight)) * weight + f64::from(u8::from(layer.bias)) * bias
            })
            .sum()
    };
    (0..p.n).map(norm).collect()
}

fn layers() -> Vec<ConvLayer> {
    let conv = |c, k, size: [usize; 2], kernel: [usize; 2], stride, pad, groups| ConvLayer {
        problem: Conv2dProblem {
            n: 3,
            h: size[0],
            w: size[1],
            c,
            k,
            r: kernel[0],
            s: kernel[1],
            stride,
            pad,
        },
        groups,
        weight: true,
        bias: true,
    };
    let mut layers = vec![
        conv(3, 16, [9, 7], [3, 3], [1, 1], [1, 1], 1),
        conv(17, 19, [8, 8], [3, 3], [1, 1], [1, 1], 1),
        conv(32, 64, [6, 6], [3, 3], [2, 2], [1, 1], 1),
        conv(64, 32, [5, 4], [1, 1], [1, 1], [0, 0], 1),
        conv(24, 40, [1, 11], [1, 1], [1, 1], [0, 0], 1),
        conv(50, 30, [1, 1], [1, 1], [1, 1], [0, 0], 1),
        conv(8, 8, [9, 8], [5, 2], [1, 2], [0, 1], 1),
        conv(16, 32, [7, 7], [3, 3], [1, 1], [1, 1], 4),
        conv(6, 12, [7, 7], [3, 3], [1, 1], [1, 1], 6),
        conv(40, 40, [7, 9], [3, 3], [1, 1], [1, 1], 40),
        conv(65, 65, [8, 6], [5, 3], [2, 1], [2, 0], 65),
    ];
    let weightless = ConvLayer { weight: false, ..layers[0] };
    let unbiased = ConvLayer { bias: false, ..layers[9] };
    layers.extend([weightless, unbiased]);
    layers
}

#[test]
fn convolutions_are_exact_in_every_layout_and_add_up() {
    let cpu = Cpu::new(2).unwrap();
    let mut scratch = SampleScratch::default();
    for layer in layers() {
        let p = &layer.problem;
        let (x, dy) = (integers(p.x_len(), 1), integers(p.y_len(), 2));
        let wanted: Vec<f64> = expected(&layer, &x, &dy).iter().map(|v| v + 5.0).collect();
        let (of_x, of_dy) = ([p.n, p.h, p.w, p.c], [p.n, p.p(), p.q(), p.k]);
        let first = [channels_first(&x, of_x), channels_first(&dy, of_dy)];
        let pairs = [
            [channels_last(&x, of_x), channels_last(&dy, of_dy)],
            [strided(&first[0], of_x), strided(&first[1], of_dy)],
            [channels_last(&x, of_x), strided(&first[1], of_dy)],
        ];
        for pair in pairs {
            let mut norms = vec![5.0; p.n];
            conv(&cpu, &layer, pair, &mut scratch, &mut norms).unwrap();
            assert_eq!(norms, wanted, "{layer:?}");
        }
    }
}

#[test]
fn norms_do_not_depend_on_threads_or_on_the_batch() {
    let layer = layers()[1];
    let p = layer.problem;
    let (x, dy) = (fractions(p.x_len(), 3), fractions(p.y_len(), 4));
    let told = |threads: usize, samples: std::ops::Range<usize>| {
        let cpu = Cpu::new(threads).unwrap();
        let n = samples.len();
        let layer = ConvLayer { problem: p.with_n(n), ..layer };
        let (of_x, of_dy) = (p.x_len() / p.n, p.y_len() / p.n);
        let x = &x[samples.start * of_x..samples.end * of_x];
        let dy = &dy[samples.start * of_dy..samples.end * of_dy];
        let pair =
            [channels_last(x, [n, p.h, p.w, p.c]), channels_last(dy, [n, p.p(), p.q(), p.k])];
        let mut norms = vec![0.0; n];
        conv(&cpu, &layer, pair, &mut SampleScratch::default(), &mut norms).unwrap();
        norms
    };
    let whole = told(1, 0..3);
    for threads in [2, 5] {
        assert_eq!(told(threads, 0..3), whole);
    }
    assert_eq!([told(2, 0..1), told(2, 1..3)].concat(), whole);
    assert!(told(2, 0..0).is_empty());
}

#[test]
fn rows_that_are_looked_up_twice_add_up_first() {
    let cpu = Cpu::new(2).unwrap();
    let dy = integers(2 * 5 * 3, 5);
    let indices = [4, 0, 4, 2, 4, 1, 1, 2, 2, 1];
    let wanted = |padding: Option<i64>| -> Vec<f64> {
        let norm = |n: usize| -> f64 {
            let rows = (0..9).filter(|i| Some(*i) != padding);
            let sums = rows.flat_map(|i| {
                let at = (0..5).filter(move |t| indices[n * 5 + t] == i).collect::<Vec<_>>();
                let dy = &dy;
                (0..3).map(move |c| {
                    let terms = at.iter().map(|t| f64::from(dy[(n * 5 + t) * 3 + c]));
                    terms.sum::<f64>().powi(2)
                })
            });
            sums.sum()
        };
        (0..2).map(norm).collect()
    };
    for padding in [None, Some(4), Some(1)] {
        let mut norms = vec![0.0; 2];
        let layer = EmbeddingLayer { indices: &indices, padding };
        let dy = channels_last(&dy, [2, 1, 5, 3]);
        embedding(&cpu, layer, dy, &mut SampleScratch::default(), &mut norms).unwrap();
        assert_eq!(norms, wanted(padding));
    }
}

/// Squares of the sums over positions of dy xhat and of dy, where `at(t, c)` tells mean and deviation.
fn affine(x: &[f32], dy: &[f32], channels: usize, at: impl Fn(usize, usize) -> (f64, f64)) -> f64 {
    let mut sums = vec![[0.0f64; 2]; channels];
    for (i, (&x, &dy)) in x.iter().zip(dy).enumerate() {
        let (t, c) = (i / channels, i % channels);
        let (mean, rstd) = at(t, c);
        sums[c][0] += f64::from(dy) * (f64::from(x) - mean) * rstd;
        sums[c][1] += f64::from(dy);
    }
    sums.iter().flatten().map(|s| s * s).sum()
}

fn moments(values: impl Iterator<Item = f32> + Clone, eps: f64) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().map(f64::from).sum::<f64>() / count;
    let square = values.map(|v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
    (mean, 1.0 / (square + eps).sqrt())
}

#[test]
fn normalisations_are_their_formulas() {
    let cpu = Cpu::new(2).unwrap();
    let shape @ [n, h, w, c] = [3, 9, 7, 12];
    let len = h * w * c;
    // Far from 0, so that sums of squares less squares of sums would show.
    let x: Vec<f32> = fractions(n * len, 6).iter().map(|v| v + 30.0).collect();
    let dy = fractions(n * len, 7);
    let (mean, rstd) = (fractions(c, 8), fractions(c, 9));
    let mean: Vec<f32> = mean.iter().map(|m| m + 30.0).collect();
    let first = [channels_first(&x, shape), channels_first(&dy, shape)];
    for pair in [
        [channels_last(&x, shape), channels_last(&dy, shape)],
        [strided(&first[0], shape), strided(&first[1], shape)],
    ] {
        let mut scratch = SampleScratch::default();
        let mut told = [vec![0.0; n], vec![0.0; n], vec![0.0; n]];
        let statistics = ChannelStatistics { mean: &mean, rstd: &rstd };
        batch_norm(&cpu, statistics, BOTH, pair, &mut scratch, &mut told[0]).unwrap();
        layer_norm(&cpu, (1e-5, true), BOTH, pair, &mut scratch, &mut told[1]).unwrap();
        group_norm(&cpu, (3, 1e-5), BOTH, pair, &mut scratch, &mut told[2]).unwrap();
        for sample in 0..n {
            let (x, dy) = (&x[sample * len..][..len], &dy[sample * len..][..len]);
            let by_channel = affine(x, dy, c, |_, k| (f64::from(mean[k]), f64::from(rstd[k])));
            let by_position =
                affine(x, dy, c, |t, _| moments(x[t * c..(t + 1) * c].iter().copied(), 1e-5));
            let groups: Vec<(f64, f64)> = (0..3)
                .map(|g| {
                    let own = x.iter().enumerate().filter(move |(i, _)| i % c / 4 == g);
                    moments(own.map(|(_, &v)| v), 1e-5)
                })
                .collect();
            let by_group = affine(x, dy, c, |_, k| groups[k / 4]);
            for (told, wanted) in told.iter().zip([by_channel, by_position, by_group]) {
                let relative = (told[sample] - wanted).abs() / wanted;
                assert!(relative < 2e-5, "{} for {wanted}", told[sample]);
            }
        }
    }
}

#[test]
fn nothing_has_a_norm_of_nothing() {
    let cpu = Cpu::new(2).unwrap();
    let mut scratch = SampleScratch::default();
    for shape in [[2, 3, 3, 0], [2, 0, 3, 4], [0, 3, 3, 4]] {
        let empty = channels_last(&[], shape);
        let mut norms = vec![0.0; shape[0]];
        let channels = vec![1.0; shape[3]];
        let statistics = ChannelStatistics { mean: &channels, rstd: &channels };
        let pair = [empty, empty];
        batch_norm(&cpu, statistics, BOTH, pair, &mut scratch, &mut norms).unwrap();
        layer_norm(&cpu, (1e-5, true), BOTH, pair, &mut scratch, &mut norms).unwrap();
        group_norm(&cpu, (2, 1e-5), BOTH, pair, &mut scratch, &mut norms).unwrap();
        assert!(norms.iter().all(|&n| n == 0.0));
    }
}

#[test]
fn other_sizes_are_refused() {
    let cpu = Cpu::new(1).unwrap();
    let layer = layers()[0];
    let p = layer.problem;
    let (x, dy) = (integers(p.x_len(), 1), integers(p.y_len(), 2));
    let x = channels_last(&x, [p.n, p.h, p.w, p.c]);
    let dy = channels_last(&dy, [p.n, p.p(), p.q(), p.k]);
    let mut scratch = SampleScratch::default();
    let mut call = |layer: &ConvLayer, pair, norms: usize| {
        let told = conv(&cpu, layer, pair, &mut scratch, &mut vec![0.0; norms]);
        told.unwrap_err().to_string()
    };
    let message = call(&layer, [x, dy], 2);
    assert!(message.contains("found 3 samples") && message.contains("expected 2"), "{message}");
    assert!(call(&layer, [x, x], 3).contains("output gradient"));
    let groups = ConvLayer { groups: 2, ..layer };
    assert!(call(&groups, [x, dy], 3).contains("2 groups of 3 and 16 channels"));
    let none = ConvLayer { problem: Conv2dProblem { r: 0, ..p }, ..layer };
    assert!(call(&none, [x, dy], 3).contains("convolution"));
}
