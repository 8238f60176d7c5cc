//! Metrics of one run, from the counts or recalls of its classes.

use super::confusion::ClassCounts;
use crate::error::{Error, Result};

/// The mean of the worst 5 % of classes is reported from this number of classes on.
pub const WORST_SHARE_CLASSES: usize = 100;

/// Everything that is reported about one run. Fields are `None` when no class has a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassMetrics {
    /// Correct samples over all samples.
    pub average_accuracy: Option<f64>,
    /// Mean recall.
    pub balanced_accuracy: Option<f64>,
    /// The worst class and its recall.
    pub worst: Option<(usize, f64)>,
    /// Mean recall of the worst 5 % of classes; `None` below [`WORST_SHARE_CLASSES`] classes.
    pub worst_five_percent: Option<f64>,
    /// Largest minus smallest recall.
    pub gap: Option<f64>,
    /// Population standard deviation of the recalls.
    pub std: Option<f64>,
    /// Recall of each class.
    pub recalls: Vec<Option<f64>>,
}

impl ClassMetrics {
    /// Computes the metrics of a run with these counts.
    pub fn new(counts: &[ClassCounts]) -> Self {
        let recalls = recalls(counts);
        ClassMetrics {
            average_accuracy: average_accuracy(counts),
            balanced_accuracy: balanced_accuracy(&recalls),
            worst: worst_class(&recalls),
            worst_five_percent: worst_five_percent(&recalls),
            gap: gap(&recalls),
            std: std(&recalls),
            recalls,
        }
    }
}

/// Returns the recall of each class, `None` where there is no sample.
pub fn recalls(counts: &[ClassCounts]) -> Vec<Option<f64>> {
    counts.iter().map(ClassCounts::recall).collect()
}

/// Returns correct over all samples, each sample counting once.
pub fn average_accuracy(counts: &[ClassCounts]) -> Option<f64> {
    let correct = counts.iter().map(|c| c.correct).sum();
    let total = counts.iter().map(|c| c.total).sum();
    ClassCounts { correct, total }.recall()
}

/// Returns the mean recall, each class counting once.
pub fn balanced_accuracy(recalls: &[Option<f64>]) -> Option<f64> {
    mean(recalls.iter().copied().flatten())
}

/// Returns the mean recall weighted by training-set sizes, which is meant for groups whose shares
/// of the test data are not those of training. Groups without recall are left out with their
/// weight.
///
/// # Errors
/// The slices differ in length.
pub fn weighted_accuracy(recalls: &[Option<f64>], sizes: &[usize]) -> Result<Option<f64>> {
    same_length("group sizes", sizes.len(), recalls.len())?;
    let (mut sum, mut weight) = (0.0, 0.0);
    for (recall, &size) in recalls.iter().zip(sizes) {
        if let Some(recall) = recall {
            sum += recall * size as f64;
            weight += size as f64;
        }
    }
    Ok((weight > 0.0).then(|| sum / weight))
}

/// Returns the class of smallest recall and that recall; of equal recalls, the lower class number.
pub fn worst_class(recalls: &[Option<f64>]) -> Option<(usize, f64)> {
    let known = recalls.iter().enumerate().filter_map(|(class, r)| r.map(|r| (class, r)));
    known.min_by(|a, b| a.1.total_cmp(&b.1))
}

/// Returns the mean recall of the worst 5 % of the classes that have one, rounded up to whole
/// classes; `None` with fewer than [`WORST_SHARE_CLASSES`] of them.
pub fn worst_five_percent(recalls: &[Option<f64>]) -> Option<f64> {
    let mut known: Vec<f64> = recalls.iter().copied().flatten().collect();
    known.sort_unstable_by(f64::total_cmp);
    let worst = known.len().div_ceil(20);
    (known.len() >= WORST_SHARE_CLASSES).then(|| mean(known[..worst].iter().copied())).flatten()
}

/// Returns the largest minus the smallest recall.
pub fn gap(recalls: &[Option<f64>]) -> Option<f64> {
    let known = || recalls.iter().copied().flatten();
    Some(known().max_by(f64::total_cmp)? - known().min_by(f64::total_cmp)?)
}

/// Returns the mean over all pairs of classes of the difference between their recalls. BAM (Li et al.
/// 2023) stops where it is least, because groups that are hard in one class only pull it down.
pub fn class_difference(recalls: &[Option<f64>]) -> Option<f64> {
    let known: Vec<f64> = recalls.iter().copied().flatten().collect();
    let pairs = (0..known.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
    mean(pairs.map(|(i, j)| (known[i] - known[j]).abs()))
}

/// Returns the standard deviation of the recalls, dividing by their number, because the classes are
/// all there are and not a sample of more.
pub fn std(recalls: &[Option<f64>]) -> Option<f64> {
    let known = || recalls.iter().copied().flatten();
    let center = mean(known())?;
    mean(known().map(|r| (r - center).powi(2))).map(f64::sqrt)
}

/// Returns the Pearson correlation between class densities and recalls, over the classes that have
/// a recall.
///
/// It is `None` with fewer than two classes or where either side is constant up to 1e-9. Pass the
/// densities before rounding, because those of uniform quotas are then constant, whereas counts
/// over sizes correlate by accident.
///
/// # Errors
/// The slices differ in length.
pub fn pearson(densities: &[f64], recalls: &[Option<f64>]) -> Result<Option<f64>> {
    same_length("densities", densities.len(), recalls.len())?;
    let pairs: Vec<(f64, f64)> =
        densities.iter().zip(recalls).filter_map(|(&d, r)| r.map(|r| (d, r))).collect();
    let (Some(mean_d), Some(mean_r)) =
        (mean(pairs.iter().map(|p| p.0)), mean(pairs.iter().map(|p| p.1)))
    else {
        return Ok(None);
    };
    let varies = |side: fn(&(f64, f64)) -> f64, center: f64| {
        pairs.iter().any(|p| (side(p) - center).abs() > 1e-9)
    };
    if !(varies(|p| p.0, mean_d) && varies(|p| p.1, mean_r)) {
        return Ok(None);
    }
    let (mut dd, mut rr, mut dr) = (0.0, 0.0, 0.0);
    for (d, r) in pairs {
        let (d, r) = (d - mean_d, r - mean_r);
        dd += d * d;
        rr += r * r;
        dr += d * r;
    }
    Ok(Some((dr / (dd * rr).sqrt()).clamp(-1.0, 1.0)))
}

/// Returns the class with the fewest training samples and their number; of equal ones, the lower
/// class number.
pub fn least_samples(counts: &[usize]) -> Option<(usize, usize)> {
    counts.iter().copied().enumerate().min_by_key(|&(_, count)| count)
}

/// Returns the arithmetic mean, or `None` of no values.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0u64), |(sum, n), v| (sum + v, n + 1));
    (n > 0).then(|| sum / n as f64)
}

