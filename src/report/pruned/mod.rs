//! A pruned set as one self-contained page: what is kept of each class, what decided it, and how to
//! go on.

mod classes;
mod parts;
mod samples;
mod scores;

use super::html::{Pictures, Section, frame};
use super::markup::{self, esc, minus, name, push};
use super::numbers;
use super::sections::top::{places, warnings};

/// What the page shows. Lists over classes have one entry for each class, and lists over samples
/// have one for each sample of the whole training part, in data-set order.
#[derive(Clone, Debug)]
pub struct PrunedSet<'a> {
    /// The data set as the user named it.
    pub data: String,
    pub fingerprint: String,
    /// The strategy's name as it is shown: `EL2N + MetriQ`.
    pub strategy: String,
    /// The rule that tells how many samples a class keeps: `metriq`, `none`, ...
    pub quota: String,
    /// The density that was asked for.
    pub density: f64,
    pub classes: Vec<PrunedClass>,
    /// The name of the attribute where the classes are groups; `labels` are then those of the
    /// groups.
    pub groups: Option<String>,
    /// Pearson's correlation of the class densities before rounding and the recalls; `None` where
    /// either is constant or there are no recalls.
    pub correlation: Option<f64>,
    pub ids: &'a [String],
    pub labels: &'a [u32],
    /// Positions that may be kept, ascending.
    pub eligible: &'a [usize],
    pub kept: &'a [usize],
    /// The score that decides, or that a selection method starts from.
    pub score: Option<ShownScore<'a>>,
    pub picks: Option<ShownPicks<'a>>,
    pub warnings: &'a [String],
    /// Everything that decides the result, in display order.
    pub recipe: Vec<(String, String)>,
    /// The command that repeats the pruning.
    pub command: String,
    pub next: String,
    /// The place of `kept.npy`, as text.
    pub kept_file: String,
    /// A sentence on how to get pictures, which stands in the place of the samples where there are
    /// none.
    pub without_pictures: String,
    pub version: String,
    pub commit: String,
}

/// One class.
#[derive(Clone, Debug, PartialEq)]
pub struct PrunedClass {
    pub name: String,
    /// Number of samples that may be kept.
    pub size: usize,
    /// Recall on the query runs' validation images.
    pub recall: Option<f64>,
    /// Standard deviation of the recall between query runs.
    pub recall_sd: Option<f64>,
    pub density: f64,
    pub kept: usize,
}

/// A score of every sample; NaN where it has none.
#[derive(Clone, Copy, Debug)]
pub struct ShownScore<'a> {
    pub label: &'a str,
    pub values: &'a [f64],
    /// Whether the highest are kept first.
    pub highest_first: bool,
    /// Whether the samples are ranked by the score, and not only started from it.
    pub ranks: bool,
}

/// The kept samples in the order in which a method picked them.
#[derive(Clone, Copy, Debug)]
pub struct ShownPicks<'a> {
    pub order: &'a [usize],
    pub weights: Option<&'a [f64]>,
}

/// Renders the page. `pictures` supplies the samples; the same set and pictures give the same bytes.
pub fn render_pruned(set: &PrunedSet, pictures: Option<Pictures>) -> String {
    let page = Page::new(set);
    let sections: Vec<Section> = [
        classes::section(&page),
        classes::quotas(&page),
        scores::section(&page),
        samples::picks(&page, pictures),
        samples::section(&page, pictures),
        parts::next(&page),
        parts::how_to_read(&page),
        parts::recipe(&page),
    ]
    .into_iter()
    .flatten()
    .collect();
    let title = format!("{} of {}", numbers::percent(set.density), set.data);
    frame(&title, [&set.version, &set.commit], &header(&page), sections)
}

/// The set and what follows from it.
struct Page<'a> {
    set: &'a PrunedSet<'a>,
    /// Class indices from the lowest recall to the highest; without recalls, from the lowest
    /// density.
    order: Vec<usize>,
    /// Tells of each sample whether it is kept.
    is_kept: Vec<bool>,
}

impl<'a> Page<'a> {
    fn new(set: &'a PrunedSet<'a>) -> Self {
        let mut order: Vec<usize> = (0..set.classes.len()).collect();
        let recalls = set.classes.iter().any(|c| c.recall.is_some());
        let key = |k: usize| match recalls {
            true => set.classes[k].recall.unwrap_or(f64::INFINITY),
            false => set.classes[k].density,
        };
        order.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
        let mut is_kept = vec![false; set.labels.len()];
        for &i in set.kept {
            if let Some(place) = is_kept.get_mut(i) {
                *place = true;
            }
        }
        Page { set, order, is_kept }
    }

    /// Returns a phrase about classes as it reads about groups, where they are.
    fn words(&self, text: &str) -> String {
        markup::words(self.set.groups.is_some(), text)
    }

