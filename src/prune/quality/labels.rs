//! Labels that are probably wrong, by confident learning.
//!
//! Source: Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset
//! Labels", Journal of Artificial Intelligence Research 70 (2021), 1373-1411 (arXiv 1911.00068).
//! With p(j|x) the probability of class j for sample x, of a network that did not train on x, and y
//! the given label:
//!
//! - the threshold of class j, t_j, is the mean of p(j|x) over the samples of label j (their equation 2);
//! - a sample is confidently of the class j with the largest p(j|x) among those with p(j|x) >= t_j, if
//!   there is any; C(i, j) counts the samples of label i that are confidently of class j (equation 1);
//! - the joint Q(i, j) is C(i, j), each row scaled to the number of samples of its label, and all of it
//!   to a sum of 1 (equation 3): the estimated share of samples that have label i and are of class j;
//! - the samples that C counts off its diagonal are the suspects (their method "C_confusion").

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::prune::space::{Probabilities, check_labels};

/// What suspects are ranked by; low values are the most suspect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SuspectRanking {
    /// p(y|x) - max over j other than y of p(j|x), in [-1, 1]; below 0 where the network says otherwise.
    #[default]
    NormalisedMargin,
    /// p(y|x), in [0, 1].
    SelfConfidence,
}

impl fmt::Display for SuspectRanking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SuspectRanking::NormalisedMargin => "normalised-margin",
            SuspectRanking::SelfConfidence => "self-confidence",
        })
    }
}

impl FromStr for SuspectRanking {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let all = [SuspectRanking::NormalisedMargin, SuspectRanking::SelfConfidence];
        all.into_iter().find(|r| r.to_string() == name).ok_or_else(|| {
            Error::invalid("ranking of suspects", name, "normalised-margin or self-confidence")
        })
    }
}

/// A sample whose label is suspected to be wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelSuspect {
    /// Position of the sample.
    pub sample: usize,
    /// The given label.
    pub label: u32,
    /// The class that the sample confidently is of.
    pub suggested: u32,
    /// p(y|x) of the given label y.
    pub self_confidence: f64,
    /// p(y|x) less the largest probability of another class.
    pub margin: f64,
}

impl LabelSuspect {
    /// Returns the value of a ranking.
    pub fn value(&self, ranking: SuspectRanking) -> f64 {
        match ranking {
            SuspectRanking::NormalisedMargin => self.margin,
            SuspectRanking::SelfConfidence => self.self_confidence,
        }
    }
}

/// Samples of one label that confidently are of another class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelPair {
    /// The given label.
    pub label: u32,
    /// The class that they are confidently of.
    pub suggested: u32,
    /// C(label, suggested), which is also the number of suspects of this pair.
    pub samples: u64,
    /// Q(label, suggested): the estimated share of all samples.
    pub joint: f64,
    /// The estimated share of the samples of this label.
    pub of_label: f64,
}

/// What confident learning says of a set of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfidentLearning {
    /// The threshold t_j of each class; `None` for a class that no sample is labelled as.
    pub thresholds: Vec<Option<f64>>,
    /// Number of samples that were looked at.
    pub samples: usize,
    /// Number of samples whose most probable class, the first of equal ones, is not their label: how wrong
    /// the models are if all labels are right.
    pub disagreeing: usize,
    /// Number of samples of each label that are confidently of that class, the diagonal of C.
    pub confirmed: Vec<u64>,
    /// What C and Q hold off their diagonals, the largest joint first; of equal ones by label and
    /// suggested class. Pairs without samples are left out.
    pub pairs: Vec<LabelPair>,
    /// Samples off the diagonal, most suspect first; of equally suspect ones by position.
    pub suspects: Vec<LabelSuspect>,
}

impl ConfidentLearning {
    /// Returns the estimated share of wrong labels, the sum of Q off its diagonal.
    pub fn wrong(&self) -> f64 {
        self.pairs.iter().map(|p| p.joint).sum()
    }
}

