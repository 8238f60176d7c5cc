//! Counts of predictions.

use crate::error::{Error, Result};

/// Largest number of classes of a [`ConfusionMatrix`]: 2 GiB of counts. [`tally`] has no limit.
const MOST_CLASSES: usize = 1 << 14;

/// Correct and all predictions on the samples of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassCounts {
    /// Samples predicted as their class.
    pub correct: u64,
    /// Samples of the class.
    pub total: u64,
}

impl ClassCounts {
    /// Returns correct / total, or `None` for a class without samples.
    pub fn recall(&self) -> Option<f64> {
        (self.total > 0).then(|| self.correct as f64 / self.total as f64)
    }
}

/// Counts of every (label, prediction) pair; 8 K^2 bytes for K classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    /// The counts in row-major order, one row for each label.
    cells: Vec<u64>,
}

impl ConfusionMatrix {
    /// Makes an empty matrix of `classes` classes.
    ///
    /// # Errors
    /// There are more than 2^14 classes.
    pub fn new(classes: usize) -> Result<Self> {
        if classes > MOST_CLASSES {
            return Err(Error::invalid(
                "confusion matrix",
                format!("{classes} classes"),
                format!("at most {MOST_CLASSES}"),
            ));
        }
        Ok(ConfusionMatrix { classes, cells: vec![0; classes * classes] })
    }

    /// Counts two slices of equal length.
    ///
    /// # Errors
    /// The lengths differ, a label or prediction is not below `classes` (it is named with its
    /// position), or there are more than 2^14 classes.
    pub fn from_slices(labels: &[u32], predictions: &[u32], classes: usize) -> Result<Self> {
        let mut matrix = ConfusionMatrix::new(classes)?;
        for pair in pairs(labels, predictions, classes)? {
            let (label, prediction) = pair?;
            matrix.cells[label * classes + prediction] += 1;
        }
        Ok(matrix)
    }

    /// Counts one sample.
    ///
    /// # Errors
    /// The label or the prediction is not below the number of classes.
    pub fn add(&mut self, label: u32, prediction: u32) -> Result<()> {
        let label = in_range("label", label, self.classes)?;
        let prediction = in_range("prediction", prediction, self.classes)?;
        self.cells[label * self.classes + prediction] += 1;
        Ok(())
    }

    /// Adds the counts of another matrix.
    ///
    /// # Errors
    /// The numbers of classes differ.
    pub fn merge(&mut self, other: &ConfusionMatrix) -> Result<()> {
        if self.classes != other.classes {
            return Err(Error::invalid(
                "confusion matrix to add",
                format!("{} classes", other.classes),
                format!("{}", self.classes),
            ));
        }
        for (cell, more) in self.cells.iter_mut().zip(&other.cells) {
            *cell += more;
        }
        Ok(())
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Returns the number of samples of class `label` predicted as `prediction`; `None` out of
    /// range.
    pub fn get(&self, label: usize, prediction: usize) -> Option<u64> {
        let inside = label < self.classes && prediction < self.classes;
        inside.then(|| self.cells[label * self.classes + prediction])
    }

    /// Returns the counts of every label, one row of K predictions each.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.cells.chunks_exact(self.classes.max(1))
    }

    /// Returns the correct and total counts of every class.
    pub fn class_counts(&self) -> Vec<ClassCounts> {
        let rows = self.rows().enumerate();
        rows.map(|(k, row)| ClassCounts { correct: row[k], total: row.iter().sum() }).collect()
    }
}

/// Counts correct and all predictions of every class without the matrix, so that memory grows with
/// K and not with K^2.
///
/// # Errors
/// The lengths differ, or a label or prediction is not below `classes` (it is named with its
/// position).
pub fn tally(labels: &[u32], predictions: &[u32], classes: usize) -> Result<Vec<ClassCounts>> {
    let mut counts = vec![ClassCounts::default(); classes];
    for pair in pairs(labels, predictions, classes)? {
        let (label, prediction) = pair?;
        counts[label].total += 1;
        counts[label].correct += u64::from(label == prediction);
    }
    Ok(counts)
}

/// Counts correct and all predictions of every group. Sample i, of group `groups[i]`, is correct
/// where its prediction is its label.
///
/// # Errors
/// The lengths differ, or a group is not below `count` (it is named with its position).
pub fn tally_groups(
    groups: &[u32],
    labels: &[u32],
    predictions: &[u32],
    count: usize,
) -> Result<Vec<ClassCounts>> {
    for (what, found) in [("predictions", predictions.len()), ("groups", groups.len())] {
        if found != labels.len() {
            let expected = format!("{}, one for each label", labels.len());
            return Err(Error::invalid(what, format!("{found} values"), expected));
        }
    }
    let mut counts = vec![ClassCounts::default(); count];
    for (i, (&group, (label, prediction))) in
        groups.iter().zip(labels.iter().zip(predictions)).enumerate()
    {
        let Some(of) = counts.get_mut(group as usize) else {
            let what = format!("group of sample {i}");
            let expected = format!("below {count}, the number of groups");
            return Err(Error::invalid(what, group.to_string(), expected));
        };
        of.total += 1;
        of.correct += u64::from(label == prediction);
    }
    Ok(counts)
}

