//! Finding the sample that a file name of another program means.

use std::collections::HashMap;

/// Names of samples and of their ends: `train/cat/1.png`, `cat/1.png`, `1.png`.
///
/// A name means the sample whose id it is. Otherwise it means the only sample whose id ends with
/// it, at a slash, or the sample whose id it ends with (it is then an absolute path of the same
/// file).
pub struct SampleNames<'a> {
    ids: &'a [String],
    /// Every end of every id, the whole ids included.
    ends: HashMap<&'a str, Of>,
}

#[derive(Clone, Copy)]
enum Of {
    One(u32),
    /// Several samples, of which these are the first two.
    Several([u32; 2]),
}

impl<'a> SampleNames<'a> {
    /// Takes the ids of a training set, which are unique.
    pub fn new(ids: &'a [String]) -> Self {
        let mut ends: HashMap<&'a str, Of> = HashMap::with_capacity(2 * ids.len());
        for (i, id) in ids.iter().enumerate() {
            let i = i as u32;
            for end in ends_of(id) {
                ends.entry(end)
                    .and_modify(|of| {
                        if let Of::One(first) = *of {
                            *of = Of::Several([first, i]);
                        }
                    })
                    .or_insert(Of::One(i));
            }
        }
        // A whole id means its sample, even where it is also the end of another.
        for (i, id) in ids.iter().enumerate() {
            ends.insert(id, Of::One(i as u32));
        }
        SampleNames { ids, ends }
    }

    /// Returns the position that `name` means, `None` if it means none, or the first two ids that
    /// it may mean where there are several.
    pub fn find(&self, name: &str) -> Result<Option<usize>, [&'a str; 2]> {
        let name = name.strip_prefix("./").unwrap_or(name);
        match self.ends.get(name) {
            Some(Of::One(i)) => return Ok(Some(*i as usize)),
            Some(Of::Several(pair)) => return Err(pair.map(|i| self.ids[i as usize].as_str())),
            None => {}
        }
        if name.contains('\\') {
            // Written on Windows: no id has backslashes unless it was found above.
            return self.find(&name.replace('\\', "/"));
        }
        let whole = |end: &str| match self.ends.get(end) {
            Some(Of::One(i)) if self.ids[*i as usize] == end => Some(*i as usize),
            _ => None,
        };
        Ok(ends_of(name).find_map(whole))
    }
}

/// Returns the name, and what follows each of its slashes.
fn ends_of(name: &str) -> impl Iterator<Item = &str> {
    let slashes = name.bytes().enumerate().filter(|(_, b)| *b == b'/').map(|(i, _)| i + 1);
    std::iter::once(0).chain(slashes).map(|i| &name[i..]).filter(|end| !end.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_ids_come_first_then_ends_then_absolute_paths() {
        let ids = ["a/x.png", "b/a/x.png", "b/y.png", "data_batch_1.bin:7"].map(str::to_owned);
        let names = SampleNames::new(&ids);
        assert_eq!(names.find("a/x.png"), Ok(Some(0)));
        assert_eq!(names.find("b/a/x.png"), Ok(Some(1)));
        assert_eq!(names.find("./b/y.png"), Ok(Some(2)));
        assert_eq!(names.find("y.png"), Ok(Some(2)));
        assert_eq!(names.find("/root/b/y.png"), Ok(Some(2)));
        assert_eq!(names.find("data_batch_1.bin:7"), Ok(Some(3)));
        assert_eq!(names.find("x.png"), Err(["a/x.png", "b/a/x.png"]));
        // The file's name alone is not enough, because a file in another folder is another file.
        assert_eq!(names.find("/root/c/y.png"), Ok(None));
        assert_eq!(names.find("D:\\set\\b\\y.png"), Ok(Some(2)));
        assert_eq!(names.find("a\\x.png"), Ok(Some(0)));
        assert_eq!(names.find(""), Ok(None));
        assert_eq!(names.find("png"), Ok(None));
    }
}
