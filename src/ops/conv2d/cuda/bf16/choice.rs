//! Which tile, family and number of splits a problem takes: what is forced, else what a time model expects
//! to be fastest. A function of the sizes alone, so that results repeat.
//!
//! The model's time is the largest of the products of whole tiles, the tiles' copies from L2, and the
//! tensors in device memory; docs/performance.md states its assumptions, `scripts/predict-performance.py`
//! repeats it. fprop's and dgrad's results do not depend on the choice; moments and sums of tiles depend
//! on the tile's rows, wgrad's on the splits. Squares of an instantiated gradient are added tile by tile:
//! its tile is a function of the sizes of a sample alone, whatever the batch and the card, as forms are.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::super::shape::{positions, window};
use super::super::wgrad::{Pieces, pieces};
use super::forced::forced;
use super::tile::{MmaTile, TALL, TILES};
use crate::cuda::{Cuda, tiles};
use crate::ops::conv2d::{Conv2dDirection, Conv2dProblem, GradNormForm, TileChoice, TileFamily};

/// Operations a second of `mma.sync`, assumed of an H200.
const PRODUCTS: f64 = 0.6 * 790e12;
/// Bytes a second of its L2.
pub const L2_BYTES: f64 = 5.5e12;
/// Bytes a second of its memory.
const MEMORY_BYTES: f64 = 0.9 * 4.3e12;
/// Warps that keep a multiprocessor's tensor cores busy.
const WARPS: usize = 12;
/// Shared memory of a multiprocessor, what a block takes beside its own, and the most of a block (sm_90).
const SHARED: usize = 233_472;
const SYSTEM: usize = 1024;
const SHARED_BLOCK: usize = 232_448;

/// Samples that gradient norms are timed for: every multiprocessor has as many blocks as any other, so that
/// what is fastest does not depend on the batch.
pub const NORM_SAMPLES: usize = 16 * tiles::MMA_MULTIPROCESSORS as usize;

/// One direction as a matrix product, or several of one shape.
pub struct Product {
    direction: Conv2dDirection,
    problem: Conv2dProblem,
    pub rows: usize,
    pub columns: usize,
    depth: usize,
    /// Products: dgrad has one for every remainder by the stride, gradient norms one a sample.
    pub count: usize,
    /// Elements of two bytes that all of it reads and writes.
    moved: usize,
}

/// A choice, and the tile that it names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TilePlan {
    pub tile: MmaTile,
    pub family: TileFamily,
    pub splits: usize,
}

impl TilePlan {
    /// How the choice is named outside of this module.
    pub fn choice(&self) -> TileChoice {
        TileChoice {
            tile: [self.tile.rows, self.tile.columns],
            family: self.family,
            splits: self.splits,
        }
    }
}

impl Product {
    /// The product that a direction is: for gradient norms the instantiated ones of [`NORM_SAMPLES`]; None
    /// for the other forms.
    pub fn new(p: &Conv2dProblem, direction: Conv2dDirection) -> Option<Product> {
        let norms = matches!(direction, Conv2dDirection::GradNorm(_));
        let p = &if norms { p.with_n(NORM_SAMPLES) } else { *p };
        let [vertical, horizontal] = p.stride;
        let (x, w, y) = (p.x_len(), p.w_len(), p.y_len());
        let problems = vertical * horizontal;
        let (rows, columns, depth, count, moved) = match direction {
            Conv2dDirection::Fprop => (positions(p), p.k, window(p), 1, x + w + y),
            Conv2dDirection::Dgrad | Conv2dDirection::DgradNorm => {
                let norm = if direction == Conv2dDirection::DgradNorm { 2 * x } else { 0 };
                let rows = p.n * p.h.div_ceil(vertical) * p.w.div_ceil(horizontal);
                (rows, p.c, (p.r * p.s * p.k).div_ceil(problems), problems, x + w + y + norm)
            }
            // dw is f32.
            Conv2dDirection::Wgrad => (window(p), p.k, positions(p), 1, x + 2 * w + y),
            Conv2dDirection::GradNorm(GradNormForm::Instantiate) => {
                (window(p), p.k, p.p() * p.q(), p.n, x + y)
            }
            Conv2dDirection::GradNorm(_) => return None,
        };
        Some(Product { direction, problem: *p, rows, columns, depth, count, moved })
    }

    /// The product of a problem that may describe no convolution, or none in bf16.
    pub fn checked(p: &Conv2dProblem, direction: Conv2dDirection) -> Option<Product> {
        if p.check().is_err() || !p.takes_bf16() {
            return None;
        }
        Product::new(p, direction)
    }

