//! What becomes of a block of sums: rows are pixels, columns are channels.

use super::block::BLOCK;
use crate::isa::bf16::vectorised;

/// Rows are dealt to this many sums in turn, to overlap the latency of additions.
const PHASES: usize = 4;

/// What is done to sums before and while they are stored. Pointers lead to the whole tensor or to the values of
/// all channels; optional ones may be null.
#[derive(Clone, Copy)]
pub enum Finish {
    /// Stored.
    Store { bias: *const f32 },
    /// Stored; mean and m2 of the stored values go to the task's moments.
    Moments { bias: *const f32 },
    /// act(sum * scale + shift (+ residual)).
    Affine {
        bias: *const f32,
        scale: *const f32,
        shift: *const f32,
        residual: *const u16,
        relu: bool,
    },
    /// Added to what is there.
    Add,
    /// dz = sum (+ what is there) where out > 0; sums of dz and of dz (y - mean) rstd, as stored.
    Norm { add: bool, out: *const u16, y: *const u16, mean: *const f32, rstd: *const f32 },
}

// SAFETY: pointers into slices that the call borrows; tasks only read behind them.
unsafe impl Sync for Finish {}

/// Where a block's values are.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// First value of the first row in the tensor, and how far behind it those of all rows are.
    pub first: usize,
    pub offsets: &'a [usize],
    /// First channel and number of channels: at most 32.
    pub channel: usize,
    pub channels: usize,
    /// Rows that the task's moments have seen before.
    pub seen: usize,
}

vectorised! {
    /// Finishes a block of sums, which are scratch afterwards. `state` are two values a channel of a task, each
    /// `all` channels: mean and m2, or the sums of dz and dz xhat.
    ///
    /// # Safety
    /// The pointers lead to values for every row and channel of the place, in `tensor` to ones that only this
    /// call touches.
    pub unsafe fn finish<S>(finish: &Finish, place: &Place<'_>, sums: *mut f32, tensor: *mut u16,
                            state: *mut f32, all: usize) {
        let Place { first, offsets, channel, channels, seen } = *place;
        let rows = offsets.len();
        let mut c = 0;
        while c < channels {
            let n = (channels - c).min(S::LANES);
            // SAFETY: inside the block, the rows and the channels of the place (caller).
            unsafe {
                let sum = |row: usize| sums.add(row * BLOCK + c);
                let value = |row: usize| first.wrapping_add(*offsets.get_unchecked(row)) + c;
                let of_channel = |p: *const f32, otherwise: f32| {
                    if p.is_null() { S::splat(otherwise) } else { S::load_first(p.add(channel + c), n) }
                };
                let fold = |s: [S::V; PHASES]| S::add(S::add(s[0], s[1]), S::add(s[2], s[3]));
                match *finish {
                    Finish::Store { bias } => {
                        let bias = of_channel(bias, 0.0);
                        for row in 0..rows {
                            let v = S::add(S::load(sum(row)), bias);
                            S::store_bf16(tensor.add(value(row)), v, n);
                        }
                    }
                    Finish::Moments { bias } => {
                        let bias = of_channel(bias, 0.0);
                        let mut acc = [S::splat(0.0); PHASES];
                        for row in 0..rows {
                            let v = S::round_bf16(S::add(S::load(sum(row)), bias));
                            S::store_bf16(tensor.add(value(row)), v, n);
                            S::store(sum(row), v);
                            acc[row % PHASES] = S::add(acc[row % PHASES], v);
                        }
                        let own = S::mul(fold(acc), S::splat(1.0 / rows as f32));
                        let mut squares = [S::splat(0.0); PHASES];
                        for row in 0..rows {
                            let d = S::sub(S::load(sum(row)), own);
                            squares[row % PHASES] = S::fma(d, d, squares[row % PHASES]);
                        }
                        // Chan, Golub, LeVeque (1983).
                        let (mean, m2) = (state.add(channel + c), state.add(all + channel + c));
                        let (a, b) = (seen as f32, rows as f32);
                        let before = S::load_first(mean, n);
                        let delta = S::sub(own, before);
                        let merged = S::fma(delta, S::splat(b / (a + b)), before);
                        let cross = S::mul(S::mul(delta, delta), S::splat(a * (b / (a + b))));
                        let total = S::add(S::add(S::load_first(m2, n), fold(squares)), cross);
                        S::store_first(mean, merged, n);
                        S::store_first(m2, total, n);
                    }
                    Finish::Affine { bias, scale, shift, residual, relu } => {
                        let bias = of_channel(bias, 0.0);
                        let (scale, shift) = (of_channel(scale, 1.0), of_channel(shift, 0.0));
                        for row in 0..rows {
                            let mut v = S::fma(S::add(S::load(sum(row)), bias), scale, shift);
                            if !residual.is_null() {
                                v = S::add(v, S::load_bf16(residual.add(value(row)), n));
                            }
                            if relu {
                                v = S::relu(v);
                            }
                            S::store_bf16(tensor.add(value(row)), v, n);
                        }
                    }
                    Finish::Add => {
                        for row in 0..rows {
                            let at = tensor.add(value(row));
                            let v = S::add(S::load(sum(row)), S::load_bf16(at, n));
                            S::store_bf16(at, v, n);
                        }
                    }
                    Finish::Norm { add, out, y, mean, rstd } => {
                        let (mean, rstd) = (of_channel(mean, 0.0), of_channel(rstd, 1.0));
                        let mut dbeta = [S::splat(0.0); PHASES];
                        let mut dgamma = [S::splat(0.0); PHASES];
                        for row in 0..rows {
                            let at = tensor.add(value(row));
                            let mut v = S::load(sum(row));
                            if add {
                                v = S::add(v, S::load_bf16(at, n));
                            }
                            v = S::round_bf16(v);
                            if !out.is_null() {
                                v = S::where_positive(v, S::load_bf16(out.add(value(row)), n));
                            }
                            S::store_bf16(at, v, n);
                            let y = S::load_bf16(y.add(value(row)), n);
                            let xhat = S::mul(S::sub(y, mean), rstd);
                            dbeta[row % PHASES] = S::add(dbeta[row % PHASES], v);
                            dgamma[row % PHASES] = S::fma(v, xhat, dgamma[row % PHASES]);
                        }
                        for (i, sums) in [dbeta, dgamma].into_iter().enumerate() {
                            let at = state.add(i * all + channel + c);
                            S::store_first(at, S::add(S::load_first(at, n), fold(sums)), n);
                        }
                    }
                }
            }
            c += n;
        }
    }
}
