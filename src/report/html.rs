//! The page of a run: its sections in order.

use super::page::{Pictures, Section, frame};
use super::sections::{
    classes, confusion, costs, densities, forecast, recipe, results, strips, timing, top, tradeoff,
    training,
};
use super::view::SummaryView;
use crate::experiment::comparison::summary::RunSummary;

/// Renders the report: one HTML page that needs no other file.
///
/// `pictures` supplies the sample strips; without it they are left out. The same summary and
/// pictures give the same bytes. Names from outside are escaped; values that are missing are shown
/// as a dash, and sections without any data are left out.
pub fn render(summary: &RunSummary, pictures: Option<Pictures>) -> String {
    let view = SummaryView::new(summary);
    let sections: Vec<Section> = [
        results::section(&view),
        tradeoff::section(&view),
        densities::section(&view),
        timing::section(&view),
        classes::section(&view),
        classes::quotas(&view),
        training::section(&view),
        forecast::section(&view),
        confusion::section(&view),
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
