//! The loops over a sample's values in f32. Values are rows of lanes: the channels, repeated where they are few.

use crate::isa::multiversion;

multiversion! {
    pub fn sum_lanes(y: &[f32], acc: &mut [f32]) {
        acc.fill(0.0);
        for chunk in y.chunks(acc.len()) {
            for (a, &v) in acc.iter_mut().zip(chunk) {
                *a += v;
            }
        }
    }
}

multiversion! {
    pub fn deviation_lanes(y: &[f32], mean: &[f32], acc: &mut [f32]) {
        acc.fill(0.0);
        for chunk in y.chunks(acc.len()) {
            for ((a, &v), &m) in acc.iter_mut().zip(chunk).zip(mean) {
                let d = v - m;
                *a += d * d;
            }
        }
    }
}

multiversion! {
    pub fn apply(y: &[f32], scale: &[f32], shift: &[f32], residual: &[f32], relu: bool, out: &mut [f32]) {
        let l = scale.len();
        if residual.is_empty() {
            for (o, v) in out.chunks_mut(l).zip(y.chunks(l)) {
                for (((o, &v), &a), &b) in o.iter_mut().zip(v).zip(scale).zip(shift) {
                    let z = v * a + b;
                    *o = if relu && z <= 0.0 { 0.0 } else { z };
                }
            }
        } else {
            for ((o, v), r) in out.chunks_mut(l).zip(y.chunks(l)).zip(residual.chunks(l)) {
                for ((((o, &v), &r), &a), &b) in o.iter_mut().zip(v).zip(r).zip(scale).zip(shift) {
                    let z = v * a + b + r;
                    *o = if relu && z <= 0.0 { 0.0 } else { z };
                }
            }
        }
    }
}

multiversion! {
    pub fn mask(dout: &mut [f32], out: &[f32]) {
        for (d, &o) in dout.iter_mut().zip(out) {
            *d = if o > 0.0 { *d } else { 0.0 };
        }
    }
}

multiversion! {
    pub fn backward_lanes(dout: &[f32], out: &[f32], y: &[f32], mean: &[f32], rstd: &[f32],
                      sum: &mut [f32], sum_xhat: &mut [f32]) {
        sum.fill(0.0);
        sum_xhat.fill(0.0);
        let l = sum.len();
        let masked = !out.is_empty();
        for (i, (d, v)) in dout.chunks(l).zip(y.chunks(l)).enumerate() {
            let (sum, sum_xhat) = (&mut sum[..d.len()], &mut sum_xhat[..d.len()]);
            let (mean, rstd, v) = (&mean[..d.len()], &rstd[..d.len()], &v[..d.len()]);
            if masked {
                let o = &out[i * l..][..d.len()];
                for j in 0..d.len() {
                    let dz = if o[j] > 0.0 { d[j] } else { 0.0 };
                    sum[j] += dz;
                    sum_xhat[j] += dz * ((v[j] - mean[j]) * rstd[j]);
                }
            } else {
                for j in 0..d.len() {
                    sum[j] += d[j];
                    sum_xhat[j] += d[j] * ((v[j] - mean[j]) * rstd[j]);
                }
            }
        }
    }
}

multiversion! {
    // dy = scale * dz - (y - mean) * slope - offset, from the form in the module's head
    pub fn backward_apply(dout: &[f32], out: &[f32], y: &[f32], mean: &[f32], scale: &[f32],
                      slope: &[f32], offset: &[f32], dy: &mut [f32]) {
        let l = scale.len();
        let masked = !out.is_empty();
        for (i, ((g, d), v)) in dy.chunks_mut(l).zip(dout.chunks(l)).zip(y.chunks(l)).enumerate() {
            let n = g.len();
            let (d, v, mean, scale) = (&d[..n], &v[..n], &mean[..n], &scale[..n]);
            let (slope, offset) = (&slope[..n], &offset[..n]);
            if masked {
                let o = &out[i * l..][..n];
                for j in 0..n {
                    let dz = if o[j] > 0.0 { d[j] } else { 0.0 };
                    g[j] = (scale[j] * dz - (v[j] - mean[j]) * slope[j]) - offset[j];
                }
            } else {
                for j in 0..n {
                    g[j] = (scale[j] * d[j] - (v[j] - mean[j]) * slope[j]) - offset[j];
                }
            }
        }
    }
}

multiversion! {
    pub fn scale_masked(dout: &[f32], out: &[f32], scale: &[f32], dy: &mut [f32]) {
        let l = scale.len();
        let masked = !out.is_empty();
        for (i, (g, d)) in dy.chunks_mut(l).zip(dout.chunks(l)).enumerate() {
            let n = g.len();
            // Slices of one length: no bounds checks, which would keep this from vectors.
            let (d, scale) = (&d[..n], &scale[..n]);
            if masked {
                let o = &out[i * l..][..n];
                for j in 0..n {
                    let value = scale[j] * d[j];
                    g[j] = if o[j] > 0.0 { value } else { 0.0 };
                }
            } else {
                for j in 0..n {
                    g[j] = scale[j] * d[j];
                }
            }
        }
    }
}