    fn has_recalls(&self) -> bool {
        self.set.classes.iter().any(|c| c.recall.is_some())
    }

    /// Returns the name of a class, or its number where it has none; it is not yet escaped.
    fn class_name(&self, class: usize) -> String {
        match self.set.classes.get(class) {
            Some(c) if !c.name.trim().is_empty() => c.name.clone(),
            _ => self.words(&format!("class {class}")),
        }
    }

    /// Returns the eligible samples of each class, ascending.
    fn by_class(&self) -> Vec<Vec<usize>> {
        let mut lists = vec![Vec::new(); self.set.classes.len()];
        for &i in self.set.eligible {
            let label = self.set.labels.get(i).map(|&l| l as usize);
            if let Some(list) = label.and_then(|k| lists.get_mut(k)) {
                list.push(i);
            }
        }
        lists
    }

    /// Says `3 of 1,000 classes are shown, hardest first.`, or nothing where all are.
    fn shown(&self, classes: usize) -> String {
        let all = self.set.classes.len();
        if classes >= all {
            return String::new();
        }
        let which = if self.has_recalls() { "of lowest recall" } else { "of lowest density" };
        let all = numbers::count(all as u64);
        self.words(&format!(" The {classes} {which} of {all} classes are shown."))
    }
}

fn header(page: &Page) -> String {
    let set = page.set;
    let mut out = format!(
        "<header>\n<p class=\"over\">fairprune prune</p>\n<h1>{} of {}</h1>\n",
        numbers::percent(set.density),
        name(&set.data)
    );
    out.push_str(&summary(page));
    let held_out = set.labels.len().saturating_sub(set.eligible.len());
    let mut data = format!(
        "{}, {} {}, {} training samples",
        name(&set.data),
        numbers::count(set.classes.len() as u64),
        page.words("classes"),
        numbers::count(set.eligible.len() as u64)
    );
    if held_out > 0 {
        push!(data, " and {} held out", numbers::count(held_out as u64));
    }
    let places = places(set.density);
    let count = page.words("How many of each class");
    let facts = [
        ("Data", data),
        ("Which samples", name(&set.strategy)),
        (count.as_str(), quota_name(&set.quota)),
        (
            "Density",
            format!("{}: {}", numbers::digits(set.density, places), numbers::density(set.density)),
        ),
        ("Kept", format!("{} samples", numbers::count(set.kept.len() as u64))),
    ];
    out.push_str("<dl class=\"facts\">");
    for (term, text) in facts {
        push!(out, "<div><dt>{term}</dt><dd>{text}</dd></div>");
    }
    out.push_str("</dl>\n");
    out.push_str(&warnings(set.warnings));
    out + "</header>\n"
}

/// Returns a quota rule as a phrase.
fn quota_name(quota: &str) -> String {
    match quota {
        "none" => "whatever the ranking of the whole set leaves".to_owned(),
        "metriq" => "MetriQ: in proportion to size and error".to_owned(),
        "metriq-released" => "MetriQ as released: in proportion to error".to_owned(),
        "uniform" => "uniform: the same share of each".to_owned(),
        "balanced" => "balanced: the same number of each".to_owned(),
        other => esc(other),
    }
}

/// Describes the densest and the thinnest class in a sentence.
fn summary(page: &Page) -> String {
    let full = |k: &&usize| page.set.classes[**k].size > 0;
    let by = |a: &&usize, b: &&usize| {
        page.set.classes[**a].density.total_cmp(&page.set.classes[**b].density)
    };
    let (Some(&low), Some(&high)) =
        (page.order.iter().filter(full).min_by(by), page.order.iter().filter(full).max_by(by))
    else {
        return String::new();
    };
    let of = |k: usize| {
        let c = &page.set.classes[k];
        format!(
            "<b class=\"n\">{}</b>: {} ({} of {})",
            percent(c.density),
            name(&page.class_name(k)),
            numbers::count(c.kept as u64),
            numbers::count(c.size as u64)
        )
    };
    let sentence = if page.set.classes[high].density - page.set.classes[low].density < 5e-4 {
        page.words(&format!("{} of every class.", percent(page.set.classes[low].density)))
    } else {
        format!(
            "The densest {} keeps {}. The thinnest keeps {}.",
            page.words("class"),
            of(high),
            of(low)
        )
    };
    format!("<div class=\"verdict open\"><p>{sentence}</p></div>\n")
}

/// Writes a share as `31 %`, with a digit more where it is small.
fn percent(share: f64) -> String {
    let digits = if share > 0.0 && share < 0.02 { 1000.0 } else { 100.0 };
    minus(&numbers::percent((share * digits).round() / digits))
}
