//! The folder of a study: the mark that makes it one, its tables, a file a cell.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::panel::{Panel, StudySummary};
use super::rows::{
    CELL_COLUMNS, CLASS_COLUMNS, FAILURE_COLUMNS, FailureRow, cell_rows, class_rows,
};
use crate::artefact::{OutputDir, atomic, integrity, tables};
use crate::error::{Error, Result};

/// The file that makes a folder a study's.
const MARK: &str = "study.json";

/// A folder that is a study's. Several processes may work in it at once.
pub struct StudyFolder {
    root: PathBuf,
}

impl StudyFolder {
    /// Makes a new folder a study's, or accepts one that is.
    ///
    /// # Errors
    /// Files that no study wrote.
    pub fn claim(root: &Path, force: bool) -> Result<StudyFolder> {
        let mark = root.join(MARK);
        std::fs::create_dir_all(root).map_err(Error::io(root))?;
        let mut foreign = Vec::new();
        for entry in std::fs::read_dir(root).map_err(Error::io(root))? {
            let name = entry.map_err(Error::io(root))?.file_name().to_string_lossy().into_owned();
            match name.strip_suffix(atomic::TEMPORARY) {
                None => foreign.push(name),
                // The process that wrote it is gone.
                Some(stem) if !is_alive(stem) => {
                    let _ = std::fs::remove_file(root.join(&name));
                }
                Some(_) => {}
            }
        }
        // Looked at last: another process may just have made the folder a study's.
        if !mark.is_file() && !foreign.is_empty() {
            let what = format!("output folder {}", root.display());
            let found = format!("files such as {:?}, but no {MARK}", foreign[0]);
            return Err(Error::invalid(what, found, "an empty folder, or one of a study"));
        }
        if force || !mark.is_file() {
            integrity::write_json(&mark, &json!({ "tool": "fairprune", "finished": false }))?;
        }
        Ok(StudyFolder { root: root.to_owned() })
    }

    /// The folder of a panel.
    pub fn panel(&self, name: &str) -> PathBuf {
        self.root.join("panels").join(name)
    }

    /// Writes the tables, the page and the summary of the whole study; the number of failures.
    pub fn write(&self, summary: &StudySummary, page: &str) -> Result<usize> {
        let (root, panels) = (&self.root, &summary.panels);
        let cells: Vec<_> = panels.iter().flat_map(cell_rows).collect();
        tables::write_listing(&root.join("cells.csv"), &CELL_COLUMNS, &cells)?;
        let classes: Vec<_> = panels.iter().flat_map(class_rows).collect();
        tables::write_listing(&root.join("classes.csv"), &CLASS_COLUMNS, &classes)?;
        let row = |panel: &str, task: &str, error: &str| FailureRow {
            panel: panel.to_owned(),
            task: task.to_owned(),
            error: error.to_owned(),
        };
        let unusable = summary.unusable.iter();
        let mut failures: Vec<FailureRow> =
            unusable.map(|(panel, error)| row(panel, "the panel", error)).collect();
        for panel in panels {
            let of = panel.failures.iter();
            failures.extend(of.map(|(task, error)| row(&panel.name, task, error)));
        }
        tables::write_listing(&root.join("failures.csv"), &FAILURE_COLUMNS, &failures)?;
        atomic::write_bytes(&root.join("report.html"), page.as_bytes())?;
        integrity::write_json(&root.join(MARK), summary)?;
        Ok(failures.len())
    }
}

/// Whether the process lives whose number ends the stem of a temporary file, `.name.PID-N`.
fn is_alive(stem: &str) -> bool {
    let number = stem.rsplit('.').next().and_then(|tail| tail.split('-').next());
    let Some(number) = number.and_then(|n| n.parse::<u32>().ok()) else { return true };
    !cfg!(target_os = "linux") || Path::new(&format!("/proc/{number}")).exists()
}

/// Writes one JSON file a finished run of a panel: its numbers, recipe and fingerprints.
pub fn write_cells(panel: &Panel, dir: &OutputDir) -> Result<()> {
    let without = |value: serde_json::Value, keys: &[&str]| {
        let mut value = value;
        if let Some(map) = value.as_object_mut() {
            keys.iter().for_each(|key| {
                map.remove(*key);
            });
        }
        value
    };
    let settings =
        without(json!(panel.summary.settings), &["command", "densities", "seeds", "threads"]);
    for strategy in &panel.summary.strategies {
        for point in &strategy.points {
            for run in &point.runs {
                let stem = strategy.name.replace([':', '='], "-");
                let name = format!("cells/{stem}-d{}-s{}.json", point.density, run.seed);
                let document = json!({
                    "format_version": 1,
                    "panel": panel.name,
                    "strategy": strategy.name,
                    "quota": strategy.quota,
                    "density": point.density,
                    "settings": settings,
                    "result": without(json!(run), &["train_seconds", "preparation"]),
                });
                dir.write_json(&name, &document)?;
            }
        }
    }
    Ok(())
}
