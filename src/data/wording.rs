//! How messages about data sets count and list things, and say what lies in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Most entries of a folder that are looked at to describe it.
const MOST_ENTRIES: usize = 100_000;

/// Counts things in words: `1 image`, `2 images`.
pub(super) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Lists the first few names.
pub(super) fn some<S: AsRef<str>>(names: &[S]) -> String {
    let first: Vec<&str> = names.iter().take(3).map(AsRef::as_ref).collect();
    match names.len() {
        0..=3 => first.join(", "),
        n => format!("{} and {} more", first.join(", "), n - 3),
    }
}

/// Says in a sentence that things were left out whose names say no part.
pub(super) fn left_out(root: &Path, names: &[String]) -> String {
    let verb = if names.len() == 1 { "was" } else { "were" };
    format!(
        "{}: {} {verb} left out, since no part is called so; `parts` says of which part it is",
        root.display(),
        some(names)
    )
}

/// Says what a folder holds: its first folders and files, and how many there are of which ending.
pub(super) fn contents_of(folder: &Path) -> String {
    let Ok(entries) = fs::read_dir(folder) else { return "a folder that cannot be read".into() };
    let (mut folders, mut files, mut endings) = (Vec::new(), Vec::new(), BTreeMap::new());
    for entry in entries.flatten().take(MOST_ENTRIES) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            folders.push(name);
        } else {
            let ending = Path::new(&name).extension().map(|e| e.to_string_lossy().to_lowercase());
            *endings
                .entry(ending.map_or("no ending".to_owned(), |e| format!(".{e}")))
                .or_insert(0usize) += 1;
            files.push(name);
        }
    }
    folders.sort_unstable();
    files.sort_unstable();
    let mut endings: Vec<(String, usize)> = endings.into_iter().collect();
    endings.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    let mut said = Vec::new();
    if !folders.is_empty() {
        said.push(format!("{} ({})", count(folders.len(), "folder"), some(&folders)));
    }
    if !files.is_empty() {
        let kinds: Vec<String> = endings.iter().map(|(e, n)| format!("{n} {e}")).collect();
        let kinds = if files.len() == 1 { String::new() } else { format!(": {}", some(&kinds)) };
        said.push(format!("{} ({}{kinds})", count(files.len(), "file"), some(&files)));
    }
    if said.is_empty() { "an empty folder".to_owned() } else { said.join(" and ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_described_by_names_and_endings() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        assert_eq!(contents_of(at), "an empty folder");
        fs::create_dir(at.join("z")).unwrap();
        for name in ["a.tfrecord", "b.tfrecord", "c.TFRECORD", "d.tfrecord", "README"] {
            fs::write(at.join(name), "").unwrap();
        }
        let text = contents_of(at);
        assert_eq!(
            text,
            "1 folder (z) and 5 files (README, a.tfrecord, b.tfrecord and 2 more: 4 .tfrecord, 1 no ending)"
        );
    }
}
