//! What the page shows, and how its parts name classes and rules.

use crate::report::markup::minus;
use crate::report::numbers;
use crate::report::svg::Mark;
use crate::theory::{Estimate, Rule, TheoryStudy, TwoGaussians};

/// What the page shows.
#[derive(Clone, Copy, Debug)]
pub struct TheoryPage<'a> {
    /// The two classes.
    pub classes: &'a TwoGaussians,
    /// Number of dimensions of the means.
    pub dimension: usize,
    /// What the theory says of them.
    pub study: &'a TheoryStudy,
    /// The number of draws of a class and what they gave, one estimate for each decision of the
    /// study.
    pub drawn: Option<(u64, &'a [Estimate])>,
    /// The command that makes the page again.
    pub command: &'a str,
}

/// Returns the colour and shape of a class.
pub(super) fn mark(class: usize) -> Mark {
    Mark::Series(class)
}

/// Lists the names of the classes beside their marks.
pub(super) fn legend(page: &TheoryPage) -> String {
    let sigmas = page.classes.sigmas();
    let name = |k: usize| match sigmas[k].total_cmp(&sigmas[1 - k]) {
        std::cmp::Ordering::Less => format!("class {k}, the narrow one"),
        std::cmp::Ordering::Greater => format!("class {k}, the wide one"),
        std::cmp::Ordering::Equal => format!("class {k}"),
    };
    let entry = |k: usize| format!("<span>{}{}</span> ", mark(k).inline(), name(k));
    format!("<p class=\"legend\">{}{}</p>\n", entry(0), entry(1))
}

/// Writes a rule: `t = −.1700`, or which class is always predicted.
pub(super) fn rule(rule: Rule) -> String {
    match rule {
        Rule::Threshold(t) => format!("t = {}", minus(&numbers::position(t))),
        Rule::Always(class) => format!("always class {class}"),
    }
}
