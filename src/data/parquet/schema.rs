//! Finds which columns hold image and label, and what the classes are called.
//!
//! Hugging Face writes its features as JSON under the key `huggingface`; where that is missing,
//! names and types of the columns decide.

use ::parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use ::parquet::file::metadata::FileMetaData;
use serde_json::Value;

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
    /// Finds the columns of a file; `what` names the file in errors.
    pub fn of(metadata: &FileMetaData, what: &str) -> Result<ParquetColumns> {
        let schema = metadata.schema_descr();
        let features = DeclaredFeatures::of(metadata);
        let paths: Vec<String> = schema.columns().iter().map(|c| c.path().string()).collect();
        let find = |path: &str| paths.iter().position(|p| p == path);
        let wrong = |found: String, expected: &str| Err(Error::invalid(what, found, expected));
        let listed =
            || format!("the columns {:?}", paths.join(", ").chars().take(300).collect::<String>());

        // An image is a column of bytes, or `bytes` inside a group.
        let image = |name: &str| find(&format!("{name}.bytes")).or_else(|| find(name));
        let candidates = features.images.iter().map(String::as_str).chain(IMAGES);
        let Some(image) = { candidates }.find_map(image) else {
            return wrong(listed(), "image bytes in a column image, image.bytes, img or img.bytes");
        };
        let column = schema.column(image);
        if column.physical_type() != Physical::BYTE_ARRAY || column.max_rep_level() != 0 {
            let found = format!("{} of type {}", paths[image], column.physical_type());
            return wrong(found, "one image a row, as bytes");
        }

        let stated = |name: &str| features.labels.iter().find(|(n, _)| n == name);
        let preferred = LABELS.iter().find(|&&name| stated(name).is_some());
        let only = (features.labels.len() == 1).then(|| features.labels[0].0.as_str());
        let named = preferred.copied().or(only);
        let candidates = named.into_iter().chain(LABELS);
        let Some((label, name)) = { candidates }.find_map(|name| find(name).map(|i| (i, name)))
        else {
            return wrong(
                listed(),
                "whole numbers in a column label, fine_label or of type ClassLabel",
            );
        };
        let column = schema.column(label);
        let is_text = matches!(column.logical_type_ref(), Some(LogicalType::String))
            || column.converted_type() == ConvertedType::UTF8;
        let wide = match column.physical_type() {
            Physical::INT64 => true,
            Physical::INT32 => false,
            other => {
                let found = match is_text {
                    true => format!("{name} of texts"),
                    false => format!("{name} of type {other}"),
                };
                return wrong(found, "labels that are whole numbers");
            }
        };
        if column.max_rep_level() != 0 {
            return wrong(format!("{name} with several values a row"), "one label a row");
        }
        let classes = stated(name).map(|(_, names)| names.clone()).filter(|n| !n.is_empty());
        Ok(ParquetColumns {
            image,
            image_levels: schema.column(image).max_def_level(),
            label,
            label_levels: column.max_def_level(),
            wide,
            classes,
        })
    }
}
