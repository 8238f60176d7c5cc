//! Divides a data set into samples to train on, samples that give the class recalls, and samples to
//! report on.
//!
//! Every stored index is a position in the original part. Class recalls never come from a sample
//! that the query model was trained on, nor from a test image that is also reported on.

mod kind;
mod left_out;

use crate::error::{Error, Result};
use crate::rng::{Philox, Stream};

pub use kind::{DEFAULT_FOLDS, SplitKind};
pub use left_out::LeftOut;

/// Smallest number of validation images of a class under [`SplitKind::Holdout`], where the class
/// has at least twice as many.
const HOLDOUT_MINIMUM: usize = 50;

/// A part of a data set, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartName {
    /// The training part.
    Train,
    /// The shipped validation part.
    Val,
    /// The test part.
    Test,
}

impl PartName {
    /// Returns the name in files: `train`, `val` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            PartName::Train => "train",
            PartName::Val => "val",
            PartName::Test => "test",
        }
    }
}

/// One division of a data set. All positions are ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The kind of the division.
    pub kind: SplitKind,
    /// The seed with which it was made.
    pub seed: u64,
    /// Positions in the original training part that may be kept. N, N_k and d count these.
    pub train: Vec<usize>,
    /// The part that holds the validation images.
    pub val_part: PartName,
    /// Validation positions in that part; empty under `crossfit`, where each query run has its own.
    pub val: Vec<usize>,
    /// Positions in the test part to report on; empty where there is no test part.
    pub test: Vec<usize>,
    /// Fold of each position of the training part under `crossfit`, else empty; u32::MAX for
    /// samples that a long tail removed.
    pub folds: Vec<u32>,
    /// Why `train` has fewer samples than the kind leaves it, if it has.
    pub left_out: Option<LeftOut>,
}

/// The samples that one query run trains on and is evaluated on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryPart {
    /// Positions in the original training part.
    pub train: Vec<usize>,
    /// The part that holds the validation images.
    pub val_part: PartName,
    /// Validation positions in that part.
    pub val: Vec<usize>,
}

impl Split {
    /// Divides a data set given its labels.
    ///
    /// `classes` are the class names (for messages), and `train`, `val`, `test` the labels of the
    /// parts.
    ///
    /// # Errors
    /// A part that the kind needs is absent, or a class is too small for it.
    pub fn new(
        kind: SplitKind,
        classes: &[String],
        train: &[u32],
        val: Option<&[u32]>,
        test: Option<&[u32]>,
        seed: u64,
    ) -> Result<Split> {
        let everything = |labels: &[u32]| (0..labels.len()).collect::<Vec<_>>();
        let mut split = Split {
            kind,
            seed,
            train: everything(train),
            val_part: PartName::Train,
            val: Vec::new(),
            test: test.map(everything).unwrap_or_default(),
            folds: Vec::new(),
            left_out: None,
        };
        match kind {
            SplitKind::Shipped => {
                let labels = val.ok_or_else(|| {
                    missing(kind, "no validation part", "a data set with a val part; or holdout")
                })?;
                each_class_has(1, kind, "validation", labels, classes)?;
                split.val_part = PartName::Val;
                split.val = everything(labels);
            }
            SplitKind::Holdout => {
                each_class_has(2, kind, "training", train, classes)?;
                (split.train, split.val) = holdout(train, classes.len(), seed);
            }
            SplitKind::HalfTest => {
                let labels = test.ok_or_else(|| {
                    missing(kind, "no test part", "a data set with a test part; or holdout")
                })?;
                each_class_has(2, kind, "test", labels, classes)?;
                split.val_part = PartName::Test;
                (split.val, split.test) = half(labels, classes.len());
            }
            SplitKind::Crossfit { folds } => {
                if folds < 2 || u32::try_from(folds).is_err() {
                    return Err(missing(kind, &format!("{folds} folds"), "at least 2 folds"));
                }
                each_class_has(2, kind, "training", train, classes)?;
                split.folds = stratified_folds(train, classes.len(), folds, seed);
            }
            SplitKind::None => {}
        }
        Ok(split)
    }

