//! Class names that lie in a text file beside the data.

use std::path::Path;

use super::images::read_text;
use crate::error::{Error, Result};

/// Files that may hold the names, one in a line.
pub(super) const FILES: [&str; 2] = ["classes.txt", "classnames.txt"];

/// Returns the names of at least `least` classes: the lines of one of [`FILES`] if there is one in
/// `folder`, else the numbers.
pub(super) fn class_names(folder: &Path, least: usize) -> Result<Vec<String>> {
    let files = FILES.map(|name| folder.join(name));
    let Some(path) = files.into_iter().find(|p| p.is_file()) else {
        return Ok((0..least).map(|k| k.to_string()).collect());
    };
    let text = read_text(&path, 1 << 24)?;
    let names: Vec<String> = text.lines().map(|l| l.trim().to_owned()).collect();
    if let Some(i) = names.iter().position(String::is_empty) {
        let what = format!("{}, line {}", path.display(), i + 1);
        return Err(Error::invalid(what, "an empty line", "a class name a line"));
    }
    if names.len() < least {
        return Err(Error::invalid(
            path.display().to_string(),
            format!("{} class names", names.len()),
            format!("at least {least}, since there is a label {}", least - 1),
        ));
    }
    Ok(names)
}
