//! How to go on, how to read the page, how to repeat it.

use super::page::PrunedPage;
use crate::report::markup::{esc, push, scrolling};
use crate::report::numbers;
use crate::report::page::Section;

/// Why samples are not kept, and where each is listed.
pub(super) fn dropped(page: &PrunedPage) -> Option<Section> {
    let set = page.set;
    let why = |reason: &str| match reason {
        "held out" => "they may not be kept",
        "left out" => "by a check of the data, or by the long tail",
        "quota" => "their class keeps fewer than the ranking alone would",
        "score" => "others come first by the score",
        "draw" => "the random draw chose others",
        _ => "the method picked others",
    };
    let mut rows = String::new();
    for &(reason, count) in set.dropped.iter().filter(|(_, count)| *count > 0) {
        push!(
            rows,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td>{}</td></tr>",
            esc(reason),
            numbers::count(count as u64),
            esc(&page.words(why(reason)))
        );
    }
    if rows.is_empty() {
        return None;
    }
    let table = format!(
        "<table><thead><tr><th scope=\"col\">Reason</th><th scope=\"col\" class=\"n\">Samples</th>\
         <th scope=\"col\">What it means</th></tr></thead><tbody>{rows}</tbody></table>"
    );
    let body = format!(
        "<p class=\"lead\">Every one is listed, with its name, score and reason, in \
         <code>dropped.csv</code> beside this page.</p>\n{}",
        scrolling("Dropped samples by reason", "", &table)
    );
    Some(Section { id: "dropped", title: "What is dropped", body })
}

pub(super) fn next(page: &PrunedPage) -> Option<Section> {
    let set = page.set;
    // Paths are written so that Python reads them back.
    let kept = esc(&format!("{:?}", set.kept_file));
    let pytorch = match &set.train_folder {
        Some(folder) => format!(
            "<p class=\"lead\">or in PyTorch, where this folder has the same order:</p>\n\
             <pre tabindex=\"0\"><code>import numpy as np, torch, torchvision\n\
             data = torchvision.datasets.ImageFolder({})\n\
             subset = torch.utils.data.Subset(data, np.load({kept}))</code></pre>\n",
            esc(&format!("{folder:?}"))
        ),
        None => format!(
            "<p class=\"lead\">or elsewhere: <code>np.load({kept})</code> are positions in this data \
             set’s order; <code>kept.csv</code> beside it has the names.</p>\n"
        ),
    };
    let body = format!(
        "<p class=\"lead\">Train on what is kept, here:</p>\n<pre tabindex=\"0\"><code>{}</code></pre>\n\
         {pytorch}",
        esc(&set.next)
    );
    Some(Section { id: "next", title: "How to go on", body })
}

pub(super) fn how_to_read(page: &PrunedPage) -> Option<Section> {
    let set = page.set;
    let mut body = String::from("<div class=\"prose\">\n");
    if set.quota.starts_with("metriq") {
        body.push_str(
            "<p><b>Quotas.</b> MetriQ keeps more of the classes that a model trained on everything \
             gets wrong, and fewer of those it gets right. Where errors differ a lot between classes, \
             easy classes can be left with too little and become the worst themselves: a minimum per \
             class prevents it.</p>\n\
             <p><b>Recalls.</b> They are estimates from validation images. With n of them, a class of \
             true recall .9 is off by about .3 / √n: ±.04 with 50, ±.02 with 250. Few validation \
             images move the quotas at random.</p>\n",
        );
    } else if set.quota.starts_with("nucs") {
        body.push_str(
            "<p><b>Quotas.</b> NUCS keeps more of the classes whose samples are harder on average, by \
             the score that the recipe names. A score is not an error rate: a class can be hard for it \
             and have a good recall.</p>\n",
        );
    } else if set.quota == "none" {
        body.push_str(
            "<p><b>No quotas.</b> The ranking of the whole set decides how many samples a class keeps. \
             A score that finds one class easy takes most of that class, and its recall often \
             falls; compare the densities above.</p>\n",
        );
    }
    body.push_str(
        "<p><b>What this page does not say.</b> Whether a model trained on this subset is good. \
         <code>fairprune run</code> compares strategies at several densities, over paired seeds, and \
         says what is decided and what is not.</p>\n</div>\n",
    );
    Some(Section { id: "reading", title: "How to read this", body })
}

pub(super) fn recipe(page: &PrunedPage) -> Option<Section> {
    let set = page.set;
    let mut body = format!(
        "<p class=\"lead\">This command repeats it: the same version chooses the same samples, whatever \
         the number of threads.</p>\n<pre tabindex=\"0\"><code>{}</code></pre>\n<dl class=\"recipe\">",
        esc(&set.command)
    );
    let of = set.eligible.len();
    let rows = [
        ("data".to_owned(), set.data.clone()),
        ("fingerprint".to_owned(), set.fingerprint.clone()),
        (
            "kept".to_owned(),
            format!("{} of {}", numbers::count(set.kept.len() as u64), numbers::count(of as u64)),
        ),
    ];
    let version = ("version".to_owned(), format!("{} ({})", set.version, set.commit));
    for (key, value) in rows.iter().chain(&set.recipe).chain([&version]) {
        push!(body, "<div><dt>{}</dt><dd>{}</dd></div>", esc(&key.replace('_', " ")), esc(value));
    }
    body.push_str("</dl>\n");
    Some(Section { id: "recipe", title: "Recipe", body })
}
