//! Finds from a file's name to which part of a data set the file belongs.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::part_names::{PartNames, Told};
use super::sequence::{NumberedName, gaps, missing_or_notes};
use super::wording::{left_out, some};
use super::{PartName, StatedLayout};
use crate::error::{Error, Result};

/// Shards of the training, validation and test part, as paths relative to the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shards {
    pub parts: [Vec<String>; 3],
    /// Shards that were left out, and what is missing.
    pub notes: Vec<String>,
}

/// Returns the files of `root/folder` whose names end in one of `extensions`, sorted by name, or
/// nothing where there is no such folder. A name that is not UTF-8 is an error.
pub(super) fn files(root: &Path, folder: &str, extensions: &[&str]) -> Result<Vec<String>> {
    let path = root.join(folder);
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&path).map_err(Error::io(&path))? {
        let entry = entry.map_err(Error::io(&path))?;
        let name = entry.file_name();
        let lossy = name.to_string_lossy();
        let is_shard = extensions.iter().any(|e| lossy.ends_with(e));
        if !is_shard || lossy.starts_with('.') || !entry.path().is_file() {
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

/// Returns a shard's name without its folder and extension.
fn stem<'a>(file: &'a str, extensions: &[&str]) -> &'a str {
    let name = file.rsplit('/').next().unwrap_or(file);
    extensions.iter().find_map(|e| name.strip_suffix(e)).unwrap_or(name)
}

/// Returns the folders below a root, sorted, those that are hidden left out.
pub(super) fn folders(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).map_err(Error::io(root))? {
        let entry = entry.map_err(Error::io(root))?;
        let name = entry.file_name().to_str().map(str::to_owned);
        found.extend(name.filter(|n| !n.starts_with('.') && entry.path().is_dir()));
    }
    found.sort_unstable();
    Ok(found)
}

/// How shards of one kind are looked for.
#[derive(Clone, Copy)]
pub(super) struct ShardSearch<'a> {
    pub root: &'a Path,
    /// Endings of the names; one that ends in another comes first.
    pub extensions: &'a [&'a str],
    pub stated: &'a StatedLayout,
}

impl ShardSearch<'_> {
    fn names(&self) -> &PartNames {
        self.stated.part_names()
    }

    fn wrong(&self, found: String, expected: &str) -> Error {
        Error::invalid(self.root.display().to_string(), found, expected)
    }

    /// Finds the shards below the root: in folders called after the parts, and in the root itself or
    /// the first of `flat` that has any. The root may also be a single file.
    ///
    /// # Errors
    /// A file's part is not clear, a part lies in two places, or a file is missing of a sequence.
    pub fn find(&self, flat: &[&str]) -> Result<Shards> {
        if self.root.is_file() {
            // The name of the only shard does not matter, and nothing else is there to be named.
            self.names().check_used(&self.root.display().to_string(), &[])?;
            return Ok(Shards { parts: [vec![String::new()], vec![], vec![]], notes: vec![] });
        }
        let mut shards = self.in_folders()?;
        let mut found = Vec::new();
        for folder in flat {
            if found.is_empty() {
                found = files(self.root, folder, self.extensions)?;
            }
        }
        if found.is_empty() && shards.parts.iter().any(|part| !part.is_empty()) {
            self.names().check_used(&self.root.display().to_string(), &self.there(&[])?)?;
        }
        if shards.any() && !found.is_empty() {
            let text = "files outside the folders of the parts were left out";
            shards.notes.push(format!("{}: {} {text}", self.root.display(), found.len()));
            found.clear();
        }
        if !found.is_empty() {
            let sorted = self.sort(found)?;
            for (part, files) in sorted.parts.into_iter().enumerate() {
                if !files.is_empty() && !shards.parts[part].is_empty() {
                    let (here, there) = (&files[0], &shards.parts[part][0]);
                    let found = format!("{here} and {there}, one part in two places");
                    return Err(self.wrong(found, "each part in one place"));
                }
                shards.parts[part].extend(files);
            }
            shards.notes.extend(sorted.notes);
        }
        for part in &shards.parts {
            let stems: Vec<&str> = part.iter().map(|f| stem(f, self.extensions)).collect();
            let what = self.root.display().to_string();
            let missing = gaps(&what, &stems)?;
            shards.notes.extend(missing_or_notes(&what, missing, self.stated.allow_missing)?);
        }
        Ok(shards)
    }

    /// Finds shards in folders that are called after the parts.
    fn in_folders(&self) -> Result<Shards> {
        let mut shards = Shards::default();
        let mut others = Vec::new();
        for folder in folders(self.root)? {
            let found = files(self.root, &folder, self.extensions)?;
            match self.names().of_name(&folder) {
                _ if found.is_empty() => {}
                None => others.push(folder),
                Some(part) if shards.parts[part as usize].is_empty() => {
                    shards.parts[part as usize] = found;
                }
                Some(part) => {
                    let other = shards.parts[part as usize][0].split('/').next().unwrap_or("");
                    let found = format!(
                        "folders {other} and {folder}, which are both called {}",
                        part.name()
                    );
                    return Err(self.wrong(found, "one folder a part; `parts` says which"));
                }
            }
        }
        if shards.any() && !others.is_empty() {
            shards.notes.push(left_out(self.root, &others));
        }
        Ok(shards)
    }

    /// Sorts files by their parts. If no part's name is among them, all are training shards, as long as they
    /// are one sequence. `NAME-ddddd-of-ddddd` of another name is left out; any other file without a part's
    /// name is an error, because guessing would shift every index after it.
    pub fn sort(&self, files: Vec<String>) -> Result<Shards> {
        let mut shards = Shards::default();
        let mut others: Vec<String> = Vec::new();
        let bases: Vec<String> = files
            .iter()
            .map(|file| NumberedName::of(stem(file, self.extensions)).base.to_owned())
            .collect();
        self.names().check_used(&self.root.display().to_string(), &self.there(&bases)?)?;
        for (file, base) in files.into_iter().zip(&bases) {
            match self.names().of_file(base) {
                Told::Part(part) => shards.parts[part as usize].push(file),
                Told::Nothing => others.push(file),
                Told::Several => {
                    let found = format!("{file}, whose name has words of two parts");
                    let expected = "one of train, val and test in it, or `parts`, which says it";
                    return Err(self.wrong(found, expected));
                }
            }
        }
        let named = shards.parts.iter().any(|part| !part.is_empty());
        if others.is_empty() || (named && self.names().is_given()) {
            let bases: BTreeMap<&str, ()> = others
                .iter()
                .map(|f| (NumberedName::of(stem(f, self.extensions)).base, ()))
                .collect();
            let bases: Vec<String> = bases.into_keys().map(str::to_owned).collect();
            if !bases.is_empty() {
                shards.notes.push(left_out(self.root, &bases));
            }
            return Ok(shards);
        }
        self.unnamed(shards, others)
    }

    /// Deals with shards whose names say no part, beside `shards`, whose names do.
    fn unnamed(&self, mut shards: Shards, others: Vec<String>) -> Result<Shards> {
        let stems: Vec<&str> = others.iter().map(|f| stem(f, self.extensions)).collect();
        if shards.parts.iter().all(Vec::is_empty) {
            let leading =
                |name: &str| name.find(|c: char| c.is_ascii_digit()).map(|i| name[..i].to_owned());
            let first = leading(stems[0]);
            let alike = stems.iter().all(|s| leading(s) == first && first.is_some());
            if alike || stems.len() == 1 {
                shards.parts[0] = others;
                return Ok(shards);
            }
            let found = format!("{}, names that say no part", some(&others));
            let expected = "train, val or test in every name, numbered names of one sequence, or \
                            `parts`, which says what is what";
            return Err(self.wrong(found, expected));
        }
        let mut left = BTreeMap::new();
        for (file, stem) in others.iter().zip(stems) {
            let name = NumberedName::of(stem);
            if name.total.is_none() {
                return Err(Error::invalid(
                    self.root.join(file).display().to_string(),
                    "no part's name, while other shards have one",
                    "train, val, validation or test in the name of every shard, or `parts`, which \
                     says what is what",
                ));
            }
            left.insert(name.base.to_owned(), ());
        }
        shards.notes.push(left_out(self.root, &left.into_keys().collect::<Vec<_>>()));
        Ok(shards)
    }

    /// Returns what the given names of parts may be those of.
    fn there(&self, bases: &[String]) -> Result<Vec<String>> {
        let mut there = bases.to_vec();
        there.extend(folders(self.root)?);
        there.sort_unstable();
        there.dedup();
        Ok(there)
    }
}

