//! What a run found, shown to people in one self-contained HTML page, and how numbers are written.
//!
//! The page needs nothing but itself: no script, no font, no request; its style sheet and drawings
//! are inline. Every drawing's values are also in a table. It reads [`RunSummary`] only, so that a
//! page can be rendered again from `summary.json`.
//!
//! [`two_gaussians`] is a page about the theory, [`pruned`] one about a set that was pruned, and
//! [`checked`] one about what was found in a set.
//!
//! [`RunSummary`]: crate::experiment::comparison::summary::RunSummary

mod advice;
pub mod checked;
mod classwise;
mod forecasts;
pub mod html;
mod markup;
pub mod numbers;
mod page;
mod plane;
pub mod pruned;
mod sections;
mod study;
mod svg;
mod thumb;
pub mod two_gaussians;
mod view;
mod warnings;

use std::path::PathBuf;

use crate::artefact::OutputDir;
use crate::data::DataSet;
use crate::error::Result;
use crate::experiment::comparison::summary::RunSummary;

pub use advice::{Advice, advice};
pub use checked::render_checked;
pub use html::render;
pub use pruned::render_pruned;
pub use study::render_study;
pub use thumb::Thumb;
pub use warnings::merged as merged_warnings;

/// Writes `report.html` of a comparison on `data` to its folder.
pub fn write(summary: &RunSummary, data: &DataSet, dir: &OutputDir) -> Result<PathBuf> {
    let page = render(summary, Some(&|position| Thumb::of(data, position)));
    dir.write("report.html", |out| std::io::Write::write_all(out, page.as_bytes()))
}
