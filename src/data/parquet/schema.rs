//! Finds which columns hold image and label, and what the classes are called.
//!
//! Hugging Face writes its features as JSON under the key `huggingface`; where that is missing,
//! names and types of the columns decide.

use ::parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use ::parquet::file::metadata::FileMetaData;
use ::parquet::schema::types::SchemaDescriptor;
use serde_json::Value;

use crate::data::StatedLayout;
use crate::error::{Error, Result};

/// Names of an image column, for files whose features do not say which it is.
const IMAGES: [&str; 4] = ["image", "img", "images", "png"];

/// Names of a label column; the first that is there counts. CIFAR-100's fine label is the class.
const LABELS: [&str; 6] = ["label", "fine_label", "labels", "cls", "class", "target"];

/// Most class names that are believed.
const MOST_CLASSES: usize = 100_000;

/// The columns of a file, by number among the leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParquetColumns {
    /// The encoded images.
    pub image: usize,
    /// Level of the values that says that an image is there; 0 where it always is.
    pub image_levels: i16,
    /// The class numbers.
    pub label: usize,
    /// Level of the values that says that a label is there; 0 where it always is.
    pub label_levels: i16,
    /// Whether labels have 64 bits; they have 32 otherwise.
    pub wide: bool,
    /// Class names, where the file states them.
    pub classes: Option<Vec<String>>,
    /// What was taken because of its type alone, in words.
    pub guess: Option<String>,
}

/// The features of a file that matter.
#[derive(Debug, Default)]
struct DeclaredFeatures {
    images: Vec<String>,
    /// Label columns and the names of their classes.
    labels: Vec<(String, Vec<String>)>,
}

impl DeclaredFeatures {
    fn of(metadata: &FileMetaData) -> DeclaredFeatures {
        let pairs = metadata.key_value_metadata().into_iter().flatten();
        let text = { pairs }.find(|p| p.key == "huggingface").and_then(|p| p.value.as_deref());
        let value: Option<Value> = text.and_then(|t| serde_json::from_str(t).ok());
        let mut found = DeclaredFeatures::default();
        let features = value.as_ref().and_then(|v| v.get("info")?.get("features")?.as_object());
        for (column, feature) in features.into_iter().flatten() {
            match feature.get("_type").and_then(Value::as_str) {
                Some("Image") => found.images.push(column.clone()),
                Some("ClassLabel") => {
                    let names = feature.get("names").and_then(Value::as_array);
                    let names = names.into_iter().flatten().filter_map(Value::as_str);
                    let names = names.take(MOST_CLASSES).map(str::to_owned).collect();
                    found.labels.push((column.clone(), names));
                }
                _ => {}
            }
        }
        found
    }
}

impl ParquetColumns {
    /// Finds the columns of a file, of which a person may have stated some; `what` names the file in
    /// errors.
    pub fn of(
        metadata: &FileMetaData,
        stated: &StatedLayout,
        what: &str,
    ) -> Result<ParquetColumns> {
        let columns = FileColumns {
            schema: metadata.schema_descr(),
            features: DeclaredFeatures::of(metadata),
            what,
        };
        let (image, guessed_image) = columns.image(stated.image_column.as_deref())?;
        let (label, guessed_label) = columns.label(stated.label_column.as_deref())?;
        let column = columns.schema.column(label);
        let wide = columns.check_label(label)?;
        let name = columns.path(label);
        let names = columns.features.labels.iter().find(|(n, _)| *n == name);
        let guesses = [
            guessed_image.then(|| format!("images are those of column {}", columns.path(image))),
            guessed_label.then(|| format!("labels are those of column {name}")),
        ];
        let guesses: Vec<String> = guesses.into_iter().flatten().collect();
        let guess = (!guesses.is_empty())
            .then(|| format!("{}, the only one of such a type", guesses.join(", and ")));
        Ok(ParquetColumns {
            image,
            image_levels: columns.schema.column(image).max_def_level(),
            label,
            label_levels: column.max_def_level(),
            wide,
            classes: names.map(|(_, names)| names.clone()).filter(|n| !n.is_empty()),
            guess,
        })
    }
}

/// The columns of a file while images and labels are looked for among them.
struct FileColumns<'a> {
    schema: &'a SchemaDescriptor,
    features: DeclaredFeatures,
    what: &'a str,
}

