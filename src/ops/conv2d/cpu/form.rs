//! Which form of the gradient norm is fastest: a time model.
//!
//! Costs are in vector operations (16 multiply-adds, about one clock). The weights were fitted to
//! `benches/conv.rs` on a Zen 4 core and predict its times within about 20 % wherever the choice
//! is close. The choice depends on the sizes alone, never on the machine, since the forms round
//! differently.

use super::kernel::{COLUMNS, PLANES};
use super::outer::{Outer, TILE_COLUMNS, TILE_ROWS};
use super::winograd;
use crate::ops::conv2d::{Conv2dProblem, GradNormForm};

/// Winograd's transforms of an input tile, of a gradient tile, and of 16 sums, a vector each.
const INPUT_TILE: f64 = 80.0;
const GRADIENT_TILE: f64 = 70.0;
const FILTER: f64 = 80.0;
/// Start and end of a tile of products.
const OUTER_TILE: f64 = 100.0;
/// Transposing one value.
const TRANSPOSE: f64 = 0.4;
/// Copying a row of a small matrix.
const COPY: f64 = 15.0;
/// Start, end and squares of an instantiated tile.
const TILE: f64 = 200.0;
/// Memory and loop overhead of the Gram forms over their operation counts.
const OVERHEAD: f64 = 1.15;

/// The fastest form for a problem.
pub fn choose(p: &Conv2dProblem) -> GradNormForm {
    cheapest_against(p, instantiate(p))
}

/// The fastest form where instantiating costs so many vector operations.
pub fn cheapest_against(p: &Conv2dProblem, instantiate: f64) -> GradNormForm {
    let mut best = (instantiate, GradNormForm::Instantiate);
    let mut offer = |cost: f64, form| {
        if cost < best.0 {
            best = (cost, form);
        }
    };
    offer(gram(p), GradNormForm::Gram);
    if p.stride == [1, 1] {
        offer(shifted_gram(p), GradNormForm::ShiftedGram);
    }
    best.1
}

fn instantiate(p: &Conv2dProblem) -> f64 {
    if winograd::pays(p) {
        return transformed(p);
    }
    let outer = Outer::new(p);
    let tiles = outer.pieces() * outer.rows().div_ceil(TILE_ROWS);
    let tiles = tiles * outer.columns().div_ceil(TILE_COLUMNS);
    outer.operations() + TILE * tiles as f64
}

/// Winograd's planes: transforms of both operands, products, and the gradient from its planes.
fn transformed(p: &Conv2dProblem) -> f64 {
    let tiles = (p.h.div_ceil(2) * p.w.div_ceil(2)) as f64;
    let (c, k) = (p.c as f64 / 16.0, p.k as f64);
    let blocks = PLANES as f64 * (k / TILE_ROWS as f64).ceil() * (c / 3.0).ceil();
    let transforms = tiles * (INPUT_TILE * c + GRADIENT_TILE * k / 16.0);
    transforms + PLANES as f64 * tiles * c * k + OUTER_TILE * blocks + FILTER * c * k
}

/// Vector operations per channel of a symmetric product of `t` rows.
fn product(t: usize) -> f64 {
    let blocks = t.div_ceil(COLUMNS);
    (blocks * (blocks + 1) / 2 * COLUMNS) as f64
}

fn gram(p: &Conv2dProblem) -> f64 {
    let t = p.p() * p.q();
    let channels = (p.r * p.s * p.c + p.k) as f64;
    OVERHEAD * (product(t) * (channels + 2.0) + TRANSPOSE * channels * t as f64)
}

fn shifted_gram(p: &Conv2dProblem) -> f64 {
    let (t, inputs) = (p.p() * p.q(), p.h * p.w);
    let grid = (p.h + 2 * p.pad[0]) * (p.w + 2 * p.pad[1]);
    let products = product(inputs) * p.c as f64 + product(t) * p.k as f64;
    let transposes = TRANSPOSE * (p.c * inputs + p.k * t) as f64;
    let copies = COPY * (inputs * p.h + t * p.p()) as f64 / 2.0;
    let fill = (grid * grid / COLUMNS) as f64;
    // Half the matrix, in whole vectors.
    let sums = t as f64 * (grid as f64 / 32.0 + 0.5) * 1.3 * (p.r * p.s + 1) as f64;
    OVERHEAD * (products + transposes + copies + fill + sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// h = w, c, k, r = s, stride; forms measured to be fastest by a clear margin.
    #[test]
    fn clear_cases_are_chosen_as_measured() {
        use GradNormForm::{Gram, Instantiate, ShiftedGram};
        for (h, c, k, r, stride, form) in [
            (32, 3, 16, 3, 1, Instantiate),
            (32, 16, 16, 3, 1, Instantiate),
            (32, 64, 64, 3, 1, Instantiate),
            (32, 16, 32, 1, 2, Instantiate),
            (16, 32, 32, 3, 1, Instantiate),
            (16, 128, 128, 3, 1, ShiftedGram),
            (8, 64, 64, 3, 1, ShiftedGram),
            (8, 256, 256, 3, 1, ShiftedGram),
            (8, 256, 512, 3, 2, Gram),
            (4, 512, 512, 3, 1, ShiftedGram),
            (56, 64, 64, 3, 1, Instantiate),
            (7, 2048, 1024, 1, 2, Gram),
        ] {
            let p = Conv2dProblem {
                n: 1,
                h,
                w: h,
                c,
                k,
                r,
                s: r,
                stride: [stride; 2],
                pad: [r / 2; 2],
            };
            assert_eq!(choose(&p), form, "{p:?}");
        }
    }
}
