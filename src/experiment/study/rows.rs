//! The tidy tables: a row a cell, a row a cell and class.

use serde::Serialize;

use super::panel::Panel;
use crate::experiment::comparison::summary::{Point, SeedRun, StrategySummary};

/// Columns of [`CellRow`].
pub const CELL_COLUMNS: [&str; 24] = [
    "panel",
    "data",
    "fingerprint",
    "arch",
    "width",
    "split",
    "budget",
    "strategy",
    "quota",
    "density",
    "seed",
    "steps",
    "kept",
    "average_accuracy",
    "balanced_accuracy",
    "worst_class",
    "worst_recall",
    "worst_5_percent",
    "gap",
    "std",
    "density_recall_correlation",
    "least_kept",
    "groups",
    "weighted_accuracy",
];
/// Columns of [`ClassRow`].
pub const CLASS_COLUMNS: [&str; 10] = [
    "panel",
    "strategy",
    "density",
    "seed",
    "class",
    "name",
    "size",
    "kept",
    "class_density",
    "recall",
];
/// Columns of [`FailureRow`].
pub const FAILURE_COLUMNS: [&str; 3] = ["panel", "task", "error"];

/// One finished cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CellRow {
    pub panel: String,
    pub data: String,
    pub fingerprint: String,
    pub arch: String,
    pub width: Option<usize>,
    pub split: String,
    pub budget: String,
    pub strategy: String,
    pub quota: String,
    pub density: f64,
    pub seed: u64,
    pub steps: u64,
    pub kept: usize,
    pub average_accuracy: f64,
    pub balanced_accuracy: f64,
    pub worst_class: String,
    pub worst_recall: f64,
    /// Mean of the worst 5 % of classes, where there are 100 or more.
    pub worst_5_percent: Option<f64>,
    pub gap: f64,
    pub std: f64,
    /// Pearson's, of class density and recall on full data.
    pub density_recall_correlation: Option<f64>,
    pub least_kept: Option<usize>,
    /// The attribute that makes groups of the classes, where the metrics are over groups.
    pub groups: Option<String>,
    /// Mean recall of the groups, weighted by their training samples.
    pub weighted_accuracy: Option<f64>,
}

/// One class of a finished cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassRow {
    pub panel: String,
    pub strategy: String,
    pub density: f64,
    pub seed: u64,
    pub class: usize,
    pub name: String,
    pub size: usize,
    pub kept: usize,
    pub class_density: f64,
    pub recall: Option<f64>,
}

/// One cell that failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FailureRow {
    pub panel: String,
    pub task: String,
    pub error: String,
}

/// Cells in display order: strategies, densities, seeds.
fn cells(panel: &Panel) -> impl Iterator<Item = (&StrategySummary, &Point, &SeedRun)> {
    panel.summary.strategies.iter().flat_map(|strategy| {
        let points = strategy.points.iter();
        points.flat_map(move |point| point.runs.iter().map(move |run| (strategy, point, run)))
    })
}

/// A row a cell of the panel.
pub fn cell_rows(panel: &Panel) -> Vec<CellRow> {
    let settings = &panel.summary.settings;
    let name = |class: usize| panel.summary.classes.get(class).map_or("", |c| c.name.as_str());
    cells(panel)
        .map(|(strategy, point, run)| CellRow {
            panel: panel.name.clone(),
            data: settings.data.name.clone(),
            fingerprint: settings.data.fingerprint.clone(),
            arch: settings.arch.clone(),
            width: settings.width,
            split: settings.split.clone(),
            budget: settings.budget.clone(),
            strategy: strategy.name.clone(),
            quota: strategy.quota.clone(),
            density: point.density,
            seed: run.seed,
            steps: run.steps,
            kept: run.kept,
            average_accuracy: run.last.average_accuracy,
            balanced_accuracy: run.last.balanced_accuracy,
            worst_class: name(run.last.worst_class).to_owned(),
            worst_recall: run.last.worst_recall,
            worst_5_percent: run.last.worst_5_percent,
            gap: run.last.gap,
            std: run.last.std,
            density_recall_correlation: run.density_recall_correlation,
            least_kept: run.class_counts.iter().copied().min(),
            groups: settings.groups.clone(),
            weighted_accuracy: run.last.weighted_accuracy,
        })
        .collect()
}

/// A row a cell and class of the panel.
pub fn class_rows(panel: &Panel) -> Vec<ClassRow> {
    let mut rows = Vec::new();
    for (strategy, point, run) in cells(panel) {
        for (class, of) in panel.summary.classes.iter().enumerate() {
            rows.push(ClassRow {
                panel: panel.name.clone(),
                strategy: strategy.name.clone(),
                density: point.density,
                seed: run.seed,
                class,
                name: of.name.clone(),
                size: of.train_size,
                kept: run.class_counts.get(class).copied().unwrap_or(0),
                class_density: run.class_densities.get(class).copied().unwrap_or(0.0),
                recall: run.last.recalls.get(class).copied().flatten(),
            });
        }
    }
    rows
}
