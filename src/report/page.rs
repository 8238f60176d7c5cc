//! The frame of every page: its head, its sections in order, and its end.

use super::markup::{esc, push};
use super::thumb::Thumb;

/// Gives the picture of a training sample by its position; `None` if there is none to show.
pub type Pictures<'a> = &'a dyn Fn(usize) -> Option<Thumb>;

/// Makes a page of sections.
pub(super) fn frame(title: &str, built: [&str; 2], header: &str, sections: Vec<Section>) -> String {
    let part =
        |s: Section| PagePart { id: s.id.to_owned(), title: s.title.to_owned(), body: s.body };
    page(title, built, header, &sections.into_iter().map(part).collect::<Vec<PagePart>>())
}

/// One section with its anchor; title and body are HTML.
pub(super) struct PagePart {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) body: String,
}

/// Makes a whole page. Title, version and commit are text, and the header is HTML.
pub(super) fn page(
    title: &str,
    [version, commit]: [&str; 2],
    header: &str,
    parts: &[PagePart],
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
    for PagePart { id, title, body } in parts {
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
