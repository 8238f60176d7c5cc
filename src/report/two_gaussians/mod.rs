//! The page on two Gaussians: their thresholds, and what pruning does to them.

mod distributions;
mod page;
mod risks;
mod tables;

use super::markup::{esc, minus, push};
use super::numbers;
use super::page::{Section, frame};
use super::sections::top::warnings;
pub use page::TheoryPage;
use page::rule;

/// Renders the page: one HTML file that needs no other. The same input gives the same bytes.
pub fn render(page: &TheoryPage) -> String {
    let sections = [
        Section {
            id: "distributions",
            title: "Distributions and thresholds",
            body: distributions::body(page),
        },
        Section { id: "risks", title: "Risks against density", body: risks::body(page) },
        Section { id: "numbers", title: "Numbers", body: tables::body(page) },
        Section { id: "reading", title: "How to read this", body: reading(page) },
    ];
    let built = [env!("CARGO_PKG_VERSION"), env!("FAIRPRUNE_COMMIT")];
    frame("Two Gaussians and pruning", built, &header(page), sections.into())
}

fn header(page: &TheoryPage) -> String {
    let (classes, study) = (page.classes, page.study);
    let ([mu0, mu1], [s0, s1]) = (classes.means(), classes.sigmas());
    let number = |x: f64| minus(&numbers::plain(x));
    let class = |mu: f64, s: f64| format!("mean {}, deviation {}", number(mu), number(s));
    let mut facts = vec![("Class 0", class(mu0, s0)), ("Class 1", class(mu1, s1))];
    let [n0, n1] = classes.sizes();
    facts.push(("Sizes", format!("{} to {}", number(n0), number(n1))));
    if page.dimension > 1 {
        let text = format!("{}; positions count along the line through the means", page.dimension);
        facts.push(("Dimensions", text));
    }
    let worst = numbers::risk(study.full.worst());
    facts.push(("Least risk", format!("{}; worst class {worst}", rule(study.full.rule))));
    let worst = numbers::risk(study.worst_optimum.worst());
    let text = format!("{}; both risks {worst}", rule(study.worst_optimum.rule));
    facts.push(("Least worst-class risk", text));
    let mut out = String::from(
        "<header>\n<p class=\"over\">fairprune theory</p>\n<h1>Two Gaussians: what pruning does \
         to the worse of two classes</h1>\n<dl class=\"facts\">",
    );
    for (term, text) in facts {
        push!(out, "<div><dt>{term}</dt><dd>{text}</dd></div>");
    }
    out.push_str("</dl>\n");
    out.push_str(&warnings(&study.warnings()));
    out + "</header>\n"
}

fn reading(page: &TheoryPage) -> String {
    let reach = match (page.study.optimal_priors, page.study.reachable_density) {
        (Some([p0, p1]), Some(d)) => format!(
            "Here they are {} and {}, and random pruning inside classes reaches them up to density \
             {}.",
            numbers::risk(p0),
            numbers::risk(p1),
            numbers::risk(d)
        ),
        _ => {
            "Here there are none: under priors in proportion to the deviations, always predicting \
              the wide class errs least."
                .to_owned()
        }
    };
    let jump = match page.study.ssp_jump {
        Some(jump) => format!(
            "Here that is below density {}, where the margin passes {}.",
            numbers::risk(jump.density),
            numbers::position(jump.margin)
        ),
        None => String::new(),
    };
    format!(
        "<div class=\"prose\">\n<p><b>The rule.</b> Class 1 is predicted where x is above the \
         threshold t. t* has the least total risk, the larger class counting for more; t̂ has \
         the least risk of the worse class, where both risks are equal.</p>\n\
         <p><b>Priors.</b> Pruning at random inside the classes changes the priors and nothing \
         else. Equal priors hurt the wide class; the priors that make t* and t̂ the same are in \
         proportion to the deviations. {reach}</p>\n\
         <p><b>MetriQ</b> keeps samples in proportion to N<sub>k</sub>R<sub>k</sub>(t*) until one \
         class is kept whole. It moves the priors towards the class with the larger risk, sometimes \
         past the best ones: near-optimal is a matter of the parameters.</p>\n\
         <p><b>SSP</b> prunes every sample closer to its class mean than one margin for both classes, so \
         it prunes the narrow class more. The rule of the full data stays until one on the far side of \
         a hole, or a constant one, errs less on what is left. {jump}</p>\n\
         <p>All risks are those on unpruned classes, from closed forms.</p>\n</div>\n\
         <pre tabindex=\"0\"><code>{}</code></pre>\n",
        esc(page.command)
    )
}
