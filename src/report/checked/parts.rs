//! How to go on, how to read the page, how to repeat it.

use super::page::CheckedSet;
use crate::report::markup::{esc, push};
use crate::report::page::Section;

pub(super) fn next(set: &CheckedSet) -> Section {
    let body = format!(
        "<p class=\"lead\">Change <code>suggestion</code> in check.csv to <code>keep</code> or <code>drop</code> \
         where you see it otherwise; then leave out what is marked drop:</p>\n\
         <pre tabindex=\"0\"><code>{}</code></pre>\n",
        esc(&set.next)
    );
    Section { id: "next", title: "How to go on", body }
}

pub(super) fn how_to_read(set: &CheckedSet) -> Section {
    let mut body = String::from(
        "<div class=\"prose\">\n<p><b>Which copy stays.</b> Validation and test samples always stay, and the \
         training copy goes. Among training samples the first stays whose label nobody suspects.</p>\n",
    );
    if set.near.is_some() {
        body.push_str(
            "<p><b>Near-duplicates.</b> A sample is compared with those before it that stay, not with all: a \
             long row of samples, each near the next, does not go as one.</p>\n",
        );
    }
    if set.found.labels.is_some() {
        body.push_str(
            "<p><b>Suspected labels.</b> Confident learning (Northcutt, Jiang, Chuang, JAIR 2021) on \
             probabilities out of fold. Weak networks suspect many right labels, and errors that a network \
             repeats on every fold it cannot see.</p>\n",
        );
    }
    body.push_str("</div>\n");
    Section { id: "reading", title: "How to read this", body }
}

pub(super) fn recipe(set: &CheckedSet) -> Section {
    let mut body = format!(
        "<p class=\"lead\">This command repeats it: the same version finds the same, whatever the number of \
         threads.</p>\n<pre tabindex=\"0\"><code>{}</code></pre>\n<dl class=\"recipe\">",
        esc(&set.command)
    );
    let first = [
        ("data".to_owned(), set.data.clone()),
        ("fingerprint".to_owned(), set.fingerprint.clone()),
    ];
    let version = ("version".to_owned(), format!("{} ({})", set.version, set.commit));
    for (key, value) in first.iter().chain(&set.recipe).chain([&version]) {
        push!(body, "<div><dt>{}</dt><dd>{}</dd></div>", esc(&key.replace('_', " ")), esc(value));
    }
    body.push_str("</dl>\n");
    Section { id: "recipe", title: "Recipe", body }
}