fn same_length(what: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::invalid(
        what,
        format!("{found} values"),
        format!("{expected}, one for each class recall"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: Option<f64>, b: f64) {
        assert!(a.is_some_and(|a| (a - b).abs() < 1e-12), "{a:?} is not {b}");
    }

    /// Counts of four classes: 8 of 10, none of none, 1 of 4, 3 of 6.
    fn counts() -> Vec<ClassCounts> {
        let pairs = [(8, 10), (0, 0), (1, 4), (3, 6)];
        pairs.map(|(correct, total)| ClassCounts { correct, total }).to_vec()
    }

    #[test]
    fn hand_computed_run() {
        let m = ClassMetrics::new(&counts());
        assert_eq!(m.recalls, [Some(0.8), None, Some(0.25), Some(0.5)]);
        close(m.average_accuracy, 12.0 / 20.0);
        close(m.balanced_accuracy, 1.55 / 3.0);
        assert_eq!(m.worst, Some((2, 0.25)));
        close(m.gap, 0.55);
        // Variance: (.8^2 + .25^2 + .5^2) / 3 - (1.55 / 3)^2 = .9525 / 3 - .266944...
        close(m.std, (0.9525f64 / 3.0 - (1.55f64 / 3.0).powi(2)).sqrt());
        assert_eq!(m.worst_five_percent, None);
        close(weighted_accuracy(&m.recalls, &[10, 1000, 30, 60]).unwrap(), 45.5 / 100.0);
    }

    #[test]
    fn nothing_measured_is_none_everywhere() {
        let m = ClassMetrics::new(&[ClassCounts::default(); 3]);
        assert_eq!((m.average_accuracy, m.balanced_accuracy, m.worst), (None, None, None));
        assert_eq!((m.gap, m.std, m.worst_five_percent), (None, None, None));
        assert_eq!(weighted_accuracy(&m.recalls, &[1, 2, 3]).unwrap(), None);
        assert_eq!(weighted_accuracy(&[Some(0.5)], &[0]).unwrap(), None);
        assert_eq!(pearson(&[0.1, 0.2, 0.3], &m.recalls).unwrap(), None);
    }

    #[test]
    fn ties_for_the_worst_class_go_to_the_lower_number() {
        assert_eq!(worst_class(&[Some(0.9), Some(0.2), None, Some(0.2)]), Some((1, 0.2)));
        assert_eq!(least_samples(&[7, 3, 9, 3]), Some((1, 3)));
        assert_eq!(least_samples(&[]), None);
    }

    #[test]
    fn worst_five_percent_of_many_classes() {
        let many = |n: usize| (0..n).rev().map(|k| Some(k as f64 / 1000.0)).collect::<Vec<_>>();
        assert_eq!(worst_five_percent(&many(99)), None);
        close(worst_five_percent(&many(100)), 0.002); // classes 0 to 4
        close(worst_five_percent(&many(101)), 0.0025); // 5.05 classes: 0 to 5
        let mut with_absent = many(100);
        with_absent.push(None);
        close(worst_five_percent(&with_absent), 0.002);
    }

    #[test]
    fn correlation() {
        let recalls = [Some(0.9), Some(0.5), None, Some(0.7)];
        close(pearson(&[0.1, 0.5, 0.9, 0.3], &recalls).unwrap(), -1.0);
        close(pearson(&[0.9, 0.5, 0.0, 0.7], &recalls).unwrap(), 1.0);
        // x = (1, 2, 4), y = (1, 3, 2): cov 3/2 over sqrt(14/3 * 2), by hand.
        let skew = [Some(1.0), Some(3.0), Some(2.0)].map(|r: Option<f64>| r.map(|r| r / 10.0));
        close(pearson(&[1.0, 2.0, 4.0], &skew).unwrap(), 1.0 / (14.0f64 / 3.0 * 2.0).sqrt());
    }

    #[test]
    fn constants_have_no_correlation() {
        let recalls = [Some(0.9), Some(0.5), Some(0.7)];
        let drifting = [0.1 + 0.2, 0.3, 0.3 + 1e-16];
        assert_eq!(pearson(&drifting, &recalls).unwrap(), None);
        assert_eq!(pearson(&[0.1, 0.2, 0.3], &[Some(0.4); 3]).unwrap(), None);
        assert_eq!(pearson(&[0.1], &[Some(0.4)]).unwrap(), None);
        assert!(pearson(&[0.1], &recalls).is_err());
        assert!(weighted_accuracy(&recalls, &[1]).is_err());
    }
}