impl Shards {
    /// Tells whether there is a training shard.
    pub fn any(&self) -> bool {
        !self.parts[PartName::Train as usize].is_empty()
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
    fn numbers_count_by_value() {
        let mut names = ["a-10", "a-9", "a-010", "b-1", "a", "a-9-2", "a-9-10", "10", "9"];
        names.sort_by(|a, b| by_number(a, b));
        assert_eq!(names, ["9", "10", "a", "a-9", "a-9-2", "a-9-10", "a-10", "a-010", "b-1"]);
    }

    fn sort(names: &[&str], parts: Option<&str>) -> Result<Shards> {
        let folder = tempfile::tempdir().unwrap();
        let parts = parts.map(|text| text.parse().unwrap());
        let stated = StatedLayout { parts, ..StatedLayout::default() };
        let search = ShardSearch { root: folder.path(), extensions: &[".tar"], stated: &stated };
        search.sort(names.iter().map(|n| format!("{n}.tar")).collect())
    }

    #[test]
    fn names_that_say_no_part_are_never_merged_into_another() {
        assert_eq!(sort(&["0", "1"], None).unwrap().parts[0].len(), 2);
        assert_eq!(sort(&["all"], None).unwrap().parts[0].len(), 1);
        let refused = |names: &[&str], part: &str| {
            let text = sort(names, None).unwrap_err().to_string();
            assert!(text.contains(part), "{text}");
        };
        refused(&["train-0", "1"], "1.tar: found no part's name");
        refused(&["cat", "dog"], "cat.tar, dog.tar, names that say no part");
        refused(&["a-0-of-1", "b-0-of-1"], "names that say no part");
        refused(&["test-of-train-0"], "words of two parts");
        let shards = sort(&["train-0-of-1", "extra-0-of-1"], None).unwrap();
        assert_eq!(shards.parts[0], ["train-0-of-1.tar"]);
        assert!(shards.notes[0].contains("extra was left out"), "{:?}", shards.notes);
    }

    #[test]
    fn parts_are_said_by_hand() {
        let shards = sort(&["a-0", "b-0", "c-0"], Some("train=a,test=b")).unwrap();
        assert_eq!((shards.parts[0].len(), shards.parts[2].len()), (1, 1));
        assert!(shards.notes[0].contains(": c was left out"), "{:?}", shards.notes);
        let text = sort(&["a-0"], Some("train=z")).unwrap_err().to_string();
        assert!(text.contains("nothing called z") && text.contains("is there: a"), "{text}");
    }
}
