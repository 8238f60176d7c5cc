//! Sentences about what quotas are predicted to do, as HTML.

use super::markup::minus;
use super::numbers;
use crate::experiment::forecast::{ForecastSummary, PredictedChange};

/// What changes against equal densities.
pub(super) fn predicted_changes(forecast: &ForecastSummary) -> String {
    let change = |c: &PredictedChange| minus(&numbers::difference(c.mean, Some(c.interval)));
    format!(
        "Predicted with gain <span class=\"n\">{:.2}</span>: worst class <span class=\"n\">{}</span>, \
         average <span class=\"n\">{}</span> against equal densities (95&nbsp;% intervals).",
        forecast.gain,
        change(&forecast.worst),
        change(&forecast.average)
    )
}

/// What the rule of predicted quotas chose, and what it gains where it was judged; nothing for other quotas.
pub(super) fn choice_of_rule(forecast: &ForecastSummary) -> String {
    let Some(rule) = &forecast.rule else { return String::new() };
    format!(
        " The rule weighed the average with <span class=\"n\">{}</span> and kept \
         <span class=\"n\">{:.0}&nbsp;%</span> of the log densities; judged on validation images that it did \
         not choose by, it gains <span class=\"n\">{}</span> on the worst class and \
         <span class=\"n\">{}</span> on the average.",
        rule.lambda,
        100.0 * rule.shrinkage,
        minus(&numbers::signed(rule.judged_worst, 3)),
        minus(&numbers::signed(rule.judged_average, 3))
    )
}
