//! The page: its head, its sections in order, and its end.

use super::markup::{esc, push};
use super::sections::{classes, costs, densities, recipe, results, strips, timing, top, tradeoff};
use super::thumb::Thumb;
use super::view::View;
use crate::experiment::summary::RunSummary;

/// Gives the picture of a training sample by its position; `None` if there is none to show.
pub type Pictures<'a> = &'a dyn Fn(usize) -> Option<Thumb>;

/// Renders the report: one HTML page that needs no other file.
///
/// `pictures` supplies the sample strips; without it they are left out. The same summary and
/// pictures give the same bytes. Names from outside are escaped; values that are missing are shown
/// as a dash, and sections without any data are left out.
pub fn render(summary: &RunSummary, pictures: Option<Pictures>) -> String {
    let view = View::new(summary);
    let sections: Vec<Section> = [
        results::section(&view),
        tradeoff::section(&view),
        densities::section(&view),
        timing::section(&view),
        classes::section(&view),
        classes::quotas(&view),
        pictures.and_then(|p| strips::section(&view, p, &strips::Most::OF_A_RUN)),
        costs::section(&view),
        recipe::how_to_read(&view),
        recipe::section(&view),
    ]
    .into_iter()
    .flatten()
    .collect();

    let settings = &summary.settings;
    frame(&top::title(&view), [&settings.version, &settings.commit], &top::header(&view), sections)
}

/// Makes a page of sections.
pub(super) fn frame(title: &str, built: [&str; 2], header: &str, sections: Vec<Section>) -> String {
    let part = |s: Section| Part { id: s.id.to_owned(), title: s.title.to_owned(), body: s.body };
    page(title, built, header, &sections.into_iter().map(part).collect::<Vec<Part>>())
}

/// One section with its anchor; title and body are HTML.
pub(super) struct Part {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) body: String,
}

/// Makes a whole page. Title, version and commit are text, and the header is HTML.
pub(super) fn page(
    title: &str,
    [version, commit]: [&str; 2],
    header: &str,
    parts: &[Part],
) -> String {
    let mut page = String::with_capacity(1 << 17);
    push!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; img-src data:\">\n\
         <meta name=\"generator\" content=\"fairprune {}\">\n<title>{}</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<main>\n",
        esc(version),
        esc(title),
        include_str!("style.css")
    );
    page.push_str(header);
    page.push_str("<nav aria-label=\"Sections\">");
    for part in parts {
        push!(page, "<a href=\"#{}\">{}</a> ", part.id, part.title);
    }
    page.push_str("</nav>\n");
    for Part { id, title, body } in parts {
        push!(
            page,
            "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}\
             </h2>\n{body}</section>\n"
        );
    }
    push!(
        page,
        "</main>\n<footer>fairprune {} · {}</footer>\n</body>\n</html>\n",
        esc(version),
        esc(commit)
    );
    page
}

/// A part of the page.
pub(super) struct Section {
    pub(super) id: &'static str,
    /// The title, as HTML.
    pub(super) title: &'static str,
    /// The body, as HTML.
    pub(super) body: String,
}
