//! What every sample has besides its class, such as the background of a bird.
//!
//! Class and attribute together make a group. Quotas and recalls over groups show on which
//! combination a network fails where the classes alone look well.

use super::part::Part;
use crate::error::{Error, Result};

/// An attribute that every sample has. Each sample's value is in
/// [`Part::attributes`](super::Part::attributes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The attribute's name, such as `place`.
    pub name: String,
    /// Names of its values; a sample's attribute is an index into them.
    pub values: Vec<String>,
}

impl Attributes {
    /// Returns the number of groups for `classes` classes: one for every pair, whether or not a
    /// sample is in it.
    pub fn groups(&self, classes: usize) -> usize {
        classes * self.values.len()
    }

    /// Returns the group of a sample. Groups are ordered by class and then by the values in their
    /// order (WILDS counts the other way round, by attribute and then by class).
    pub fn group(&self, label: u32, attribute: u32) -> usize {
        label as usize * self.values.len() + attribute as usize
    }

    /// Returns the name of a group, such as `waterbird / land`; `group` must be below
    /// [`Attributes::groups`].
    pub fn group_name(&self, classes: &[String], group: usize) -> String {
        let (class, value) = (group / self.values.len(), group % self.values.len());
        format!("{} / {}", classes[class], self.values[value])
    }

    /// Returns the group of each sample of a part.
    pub fn group_labels(&self, part: &Part) -> Vec<u32> {
        let pairs = part.labels.iter().zip(&part.attributes);
        pairs.map(|(&label, &attribute)| self.group(label, attribute) as u32).collect()
    }

    /// Returns the number of samples of each group of a part.
    pub fn group_sizes(&self, classes: usize, part: &Part) -> Vec<usize> {
        let mut sizes = vec![0; self.groups(classes)];
        for (&label, &attribute) in part.labels.iter().zip(&part.attributes) {
            sizes[self.group(label, attribute)] += 1;
        }
        sizes
    }

    /// Fails where a value of `part` is missing or unknown.
    pub(super) fn check(&self, set: &str, part: &Part) -> Result<()> {
        if part.attributes.len() != part.labels.len() {
            return Err(Error::Internal(format!(
                "{set}: {} attributes of {} samples",
                part.attributes.len(),
                part.labels.len()
            )));
        }
        match part.attributes.iter().position(|&a| a as usize >= self.values.len()) {
            Some(i) => Err(Error::invalid(
                format!("{set}, image {}", part.ids[i]),
                format!("{} {}", self.name, part.attributes[i]),
                format!("a value below {}", self.values.len()),
            )),
            None => Ok(()),
        }
    }
}
