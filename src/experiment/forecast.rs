//! What quotas are predicted to do, as files and pages say it.

use serde::{Deserialize, Serialize};

use crate::prune::{QuotaForecast, Subset};

/// What the quotas of one run are predicted to do, compared with as many samples without quotas. The
/// level that all classes lose with the number of samples is not in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastSummary {
    /// g of the prediction.
    pub gain: f64,
    /// Predicted recalls under equal densities and under the quotas, one a class.
    pub equal: Vec<Option<f64>>,
    pub quotas: Vec<Option<f64>>,
    /// 95 % intervals of the recalls under the quotas.
    pub intervals: Vec<Option<[f64; 2]>>,
    /// Changes of the lowest and of the mean recall, with 95 % intervals.
    pub worst: PredictedChange,
    pub average: PredictedChange,
    /// What the rule of predicted quotas chose, where it made them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleSummary>,
}

/// A predicted difference and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictedChange {
    pub mean: f64,
    pub interval: [f64; 2],
}

/// What the rule of predicted quotas chose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleSummary {
    /// Weight of the mean recall.
    pub lambda: f64,
    /// Part of the log densities that was kept; 0 is equal densities.
    pub shrinkage: f64,
    /// Changes of the lowest and of the mean recall, each half of the validation samples judging the
    /// densities that the other half chose.
    pub judged_worst: f64,
    pub judged_average: f64,
}

impl ForecastSummary {
    /// What is known of a subset; None where nothing was predicted.
    pub fn of(subset: &Subset) -> Option<ForecastSummary> {
        let forecast = subset.forecast.as_ref()?;
        let QuotaForecast { gain, equal, quotas, .. } = forecast;
        let change = |mean, (low, high)| PredictedChange { mean, interval: [low, high] };
        Some(ForecastSummary {
            gain: *gain,
            equal: equal.recalls.clone(),
            quotas: quotas.recalls.clone(),
            intervals: forecast.intervals.iter().map(|i| i.map(|(a, b)| [a, b])).collect(),
            worst: change(forecast.worst_change, forecast.worst_interval),
            average: change(forecast.average_change, forecast.average_interval),
            rule: subset.predicted.as_ref().map(|p| RuleSummary {
                lambda: p.lambda,
                shrinkage: p.shrinkage,
                judged_worst: p.judged.0,
                judged_average: p.judged.1,
            }),
        })
    }
}