    /// Whether the problem is one of neighbours within an image whose output has its size.
    fn takes_halo(&self) -> bool {
        let p = &self.problem;
        [p.r, p.s] == [3, 3] && p.stride == [1, 1] && p.pad == [1, 1]
    }

    /// Channels of the pixels that a tap selects.
    fn channels(&self) -> usize {
        match self.direction {
            Conv2dDirection::Dgrad | Conv2dDirection::DgradNorm => self.problem.k,
            _ => self.problem.c,
        }
    }

    /// Pixels that a tile of a halo kernel copies.
    fn pixels(&self, tile: &MmaTile) -> usize {
        tile.rows + 2 * (self.problem.w + 1)
    }

    /// Bytes of shared memory that a block takes.
    pub fn shared_bytes(&self, tile: &MmaTile, family: TileFamily) -> usize {
        match family {
            TileFamily::PerTap => tile.shared_bytes,
            TileFamily::Halo if *tile == TALL => tile.shared_bytes,
            TileFamily::Halo => {
                let stages = (tiles::MMA_STAGES * tiles::MMA_DEPTH * 2) as usize * tile.columns;
                let halo = self.pixels(tile) * pitch(self.channels()) * 16;
                let all = stages + tiles::MMA_HALO_ZEROS as usize + halo;
                all.max(tile.turned_bytes)
            }
        }
    }

    /// Blocks of a tile on a multiprocessor.
    pub fn blocks(&self, tile: &MmaTile, family: TileFamily) -> usize {
        tile.blocks.min(SHARED / (self.shared_bytes(tile, family) + SYSTEM))
    }

    /// Whether it can be computed so.
    fn takes(&self, tile: &MmaTile, family: TileFamily) -> bool {
        let fits = self.shared_bytes(tile, family) <= SHARED_BLOCK;
        let weights =
            matches!(self.direction, Conv2dDirection::Wgrad | Conv2dDirection::GradNorm(_));
        match (family, weights) {
            (TileFamily::PerTap, _) => *tile != TALL,
            (TileFamily::Halo, true) => {
                *tile == TALL && self.takes_halo() && self.problem.c.is_multiple_of(TALL.rows / 3)
            }
            (TileFamily::Halo, false) => *tile != TALL && self.takes_halo() && fits,
        }
    }

    /// All lawful ways with the splits that suit each.
    pub fn ways(&self) -> Vec<TilePlan> {
        let all = TILES.into_iter().flat_map(|t| [(t, TileFamily::PerTap), (t, TileFamily::Halo)]);
        let lawful = all.filter(|(tile, family)| self.takes(tile, *family));
        lawful.map(|(tile, family)| self.with_splits(tile, family)).collect()
    }

    /// The way that a choice names, if it is lawful.
    fn way(&self, choice: &TileChoice) -> Option<TilePlan> {
        let tile = TILES.into_iter().find(|t| [t.rows, t.columns] == choice.tile)?;
        let splits = if self.direction == Conv2dDirection::Wgrad {
            choice.splits.clamp(1, self.most_splits())
        } else {
            1
        };
        self.takes(&tile, choice.family).then_some(TilePlan { tile, family: choice.family, splits })
    }

    fn most_splits(&self) -> usize {
        let most = self.depth / tiles::MMA_SPLIT_POSITIONS as usize;
        most.clamp(1, tiles::MMA_SPLITS as usize)
    }

    /// A tile with the splits that the model expects to be fastest, the fewest of those.
    fn with_splits(&self, tile: MmaTile, family: TileFamily) -> TilePlan {
        let one = TilePlan { tile, family, splits: 1 };
        if self.direction != Conv2dDirection::Wgrad {
            return one;
        }
        let ways = (1..=self.most_splits()).map(|splits| TilePlan { splits, ..one });
        ways.min_by(|a, b| order(&self.seconds(a), &self.seconds(b))).unwrap_or(one)
    }

    /// Bytes that one tile of `depth` terms copies.
    fn copied(&self, tile: &MmaTile, family: TileFamily, depth: usize) -> usize {
        match family {
            TileFamily::PerTap => 2 * (tile.rows + tile.columns) * depth,
            // Every MMA_DEPTH positions see two pixels more than they are.
            TileFamily::Halo if *tile == TALL => 2 * tile.columns * (2 * depth + depth / 16),
            TileFamily::Halo => 2 * (self.pixels(tile) * self.channels() + tile.columns * depth),
        }
    }

