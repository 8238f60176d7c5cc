//! Checks of a call that hold on every backend: sizes, lengths of the views, the workspace.

use super::{Conv2d, Conv2dProblem, Direction, Epilogue, GradNormForm};
use crate::backend::View;
use crate::error::{Error, Result};
use crate::ops::check_len;

fn check<const N: usize>(tensors: [(&str, View, usize); N]) -> Result<()> {
    tensors.into_iter().try_for_each(|(what, view, len)| check_len("convolution", what, view, len))
}

impl Conv2dProblem {
    /// Checks the sizes and the workspace of one direction.
    fn check_call(
        &self,
        backend: &impl Conv2d,
        direction: Direction,
        workspace: View,
    ) -> Result<()> {
        self.check()?;
        let needed = backend.conv2d_workspace(self, direction);
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
        [x, w, y]: [View; 3],
        bias: Option<View>,
        epilogue: &Epilogue,
        workspace: View,
    ) -> Result<()> {
        self.check_call(backend, Direction::Fprop, workspace)?;
        check([("x", x, self.x_len()), ("w", w, self.w_len()), ("y", y, self.y_len())])?;
        if let Some(bias) = bias {
            check([("bias", bias, self.k)])?;
        }
        match *epilogue {
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
        [dy, w, dx]: [View; 3],
        workspace: View,
    ) -> Result<()> {
        self.check_call(backend, Direction::Dgrad, workspace)?;
        check([("dy", dy, self.y_len()), ("w", w, self.w_len()), ("dx", dx, self.x_len())])
    }

    pub(super) fn check_wgrad(
        &self,
        backend: &impl Conv2d,
        [x, dy, dw]: [View; 3],
        db: Option<View>,
        workspace: View,
    ) -> Result<()> {
        self.check_call(backend, Direction::Wgrad, workspace)?;
        check([("x", x, self.x_len()), ("dy", dy, self.y_len()), ("dw", dw, self.w_len())])?;
        db.map_or(Ok(()), |db| check([("db", db, self.k)]))
    }

    pub(super) fn check_grad_norm(
        &self,
        backend: &impl Conv2d,
        [x, dy, norms]: [View; 3],
        form: GradNormForm,
        workspace: View,
    ) -> Result<()> {
        self.check_call(backend, Direction::GradNorm(form), workspace)?;
        check([("x", x, self.x_len()), ("dy", dy, self.y_len()), ("norms", norms, self.n)])?;
        if form == GradNormForm::ShiftedGram && self.stride != [1, 1] {
            return Err(Error::Internal(format!("{form:?} needs stride 1: {self:?}")));
        }
        Ok(())
    }
}