fn pairs<'a>(
    labels: &'a [u32],
    predictions: &'a [u32],
    classes: usize,
) -> Result<impl Iterator<Item = Result<(usize, usize)>> + 'a> {
    if labels.len() != predictions.len() {
        return Err(Error::invalid(
            "predictions",
            format!("{} values", predictions.len()),
            format!("{}, one for each label", labels.len()),
        ));
    }
    let pairs = labels.iter().zip(predictions).enumerate();
    Ok(pairs.map(move |(i, (&label, &prediction))| {
        // The position is formatted only when a value is out of range, to keep the loop fast.
        let checked = |what: &str, value: u32| match (value as usize) < classes {
            true => Ok(value as usize),
            false => in_range(&format!("{what} of sample {i}"), value, classes),
        };
        Ok((checked("label", label)?, checked("prediction", prediction)?))
    }))
}

fn in_range(what: &str, value: u32, classes: usize) -> Result<usize> {
    if (value as usize) < classes {
        return Ok(value as usize);
    }
    Err(Error::invalid(what, value.to_string(), format!("below {classes}, the number of classes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_count_correct_classes() {
        // Groups 0..4 are class x attribute; the samples' attributes are 0 1 1 0 1 1.
        let groups = [0, 1, 1, 2, 3, 7];
        let counts = tally_groups(&groups, &LABELS, &PREDICTIONS, 8).unwrap();
        let of = |correct, total| ClassCounts { correct, total };
        assert_eq!(counts[..4], [of(1, 1), of(1, 2), of(1, 1), of(0, 1)]);
        assert_eq!((counts[4], counts[7]), (of(0, 0), of(0, 1)));
        // The groups of a class add up to the class.
        let classes = tally(&LABELS, &PREDICTIONS, 4).unwrap();
        for (k, pair) in counts.chunks(2).enumerate() {
            let sum = of(pair[0].correct + pair[1].correct, pair[0].total + pair[1].total);
            assert_eq!(sum, classes[k]);
        }
        let error = tally_groups(&groups, &LABELS, &PREDICTIONS, 7).unwrap_err().to_string();
        assert!(error.contains("sample 5") && error.contains("below 7"), "{error}");
        assert!(tally_groups(&groups[1..], &LABELS, &PREDICTIONS, 8).is_err());
        assert!(tally_groups(&groups, &LABELS, &PREDICTIONS[1..], 8).is_err());
    }

    const LABELS: [u32; 6] = [0, 0, 0, 1, 1, 3];
    const PREDICTIONS: [u32; 6] = [0, 1, 0, 1, 3, 2];

    #[test]
    fn cells_and_class_counts() {
        let matrix = ConfusionMatrix::from_slices(&LABELS, &PREDICTIONS, 4).unwrap();
        let rows: Vec<&[u64]> = matrix.rows().collect();
        assert_eq!(rows, [[2, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]]);
        assert_eq!((matrix.get(1, 3), matrix.get(3, 1)), (Some(1), Some(0)));
        assert_eq!((matrix.get(4, 0), matrix.get(0, 4)), (None, None));
        let counts: Vec<(u64, u64)> =
            matrix.class_counts().iter().map(|c| (c.correct, c.total)).collect();
        assert_eq!(counts, [(2, 3), (1, 2), (0, 0), (0, 1)]);
        assert_eq!(tally(&LABELS, &PREDICTIONS, 4).unwrap(), matrix.class_counts());
    }

    #[test]
    fn adding_and_merging_equal_one_pass() {
        let whole = ConfusionMatrix::from_slices(&LABELS, &PREDICTIONS, 4).unwrap();
        let mut first = ConfusionMatrix::from_slices(&LABELS[..2], &PREDICTIONS[..2], 4).unwrap();
        let mut rest = ConfusionMatrix::new(4).unwrap();
        for (&label, &prediction) in LABELS[2..].iter().zip(&PREDICTIONS[2..]) {
            rest.add(label, prediction).unwrap();
        }
        first.merge(&rest).unwrap();
        assert_eq!(first, whole);
    }

    #[test]
    fn bad_input_is_named() {
        let mut matrix = ConfusionMatrix::new(4).unwrap();
        assert!(matrix.add(4, 0).unwrap_err().to_string().contains("label: found 4"));
        assert!(matrix.add(0, 9).unwrap_err().to_string().contains("prediction: found 9"));
        assert_eq!(matrix, ConfusionMatrix::new(4).unwrap());
        assert!(matrix.merge(&ConfusionMatrix::new(3).unwrap()).is_err());
        let message = tally(&[0, 1], &[0, 7], 4).unwrap_err().to_string();
        assert!(message.contains("prediction of sample 1: found 7"), "{message}");
        assert!(tally(&[0, 1], &[0], 4).is_err());
        assert!(ConfusionMatrix::new(1 << 20).is_err());
        assert_eq!(ConfusionMatrix::new(0).unwrap().class_counts(), []);
    }

    #[test]
    fn a_class_without_samples_has_no_recall() {
        assert_eq!(ClassCounts::default().recall(), None);
        assert_eq!(ClassCounts { correct: 1, total: 4 }.recall(), Some(0.25));
    }
}
