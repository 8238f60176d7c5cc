//! What the quotas of the set are predicted to do.

use super::page::PrunedPage;
use crate::report::forecasts::{choice_of_rule, predicted_changes};
use crate::report::markup::{self, minus, name, push};
use crate::report::numbers;
use crate::report::page::Section;

pub(super) fn section(page: &PrunedPage) -> Option<Section> {
    let forecast = page.set.forecast.as_ref()?;
    let mut body = format!(
        "<p class=\"lead\">{}{} All classes also lose with the number of samples; that is not in the \
         prediction.</p>\n",
        predicted_changes(forecast),
        choice_of_rule(forecast)
    );
    let share = |list: &[Option<f64>], k: usize| {
        let value = list.get(k).copied().flatten();
        value.map_or("–".to_owned(), |v| minus(&numbers::share(v)))
    };
    let mut rows = String::new();
    for &k in &page.order {
        let interval = forecast.intervals.get(k).copied().flatten();
        let range = interval.map_or(String::new(), |[low, high]| minus(&numbers::range(low, high)));
        push!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td><b>{}</b> <span class=\"range\">{range}</span></td>\
             </tr>",
            name(&page.class_name(k)),
            share(&forecast.equal, k),
            share(&forecast.quotas, k)
        );
    }
    let table = format!(
        "<table><thead><tr><th scope=\"col\">Class</th><th scope=\"col\">Recall without quotas</th>\
         <th scope=\"col\">Recall with them</th></tr></thead><tbody>{rows}</tbody></table>"
    );
    body.push_str(&markup::scrolling("Predicted recalls", "tall", &table));
    Some(Section { id: "forecast", title: "Predicted recalls", body })
}
