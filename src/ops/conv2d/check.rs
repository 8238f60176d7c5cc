//! Checks of a call that hold on every backend: sizes, lengths and element types of the views, the
//! workspace.

use super::Conv2d;
use super::problem::{
    Conv2dDirection, Conv2dProblem, DgradOperands, Epilogue, FpropOperands, GradNormForm,
    GradNormOperands, NormGradient, WgradOperands,
};
use crate::backend::View;
use crate::error::{Error, Result};
use crate::ops::check_len;
use crate::tensor::Dtype;

fn check<const N: usize>(tensors: [(&str, View, usize); N]) -> Result<()> {
    tensors.into_iter().try_for_each(|(what, view, len)| check_len("convolution", what, view, len))
}

/// A named tensor of a call.
type Named = (&'static str, View);

/// Checks element types: `stored` all of one, f32 or where the problem takes it bf16; `plain` f32.
fn check_types(problem: &Conv2dProblem, stored: &[Named], plain: &[Named]) -> Result<()> {
    let dtype = stored.first().map_or(Dtype::F32, |(_, view)| view.dtype);
    if !matches!(dtype, Dtype::F32 | Dtype::Bf16) {
        return Err(Error::Internal(format!("convolution: tensors of {dtype:?}")));
    }
    let expected = stored.iter().map(|s| (s, dtype)).chain(plain.iter().map(|p| (p, Dtype::F32)));
    for (&(what, view), dtype) in expected {
        if view.dtype != dtype {
            let found = view.dtype;
            return Err(Error::Internal(format!(
                "convolution: {what} is {found:?}, expected {dtype:?}"
            )));
        }
    }
    if dtype == Dtype::Bf16 && !problem.takes_bf16() {
        let found = format!("{} input and {} output channels in bf16", problem.c, problem.k);
        return Err(Error::invalid("convolution", found, "multiples of 8"));
    }
    Ok(())
}

impl Conv2dProblem {
    /// Checks the sizes and the workspace of one direction on tensors of `dtype`.
    fn check_call(
        &self,
        backend: &impl Conv2d,
        direction: Conv2dDirection,
        dtype: Dtype,
        workspace: View,
    ) -> Result<()> {
        self.check()?;
        let needed = backend.conv2d_workspace(self, direction, dtype);
        if workspace.len < needed {
            return Err(Error::Internal(format!(
                "convolution: workspace has {} elements, {direction:?} needs {needed}",
                workspace.len
            )));
        }
        Ok(())
    }

    pub(super) fn check_fprop(
        &self,
        backend: &impl Conv2d,
        operands: &FpropOperands,
    ) -> Result<()> {
        let FpropOperands { x, w, bias, y, epilogue, workspace } = *operands;
        self.check_call(backend, Conv2dDirection::Fprop, x.dtype, workspace)?;
        let mut stored = vec![("x", x), ("w", w), ("y", y)];
        let mut plain: Vec<Named> = bias.map(|bias| ("bias", bias)).into_iter().collect();
        match epilogue {
            Epilogue::None => {}
            Epilogue::Statistics { mean, m2 } => plain.extend([("mean", mean), ("m2", m2)]),
            Epilogue::Affine { scale, shift, residual, .. } => {
                plain.extend([("scale", scale), ("shift", shift)]);
                stored.extend(residual.map(|residual| ("residual", residual)));
            }
        }
        check_types(self, &stored, &plain)?;
        check([("x", x, self.x_len()), ("w", w, self.w_len()), ("y", y, self.y_len())])?;
        if let Some(bias) = bias {
            check([("bias", bias, self.k)])?;
        }
        match epilogue {
            Epilogue::None => Ok(()),
            Epilogue::Statistics { mean, m2 } => {
                check([("mean", mean, self.k), ("m2", m2, self.k)])
            }
            Epilogue::Affine { scale, shift, residual, .. } => {
                check([("scale", scale, self.k), ("shift", shift, self.k)])?;
                residual.map_or(Ok(()), |r| check([("residual", r, self.y_len())]))
            }
        }
    }

    pub(super) fn check_dgrad(
        &self,
        backend: &impl Conv2d,
        operands: &DgradOperands,
    ) -> Result<()> {
        let DgradOperands { dy, w, dx, norm, workspace, .. } = *operands;
        let Some(norm) = norm else {
            self.check_call(backend, Conv2dDirection::Dgrad, dy.dtype, workspace)?;
            check_types(self, &[("dy", dy), ("w", w), ("dx", dx)], &[])?;
            return check([
                ("dy", dy, self.y_len()),
                ("w", w, self.w_len()),
                ("dx", dx, self.x_len()),
            ]);
        };
        self.check_call(backend, Conv2dDirection::DgradNorm, dy.dtype, workspace)?;
        let NormGradient { out, y, mean, rstd, dgamma, dbeta } = norm;
        let out = out.unwrap_or(y);
        let stored = [("dy", dy), ("w", w), ("dx", dx), ("y of the norm", y), ("out", out)];
        let plain = [("mean", mean), ("rstd", rstd), ("dgamma", dgamma), ("dbeta", dbeta)];
        check_types(self, &stored, &plain)?;
        check([("dy", dy, self.y_len()), ("w", w, self.w_len()), ("dx", dx, self.x_len())])?;
        check([("y of the norm", y, self.x_len()), ("out", out, self.x_len())])?;
        check(plain.map(|(what, view)| (what, view, self.c)))
    }

    pub(super) fn check_wgrad(
        &self,
        backend: &impl Conv2d,
        operands: &WgradOperands,
    ) -> Result<()> {
        let WgradOperands { x, dy, dw, db, workspace } = *operands;
        self.check_call(backend, Conv2dDirection::Wgrad, x.dtype, workspace)?;
        check_types(self, &[("x", x), ("dy", dy)], &[("dw", dw), ("db", db.unwrap_or(dw))])?;
        check([("x", x, self.x_len()), ("dy", dy, self.y_len()), ("dw", dw, self.w_len())])?;
        db.map_or(Ok(()), |db| check([("db", db, self.k)]))
    }

    pub(super) fn check_grad_norm(
        &self,
        backend: &impl Conv2d,
        operands: &GradNormOperands,
    ) -> Result<()> {
        let GradNormOperands { x, dy, norms, form, workspace, .. } = *operands;
        self.check_call(backend, Conv2dDirection::GradNorm(form), x.dtype, workspace)?;
        check_types(self, &[("x", x), ("dy", dy)], &[("norms", norms)])?;
        check([("x", x, self.x_len()), ("dy", dy, self.y_len()), ("norms", norms, self.n)])?;
        if form == GradNormForm::ShiftedGram && self.stride != [1, 1] {
            return Err(Error::Internal(format!("{form:?} needs stride 1: {self:?}")));
        }
        Ok(())
    }
}
