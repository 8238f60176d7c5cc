//! The metrics of one model, from what an evaluation counted.

use super::comparison::summary::Evaluation;
use std::path::Path;

use super::counts::EvaluationCounts;
use crate::artefact::tables;
use crate::data::{DataSet, PartName, Partition};
use crate::error::{Error, Result};
use crate::metrics::{ClassCounts, ClassMetrics, ConfusionMatrix, weighted_accuracy};
use serde_json::{Map, Value, json};

/// The metrics of one model as the summary has them.
pub fn evaluation(counts: &[ClassCounts]) -> Result<Evaluation> {
    let m = ClassMetrics::new(counts);
    let missing = || Error::invalid("evaluation", "no samples", "at least one sample to report on");
    let (worst_class, worst_recall) = m.worst.ok_or_else(missing)?;
    Ok(Evaluation {
        average_accuracy: m.average_accuracy.ok_or_else(missing)?,
        balanced_accuracy: m.balanced_accuracy.ok_or_else(missing)?,
        weighted_accuracy: None,
        worst_class,
        worst_recall,
        worst_5_percent: m.worst_five_percent,
        gap: m.gap.ok_or_else(missing)?,
        std: m.std.ok_or_else(missing)?,
        recalls: m.recalls,
    })
}

/// The metrics over `partition`; of groups also the mean weighted by their training samples, `sizes`.
pub fn evaluation_over(
    partition: &Partition,
    counts: &[ClassCounts],
    sizes: &[usize],
) -> Result<Evaluation> {
    let evaluation = evaluation(counts)?;
    let weighted_accuracy = match partition.attribute {
        Some(_) => weighted_accuracy(&evaluation.recalls, sizes)?,
        None => None,
    };
    Ok(Evaluation { weighted_accuracy, ..evaluation })
}

/// The metrics of one model as `summary.json` has them; `sizes` are the training samples of each group.
pub fn evaluation_json(
    partition: &Partition,
    counts: &EvaluationCounts,
    sizes: &[usize],
) -> Result<Map<String, Value>> {
    let counts = counts.by(partition)?;
    let (e, names) = (evaluation_over(partition, &counts.counts(), sizes)?, &partition.names);
    let recall = |k: usize| {
        json!({
            partition.unit(): k,
            "name": names[k],
            "correct": counts.correct[k],
            "total": counts.total[k],
            "recall": e.recalls[k],
        })
    };
    let recalls: Vec<Value> = (0..names.len()).map(recall).collect();
    let mut pairs = vec![
        ("average_accuracy".to_owned(), json!(e.average_accuracy)),
        ("balanced_accuracy".to_owned(), json!(e.balanced_accuracy)),
        (format!("worst_{}", partition.unit()), json!(names[e.worst_class])),
        ("worst_recall".to_owned(), json!(e.worst_recall)),
        ("worst_5_percent".to_owned(), json!(e.worst_5_percent)),
        ("gap".to_owned(), json!(e.gap)),
        ("std".to_owned(), json!(e.std)),
        ("recalls".to_owned(), json!(recalls)),
    ];
    if let Some(attribute) = &partition.attribute {
        pairs.push(("groups".to_owned(), json!(attribute)));
        pairs.push(("weighted_accuracy".to_owned(), json!(e.weighted_accuracy)));
    }
    Ok(pairs.into_iter().collect())
}

/// Writes how often the samples of each class, at `positions` of one part, were predicted as each: a row a
/// class, with its number, its name, and the counts in the order of the classes.
pub fn write_confusion(
    path: &Path,
    data: &DataSet,
    (part, positions): (PartName, &[usize]),
    predictions: &[u32],
) -> Result<()> {
    let part = data
        .part(part)
        .ok_or_else(|| Error::Internal(format!("no {} part to count", part.name())))?;
    let labels: Vec<u32> = positions.iter().map(|&i| part.labels[i]).collect();
    let matrix = ConfusionMatrix::from_slices(&labels, predictions, data.classes.len())?;
    let names = data.classes.iter().map(String::as_str);
    let columns: Vec<&str> = ["class", "name"].into_iter().chain(names.clone()).collect();
    let rows: Vec<(usize, &str, &[u64])> =
        names.zip(matrix.rows()).enumerate().map(|(k, (name, row))| (k, name, row)).collect();
    tables::write_listing(path, &columns, &rows)
}