    /// Turns a split of chosen samples into one of the training part of `samples` that they are
    /// from: position i here is `positions[i]` there.
    pub(super) fn within(self, positions: &[usize], samples: usize) -> Split {
        let there = |list: Vec<usize>| list.into_iter().map(|i| positions[i]).collect();
        let mut folds = Vec::new();
        if !self.folds.is_empty() {
            folds = vec![u32::MAX; samples];
            positions.iter().zip(&self.folds).for_each(|(&i, &fold)| folds[i] = fold);
        }
        Split {
            train: there(self.train),
            val: if self.val_part == PartName::Train { there(self.val) } else { self.val },
            folds,
            ..self
        }
    }

    /// Takes the training positions in `positions`, ascending, out of what may be trained on and
    /// kept. Validation and test samples stay, so that results with and without them compare.
    pub fn without(self, positions: &[usize], why: LeftOut) -> Split {
        let stays = |i: &usize| positions.binary_search(i).is_err();
        let train = self.train.into_iter().filter(stays).collect();
        Split { train, left_out: Some(why), ..self }
    }

    /// Returns the number of query runs that the split dictates: the folds of `crossfit`, else
    /// none.
    pub fn query_runs(&self) -> Option<usize> {
        match self.kind {
            SplitKind::Crossfit { folds } => Some(folds),
            _ => None,
        }
    }

    /// Returns what query run `run` trains on and is evaluated on (`run` counts modulo the folds).
    pub fn query(&self, run: usize) -> QueryPart {
        match self.kind {
            SplitKind::Crossfit { folds } => {
                let fold = (run % folds) as u32;
                let (val, train) = self.train.iter().partition(|&&i| self.folds[i] == fold);
                QueryPart { train, val_part: PartName::Train, val }
            }
            _ => QueryPart {
                train: self.train.clone(),
                val_part: self.val_part,
                val: self.val.clone(),
            },
        }
    }
}

fn missing(kind: SplitKind, found: &str, expected: &str) -> Error {
    Error::invalid(format!("split {kind}"), found, expected)
}

fn each_class_has(
    least: usize,
    kind: SplitKind,
    part: &str,
    labels: &[u32],
    classes: &[String],
) -> Result<()> {
    match class_sizes(labels, classes.len()).iter().position(|&n| n < least) {
        Some(k) => Err(Error::invalid(
            format!("split {kind}, class {}", classes[k]),
            format!("{} {part} images", class_sizes(labels, classes.len())[k]),
            format!("at least {least}"),
        )),
        None => Ok(()),
    }
}

/// Returns the number of labels of each class; labels must be below `classes`.
pub(super) fn class_sizes(labels: &[u32], classes: usize) -> Vec<usize> {
    let mut sizes = vec![0; classes];
    labels.iter().for_each(|&l| sizes[l as usize] += 1);
    sizes
}

/// Returns the positions of each class, ascending.
pub(super) fn by_class(labels: &[u32], classes: usize) -> Vec<Vec<usize>> {
    let mut positions = vec![Vec::new(); classes];
    for (i, &l) in labels.iter().enumerate() {
        positions[l as usize].push(i);
    }
    positions
}

/// Returns the number of validation images that `holdout` takes from a class of `n`: n / 10 rounded
/// half up, at least 50, at most n / 2 rounded down.
fn holdout_count(n: usize) -> usize {
    ((n + 5) / 10).max(HOLDOUT_MINIMUM).min(n / 2)
}

/// Returns the number of training images that `holdout` would take.
pub(super) fn holdout_size(labels: &[u32], classes: usize) -> usize {
    class_sizes(labels, classes).into_iter().map(holdout_count).sum()
}

