//! Tables of every number in the drawings.

use super::page::{TheoryPage, rule};
use crate::report::markup::{minus, push, scrolling};
use crate::report::numbers::{count, digits, position, risk, signed};
use crate::theory::Decision;

pub(super) fn body(page: &TheoryPage) -> String {
    let drawn = page.drawn.map(|(_, estimates)| estimates);
    let mut at = 0;
    let mut rows = String::new();
    let mut add = |density: &str, name: &str, more: [String; 3], decision: &Decision| {
        let [r0, r1] = decision.risks;
        let worse = decision.worst() - page.study.full.worst();
        push!(
            rows,
            "<tr><th scope=\"row\">{name}</th><td class=\"n\" data-label=\"Density\">{density}</td>{}\
             <td data-label=\"Rule\">{}</td><td class=\"n\" data-label=\"Risk 0\">{}</td>\
             <td class=\"n\" data-label=\"Risk 1\">{}</td>\
             <td class=\"n\" data-label=\"Worst, against all data\">{}</td>",
            ["Margin", "Kept 0", "Kept 1"]
                .iter()
                .zip(more)
                .map(|(label, text)| format!("<td class=\"n\" data-label=\"{label}\">{text}</td>"))
                .collect::<String>(),
            rule(decision.rule),
            risk(r0),
            risk(r1),
            minus(&signed(worse, 4))
        );
        if let Some(estimate) = drawn.and_then(|d| d.get(at)) {
            for k in 0..2 {
                let (found, error) = (estimate.risks[k], estimate.standard_errors[k]);
                push!(
                    rows,
                    "<td class=\"n\" data-label=\"Drawn {k}\">{} ± {}</td>",
                    risk(found),
                    risk(error)
                );
            }
        }
        rows.push_str("</tr>");
        at += 1;
    };
    let none = || "–".to_owned();
    let study = page.study;
    add("1", "Least risk, t*", [none(), digits(1.0, 4), digits(1.0, 4)], &study.full);
    add("–", "Least worst risk, t̂", [none(), none(), none()], &study.worst_optimum);
    let shares = |d: [f64; 2]| d.map(risk);
    for row in &study.rows {
        let density = row.density.to_string();
        if let Some(m) = &row.metriq {
            let [d0, d1] = shares(m.densities);
            add(&density, "MetriQ", [none(), d0, d1], &m.decision);
        }
        let [d0, d1] = shares(row.ssp.densities);
        add(&density, "SSP", [position(row.ssp.margin), d0, d1], &row.ssp.decision);
    }
    let mut heads = String::new();
    let names = ["Density", "Margin", "Kept 0", "Kept 1", "Rule", "Risk 0", "Risk 1", "Worst"];
    for name in names {
        let class = if name == "Rule" { "" } else { " class=\"n\"" };
        let more = if name == "Worst" { "<small>against all data</small>" } else { "" };
        push!(heads, "<th scope=\"col\"{class}>{name}{more}</th>");
    }
    let mut lead = String::new();
    if let Some((samples, _)) = page.drawn {
        for k in 0..2 {
            push!(heads, "<th scope=\"col\" class=\"n\">Drawn {k}</th>");
        }
        push!(
            lead,
            "<p class=\"lead\">Drawn: shares of {} random samples of each class, ± the standard \
             error that the exact risk gives them.</p>\n",
            count(samples)
        );
    }
    let table = format!(
        "<table role=\"table\" class=\"cards\"><thead><tr><th scope=\"col\">Pruning</th>{heads}</tr></thead><tbody>{rows}</tbody>\
         </table>"
    );
    lead + &scrolling("Risks", "", &table)
}