    /// Tiles of all products and splits, and the terms of each.
    fn tiled(&self, way: &TilePlan) -> (usize, usize) {
        let TilePlan { tile, splits, .. } = way;
        let depth = self.depth.div_ceil(*splits).next_multiple_of(tiles::MMA_DEPTH as usize);
        (tile.count(self.rows, self.columns) * self.count * splits, depth)
    }

    /// Bytes that all tiles copy from L2.
    pub fn copies(&self, way: &TilePlan) -> u64 {
        let (count, depth) = self.tiled(way);
        (count * self.copied(&way.tile, way.family, depth)) as u64
    }

    /// Seconds that its tensors take in device memory.
    pub fn memory_seconds(&self) -> f64 {
        (2 * self.moved) as f64 / MEMORY_BYTES
    }

    /// Seconds that a way is expected to take: the bound, and the sum of products and copies, which decides
    /// between ways that memory makes equal.
    pub fn seconds(&self, way: &TilePlan) -> (f64, f64) {
        let TilePlan { tile, family, splits } = way;
        let (count, depth) = self.tiled(way);
        let copied = self.copied(tile, *family, depth);
        let [products, copies] =
            tile_seconds(tile, self.blocks(tile, *family), count, depth, copied);
        // Copies of dw are written and, by the next kernel, read.
        let sums = if *splits > 1 { 8 * splits * self.problem.w_len() } else { 0 };
        let sums = sums as f64 / MEMORY_BYTES;
        (products.max(copies).max(self.memory_seconds()) + sums, products + copies)
    }

    /// The way that the model expects to be fastest.
    pub fn fastest(&self) -> TilePlan {
        let gathered = TilePlan { tile: TILES[0], family: TileFamily::PerTap, splits: 1 };
        let ways = self.ways().into_iter().map(|way| (self.seconds(&way), way));
        ways.min_by(|a, b| order(&a.0, &b.0)).map_or(gathered, |best| best.1)
    }

    /// The fastest way, found once a process: looking through all splits takes longer than a small launch.
    fn planned(&self) -> TilePlan {
        type Found = HashMap<(Conv2dDirection, Conv2dProblem), TilePlan>;
        static FOUND: LazyLock<Mutex<Found>> = LazyLock::new(Mutex::default);
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        *found.entry((self.direction, self.problem)).or_insert_with(|| self.fastest())
    }

    /// How the product is computed on this card.
    pub fn choose(&self, cuda: &Cuda) -> TilePlan {
        let forced = forced(cuda).and_then(|c| self.way(&c));
        let way = forced.unwrap_or_else(|| self.planned());
        // A card with less shared memory computes the same bits by the other family.
        let fits =
            self.shared_bytes(&way.tile, way.family) <= cuda.properties().shared_bytes as usize;
        if fits { way } else { TilePlan { family: TileFamily::PerTap, ..way } }
    }

    /// wgrad's positions in `splits` pieces.
    pub fn pieces(&self, splits: usize) -> Pieces {
        pieces(self.depth, splits, tiles::MMA_DEPTH as usize)
    }
}

/// Seconds that `count` tiles of `depth` terms take, each copying `copied` bytes: their products, of which
/// each multiprocessor computes its share at a rate that its resident warps, `blocks` at most, allow; and
/// their copies.
pub fn tile_seconds(
    tile: &MmaTile,
    blocks: usize,
    count: usize,
    depth: usize,
    copied: usize,
) -> [f64; 2] {
    let machines = tiles::MMA_MULTIPROCESSORS as usize;
    let share = count.div_ceil(machines);
    let warps = share.min(blocks) * tile.threads as usize / 32;
    let rate = PRODUCTS / machines as f64 * (warps as f64 / WARPS as f64).min(1.0);
    let products = (share * tile.rows * tile.columns * depth * 2) as f64 / rate;
    [products, (count * copied) as f64 / L2_BYTES]
}

/// Chunks of a pixel in a halo kernel's shared memory: odd.
pub fn pitch(channels: usize) -> usize {
    (channels / 8) | 1
}

