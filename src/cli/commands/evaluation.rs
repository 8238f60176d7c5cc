//! A network's recalls, class by class or group by group, for people.

use anyhow::Result;
use serde_json::{Map, Value};

use crate::cli::output;

/// Prints what summary.json says of an evaluation.
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
