//! Messages about quotas, put in the words of the partition that the quotas are over.

use crate::error::Error;

/// Puts an error about quotas into words about the parts that the user means: `unit` is `class` or
/// `group`, and `names` are those of the parts, so that `recall of class 2` becomes `recall of
/// group "gull / sea"`. Errors that are not about the parts stay as they are.
pub fn over(unit: &str, names: &[String], error: Error) -> Error {
    match error {
        Error::Invalid { what, found, expected } if what.contains("class") => {
            let [what, found, expected] = [what, found, expected].map(|t| text(unit, names, &t));
            Error::Invalid { what, found, expected }
        }
        other => other,
    }
}

fn text(unit: &str, names: &[String], text: &str) -> String {
    let plural = if unit == "class" { "classes".to_owned() } else { format!("{unit}s") };
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let bare = word.trim_end_matches([',', ';', ':', '.']);
        let tail = &word[bare.len()..];
        let before = words.last().map(String::as_str);
        let name = bare.parse().ok().filter(|_| before == Some(unit));
        words.push(match (bare, name.and_then(|k: usize| names.get(k))) {
            (_, Some(name)) => format!("{name:?}{tail}"),
            ("class", _) => format!("{unit}{tail}"),
            ("classes", _) => format!("{plural}{tail}"),
            _ => word.to_owned(),
        });
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_called_what_they_are() {
        let names = ["gull / sea".to_owned(), "gull / land".to_owned()];
        let error = || {
            let found = "none, though the class has 3 samples";
            Error::invalid("recall of class 1", found, "4 classes, of class 9")
        };
        let message = over("group", &names, error()).to_string();
        for words in [
            "recall of group \"gull / land\"",
            "though the group has 3 samples",
            "4 groups, of group 9",
        ] {
            assert!(message.contains(words), "{message}");
        }
        let message = over("class", &names, error()).to_string();
        assert!(message.contains("recall of class \"gull / land\""), "{message}");
        let other = || Error::invalid("`density`", "2 classes", "at most 1");
        assert_eq!(over("group", &names, other()).to_string(), other().to_string());
    }
}
