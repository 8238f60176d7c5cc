//! The summary as the sections look at it, with marks, names, and one density at a time.

use super::markup;
use super::svg::Mark;
use crate::experiment::comparison::summary::{Point, RunSummary, SeedRun, Spread, StrategySummary};

/// The summary and what follows from it.
pub(super) struct SummaryView<'a> {
    pub(super) summary: &'a RunSummary,
    /// Densities to which anything was pruned, ascending.
    pub(super) densities: Vec<f64>,
    /// Class indices from the lowest recall on full data to the highest.
    pub(super) hardest_first: Vec<usize>,
}

/// One strategy at one density.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) mark: Mark,
    pub(super) strategy: &'a StrategySummary,
    pub(super) point: &'a Point,
}

impl Entry<'_> {
    /// Returns the recall of a class over seeds; `None` where a run lacks it.
    pub(super) fn recall(&self, class: usize) -> Option<Spread> {
        self.over_runs(|run| run.last.recalls.get(class).copied().flatten())
    }

    /// Returns the density of a class over seeds.
    pub(super) fn density(&self, class: usize) -> Option<Spread> {
        self.over_runs(|run| run.class_densities.get(class).copied())
    }

    /// Returns the number of kept samples of a class over seeds.
    pub(super) fn kept(&self, class: usize) -> Option<Spread> {
        self.over_runs(|run| run.class_counts.get(class).map(|&n| n as f64))
    }

    fn over_runs(&self, value: impl Fn(&SeedRun) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.point.runs.iter().map(value).collect::<Option<Vec<f64>>>()?)
    }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

impl<'a> SummaryView<'a> {
    pub(super) fn new(summary: &'a RunSummary) -> Self {
        let pruned = summary.strategies.iter().filter(|s| !s.full_data && !s.every_density);
        let mut densities: Vec<f64> =
            pruned.flat_map(|s| s.points.iter().map(|p| p.density)).collect();
        densities.sort_by(f64::total_cmp);
        densities.dedup_by(|a, b| same(*a, *b));
        let mut view = SummaryView { summary, densities, hardest_first: Vec::new() };
        let mut order: Vec<(usize, f64)> = (0..summary.classes.len())
            .map(|k| (k, view.full_recall(k).unwrap_or(f64::INFINITY)))
            .collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1));
        view.hardest_first = order.into_iter().map(|(k, _)| k).collect();
        view
    }

    /// Returns the strategy that trains on everything.
    pub(super) fn full(&self) -> Option<Entry<'a>> {
        let strategy = self.summary.strategies.iter().find(|s| s.full_data)?;
        Some(Entry { mark: Mark::Full, strategy, point: strategy.points.first()? })
    }

    /// Returns the mean recall of a class on full data: on the reported images if full data was
    /// trained on, else on the query's validation images.
    pub(super) fn full_recall(&self, class: usize) -> Option<f64> {
        let query = || self.summary.query.as_ref()?.mean.get(class).copied()?;
        self.full().and_then(|f| f.recall(class)).map(|s| s.mean).or_else(query)
    }

    /// Returns full data and then other ways of training, which stand beside every density.
    pub(super) fn beside(&self) -> Vec<Entry<'a>> {
        let other = self.with_marks().filter(|(_, s)| s.every_density && !s.full_data);
        let other = other.filter_map(|(mark, strategy)| {
            Some(Entry { mark, strategy, point: strategy.points.first()? })
        });
        self.full().into_iter().chain(other).collect()
    }

    /// Returns what was pruned to this density, in display order.
    pub(super) fn pruned_at(&self, density: f64) -> Vec<Entry<'a>> {
        self.with_marks()
            .filter(|(_, s)| !s.full_data && !s.every_density)
            .filter_map(|(mark, strategy)| {
                let point = strategy.points.iter().find(|p| same(p.density, density))?;
                Some(Entry { mark, strategy, point })
            })
            .collect()
    }

    /// Returns what stands beside every density, then what was pruned to this one.
    pub(super) fn all_at(&self, density: f64) -> Vec<Entry<'a>> {
        self.beside().into_iter().chain(self.pruned_at(density)).collect()
    }

    /// Returns the strategies with their marks, so that a strategy looks the same everywhere on the
    /// page.
    pub(super) fn with_marks(&self) -> impl Iterator<Item = (Mark, &'a StrategySummary)> {
        let mut series = 0;
        self.summary.strategies.iter().map(move |strategy| {
            let mark = if strategy.full_data {
                Mark::Full
            } else {
                series += 1;
                Mark::Series(series - 1)
            };
            (mark, strategy)
        })
    }

    /// Returns the label of a strategy, or its name as it stands; it is not yet escaped.
    pub(super) fn label<'b>(&self, name: &'b str) -> &'b str
    where
        'a: 'b,
    {
        let found = self.summary.strategies.iter().find(|s| s.name == name);
        found.map_or(name, |s| s.label.as_str())
    }

    /// Returns a phrase about classes as it reads where the summary is about groups.
    pub(super) fn words(&self, text: &str) -> String {
        markup::words(self.summary.settings.groups.is_some(), text)
    }

    /// Returns the name of a class, or its number where it has none; it is not yet escaped.
    pub(super) fn class_name(&self, class: usize) -> String {
        match self.summary.classes.get(class) {
            Some(c) if !c.name.trim().is_empty() => c.name.clone(),
            _ => format!("class {class}"),
        }
    }

    /// Returns the name of a class as HTML.
    pub(super) fn class_html(&self, class: usize) -> String {
        markup::name(&self.class_name(class))
    }
}
