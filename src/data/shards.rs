//! Finds from a file's name to which part of a data set the file belongs.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use super::PartName;
use crate::error::{Error, Result};

/// Shards of the training, validation and test part, as paths relative to the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shards(pub [Vec<String>; 3]);

/// Returns the part that a word of a name stands for: `train`, `val`, `validation`, `valid`, `dev`,
/// `test`.
fn of_word(word: &str) -> Option<PartName> {
    match word.trim_end_matches(|c: char| c.is_ascii_digit()).to_ascii_lowercase().as_str() {
        "train" => Some(PartName::Train),
        "val" | "validation" | "valid" | "dev" => Some(PartName::Val),
        "test" => Some(PartName::Test),
        _ => None,
    }
}

/// Returns the part that a file or folder name stands for: `imagenet1k-train-0017.tar` belongs to
/// the training part.
pub(super) fn part_of(name: &str) -> Option<PartName> {
    name.split(|c: char| !c.is_ascii_alphanumeric()).find_map(of_word)
}

/// Returns the files of `root/folder` whose names end in `extension`, sorted by name, or nothing
/// where there is no such folder. A name that is not UTF-8 is an error.
pub(super) fn files(root: &Path, folder: &str, extension: &str) -> Result<Vec<String>> {
    let path = root.join(folder);
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&path).map_err(Error::io(&path))? {
        let entry = entry.map_err(Error::io(&path))?;
        let name = entry.file_name();
        let lossy = name.to_string_lossy();
        if !lossy.ends_with(extension) || lossy.starts_with('.') || !entry.path().is_file() {
            continue;
        }
        let Some(name) = name.to_str() else {
            return Err(Error::invalid(
                format!("a name in {}", path.display()),
                format!("{name:?}, which is not UTF-8"),
                "UTF-8 names, since they become sample ids",
            ));
        };
        found.push(if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") });
    }
    found.sort_unstable();
    Ok(found)
}

impl Shards {
    /// Sorts files by their parts. If no part's name is among them, all are training shards. If
    /// some have one, a file without one is an error, because guessing would shift every index
    /// after it.
    pub fn sort(root: &Path, files: Vec<String>) -> Result<Shards> {
        let part = |file: &String| part_of(file.rsplit('/').next().unwrap_or(file));
        let mut shards = Shards::default();
        let named = files.iter().filter(|f| part(f).is_some()).count();
        if named == 0 {
            shards.0[0] = files;
            return Ok(shards);
        }
        for file in files {
            match part(&file) {
                Some(part) => shards.0[part as usize].push(file),
                None => {
                    return Err(Error::invalid(
                        root.join(file).display().to_string(),
                        "no part's name, while other shards have one",
                        "train, val, validation or test in the name of every shard",
                    ));
                }
            }
        }
        Ok(shards)
    }

    /// Finds the shards below a root: in folders called after the parts, else in the root itself or
    /// the first of `folders` that has any. `root` may also be a single file.
    pub fn find(root: &Path, extension: &str, folders: &[&str]) -> Result<Shards> {
        if root.is_file() {
            // The name of the only shard does not matter.
            return Ok(Shards([vec![String::new()], Vec::new(), Vec::new()]));
        }
        let mut shards = Shards::default();
        for (part, names) in
            [&["train"][..], &["val", "validation", "valid"], &["test"]].into_iter().enumerate()
        {
            for name in names {
                if shards.0[part].is_empty() {
                    shards.0[part] = files(root, name, extension)?;
                }
            }
        }
        if !shards.0[0].is_empty() {
            return Ok(shards);
        }
        for folder in folders {
            let found = files(root, folder, extension)?;
            if !found.is_empty() {
                return Shards::sort(root, found);
            }
        }
        Ok(Shards::default())
    }

    /// Tells whether there is a training shard.
    pub fn any(&self) -> bool {
        !self.0[0].is_empty()
    }
}

/// Returns the path of a shard. The empty name is the root itself, a single file.
pub(super) fn path(root: &Path, shard: &str) -> PathBuf {
    if shard.is_empty() { root.to_owned() } else { root.join(shard) }
}

/// Returns what ids call a shard: its name, or that of the single file.
pub(super) fn label(root: &Path, shard: &str) -> String {
    match shard {
        "" => root.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
        name => name.to_owned(),
    }
}

/// Compares names with their numbers by value, as a range of shards counts, so that `2.tar` comes
/// before `10.tar`.
pub(super) fn by_number(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (text_a, text_b) = (text_end(a), text_end(b));
        let order = a[..text_a].cmp(&b[..text_b]);
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (&a[text_a..], &b[text_b..]);
        let (end_a, end_b) = (digits_end(a), digits_end(b));
        let value = |digits: &str| digits.trim_start_matches('0').to_owned();
        let (value_a, value_b) = (value(&a[..end_a]), value(&b[..end_b]));
        let order = (value_a.len(), value_a, end_a).cmp(&(value_b.len(), value_b, end_b));
        if order != Ordering::Equal || end_a == 0 {
            return order;
        }
        (a, b) = (&a[end_a..], &b[end_b..]);
    }
}

fn text_end(text: &str) -> usize {
    text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len())
}

fn digits_end(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_parts() {
        for (name, part) in [
            ("train-0.tar", Some(PartName::Train)),
            ("imagenet1k-validation-00.tar", Some(PartName::Val)),
            ("train0001.tar", Some(PartName::Train)),
            ("Test_3.parquet", Some(PartName::Test)),
            ("00000.tar", None),
            ("strain-1.tar", None),
            ("trainer.tar", None),
        ] {
            assert_eq!(part_of(name), part, "{name}");
        }
    }

    #[test]
    fn numbers_count_by_value() {
        let mut names = ["a-10", "a-9", "a-010", "b-1", "a", "a-9-2", "a-9-10", "10", "9"];
        names.sort_by(|a, b| by_number(a, b));
        assert_eq!(names, ["9", "10", "a", "a-9", "a-9-2", "a-9-10", "a-10", "a-010", "b-1"]);
    }

    #[test]
    fn mixed_names_are_refused() {
        let sort = |names: &[&str]| {
            Shards::sort(Path::new("r"), names.iter().map(|n| (*n).to_owned()).collect())
        };
        assert_eq!(sort(&["0.tar", "1.tar"]).unwrap().0[0].len(), 2);
        let text = sort(&["train-0.tar", "1.tar"]).unwrap_err().to_string();
        assert!(text.contains("1.tar") && text.contains("validation"), "{text}");
    }
}
