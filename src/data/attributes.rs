//! What every sample is besides its class: the background of a bird, for instance.
//!
//! Class and attribute together are a group: quotas and recalls over groups ask which combination
//! a network fails on, where classes alone look well.

use crate::error::{Error, Result};

/// An attribute that every sample has. Each sample's value is in
/// [`Part::attributes`](super::Part::attributes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// What it is, such as `place`.
    pub name: String,
    /// Names of its values; a sample's attribute is an index into them.
    pub values: Vec<String>,
}

impl Attributes {
    /// Groups of `classes` classes: one for every pair, whether or not a sample is in it.
    pub fn groups(&self, classes: usize) -> usize {
        classes * self.values.len()
    }

    /// The group of a sample: class by class, values in their order inside a class (WILDS counts the
    /// other way round: attribute by attribute).
    pub fn group(&self, label: u32, attribute: u32) -> usize {
        label as usize * self.values.len() + attribute as usize
    }

    /// The name of a group, `waterbird / land`; `group` must be below [`Attributes::groups`].
    pub fn group_name(&self, classes: &[String], group: usize) -> String {
        let (class, value) = (group / self.values.len(), group % self.values.len());
        format!("{} / {}", classes[class], self.values[value])
    }

    /// The group of each sample of a part.
    pub fn group_labels(&self, part: &super::Part) -> Vec<u32> {
        let pairs = part.labels.iter().zip(&part.attributes);
        pairs.map(|(&label, &attribute)| self.group(label, attribute) as u32).collect()
    }

    /// Samples of each group of a part.
    pub fn group_sizes(&self, classes: usize, part: &super::Part) -> Vec<usize> {
        let mut sizes = vec![0; self.groups(classes)];
        for (&label, &attribute) in part.labels.iter().zip(&part.attributes) {
            sizes[self.group(label, attribute)] += 1;
        }
        sizes
    }

    /// An error where a value of `part` is missing or unknown.
    pub(super) fn check(&self, set: &str, part: &super::Part) -> Result<()> {
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