/// Looks for wrong labels among the samples at `positions`, each of which has a row of
/// `probabilities` and a label. Rows of other samples are not read. O(N K), and memory for the pairs
/// of classes that occur.
///
/// A label none of whose samples is confidently of any class has no evidence against it: all of its
/// samples count on the diagonal.
///
/// # Errors
/// What [`Probabilities::check`] refuses; a label that is no class; no samples.
pub fn confident_learning(
    probabilities: Probabilities,
    labels: &[u32],
    positions: &[usize],
    ranking: SuspectRanking,
) -> Result<ConfidentLearning> {
    let classes = probabilities.classes();
    if positions.is_empty() {
        return Err(Error::invalid("samples with labels", "none", "at least one to look at"));
    }
    probabilities.check(positions)?;
    check_labels(labels, positions, classes)?;
    let thresholds = thresholds(probabilities, labels, positions);
    let mut sizes = vec![0u64; classes];
    let mut counts: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    let (mut suspects, mut disagreeing) = (Vec::new(), 0);
    for &sample in positions {
        let (row, label) = (probabilities.row(sample), labels[sample]);
        sizes[label as usize] += 1;
        disagreeing += usize::from(most_probable(row) != label);
        let Some(class) = confident_class(row, &thresholds) else { continue };
        *counts.entry((label, class)).or_default() += 1;
        if class != label {
            suspects.push(suspect(row, sample, label, class));
        }
    }
    let value = |s: &LabelSuspect| s.value(ranking);
    suspects.sort_by(|a, b| value(a).total_cmp(&value(b)).then(a.sample.cmp(&b.sample)));
    let confirmed = (0..classes as u32).map(|k| counts.get(&(k, k)).copied().unwrap_or(0));
    Ok(ConfidentLearning {
        thresholds,
        samples: positions.len(),
        disagreeing,
        confirmed: confirmed.collect(),
        pairs: pairs(&counts, &sizes),
        suspects,
    })
}

fn thresholds(
    probabilities: Probabilities,
    labels: &[u32],
    positions: &[usize],
) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0f64, 0u64); probabilities.classes()];
    for &sample in positions {
        let label = labels[sample] as usize;
        sums[label].0 += f64::from(probabilities.row(sample)[label]);
        sums[label].1 += 1;
    }
    sums.into_iter().map(|(sum, n)| (n > 0).then(|| sum / n as f64)).collect()
}

/// The most probable of the classes whose threshold is reached; of equal ones the first.
fn confident_class(row: &[f32], thresholds: &[Option<f64>]) -> Option<u32> {
    let mut best: Option<usize> = None;
    for (k, (&p, threshold)) in row.iter().zip(thresholds).enumerate() {
        let reached = threshold.is_some_and(|t| f64::from(p) >= t);
        if reached && best.is_none_or(|b| p > row[b]) {
            best = Some(k);
        }
    }
    best.map(|k| k as u32)
}

fn most_probable(row: &[f32]) -> u32 {
    let better = |best: usize, k: usize| if row[k] > row[best] { k } else { best };
    (0..row.len()).fold(0, better) as u32
}

fn suspect(row: &[f32], sample: usize, label: u32, suggested: u32) -> LabelSuspect {
    let own = f64::from(row[label as usize]);
    let others = row.iter().enumerate().filter(|(k, _)| *k != label as usize);
    let most = others.map(|(_, &p)| f64::from(p)).fold(0.0, f64::max);
    LabelSuspect { sample, label, suggested, self_confidence: own, margin: own - most }
}

