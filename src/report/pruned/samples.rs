//! Samples to look at: the first picks of each class, and what was kept and dropped.

use super::page::PrunedPage;
use crate::report::markup::{esc, minus, name, push, shorten};
use crate::report::numbers;
use crate::report::page::{Pictures, Section};

/// Number of classes that the page shows where there are many.
const CLASSES: usize = 12;
/// Number of samples of a class on either side.
const EACH: usize = 8;

/// Shows a picture, or the sample's name where there is none.
fn sample(
    page: &PrunedPage,
    position: usize,
    side: &str,
    pictures: Option<Pictures>,
    note: &str,
) -> String {
    let id = page.set.ids.get(position).map_or("", String::as_str);
    let url = pictures.and_then(|p| p(position)).and_then(|p| p.data_url());
    match url {
        Some(url) => format!(
            "<img src=\"{url}\" alt=\"{side}, sample {position}\" title=\"{position}: {}{}\" \
             width=\"44\" height=\"44\">",
            esc(id),
            esc(note)
        ),
        None => {
            let id = if id.is_empty() { position.to_string() } else { tail(id, 28) };
            format!("<code class=\"id\" title=\"{position}: {}\">{}</code> ", esc(note), esc(&id))
        }
    }
}

/// Returns the end of a long name, which tells files of one folder apart.
fn tail(id: &str, length: usize) -> String {
    let letters = id.chars().count();
    if letters <= length {
        return id.to_owned();
    }
    std::iter::once('…').chain(id.chars().skip(letters - length + 1)).collect()
}

pub(super) fn picks(page: &PrunedPage, pictures: Option<Pictures>) -> Option<Section> {
    let picks = page.set.picks.as_ref()?;
    let mut first: Vec<Vec<(usize, usize)>> = vec![Vec::new(); page.set.classes.len()];
    for (place, &position) in picks.order.iter().enumerate() {
        let label = page.set.labels.get(position).map(|&l| l as usize);
        if let Some(list) = label.and_then(|k| first.get_mut(k))
            && list.len() < EACH
        {
            list.push((place, position));
        }
    }
    let mut rows = String::new();
    for &k in page.order.iter().filter(|k| !first[**k].is_empty()).take(CLASSES) {
        let mut cells = String::new();
        for &(place, position) in &first[k] {
            let weight = picks.weights.and_then(|w| w.get(place));
            let weight =
                weight.map_or(String::new(), |w| format!(", weight {}", numbers::plain(*w)));
            let note = format!(", pick {}{weight}", place + 1);
            cells.push_str(&sample(page, position, "picked", pictures, &note));
        }
        let (start, end) = (first[k][0].0, first[k][first[k].len() - 1].0);
        push!(
            rows,
            "<div class=\"film picks\"><h4>{} <span class=\"soft n\">{} to {}</span></h4>\
             <div class=\"kept\">{cells}</div></div>",
            name(&page.class_name(k)),
            numbers::count(start as u64 + 1),
            numbers::count(end as u64 + 1)
        );
    }
    let weights = match picks.weights {
        Some(_) => {
            " Each pick has a weight: picks.csv has it as the method gave it, weights.npy as \
             training takes it."
        }
        None => "",
    };
    let body = format!(
        "<p class=\"lead\">{} picks one sample after another. These are the first of each {}, \
         in order; beside the name stand their places in the whole order, which is in \
         picks.csv.{weights}{}{}</p>\n{rows}\n",
        name(&page.set.strategy),
        page.words("class"),
        page.shown(CLASSES),
        missing(page, pictures)
    );
    (!rows.is_empty()).then_some(Section { id: "picks", title: "First picks", body })
}

/// Says what to do for pictures where there are none.
fn missing(page: &PrunedPage, pictures: Option<Pictures>) -> String {
    if pictures.is_some() { String::new() } else { format!(" {}", esc(&page.set.without_pictures)) }
}

pub(super) fn section(page: &PrunedPage, pictures: Option<Pictures>) -> Option<Section> {
    let ranked = page.set.score.as_ref().filter(|s| s.ranks);
    let order = match ranked {
        Some(score) => format!(
            "From left to right from the first that {} keeps to the last.",
            name(score.label)
        ),
        None => "Taken at even distances from all.".to_owned(),
    };
    let lists = page.by_class();
    let mut rows = String::new();
    for &k in page.order.iter().filter(|k| !lists[**k].is_empty()).take(CLASSES) {
        let mut of_class = lists[k].clone();
        if let Some(score) = ranked {
            let value = |i: usize| score.values.get(i).copied().unwrap_or(f64::NAN);
            of_class.sort_by(|&a, &b| match score.highest_first {
                true => value(b).total_cmp(&value(a)),
                false => value(a).total_cmp(&value(b)),
            });
        }
        let kept = |wanted: bool| -> Vec<usize> {
            let side = |i: &&usize| page.is_kept.get(**i).copied().unwrap_or(false) == wanted;
            spaced(of_class.iter().filter(side).copied().collect())
        };
        let film = |side: &str, positions: Vec<usize>| {
            let mut out = format!("<div class=\"{side}\"><small>{side}</small>");
            for position in positions {
                let score = page.set.score.as_ref().and_then(|s| s.values.get(position));
                let note = score.map_or(String::new(), |v| {
                    format!(", score {}", minus(&numbers::position(*v)))
                });
                out.push_str(&sample(page, position, side, pictures, &note));
            }
            out + "</div>"
        };
        push!(
            rows,
            "<div class=\"film\"><h4>{}</h4>{}{}</div>",
            name(&shorten(&page.class_name(k), 60)),
            film("kept", kept(true)),
            film("dropped", kept(false))
        );
    }
    if rows.is_empty() {
        return None;
    }
    let body = format!(
        "<p class=\"lead\">Some training samples of each {}. {order}{}{}</p>\n\
         <div class=\"film names\" aria-hidden=\"true\"><span></span><span>kept</span>\
         <span>dropped</span></div>{rows}\n",
        page.words("class"),
        page.shown(CLASSES),
        missing(page, pictures)
    );
    Some(Section { id: "examples", title: "Kept and dropped", body })
}

/// Returns at most [`EACH`] entries of a list at even distances, ends included.
fn spaced(list: Vec<usize>) -> Vec<usize> {
    if list.len() <= EACH {
        return list;
    }
    (0..EACH).map(|i| list[i * (list.len() - 1) / (EACH - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_many_with_both_ends() {
        assert_eq!(spaced(vec![4, 5]), [4, 5]);
        assert_eq!(spaced((0..8).collect()), (0..8).collect::<Vec<_>>());
        let some = spaced((0..1000).collect());
        assert_eq!((some.len(), some[0], some[7]), (8, 0, 999));
        assert!(some.is_sorted());
        assert_eq!(tail("train/n01440764/ILSVRC2012_val_00000293.JPEG", 12), "…000293.JPEG");
        assert_eq!(tail("short", 12), "short");
    }
}
