//! The groups that quotas and reported recalls are over: the classes, or class x attribute.
//!
//! A network always learns the classes. A partition only decides whose errors are counted together.

use std::borrow::Cow;

use super::{Attributes, DataSet, Part};
use crate::error::{Error, Result};

/// A division of a data set's samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The attribute that divides the classes; `None` where the groups are the classes themselves.
    pub attribute: Option<String>,
    /// Name of each group: a class, or `waterbird / land`.
    pub names: Vec<String>,
}

impl Partition {
    /// Returns the partition into classes.
    pub fn classes(set: &DataSet) -> Partition {
        Partition { attribute: None, names: set.classes.clone() }
    }

    /// Returns the division that `text` asks for: `classes`; `attribute` or the attribute's own
    /// name for class x attribute, where the class may be named beside it (`place,y`, as WILDS
    /// does).
    ///
    /// # Errors
    /// The data set has no attribute of that name, or none at all.
    pub fn of(set: &DataSet, text: &str) -> Result<Partition> {
        let what = format!("`groups` of {}", set.name);
        Partition::named(&what, &set.classes, set.attributes.as_ref(), text)
    }

    /// Returns the division that `text` asks for of a set that is known by its names alone; `what`
    /// names the set in errors.
    pub fn named(
        what: &str,
        classes: &[String],
        attributes: Option<&Attributes>,
        text: &str,
    ) -> Result<Partition> {
        let is_class = |field: &str| matches!(field, "class" | "classes" | "y");
        let fields: Vec<&str> = text.split(',').map(str::trim).collect();
        let others: Vec<&str> = fields.iter().copied().filter(|f| !is_class(f)).collect();
        let wrong = |found: String, expected: String| Err(Error::invalid(what, found, expected));
        match (attributes, others.as_slice()) {
            (_, []) => Ok(Partition { attribute: None, names: classes.to_vec() }),
            (None, _) => wrong(
                format!("{text:?}, and samples without an attribute"),
                "classes; or a data set whose samples have an attribute: a metadata.csv with a \
                 column place, a or attribute, or shapes:spurious"
                    .to_owned(),
            ),
            (Some(a), [field]) if *field == "attribute" || *field == a.name => {
                let names = (0..a.groups(classes.len())).map(|g| a.group_name(classes, g));
                Ok(Partition { attribute: Some(a.name.clone()), names: names.collect() })
            }
            (Some(a), _) => {
                wrong(format!("{text:?}"), format!("classes, or {} for class x {}", a.name, a.name))
            }
        }
    }

    /// Returns what a group is called in tables: `class` or `group`.
    pub fn unit(&self) -> &'static str {
        if self.attribute.is_some() { "group" } else { "class" }
    }

    /// Returns the name by which users ask for the partition: `classes`, or the attribute's name.
    pub fn name(&self) -> &str {
        self.attribute.as_deref().unwrap_or("classes")
    }

    /// Returns the number of groups, empty ones included.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Tells whether there is no group at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Counts the training samples at `positions` in each group.
    pub fn sizes(&self, set: &DataSet, positions: &[usize]) -> Vec<usize> {
        let mut sizes = vec![0; self.len()];
        let labels = self.labels(set, &set.train);
        positions.iter().for_each(|&i| sizes[labels[i] as usize] += 1);
        sizes
    }

    /// Returns the group of each sample of a part of `set`, which must be the set that the
    /// partition was made of.
    pub fn labels<'a>(&self, set: &DataSet, part: &'a Part) -> Cow<'a, [u32]> {
        match (&self.attribute, &set.attributes) {
            (Some(_), Some(attributes)) => Cow::Owned(attributes.group_labels(part)),
            _ => Cow::Borrowed(&part.labels),
        }
    }
}