/// Calibrates the counts to the sizes of the labels.
fn pairs(counts: &BTreeMap<(u32, u32), u64>, sizes: &[u64]) -> Vec<LabelPair> {
    let mut rows = vec![0u64; sizes.len()];
    counts.iter().for_each(|(&(label, _), &n)| rows[label as usize] += n);
    let total: u64 = sizes.iter().sum();
    let off_diagonal = counts.iter().filter(|((label, class), _)| label != class);
    let mut pairs: Vec<LabelPair> = off_diagonal
        .map(|(&(label, suggested), &samples)| {
            let of_label = samples as f64 / rows[label as usize] as f64;
            let joint = of_label * sizes[label as usize] as f64 / total as f64;
            LabelPair { label, suggested, samples, joint, of_label }
        })
        .collect();
    pairs.sort_by(|a, b| b.joint.total_cmp(&a.joint));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes; labels 0 0 0 1 1, of which the third says clearly that it is a 1.
    const ROWS: [f32; 10] = [0.9, 0.1, 0.75, 0.25, 0.15, 0.85, 0.25, 0.75, 0.35, 0.65];
    const LABELS: [u32; 5] = [0, 0, 0, 1, 1];

    fn of(rows: &[f32], labels: &[u32], classes: usize) -> ConfidentLearning {
        let positions: Vec<usize> = (0..labels.len()).collect();
        let rows = Probabilities::new(rows, classes).unwrap();
        confident_learning(rows, labels, &positions, SuspectRanking::default()).unwrap()
    }

    #[test]
    fn a_small_case_by_hand() {
        let found = of(&ROWS, &LABELS, 2);
        // t_0 = (.9 + .75 + .15) / 3 = .6, t_1 = .7: the last sample is confidently nothing.
        assert!((found.thresholds[0].unwrap() - 0.6).abs() < 1e-7);
        assert!((found.thresholds[1].unwrap() - 0.7).abs() < 1e-7);
        assert_eq!((found.confirmed.as_slice(), found.disagreeing), (&[2, 1][..], 1));
        let suspect = found.suspects[0];
        assert_eq!((found.suspects.len(), suspect.sample, suspect.suggested), (1, 2, 1));
        assert!(
            (suspect.margin + 0.7).abs() < 1e-7 && (suspect.self_confidence - 0.15).abs() < 1e-7
        );
        // One of the three confident samples of label 0, which are 3 of 5.
        let pair = found.pairs[0];
        assert_eq!((found.pairs.len(), pair.label, pair.suggested, pair.samples), (1, 0, 1, 1));
        assert!((pair.of_label - 1.0 / 3.0).abs() < 1e-15 && (found.wrong() - 0.2).abs() < 1e-15);
    }

    #[test]
    fn a_class_without_samples_is_never_suggested() {
        let rows = [0.2, 0.1, 0.7, 0.2, 0.2, 0.6];
        let found = of(&rows, &[0, 1], 3);
        assert_eq!(found.thresholds[2], None);
        // The second sample reaches both thresholds at equal probabilities: the first class counts.
        assert_eq!(found.suspects.iter().map(|s| s.suggested).collect::<Vec<_>>(), [0]);
        assert_eq!((found.confirmed, found.pairs[0].of_label), (vec![1, 0, 0], 1.0));
    }

    #[test]
    fn positions_that_are_left_out_change_nothing() {
        let mut rows = ROWS.to_vec();
        rows.extend([f32::NAN; 2]);
        let rows = Probabilities::new(&rows, 2).unwrap();
        let labels = [0, 0, 0, 1, 1, 9];
        let found = confident_learning(rows, &labels, &[0, 1, 2, 3, 4], SuspectRanking::default());
        assert_eq!(found.unwrap(), of(&ROWS, &LABELS, 2));
        let says = |positions: &[usize], word: &str| {
            let found = confident_learning(rows, &labels, positions, SuspectRanking::default());
            let message = found.unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        };
        says(&[0, 5], "sample 5");
        says(&[], "none");
        says(&[6], "position 6");
    }

    #[test]
    fn rankings_have_names() {
        for ranking in [SuspectRanking::NormalisedMargin, SuspectRanking::SelfConfidence] {
            assert_eq!(ranking.to_string().parse::<SuspectRanking>().unwrap(), ranking);
        }
        let message = "best".parse::<SuspectRanking>().unwrap_err().to_string();
        assert!(message.contains("best") && message.contains("self-confidence"), "{message}");
    }
}