impl FileColumns<'_> {
    fn path(&self, column: usize) -> String {
        self.schema.column(column).path().string()
    }

    fn find(&self, path: &str) -> Option<usize> {
        (0..self.schema.num_columns()).find(|&i| self.path(i) == path)
    }

    fn wrong<T>(&self, found: String, expected: &str) -> Result<T> {
        Err(Error::invalid(self.what, found, expected))
    }

    fn listed(&self) -> String {
        let paths: Vec<String> = (0..self.schema.num_columns()).map(|i| self.path(i)).collect();
        format!("the columns {:?}", paths.join(", ").chars().take(300).collect::<String>())
    }

    /// Returns the only column for which `is` holds.
    fn only(&self, is: impl Fn(usize) -> bool) -> Option<usize> {
        let mut found = (0..self.schema.num_columns()).filter(|&i| is(i));
        found.next().filter(|_| found.next().is_none())
    }

    fn is_text(&self, column: usize) -> bool {
        let column = self.schema.column(column);
        matches!(column.logical_type_ref(), Some(LogicalType::String))
            || column.converted_type() == ConvertedType::UTF8
    }

    /// Returns the column of the images, and whether its type alone decided.
    fn image(&self, stated: Option<&str>) -> Result<(usize, bool)> {
        // An image is a column of bytes, or `bytes` inside a group.
        let find = |name: &str| self.find(&format!("{name}.bytes")).or_else(|| self.find(name));
        let candidates = self.features.images.iter().map(String::as_str).chain(IMAGES);
        let known = match stated {
            Some(name) => find(name),
            None => { candidates }.find_map(find),
        };
        let is_bytes = |i: usize| {
            let column = self.schema.column(i);
            column.physical_type() == Physical::BYTE_ARRAY
                && column.max_rep_level() == 0
                && !self.is_text(i)
        };
        let guessed = || self.only(is_bytes).filter(|_| stated.is_none());
        let Some(image) = known.or_else(guessed) else {
            let expected = match stated {
                Some(_) => "the `image_column` among them",
                None => {
                    "image bytes in a column image, image.bytes, img or img.bytes, or \
                     `image_column`, which says which"
                }
            };
            return self.wrong(self.listed(), expected);
        };
        let column = self.schema.column(image);
        if column.physical_type() != Physical::BYTE_ARRAY || column.max_rep_level() != 0 {
            let found = format!("{} of type {}", self.path(image), column.physical_type());
            return self.wrong(found, "one image a row, as bytes");
        }
        Ok((image, known.is_none()))
    }

    /// Returns the column of the labels, and whether its type alone decided.
    fn label(&self, stated: Option<&str>) -> Result<(usize, bool)> {
        let features = &self.features.labels;
        let declared = |name: &str| features.iter().any(|(n, _)| n == name);
        let preferred = LABELS.iter().find(|&&name| declared(name));
        let only = (features.len() == 1).then(|| features[0].0.as_str());
        let candidates = preferred.copied().or(only).into_iter().chain(LABELS);
        let known = match stated {
            Some(name) => self.find(name),
            None => { candidates }.find_map(|name| self.find(name)),
        };
        let is_number = |i: usize| {
            let column = self.schema.column(i);
            matches!(column.physical_type(), Physical::INT32 | Physical::INT64)
                && column.max_rep_level() == 0
        };
        let guessed = || self.only(is_number).filter(|_| stated.is_none());
        match known.or_else(guessed) {
            Some(label) => Ok((label, known.is_none())),
            None => {
                let expected = match stated {
                    Some(_) => "the `label_column` among them",
                    None => {
                        "whole numbers in a column label, fine_label or of type ClassLabel, or \
                         `label_column`, which says which"
                    }
                };
                self.wrong(self.listed(), expected)
            }
        }
    }

    /// Checks that a column holds class numbers; tells whether they have 64 bits.
    fn check_label(&self, label: usize) -> Result<bool> {
        let (column, name) = (self.schema.column(label), self.path(label));
        let wide = match column.physical_type() {
            Physical::INT64 => true,
            Physical::INT32 => false,
            other => {
                let found = match self.is_text(label) {
                    true => format!("{name} of texts"),
                    false => format!("{name} of type {other}"),
                };
                return self.wrong(found, "labels that are whole numbers");
            }
        };
        if column.max_rep_level() != 0 {
            return self.wrong(format!("{name} with several values a row"), "one label a row");
        }
        Ok(wide)
    }
}
