//! Time and memory of each phase.

use crate::report::markup::{esc, push};
use crate::report::numbers;
use crate::report::page::Section;
use crate::report::view::SummaryView;

pub(in crate::report) fn section(view: &SummaryView) -> Option<Section> {
    let phases = &view.summary.phases;
    if phases.is_empty() {
        return None;
    }
    let seconds = |s: f64| if s.is_finite() { s.max(0.0) } else { 0.0 };
    let total: f64 = phases.iter().map(|p| seconds(p.seconds)).sum();
    let longest = phases.iter().map(|p| seconds(p.seconds)).fold(0.0, f64::max);
    let mut rows = String::new();
    for p in phases {
        let width = if longest > 0.0 { seconds(p.seconds) / longest * 100.0 } else { 0.0 };
        let dash = || "–".to_owned();
        let rate = p.samples.map_or_else(dash, |n| numbers::rate(n, p.seconds));
        let share = if total > 0.0 { seconds(p.seconds) / total } else { 0.0 };
        push!(
            rows,
            "<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">{}</th><td role=\"cell\" data-label=\"Time\" class=\"n\"><span>{}</span></td>\
             <td class=\"wide\" aria-hidden=\"true\"><span class=\"meter\" \
             style=\"width:{width:.1}%\"></span></td>\
             <td role=\"cell\" data-label=\"Share\" class=\"n\"><span>{}</span></td><td role=\"cell\" data-label=\"Images\" class=\"n\"><span>{}</span></td>\
             <td role=\"cell\" data-label=\"Rate\" class=\"n\"><span>{}</span></td>\
             <td role=\"cell\" data-label=\"Peak memory\" class=\"n\"><span>{}</span></td></tr>",
            esc(&p.name),
            numbers::seconds(p.seconds),
            numbers::percent((share * 100.0).round() / 100.0),
            p.samples.map_or_else(dash, numbers::count),
            if rate == numbers::MISSING { dash() } else { rate },
            p.peak_bytes.map_or_else(dash, numbers::bytes),
        );
    }
    let body = format!(
        "<table role=\"table\" class=\"cards phases\"><thead><tr><th scope=\"col\">Phase</th><th scope=\"col\" \
         class=\"n\">Time</th><th aria-hidden=\"true\"></th><th scope=\"col\" class=\"n\">Share\
         </th><th scope=\"col\" class=\"n\">Images</th><th scope=\"col\" class=\"n\">Rate</th>\
         <th scope=\"col\" class=\"n\">Peak memory</th></tr></thead><tbody>{rows}</tbody>\
         <tfoot><tr role=\"row\"><th role=\"rowheader\" scope=\"row\">Total</th><td role=\"cell\" data-label=\"Time\" class=\"n\"><span><b>{}</b></span></td>\
         <td class=\"wide\"></td><td></td><td></td><td></td><td></td></tr></tfoot></table>\n",
        numbers::seconds(total)
    );
    Some(Section { id: "costs", title: "Time and memory", body })
}
