//! Names of ImageNet's classes, whose folders are called by WordNet numbers such as `n01443537`.

use std::collections::HashMap;
use std::path::Path;

use super::images::read_text;
use super::shards::files;
use super::wording::some;
use crate::error::Result;

/// Most bytes of a file of names. WordNet's own has 2.7 million.
const MOST_BYTES: u64 = 1 << 24;

/// Returns the names of the classes `wnids` from the first of `files` that exists below `folders`,
/// or the numbers where there is none.
pub(super) fn names(folders: &[&Path], files: &[&str], wnids: &[String]) -> Result<Vec<String>> {
    let paths = folders.iter().flat_map(|folder| files.iter().map(|file| folder.join(file)));
    match { paths }.find(|path| path.is_file()) {
        Some(path) => Ok(names_from(&read_text(&path, MOST_BYTES)?, wnids)),
        None => Ok(wnids.to_vec()),
    }
}

/// Reads names from lines `n01443537<tab or space>goldfish, Carassius auratus`, of which the first
/// synonym counts. Where two classes share it (both cranes of ImageNet are `crane`), and where a
/// line is missing, the number tells them apart.
pub fn names_from(text: &str, wnids: &[String]) -> Vec<String> {
    let mut words = HashMap::new();
    for line in text.lines() {
        let Some((wnid, synonyms)) = line.split_once([' ', '\t']) else { continue };
        let name = synonyms.split(',').next().unwrap_or("").trim();
        if !name.is_empty() {
            words.entry(wnid).or_insert(name);
        }
    }
    let found: Vec<Option<&str>> = wnids.iter().map(|w| words.get(w.as_str()).copied()).collect();
    let mut uses: HashMap<&str, usize> = HashMap::new();
    found.iter().flatten().for_each(|name| *uses.entry(name).or_default() += 1);
    let each = wnids.iter().zip(found);
    each.map(|(wnid, name)| match name {
        Some(name) if uses[name] == 1 => name.to_owned(),
        Some(name) => format!("{name} ({wnid})"),
        None => wnid.clone(),
    })
    .collect()
}

/// Tells whether `text` looks like a WordNet number.
pub(super) fn is_wnid(text: &str) -> bool {
    text.len() == 9 && text.starts_with('n') && text[1..].bytes().all(|b| b.is_ascii_digit())
}

/// The ending of the names of archives.
pub(super) const ARCHIVE: &str = ".tar";

/// Returns the WordNet numbers that archives in `folder` are called by, sorted.
pub(super) fn class_archives(root: &Path, folder: &str) -> Vec<String> {
    let found = files(root, folder, &[ARCHIVE]).unwrap_or_default();
    let wnid = |file: &String| {
        let name = file.rsplit('/').next()?.strip_suffix(ARCHIVE)?;
        is_wnid(name).then(|| name.to_owned())
    };
    found.iter().filter_map(wnid).collect()
}

/// Says in a sentence which classes of a folder are archives that nobody unpacked, beside `classes`,
/// which are folders.
pub(super) fn not_unpacked(root: &Path, part: &str, classes: &[String]) -> Option<String> {
    let mut packed = class_archives(root, part);
    packed.retain(|wnid| classes.binary_search(wnid).is_err());
    let text = "are still archives and were left out: unpack them";
    let place = root.join(part);
    (!packed.is_empty()).then(|| format!("{}: classes {} {text}", place.display(), some(&packed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_synonyms_and_numbers_where_they_are_not_unique() {
        let text =
            "n02012849\tcrane\nn03126707 crane\nn01443537\tgoldfish, Carassius auratus\nbad\n";
        let wnids = ["n01443537", "n02012849", "n03126707", "n09999999"].map(str::to_owned);
        let expected = ["goldfish", "crane (n02012849)", "crane (n03126707)", "n09999999"];
        assert_eq!(names_from(text, &wnids), expected);
        assert!(is_wnid("n01443537") && !is_wnid("n0144353") && !is_wnid("n0144353x"));
    }
}
