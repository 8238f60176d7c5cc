//! A study: panels (a data set and a network each), their cells as rows, and claims about them.
//!
//! A panel is what `fairprune run` does, over blocks of strategies, densities and seeds; runs that
//! blocks share are done once. Everything here is made from the panels' summaries, without times, so
//! that a study that was interrupted ends with the same bytes.

mod claim;
mod claims;
mod folder;
mod panel;
mod rows;
mod spec;

pub use claim::{Claim, ClaimResult};
pub use claims::judge;
pub use folder::{StudyFolder, write_cells};
pub use panel::{Panel, StudySummary};
pub use rows::{
    CELL_COLUMNS, CLASS_COLUMNS, CellRow, ClassRow, FAILURE_COLUMNS, FailureRow, cell_rows,
    class_rows,
};
pub use spec::{PanelSpec, StudySpec};
