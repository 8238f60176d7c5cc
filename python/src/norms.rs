//! Squared norms of samples' gradients, layer by layer, on memory that the caller keeps alive.

use std::sync::{Mutex, PoisonError};

use fairprune::backend::Cpu;
use fairprune::error::{Error, Result};
use fairprune::ops::conv2d::Conv2dProblem;
use fairprune::ops::sample_norm::{
    AffineParameters, ChannelStatistics, ConvLayer, EmbeddingLayer, SampleScratch, StridedBatch,
    ValueType, batch_norm, conv, embedding, group_norm, layer_norm,
};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::pool::compute;

/// A tensor in host memory: the object that owns it, which lives as long as this argument; address, type
/// (`float32`, `bfloat16`), shape (N, H, W, C) and strides in elements.
type TensorArgument = (Py<PyAny>, usize, String, [usize; 4], [usize; 4]);

struct Sums {
    norms: Vec<f64>,
    scratch: SampleScratch,
}

/// Squared norms of the gradients of one batch's samples, added up layer by layer.
#[pyclass(module = "fairprune._native", frozen)]
pub struct SampleNorms {
    sums: Mutex<Sums>,
}

/// A tensor of the caller's.
fn batch(argument: &TensorArgument) -> Result<StridedBatch<'_>> {
    let (_, address, dtype, shape, strides) = argument;
    let values = match dtype.as_str() {
        "float32" => ValueType::F32,
        "bfloat16" => ValueType::Bf16,
        other => {
            let expected = "float32 or bfloat16";
            return Err(Error::invalid("tensor", format!("values of {other}"), expected));
        }
    };
    let empty = shape.contains(&0);
    if *address == 0 && !empty {
        return Err(Error::invalid("tensor", "no memory", "one in host memory"));
    }
    // SAFETY: address, shape and strides are those that PyTorch states of the tensor, which the argument owns
    // for as long as the batch borrows it.
    Ok(unsafe { StridedBatch::new(*address as *const u8, values, *shape, *strides) })
}

impl SampleNorms {
    fn add(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Cpu, &mut SampleScratch, &mut [f64]) -> Result<()> + Send,
    ) -> PyResult<()> {
        let mutex = &self.sums;
        compute(py, |cpu| {
            let mut sums = mutex.lock().unwrap_or_else(PoisonError::into_inner);
            let Sums { norms, scratch } = &mut *sums;
            work(cpu, scratch, norms)
        })
    }
}

#[pymethods]
impl SampleNorms {
    #[new]
    fn new(samples: usize) -> Self {
        let sums = Sums { norms: vec![0.0; samples], scratch: SampleScratch::default() };
        SampleNorms { sums: Mutex::new(sums) }
    }

    /// The squared norms so far, float64.
    fn values<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        let sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        PyArray1::from_slice(py, &sums.norms)
    }

    /// Sets all to 0, for a batch of `samples`.
    fn reset(&self, samples: usize) {
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.norms.clear();
        sums.norms.resize(samples, 0.0);
    }

    /// A convolution: `kernel`, `stride` and `padding` vertical first.
    fn conv(
        &self,
        py: Python<'_>,
        x: TensorArgument,
        dy: TensorArgument,
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        groups: usize,
        weight: bool,
        bias: bool,
    ) -> PyResult<()> {
        self.add(py, |cpu, scratch, norms| {
            let [n, h, w, c] = x.3;
            let problem = Conv2dProblem {
                n,
                h,
                w,
                c,
                k: dy.3[3],
                r: kernel[0],
                s: kernel[1],
                stride,
                pad: padding,
            };
            let layer = ConvLayer { problem, groups, weight, bias };
            conv(cpu, &layer, [batch(&x)?, batch(&dy)?], scratch, norms)
        })
    }

    /// Batch norm that uses running statistics.
    fn batch_norm(
        &self,
        py: Python<'_>,
        x: TensorArgument,
        dy: TensorArgument,
        mean: PyReadonlyArray1<'_, f32>,
        rstd: PyReadonlyArray1<'_, f32>,
        weight: bool,
        bias: bool,
    ) -> PyResult<()> {
        let (mean, rstd) = (mean.as_array().to_vec(), rstd.as_array().to_vec());
        self.add(py, |cpu, scratch, norms| {
            let statistics = ChannelStatistics { mean: &mean, rstd: &rstd };
            let which = AffineParameters { weight, bias };
            batch_norm(cpu, statistics, which, [batch(&x)?, batch(&dy)?], scratch, norms)
        })
    }

    /// Layer norm over the last axis; a root-mean-square norm where not `centred`.
    fn layer_norm(
        &self,
        py: Python<'_>,
        x: TensorArgument,
        dy: TensorArgument,
        eps: f64,
        centred: bool,
        weight: bool,
        bias: bool,
    ) -> PyResult<()> {
        self.add(py, |cpu, scratch, norms| {
            let which = AffineParameters { weight, bias };
            layer_norm(cpu, (eps, centred), which, [batch(&x)?, batch(&dy)?], scratch, norms)
        })
    }

    /// Group norm.
    fn group_norm(
        &self,
        py: Python<'_>,
        x: TensorArgument,
        dy: TensorArgument,
        groups: usize,
        eps: f64,
        weight: bool,
        bias: bool,
    ) -> PyResult<()> {
        self.add(py, |cpu, scratch, norms| {
            let which = AffineParameters { weight, bias };
            group_norm(cpu, (groups, eps), which, [batch(&x)?, batch(&dy)?], scratch, norms)
        })
    }

    /// A table that is looked up; `indices` has the positions of each sample, sample after sample.
    #[pyo3(signature = (indices, dy, padding))]
    fn embedding(
        &self,
        py: Python<'_>,
        indices: PyReadonlyArray1<'_, i64>,
        dy: TensorArgument,
        padding: Option<i64>,
    ) -> PyResult<()> {
        let indices = indices.as_array().to_vec();
        self.add(py, |cpu, scratch, norms| {
            let layer = EmbeddingLayer { indices: &indices, padding };
            embedding(cpu, layer, batch(&dy)?, scratch, norms)
        })
    }

    /// Adds squared norms that were computed elsewhere.
    fn add_squares(&self, py: Python<'_>, squares: PyReadonlyArray1<'_, f64>) -> PyResult<()> {
        let squares = squares.as_array().to_vec();
        self.add(py, |_, _, norms| {
            if squares.len() != norms.len() {
                let found = format!("{} squares", squares.len());
                return Err(Error::invalid("norms", found, format!("{}", norms.len())));
            }
            norms.iter_mut().zip(&squares).for_each(|(norm, square)| *norm += square);
            Ok(())
        })
    }
}
