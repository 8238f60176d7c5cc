//! How near predictions of what quotas do came to what was measured.

use serde::{Deserialize, Serialize};

use crate::metrics::{Spread, pearson};

/// How near predictions came, over the classes, means over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastFit {
    /// Of predicted recalls under the quotas and measured ones.
    pub recalls: Agreement,
    /// Of predicted changes and measured differences from random subsets of the same size.
    pub changes: Option<Agreement>,
}

/// How near two lists of numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Pearson's; None where one list is constant.
    pub correlation: Option<f64>,
    /// Root mean square of the differences, their mean removed.
    pub rmse: f64,
}

impl Agreement {
    /// Over the pairs that are known; None with fewer than two.
    pub fn of(predicted: &[Option<f64>], measured: &[Option<f64>]) -> Option<Agreement> {
        let pairs = predicted.iter().zip(measured);
        let pairs: Vec<(f64, f64)> = pairs.filter_map(|(p, m)| Some(((*p)?, (*m)?))).collect();
        if pairs.len() < 2 {
            return None;
        }
        let count = pairs.len() as f64;
        let mean = pairs.iter().map(|(p, m)| p - m).sum::<f64>() / count;
        let squares: f64 = pairs.iter().map(|(p, m)| (p - m - mean).powi(2)).sum();
        let (predicted, measured): (Vec<f64>, Vec<Option<f64>>) =
            pairs.into_iter().map(|(p, m)| (p, Some(m))).unzip();
        let correlation = pearson(&predicted, &measured).ok().flatten();
        Some(Agreement { correlation, rmse: (squares / count).sqrt() })
    }
}

/// The mean of each class over lists of one value a class; None where a list has none.
pub fn class_means<'a>(lists: impl Iterator<Item = &'a [Option<f64>]>) -> Vec<Option<f64>> {
    let lists: Vec<&[Option<f64>]> = lists.collect();
    let classes = lists.iter().map(|l| l.len()).max().unwrap_or(0);
    let of = |k: usize| {
        let values = lists.iter().map(|list| list.get(k).copied().flatten());
        Some(Spread::of(values.collect::<Option<Vec<f64>>>()?)?.mean)
    };
    (0..classes).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_ignores_the_level() {
        let some = |v: &[f64]| v.iter().copied().map(Some).collect::<Vec<_>>();
        let of = Agreement::of(&some(&[0.5, 0.7, 0.9]), &some(&[0.4, 0.6, 0.8])).unwrap();
        assert!(of.rmse < 1e-12 && (of.correlation.unwrap() - 1.0).abs() < 1e-12);
        // Differences .1, 0 and -.1: of variance .02 / 3.
        let of = Agreement::of(&some(&[0.5, 0.6, 0.7]), &some(&[0.4, 0.6, 0.8])).unwrap();
        assert!((of.rmse - (0.02f64 / 3.0).sqrt()).abs() < 1e-12);
        let of = Agreement::of(&some(&[0.5, 0.5]), &some(&[0.4, 0.6])).unwrap();
        assert_eq!(of.correlation, None);
        assert_eq!(Agreement::of(&[Some(0.5), None], &[Some(0.5), Some(0.1)]), None);
    }

    #[test]
    fn means_are_class_by_class() {
        let lists = [[Some(0.2), None], [Some(0.4), Some(1.0)]];
        let means = class_means(lists.iter().map(|l| l.as_slice()));
        assert!((means[0].unwrap() - 0.3).abs() < 1e-12);
        assert_eq!(means[1], None);
    }
}
