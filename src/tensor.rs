//! Element types and named host tensors.

use crate::error::{Error, Result};

/// Element type of a device tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    F32,
    Bf16,
    U32,
    U8,
}

impl Dtype {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Dtype::F32 | Dtype::U32 => 4,
            Dtype::Bf16 => 2,
            Dtype::U8 => 1,
        }
    }
}

/// A dense f32 tensor on the host, row-major in `shape`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

impl Tensor {
    /// A tensor of `shape` over `data`; the lengths must agree.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Result<Self> {
        let len: usize = shape.iter().product();
        if len != data.len() {
            return Err(Error::invalid(
                "tensor",
                format!("{} elements", data.len()),
                format!("{len} elements for shape {shape:?}"),
            ));
        }
        Ok(Tensor { shape, data })
    }

    /// Zeros of `shape`.
    pub fn zeros(shape: &[usize]) -> Self {
        Tensor { shape: shape.to_vec(), data: vec![0.0; shape.iter().product()] }
    }
}

/// K C R S (PyTorch's convolution weights) to K R S C (ours). `data.len() == k*c*r*s`.
pub fn kcrs_to_krsc(data: &[f32], [k, c, r, s]: [usize; 4]) -> Vec<f32> {
    permute(data, [k, c, r, s], |ki, ci, ri, si| ((ki * r + ri) * s + si) * c + ci)
}

/// K R S C (ours) to K C R S (PyTorch's). `shape` is the result's: [k, c, r, s].
pub fn krsc_to_kcrs(data: &[f32], [k, c, r, s]: [usize; 4]) -> Vec<f32> {
    permute(data, [k, r, s, c], |ki, ri, si, ci| ((ki * c + ci) * r + ri) * s + si)
}

fn permute(
    data: &[f32],
    [a, b, c, d]: [usize; 4],
    target: impl Fn(usize, usize, usize, usize) -> usize,
) -> Vec<f32> {
    assert_eq!(data.len(), a * b * c * d, "permuted tensor has the length of its shape");
    let mut out = vec![0.0; data.len()];
    let mut source = data.iter();
    for i in 0..a {
        for j in 0..b {
            for k in 0..c {
                for l in 0..d {
                    if let Some(&v) = source.next() {
                        out[target(i, j, k, l)] = v;
                    }
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_layouts_invert_each_other() {
        let shape = [2, 3, 4, 5];
        let data: Vec<f32> = (0..120).map(|i| i as f32).collect();
        let krsc = kcrs_to_krsc(&data, shape);
        // k=1, c=2, r=3, s=4 is the last element of KCRS; in KRSC it is last too; c=0 is not.
        assert_eq!(krsc[119], 119.0);
        assert_eq!(krsc[1], 20.0); // k=0, r=0, s=0, c=1
        assert_eq!(krsc_to_kcrs(&krsc, shape), data);
    }
}