fn holdout(labels: &[u32], classes: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let philox = Philox::new(seed, Stream::Split);
    let mut held = vec![false; labels.len()];
    for (k, mut positions) in by_class(labels, classes).into_iter().enumerate() {
        philox.sequence(k as u64).shuffle(&mut positions);
        positions[..holdout_count(positions.len())].iter().for_each(|&i| held[i] = true);
    }
    (0..labels.len()).partition(|&i| !held[i])
}

fn half(labels: &[u32], classes: usize) -> (Vec<usize>, Vec<usize>) {
    let mut first = vec![false; labels.len()];
    for positions in by_class(labels, classes) {
        positions[..positions.len() / 2].iter().for_each(|&i| first[i] = true);
    }
    (0..labels.len()).partition(|&i| first[i])
}

/// Deals each class, shuffled, over the folds. Dealing goes on where the class before stopped, so
/// that both the fold sizes and each class's share of them differ by at most one.
fn stratified_folds(labels: &[u32], classes: usize, folds: usize, seed: u64) -> Vec<u32> {
    let philox = Philox::new(seed, Stream::Split);
    let mut fold = vec![0; labels.len()];
    let mut dealt = 0;
    for (k, mut positions) in by_class(labels, classes).into_iter().enumerate() {
        philox.sequence(k as u64).shuffle(&mut positions);
        for i in positions {
            fold[i] = (dealt % folds) as u32;
            dealt += 1;
        }
    }
    fold
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(k: usize) -> Vec<String> {
        (0..k).map(|i| format!("class{i}")).collect()
    }

    /// Makes labels of classes of the given sizes, interleaved.
    fn labels(sizes: &[usize]) -> Vec<u32> {
        let mut left = sizes.to_vec();
        let mut out = Vec::new();
        while left.iter().any(|&n| n > 0) {
            for (k, n) in left.iter_mut().enumerate().filter(|(_, n)| **n > 0) {
                out.push(k as u32);
                *n -= 1;
            }
        }
        out
    }

    fn make(kind: SplitKind, train: &[usize], test: Option<&[usize]>, seed: u64) -> Result<Split> {
        let test = test.map(labels);
        Split::new(kind, &names(train.len()), &labels(train), None, test.as_deref(), seed)
    }

    fn sizes_at(labels: &[u32], positions: &[usize], classes: usize) -> Vec<usize> {
        class_sizes(&positions.iter().map(|&i| labels[i]).collect::<Vec<_>>(), classes)
    }

    #[test]
    fn holdout_takes_a_tenth_at_least_fifty_at_most_half() {
        let sizes = [5_000, 604, 605, 120, 100, 99, 51, 3, 2];
        let split = make(SplitKind::Holdout, &sizes, Some(&[4; 9]), 1).unwrap();
        let labels = labels(&sizes);
        assert_eq!(sizes_at(&labels, &split.val, 9), [500, 60, 61, 50, 50, 49, 25, 1, 1]);
        let mut all = [split.train.clone(), split.val.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
        assert!(split.train.is_sorted() && split.val.is_sorted());
        assert_eq!(split.val_part, PartName::Train);
        assert_eq!(split.test, (0..36).collect::<Vec<_>>());
    }

    #[test]
    fn seed_decides_which_are_held_out() {
        let one = make(SplitKind::Holdout, &[300, 300], None, 1).unwrap();
        assert_eq!(one, make(SplitKind::Holdout, &[300, 300], None, 1).unwrap());
        assert_ne!(one.val, make(SplitKind::Holdout, &[300, 300], None, 2).unwrap().val);
        assert!(one.test.is_empty());
    }

    #[test]
    fn half_test_divides_each_class_in_order() {
        let split = make(SplitKind::HalfTest, &[9, 9], Some(&[5, 2]), 0).unwrap();
        // The interleaved labels of the test part are 0 1 0 1 0 0 0.
        assert_eq!(split.val, [0, 1, 2]);
        assert_eq!(split.test, [3, 4, 5, 6]);
        assert_eq!(split.val_part, PartName::Test);
        assert_eq!(split.train.len(), 18);
    }

    #[test]
    fn crossfit_covers_every_sample_once_and_never_trains_on_it() {
        let sizes = [103, 57, 12, 2];
        let split = make(SplitKind::Crossfit { folds: 5 }, &sizes, None, 3).unwrap();
        let labels = labels(&sizes);
        let mut pooled = Vec::new();
        for run in 0..5 {
            let query = split.query(run);
            assert_eq!(query.val_part, PartName::Train);
            assert!(query.val.iter().all(|i| query.train.binary_search(i).is_err()));
            assert_eq!(query.val.len() + query.train.len(), labels.len());
            assert!((labels.len() / 5..=labels.len() / 5 + 1).contains(&query.val.len()));
            for (k, n) in sizes_at(&labels, &query.val, 4).into_iter().enumerate() {
                assert!((sizes[k] / 5..=sizes[k] / 5 + 1).contains(&n), "class {k}: {n}");
            }
            pooled.extend(query.val);
        }
        pooled.sort_unstable();
        assert_eq!(pooled, (0..labels.len()).collect::<Vec<_>>());
        assert_eq!(split.query(7), split.query(2));
        assert_eq!((split.query_runs(), split.val.len()), (Some(5), 0));
    }

    #[test]
    fn none_holds_nothing_out() {
        let split = make(SplitKind::None, &[3, 1], Some(&[2, 2]), 0).unwrap();
        assert_eq!((split.train.len(), split.val.len(), split.test.len()), (4, 0, 4));
        let query = split.query(3);
        assert_eq!((query.train.len(), query.val.len()), (4, 0));
    }

    #[test]
    fn shipped_uses_the_validation_part() {
        let train = labels(&[3, 3]);
        let split =
            Split::new(SplitKind::Shipped, &names(2), &train, Some(&[1, 0, 1]), None, 0).unwrap();
        assert_eq!((split.val_part, split.val.as_slice()), (PartName::Val, &[0, 1, 2][..]));
        assert_eq!(split.train.len(), 6);
        let query = split.query(4);
        assert_eq!((query.train, query.val), (split.train, split.val));
    }

    #[test]
    fn what_cannot_be_divided_is_refused_with_the_class_named() {
        let refused = |r: Result<Split>| r.unwrap_err().to_string();
        let text = refused(make(SplitKind::Holdout, &[4, 1], None, 0));
        assert!(text.contains("class1") && text.contains("at least 2"), "{text}");
        let text = refused(make(SplitKind::HalfTest, &[4, 4], Some(&[2, 1]), 0));
        assert!(text.contains("class1"), "{text}");
        assert!(refused(make(SplitKind::HalfTest, &[4, 4], None, 0)).contains("no test part"));
        assert!(refused(make(SplitKind::Shipped, &[4, 4], None, 0)).contains("no validation part"));
        assert!(refused(make(SplitKind::Crossfit { folds: 1 }, &[4], None, 0)).contains("1 folds"));
    }

    #[test]
    fn what_is_left_out_is_in_no_fold() {
        let split = make(SplitKind::Crossfit { folds: 2 }, &[10, 10], None, 0).unwrap();
        let why = LeftOut { digest: "d".to_owned(), samples: 2, text: "two".to_owned() };
        let less = split.clone().without(&[3, 18], why);
        let stays = |list: Vec<usize>| -> Vec<usize> {
            list.into_iter().filter(|i| ![3, 18].contains(i)).collect()
        };
        assert_eq!(less.train, stays(split.train.clone()));
        for run in 0..2 {
            let (all, part) = (split.query(run), less.query(run));
            assert_eq!((part.train, part.val), (stays(all.train), stays(all.val)));
        }
    }
}