/// By the bound, then by the rest.
fn order(a: &(f64, f64), b: &(f64, f64)) -> Ordering {
    a.0.total_cmp(&b.0).then_with(|| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NORM: Conv2dDirection = Conv2dDirection::GradNorm(GradNormForm::Instantiate);

    #[test]
    fn gradient_norms_share_pixels_as_weight_gradients_do_whatever_the_batch() {
        let way = |n, c| product([n, 32, c, 64, 3, 1], NORM).fastest();
        assert_eq!((way(512, 64).tile, way(512, 64).family), (TALL, TileFamily::Halo));
        assert_eq!((way(512, 72).family, way(512, 72).splits), (TileFamily::PerTap, 1));
        assert_eq!(product([512, 32, 64, 64, 3, 2], NORM).fastest().family, TileFamily::PerTap);
        for n in [1, 7, 512] {
            assert_eq!([way(n, 64), way(n, 72)], [way(512, 64), way(512, 72)]);
        }
        for form in [GradNormForm::Gram, GradNormForm::ShiftedGram] {
            let p = product([1, 8, 64, 64, 3, 1], NORM).problem;
            assert!(Product::checked(&p, Conv2dDirection::GradNorm(form)).is_none());
        }
    }

    /// n, h = w, c, k, r, stride.
    fn product([n, h, c, k, r, stride]: [usize; 6], direction: Conv2dDirection) -> Product {
        let pad = [r / 2; 2];
        let p = Conv2dProblem { n, h, w: h, c, k, r, s: r, stride: [stride; 2], pad };
        Product::checked(&p, direction).unwrap()
    }

    #[test]
    fn halos_are_chosen_where_copies_bound_and_fit() {
        for (sizes, halo) in [
            ([512, 32, 64, 64, 3, 1], true),
            ([512, 16, 128, 128, 3, 1], true),
            ([256, 56, 64, 64, 3, 1], true),
            ([512, 4, 512, 512, 3, 1], false),
            ([512, 32, 64, 128, 3, 2], false),
            ([512, 32, 64, 64, 1, 1], false),
        ] {
            for direction in [Conv2dDirection::Fprop, Conv2dDirection::DgradNorm] {
                let way = product(sizes, direction).fastest();
                assert_eq!(way.family == TileFamily::Halo, halo, "{sizes:?} {direction:?} {way:?}");
            }
        }
    }

    #[test]
    fn filter_rows_share_pixels_in_groups_of_channels() {
        let way = |c| product([512, 32, c, 64, 3, 1], Conv2dDirection::Wgrad).fastest();
        assert_eq!((way(64).tile, way(64).family), (TALL, TileFamily::Halo));
        assert_eq!(way(72).family, TileFamily::PerTap);
        assert_eq!(
            product([512, 32, 64, 64, 3, 2], Conv2dDirection::Wgrad).fastest().family,
            TileFamily::PerTap
        );
    }

    #[test]
    fn every_way_fits_and_is_what_its_choice_names() {
        for direction in [
            Conv2dDirection::Fprop,
            Conv2dDirection::Dgrad,
            Conv2dDirection::DgradNorm,
            Conv2dDirection::Wgrad,
            NORM,
        ] {
            for sizes in [[3, 5, 8, 16, 3, 1], [64, 56, 128, 64, 3, 1], [9, 17, 64, 512, 3, 2]] {
                let product = product(sizes, direction);
                let ways = product.ways();
                assert!(ways.len() >= 3);
                for way in ways {
                    assert_eq!(product.way(&way.choice()), Some(way));
                    assert!(product.shared_bytes(&way.tile, way.family) <= SHARED_BLOCK);
                    assert!(product.blocks(&way.tile, way.family) >= 1);
                    assert!(product.seconds(&way).0 > 0.0);
                    assert!(direction == Conv2dDirection::Wgrad || way.splits == 1);
                }
            }
        }
        let none = TileChoice { tile: [100, 64], family: TileFamily::PerTap, splits: 1 };
        assert_eq!(product([3, 5, 8, 16, 3, 1], Conv2dDirection::Fprop).way(&none), None);
        let halo = TileChoice { tile: [128, 64], family: TileFamily::Halo, splits: 1 };
        assert_eq!(product([3, 5, 8, 16, 1, 1], Conv2dDirection::Fprop).way(&halo), None);
    }

    #[test]
    fn splits_fill_the_card_where_there_are_positions() {
        let machines = tiles::MMA_MULTIPROCESSORS as usize;
        for sizes in [
            [512, 32, 64, 64, 3, 1],
            [512, 32, 8, 64, 3, 1],
            [512, 16, 128, 128, 3, 1],
            [512, 8, 256, 256, 3, 1],
            [512, 4, 512, 512, 3, 1],
            [256, 14, 1024, 256, 1, 1],
        ] {
            let product = product(sizes, Conv2dDirection::Wgrad);
            let TilePlan { tile, splits, .. } = product.fastest();
            let blocks = tile.count(product.rows, product.columns) * splits;
            let share = blocks.div_ceil(machines);
            assert!(10 * blocks >= 7 * share * machines, "{sizes:?}: {blocks} blocks");
        }
        // Too few positions for two.
        assert_eq!(product([1, 16, 64, 64, 3, 1], Conv2dDirection::Wgrad).fastest().splits, 1);
    }
}
