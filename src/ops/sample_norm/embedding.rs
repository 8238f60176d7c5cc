//! Tables that are looked up.

use super::strided::StridedBatch;
use super::{SampleScratch, check_shape, each_sample};
use crate::backend::Cpu;
use crate::error::{Error, Result};
use crate::ops::conv2d::cpu::lines;

/// Which rows of a table a batch looked up.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingLayer<'a> {
    /// N T row numbers.
    pub indices: &'a [i64],
    /// A row that has no gradient.
    pub padding: Option<i64>,
}

/// Adds the layer's part to the squared norms: dy is N 1 T C, `norms` has N values. Positions of a sample
/// that looked up the same row add up before they are squared.
///
/// # Errors
/// [`Error::Invalid`]: indices, gradient or norms of other sizes. [`Error::OutOfMemory`].
pub fn embedding(
    cpu: &Cpu,
    layer: EmbeddingLayer<'_>,
    dy: StridedBatch<'_>,
    scratch: &mut SampleScratch,
    norms: &mut [f64],
) -> Result<()> {
    let [_, h, w, c] = dy.shape();
    check_shape("output gradient of an embedding", dy.shape(), [norms.len(), h, w, c])?;
    let positions = h * w;
    if layer.indices.len() != norms.len() * positions {
        let found = format!("{} indices", layer.indices.len());
        let expected = format!("{}, {positions} a sample", norms.len() * positions);
        return Err(Error::invalid("embedding", found, expected));
    }
    let for_dy = lines(dy.scratch(c));
    each_sample(cpu, scratch, for_dy, norms, |n, scratch| {
        let dy = dy.load(cpu.isa(), n, 0..c, scratch);
        let indices = &layer.indices[n * positions..(n + 1) * positions];
        let mut order: Vec<usize> = (0..positions).collect();
        order.retain(|&t| Some(indices[t]) != layer.padding);
        order.sort_by_key(|&t| indices[t]);
        let mut sum = vec![0.0f64; c];
        let mut norm = 0.0;
        for run in order.chunk_by(|&a, &b| indices[a] == indices[b]) {
            sum.fill(0.0);
            for &t in run {
                let row = &dy[t * c..(t + 1) * c];
                sum.iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
            }
            norm += sum.iter().map(|&v| v * v).sum::<f64>();
        }
        norm
    })
}
