//! Classes that files number: their names, and where the numbers start.

use std::path::{Path, PathBuf};

use super::StatedLayout;
use super::images::read_text;
use crate::error::{Error, Result};

/// Files that may hold the names, one in a line.
pub(super) const FILES: [&str; 2] = ["classes.txt", "classnames.txt"];

/// Class names that lie in a text file beside the data.
#[derive(Debug)]
pub(super) struct NamesFile {
    pub path: PathBuf,
    pub names: Vec<String>,
}

impl NamesFile {
    /// Reads the names in `folder`, if one of [`FILES`] is there.
    pub fn beside(folder: &Path) -> Result<Option<NamesFile>> {
        let files = FILES.map(|name| folder.join(name));
        let Some(path) = files.into_iter().find(|p| p.is_file()) else { return Ok(None) };
        let text = read_text(&path, 1 << 24)?;
        let names: Vec<String> = text.lines().map(|l| l.trim().to_owned()).collect();
        if let Some(i) = names.iter().position(String::is_empty) {
            let what = format!("{}, line {}", path.display(), i + 1);
            return Err(Error::invalid(what, "an empty line", "a class name a line"));
        }
        Ok(Some(NamesFile { path, names }))
    }
}

/// Class names, and what a person should know of their numbers.
pub(super) type NumberedClasses = (Vec<String>, Option<String>);

/// Names the classes of `labels`, one list a part, and makes class numbers that start at 0 of them.
/// Returns the names and what a person should know.
///
/// Numbers that start at 1 lose nothing where classes are called by their numbers: the class 0 that no
/// sample has is then left out.
/// # Errors
/// There are fewer names than classes, or a label lies below the first one that is stated.
pub(super) fn number(
    what: &str,
    mut labels: Vec<&mut Vec<u32>>,
    names: Option<NamesFile>,
    stated: &StatedLayout,
) -> Result<NumberedClasses> {
    let range = || labels.iter().flat_map(|part| part.iter().copied());
    let (Some(least), Some(most)) = (range().min(), range().max()) else {
        return Ok((names.map_or_else(Vec::new, |n| n.names), None));
    };
    let first = match stated.labels_from {
        Some(first) if least < first => {
            let expected = "labels from 1 on, as `labels_from` says";
            return Err(Error::invalid(what, format!("a label {least}"), expected));
        }
        Some(first) => first,
        None => u32::from(names.is_none() && least == 1),
    };
    let count = (most + 1 - first) as usize;
    let starts_at_one = least == 1 && stated.labels_from.is_none();
    let (classes, note) = match names {
        None => {
            let note = "labels start at 1: there is no class 0, and classes keep their numbers";
            let note = (starts_at_one && first == 1).then(|| format!("{what}: {note}"));
            ((first..=most).map(|k| k.to_string()).collect(), note)
        }
        Some(NamesFile { path, names }) if names.len() < count => {
            let hint = match starts_at_one && names.len() + 1 == count {
                true => "; labels start at 1, and `labels_from` 1 says so",
                false => "",
            };
            let found = format!("{} class names", names.len());
            let expected = format!("at least {count}, since there is a label {most}{hint}");
            return Err(Error::invalid(path.display().to_string(), found, expected));
        }
        // A list that names the missing class 0 as well has one name too many.
        Some(NamesFile { names, .. }) if first == 1 && names.len() == count + 1 => {
            (names[1..].to_vec(), None)
        }
        Some(NamesFile { names, .. }) => {
            let text = "labels start at 1: no sample is of class 0";
            let way = "`labels_from` 1 leaves it out";
            let note = starts_at_one.then(|| format!("{what}: {text}, called {}; {way}", names[0]));
            (names, note)
        }
    };
    labels.iter_mut().flat_map(|part| part.iter_mut()).for_each(|label| *label -= first);
    Ok((classes, note))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(
        labels: &[u32],
        names: Option<&[&str]>,
        from: Option<u32>,
    ) -> (Vec<u32>, Result<NumberedClasses>) {
        let mut labels = labels.to_vec();
        let names = names.map(|list| NamesFile {
            path: "classes.txt".into(),
            names: list.iter().map(|n| (*n).to_owned()).collect(),
        });
        let stated = StatedLayout { labels_from: from, ..StatedLayout::default() };
        let result = number("set", vec![&mut labels], names, &stated);
        (labels, result)
    }

    #[test]
    fn numbers_that_start_at_one_lose_the_class_that_nobody_has() {
        let (labels, result) = of(&[1, 3, 2], None, None);
        let (names, note) = result.unwrap();
        assert_eq!((labels, names.concat()), (vec![0, 2, 1], "123".to_owned()));
        assert!(note.unwrap().contains("labels start at 1"));
        // Numbers that start at 0, or are said to, stay.
        assert_eq!(
            of(&[0, 2], None, None).1.unwrap(),
            (["0", "1", "2"].map(String::from).to_vec(), None)
        );
        assert_eq!(of(&[1, 2], None, Some(0)).0, [1, 2]);
        assert_eq!(of(&[3], None, None).0, [3]);
        assert!(of(&[0, 1], None, Some(1)).1.unwrap_err().to_string().contains("a label 0"));
    }

    #[test]
    fn names_are_held_against_the_numbers() {
        let text = of(&[1, 2], Some(&["a", "b"]), None).1.unwrap_err().to_string();
        assert!(text.contains("2 class names") && text.contains("`labels_from` 1"), "{text}");
        for names in [&["a", "b"][..], &["none", "a", "b"]] {
            let (labels, result) = of(&[1, 2], Some(names), Some(1));
            assert_eq!((labels, result.unwrap().0.concat()), (vec![0, 1], "ab".to_owned()));
        }
        let (labels, result) = of(&[1, 2], Some(&["none", "a", "b"]), None);
        let note = result.unwrap().1.unwrap();
        assert!(labels == [1, 2] && note.contains("called none"), "{note}");
    }
}
