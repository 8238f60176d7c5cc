//! How to go on, how to read the page, how to repeat it.

use super::page::PrunedPage;
use crate::report::markup::{esc, push};
use crate::report::numbers;
use crate::report::page::Section;

pub(super) fn next(page: &PrunedPage) -> Option<Section> {
    let set = page.set;
    let body = format!(
        "<p class=\"lead\">Train on what is kept, here:</p>\n<pre tabindex=\"0\"><code>{}</code></pre>\n\
         <p class=\"lead\">or in PyTorch, where a folder of class folders has the same order:</p>\n\
         <pre tabindex=\"0\"><code>import numpy as np, torch, torchvision\n\
         data = torchvision.datasets.ImageFolder(\"FOLDER/train\")\n\
         subset = torch.utils.data.Subset(data, np.load({}))</code></pre>\n",
        esc(&set.next),
        // The path is written so that Python reads it back.
        esc(&format!("{:?}", set.kept_file))
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
