//! A network's recalls, class by class or group by group: rows of a table, JSON, and for people.

use anyhow::Result;
use fairprune::artefact::tables;
use fairprune::data::{DataSet, Partition};
use fairprune::error::Error;
use fairprune::experiment::cell::TestResult;
use fairprune::experiment::summarise;
use serde_json::{Map, Value, json};

use crate::cli::output;

/// Rows of recalls.csv from one run's validation counts.
pub fn recall_rows(
    data: &DataSet,
    partition: &Partition,
    trained: &[usize],
    validation: &TestResult,
) -> Result<Vec<tables::RecallRow>, Error> {
    let validation = validation.by(partition)?;
    let mut sizes = vec![0u64; partition.len()];
    let labels = partition.labels(data, &data.train);
    trained.iter().for_each(|&i| sizes[labels[i] as usize] += 1);
    let rows =
        (0..partition.len()).filter(|&k| validation.total[k] > 0).map(|k| tables::RecallRow {
            class: k as u32,
            name: partition.names[k].clone(),
            train_size: sizes[k],
            val_correct: Some(validation.correct[k]),
            val_total: Some(validation.total[k]),
            recall: validation.correct[k] as f64 / validation.total[k] as f64,
            recall_sd: None,
        });
    Ok(rows.collect())
}

/// The keys of summary.json that `train` and `eval` share; `sizes` are the training samples of each
/// group.
pub fn evaluation_json(
    partition: &Partition,
    test: &TestResult,
    sizes: &[usize],
) -> Result<Map<String, Value>, Error> {
    let test = test.by(partition)?;
    let (e, names) =
        (summarise::evaluation_over(partition, &test.counts(), sizes)?, &partition.names);
    let recalls: Vec<Value> = (0..names.len())
        .map(|k| {
            json!({
                partition.unit(): k,
                "name": names[k],
                "correct": test.correct[k],
                "total": test.total[k],
                "recall": e.recalls[k],
            })
        })
        .collect();
    let Value::Object(mut map) = json!({
        "average_accuracy": e.average_accuracy,
        "balanced_accuracy": e.balanced_accuracy,
        format!("worst_{}", partition.unit()): names[e.worst_class],
        "worst_recall": e.worst_recall,
        "worst_5_percent": e.worst_5_percent,
        "gap": e.gap,
        "std": e.std,
        "recalls": recalls,
    }) else {
        return Ok(Map::new());
    };
    if let Some(attribute) = &partition.attribute {
        map.insert("groups".to_owned(), json!(attribute));
        map.insert("weighted_accuracy".to_owned(), json!(e.weighted_accuracy));
    }
    Ok(map)
}

/// The same as a table.
pub fn print_evaluation(summary: &Map<String, Value>) -> Result<()> {
    let number = |key: &str| summary.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let empty = Vec::new();
    let rows: Vec<Vec<String>> = summary
        .get("recalls")
        .and_then(Value::as_array)
        .unwrap_or(&empty)
        .iter()
        .map(|r| {
            let recall = r["recall"].as_f64().map_or("-".to_owned(), |v| format!("{v:.3}"));
            vec![
                r["name"].as_str().unwrap_or("").to_owned(),
                recall,
                r["correct"].to_string(),
                r["total"].to_string(),
            ]
        })
        .collect();
    let unit = if summary.contains_key("groups") { "group" } else { "class" };
    let weighted = match summary.get("weighted_accuracy").and_then(Value::as_f64) {
        Some(value) => format!("   weighted {value:.3}"),
        None => String::new(),
    };
    output::print(output::table(&[unit, "recall", "correct", "total"], rows, 1))?;
    output::print(format!(
        "\naverage {:.3}   balanced {:.3}{weighted}   worst {unit} {} {:.3}   gap {:.3}   std {:.3}",
        number("average_accuracy"),
        number("balanced_accuracy"),
        summary.get(&format!("worst_{unit}")).and_then(Value::as_str).unwrap_or(""),
        number("worst_recall"),
        number("gap"),
        number("std")
    ))
}
