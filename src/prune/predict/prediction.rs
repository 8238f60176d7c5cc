//! Predicted recalls and confusions under given densities.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::CHUNK;
use super::rows::ValidationRows;
use crate::error::Result;

/// Predicted answers of one class for samples of another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confusion {
    /// The class of the samples.
    pub label: usize,
    /// The class that is answered.
    pub answer: usize,
    /// Part of the samples of `label` that are answered so.
    pub share: f64,
}

/// What a network trained under some densities is predicted to answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Recall of each class; None without validation rows.
    pub recalls: Vec<Option<f64>>,
    /// The answer for each row.
    pub(super) answers: Vec<u32>,
    /// Wrong answers, by class of the samples and then by share, largest first.
    pub confusions: Vec<Confusion>,
}

impl Prediction {
    /// Counts the answers of each class.
    fn of(rows: &ValidationRows, answers: Vec<u32>) -> Prediction {
        let totals = rows.class_rows();
        let mut counts: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for (&label, &answer) in rows.labels.iter().zip(&answers) {
            *counts.entry((label, answer)).or_insert(0) += 1;
        }
        let right = |k: usize| counts.get(&(k as u32, k as u32)).copied().unwrap_or(0);
        let recall = |(k, &n): (usize, &u64)| (n > 0).then(|| right(k) as f64 / n as f64);
        let recalls = totals.iter().enumerate().map(recall).collect();
        let wrong = counts.iter().filter(|((label, answer), _)| label != answer);
        let share = |(&(label, answer), &n): (&(u32, u32), &u64)| Confusion {
            label: label as usize,
            answer: answer as usize,
            share: n as f64 / totals[label as usize] as f64,
        };
        let mut confusions: Vec<Confusion> = wrong.map(share).collect();
        confusions.sort_by(|a, b| a.label.cmp(&b.label).then(b.share.total_cmp(&a.share)));
        Prediction { recalls, answers, confusions }
    }

    /// The class of the lowest recall, the first of several, and that recall.
    pub fn worst(&self) -> Option<(usize, f64)> {
        let known = self.recalls.iter().enumerate().filter_map(|(k, r)| Some((k, (*r)?)));
        known.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The mean of the recalls: every class counts alike.
    pub fn average(&self) -> Option<f64> {
        let known: Vec<f64> = self.recalls.iter().copied().flatten().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }

    /// The class that is most often answered for samples of `label`, and its share.
    pub fn taken_for(&self, label: usize) -> Option<Confusion> {
        self.confusions.iter().find(|c| c.label == label).copied()
    }
}

/// Predicts what networks trained under `densities` (one a class, in [0, 1]) answer: recalls over all
/// rows of all runs.
///
/// # Errors
/// Densities that do not fit the classes or are all 0, a gain that is negative or not finite.
pub fn predict(rows: &ValidationRows, densities: &[f64], gain: f64) -> Result<Prediction> {
    rows.check(densities, gain)?;
    let shifts = rows.shifts(densities, gain);
    Ok(Prediction::of(rows, answers(rows, &shifts)))
}

/// The answer for each row; the lowest class of several that are as likely.
fn answers(rows: &ValidationRows, shifts: &[Vec<f64>]) -> Vec<u32> {
    let mut answers = vec![0; rows.labels.len()];
    answers.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, answers)| {
        for (i, answer) in answers.iter_mut().enumerate() {
            let i = chunk * CHUNK + i;
            let shift = &shifts[rows.runs[i] as usize];
            let mut best = f64::NEG_INFINITY;
            for (k, (&log, shift)) in rows.row(i).iter().zip(shift).enumerate() {
                let value = f64::from(log) + shift;
                if value > best {
                    (best, *answer) = (value, k as u32);
                }
            }
        }
    });
    answers
}
