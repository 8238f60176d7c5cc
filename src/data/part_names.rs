//! The words by which files, folders and lists say to which part of a data set something belongs.
//!
//! Every format reads these words and no others. What they do not cover is left out with a note or
//! refused, and [`PartNames`] says it by hand.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::PartName;
use super::wording::some;
use crate::error::{Error, Result};

/// The words of every part, in lower case.
pub const VOCABULARY: [(PartName, &[&str]); 3] = [
    (PartName::Train, &["train", "training"]),
    (PartName::Val, &["val", "valid", "validation", "dev"]),
    (PartName::Test, &["test", "testing", "eval", "evaluation"]),
];

/// Returns the part that a word stands for, in any case.
fn of_word(word: &str) -> Option<PartName> {
    let word = word.to_ascii_lowercase();
    let known = VOCABULARY.iter().find(|(_, words)| words.contains(&word.as_str()));
    known.map(|(part, _)| *part)
}

/// Names of parts that a person gives, beside the vocabulary. A part that has names here has no
/// others: the words of the vocabulary stand for the parts that are not mentioned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PartNames([Vec<String>; 3]);

/// No names beside the vocabulary.
pub(super) static VOCABULARY_ALONE: PartNames = PartNames([Vec::new(), Vec::new(), Vec::new()]);

/// What a file's name says of its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Part(PartName),
    /// It has no word of any part.
    Nothing,
    /// It has words of two parts.
    Several,
}

impl PartNames {
    /// Tells whether any name is given.
    pub fn is_given(&self) -> bool {
        self.0.iter().any(|names| !names.is_empty())
    }

    fn by_word(&self, word: &str) -> Option<PartName> {
        of_word(word).filter(|&part| self.0[part as usize].is_empty())
    }

    /// Returns the part that a whole name stands for: that of a folder, or a cell of a list.
    pub(super) fn of_name(&self, name: &str) -> Option<PartName> {
        let given = |(part, _): &(PartName, _)| self.0[*part as usize].iter().any(|n| n == name);
        VOCABULARY.iter().find(|p| given(p)).map(|(part, _)| *part).or_else(|| self.by_word(name))
    }

    /// Returns what the name of a file without its number says: `imagenet1k-train` is of the
    /// training part. A name that is given stands for its part where it is the whole of the file's
    /// name, or some of its words that follow each other.
    pub(super) fn of_file(&self, base: &str) -> Told {
        let named = |name: &String| name == base || contains(base, name);
        let given: Vec<PartName> = VOCABULARY
            .iter()
            .filter(|(part, _)| self.0[*part as usize].iter().any(named))
            .map(|(part, _)| *part)
            .collect();
        let told = if given.is_empty() {
            words(base).filter_map(|word| self.by_word(word)).collect()
        } else {
            given
        };
        match told[..] {
            [] => Told::Nothing,
            [first, ..] if told.iter().all(|part| *part == first) => Told::Part(first),
            _ => Told::Several,
        }
    }

    /// Fails where a given name is that of nothing: `there` are the names that were found below
    /// `what`.
    pub(super) fn check_used(&self, what: &str, there: &[String]) -> Result<()> {
        for ((part, _), names) in VOCABULARY.iter().zip(&self.0) {
            let is = |name: &String, found: &String| name == found || contains(found, name);
            if let Some(name) = names.iter().find(|name| !there.iter().any(|t| is(name, t))) {
                let found = format!("nothing called {name}, which `parts` has for {}", part.name());
                let expected = match there {
                    [] => "a name that is there".to_owned(),
                    _ => format!("a name that is there: {}", some(there)),
                };
                return Err(Error::invalid(what, found, expected));
            }
        }
        Ok(())
    }
}

/// Returns the words of a name, without the digits at their ends: `train0001` says train.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let each = name.split(|c: char| !c.is_ascii_alphanumeric());
    each.map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()))
}

/// Tells whether the words of `name` follow each other in `base`.
fn contains(base: &str, name: &str) -> bool {
    let split = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect()
    };
    let (base, name) = (split(base), split(name));
    base.windows(name.len()).any(|part| part == name)
}

impl fmt::Display for PartNames {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let pairs = VOCABULARY.iter().zip(&self.0);
        let each = pairs.flat_map(|((part, _), names)| {
            names.iter().map(move |name| format!("{}={name}", part.name()))
        });
        f.write_str(&each.collect::<Vec<_>>().join(","))
    }
}

impl FromStr for PartNames {
    type Err = Error;

    /// Reads `train=NAME,val=NAME,test=NAME`; a part may come several times.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |found: &str, expected: &str| Err(Error::invalid("`parts`", found, expected));
        let mut names = PartNames::default();
        for pair in text.split(',') {
            let told = pair.split_once('=').map(|(part, name)| (part.trim(), name.trim()));
            let Some((part, name)) = told.filter(|(_, name)| !name.is_empty()) else {
                return wrong(pair, "train=NAME,val=NAME,test=NAME, or some of these");
            };
            let Some(part) = of_word(part) else {
                return wrong(part, "train, val or test before each `=`");
            };
            if names.0.iter().flatten().any(|n| n == name) {
                return wrong(&format!("{name} twice"), "every name once");
            }
            names.0[part as usize].push(name.to_owned());
        }
        Ok(names)
    }
}

impl From<PartNames> for String {
    fn from(names: PartNames) -> String {
        names.to_string()
    }
}

impl TryFrom<String> for PartNames {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_parts() {
        let plain = PartNames::default();
        for (name, told) in [
            ("train", Told::Part(PartName::Train)),
            ("imagenet1k-validation", Told::Part(PartName::Val)),
            ("train0001", Told::Part(PartName::Train)),
            ("Testing", Told::Part(PartName::Test)),
            ("set_dev", Told::Part(PartName::Val)),
            ("a.eval", Told::Part(PartName::Test)),
            ("00000", Told::Nothing),
            ("strain-1", Told::Nothing),
            ("trainer", Told::Nothing),
            ("test-set-train", Told::Several),
        ] {
            assert_eq!(plain.of_file(name), told, "{name}");
        }
        assert_eq!(plain.of_name("VALID"), Some(PartName::Val));
        assert_eq!(plain.of_name("train-1"), None);
    }

    #[test]
    fn given_names_replace_the_words_of_their_part() {
        let names: PartNames = "train=seg_train,val=extra,training=more".parse().unwrap();
        assert_eq!(names.to_string(), "train=seg_train,train=more,val=extra");
        assert_eq!(names.of_name("seg_train"), Some(PartName::Train));
        assert_eq!(names.of_name("train"), None);
        assert_eq!(names.of_name("test"), Some(PartName::Test));
        assert_eq!(names.of_file("my-extra"), Told::Part(PartName::Val));
        assert_eq!(names.of_file("val"), Told::Nothing);
        for bad in ["", "train", "train=", "middle=x", "train=a,val=a"] {
            assert!(bad.parse::<PartNames>().is_err(), "{bad}");
        }
    }
}
