//! The images of one part of a data set: training, validation or test.

use bytes::Bytes;

use super::split;

/// Images of one part, in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Pixels, `N H W C` with C = 3 (red, green, blue), 0..=255. They are shared, so that the CPU
    /// trains on them where they are.
    pub images: Bytes,
    /// Class of each image, an index into [`DataSet::classes`](super::DataSet::classes).
    pub labels: Vec<u32>,
    /// Name of each image, unique in the data set: a path relative to the root, or `file:record`.
    pub ids: Vec<String>,
    /// Attribute of each image, an index into [`Attributes::values`](super::Attributes::values); empty where the data set has
    /// none.
    pub attributes: Vec<u32>,
}

impl Part {
    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Tells whether the part has no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the pixels of image `i`, `H W C`; `i` must be below [`Part::len`].
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.images.len() / self.labels.len().max(1);
        &self.images[i * size..(i + 1) * size]
    }

    /// Returns the number of images of each of `classes` classes; labels must be below `classes`.
    pub fn class_sizes(&self, classes: usize) -> Vec<usize> {
        split::class_sizes(&self.labels, classes)
    }
}
