//! `fairprune quota`: how many samples each class keeps, from sizes and recalls alone.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use fairprune::artefact::tables::{self, GroupRecallRow, KeptClassRow, RecallRow};
use fairprune::error::Error;
use fairprune::experiment::folder::recalls::{rows_beside, validation_sizes_beside};
use fairprune::experiment::strategy::Quota;
use fairprune::prune::{
    QuotaOptions, QuotaRule, Quotas, RuleOptions, Smoothing, ValidationRows, Warning, forecast,
    over, predicted_densities, quotas,
};
use fairprune::train::Seeds;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::commands::forecast::forecast_lines;
use crate::cli::density::{DensityArgs, QuotaArgs};
use crate::cli::output;
use crate::cli::settings::under;

/// Longest table that is printed whole, and what is left of a longer one at each end.
const MOST_ROWS: usize = 40;
const END_ROWS: usize = 12;

#[derive(Args, Debug)]
pub struct QuotaCommandArgs {
    /// Samples of each class
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    #[arg(required_unless_present = "recalls_from")]
    pub sizes: Vec<usize>,
    /// Names, sizes, recalls and validation images of a recalls.csv, or of groups of a
    /// recalls-groups.csv, instead of --sizes and --recalls
    #[arg(long, value_name = "recalls.csv", conflicts_with_all = ["sizes", "recalls", "val_sizes"])]
    pub recalls_from: Option<PathBuf>,
    /// Validation recall of each class, for metriq
    #[arg(long, value_name = "R,...", value_delimiter = ',', allow_hyphen_values = true)]
    pub recalls: Vec<f64>,
    /// Validation images of each class, for --smooth and for warnings
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    pub val_sizes: Option<Vec<u64>>,
    /// Difficulty of each class, for nucs
    #[arg(long, value_name = "S,...", value_delimiter = ',', allow_negative_numbers = true)]
    pub difficulties: Vec<f64>,
    /// metriq, metriq-released, uniform, balanced, nucs, or predicted with its options, for which the
    /// folder of --recalls-from must hold what `fairprune score` writes beside it
    #[arg(long, default_value = "metriq", value_name = "NAME")]
    pub quota: String,
    #[command(flatten)]
    pub density: DensityArgs,
    #[command(flatten)]
    pub options: QuotaArgs,
    #[command(flatten)]
    pub common: Common,
}

/// What quotas are computed from.
struct Parts {
    /// `class` or `group`.
    unit: &'static str,
    /// Empty where only numbers are known.
    names: Vec<String>,
    sizes: Vec<usize>,
    recalls: Vec<f64>,
    val_sizes: Option<Vec<u64>>,
    /// What query networks say of validation samples, where it lies beside the recalls.
    rows: Option<Arc<ValidationRows>>,
}

impl Parts {
    fn of(args: &QuotaCommandArgs) -> Result<Parts> {
        let Some(path) = &args.recalls_from else {
            return Ok(Parts {
                unit: "class",
                names: Vec::new(),
                sizes: args.sizes.clone(),
                recalls: args.recalls.clone(),
                val_sizes: args.val_sizes.clone(),
                rows: None,
            });
        };
        let groups = tables::is_of_groups(path)?;
        let rows: Vec<RecallRow> = match groups {
            true => tables::read(path)?.iter().map(GroupRecallRow::to_class).collect(),
            false => tables::read(path)?,
        };
        Ok(Parts {
            unit: if groups { "group" } else { "class" },
            names: rows.iter().map(|r| r.name.clone()).collect(),
            sizes: rows.iter().map(|r| r.train_size as usize).collect(),
            recalls: rows.iter().map(|r| r.recall).collect(),
            val_sizes: validation_sizes_beside(path, &rows)?,
            rows: rows_beside(path, (!groups).then_some(rows.len()))?,
        })
    }
}

/// Prints the quotas.
pub fn quota(args: &QuotaCommandArgs) -> Result<u8> {
    let common = &args.common;
    common.host()?;
    let density = args.density.density()?;
    let settings = args.options.settings()?;
    let expected = "metriq, metriq-released, uniform, balanced, nucs or predicted";
    let parts = Parts::of(args)?;
    let mut rule_options = RuleOptions::default();
    let rule = match args.quota.parse().map_err(|e| under("--quota", &args.quota, e))? {
        Quota::Predicted(quota) => {
            rule_options = quota.options(None);
            let rows = parts.rows.as_ref().ok_or_else(|| no_rows(&args.quota))?;
            let least = settings.min_per_class;
            let found = predicted_densities(rows, &parts.sizes, density, least, rule_options);
            QuotaRule::Densities(found.map_err(|e| over(parts.unit, &parts.names, e))?.densities)
        }
        Quota::Metriq => QuotaRule::Metriq,
        Quota::MetriqReleased => QuotaRule::MetriqReleased,
        Quota::Uniform => QuotaRule::Uniform,
        Quota::Balanced => QuotaRule::Balanced,
        Quota::Nucs(None) => QuotaRule::Nucs(args.difficulties.clone()),
        Quota::None | Quota::Nucs(Some(_)) | Quota::From(_) => {
            return Err(Error::invalid("--quota", &args.quota, expected).into());
        }
    };
    if args.difficulties.is_empty() && rule.name() == "nucs" {
        let expected =
            "one difficulty a class; `fairprune prune --quota nucs` makes them of a score";
        return Err(Error::invalid("--difficulties", "none", expected).into());
    }
    if !args.difficulties.is_empty() && rule.name() != "nucs" {
        let text = format!("note: --difficulties does nothing to --quota {}", args.quota);
        output::note(common, text);
    }
    if rule.needs_recalls() && parts.recalls.is_empty() {
        let expected = "one recall a class; or --quota uniform or balanced";
        return Err(Error::invalid("--recalls", "none", expected).into());
    }
    let smooth = settings.laplace && rule.needs_recalls();
    let recalls: Vec<Option<f64>> = parts.recalls.iter().map(|&r| Some(r)).collect();
    let options = QuotaOptions {
        rule,
        recalls: &recalls,
        validation_sizes: parts.val_sizes.as_deref(),
        smoothing: if smooth { Smoothing::Laplace } else { Smoothing::None },
        min_per_class: settings.min_per_class,
    };
    let found = quotas(&parts.sizes, density, &options, Seeds::derive(common.seed, 0).subset);
    let found = found.map_err(|e| over(parts.unit, &parts.names, e))?;
    let seed = Seeds::derive(common.seed, 0).subset;
    let forecast = match &parts.rows {
        Some(rows) => {
            Some(forecast(rows, &kept_densities(&found, &parts), rule_options.gain, seed)?)
        }
        None => None,
    };
    let describe = |w: &Warning| w.describe_over(parts.unit, &parts.names);
    let lowers = forecast.as_ref().and_then(Warning::lowers_worst);
    let warnings: Vec<String> = found.warnings.iter().chain(&lowers).map(describe).collect();
    if common.json {
        // On one line: a row of numbers a class is read by programs, not by people.
        let mut document = json!({
            "counts": found.counts,
            "densities": found.densities,
            "warnings": warnings,
        });
        if let (Some(map), false) = (document.as_object_mut(), parts.names.is_empty()) {
            map.insert("names".to_owned(), json!(parts.names));
        }
        if let (Some(map), Some(forecast)) = (document.as_object_mut(), &forecast) {
            map.insert("predicted_recalls".to_owned(), json!(forecast.quotas.recalls));
            map.insert("predicted_without_quotas".to_owned(), json!(forecast.equal.recalls));
        }
        output::print(document.to_string())?;
        return Ok(0);
    }
    for warning in warnings {
        output::note(common, format!("warning: {warning}"));
    }
    let rows: Vec<KeptClassRow> = (0..parts.sizes.len())
        .map(|k| KeptClassRow {
            class: k as u32,
            name: parts.names.get(k).cloned().unwrap_or_else(|| k.to_string()),
            size: parts.sizes[k] as u64,
            recall: parts.recalls.get(k).copied(),
            density: found.densities[k],
            kept: found.counts[k] as u64,
        })
        .collect();
    let (kept, total) = (found.counts.iter().sum::<usize>(), parts.sizes.iter().sum::<usize>());
    output::print(format!("{}: {kept} of {total} samples\n", percentages(density)))?;
    output::print(class_table(&rows, parts.unit))?;
    if let Some(forecast) = forecast.filter(|_| common.verbose > 0) {
        output::print(forecast_lines(&forecast, parts.unit, &parts.names))?;
    }
    Ok(0)
}

/// The densities after rounding.
fn kept_densities(found: &Quotas, parts: &Parts) -> Vec<f64> {
    let pairs = found.counts.iter().zip(&parts.sizes);
    pairs.map(|(&kept, &size)| kept as f64 / size.max(1) as f64).collect()
}

fn no_rows(quota: &str) -> Error {
    let what = format!("--quota {quota}");
    let expected = "--recalls-from recalls.csv in a folder of `fairprune score`, which writes \
                    validation-log-probabilities.npy beside it";
    Error::invalid(what, "no validation predictions", expected)
}

/// `keeps 30 %, prunes 70 %`.
pub fn percentages(density: f64) -> String {
    let percent = |share: f64| {
        let text = format!("{:.4}", 100.0 * share);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    format!("keeps {} %, prunes {} %", percent(density), percent(1.0 - density))
}

/// Classes, or what `unit` calls them, with their recalls and densities; of very many, the least and the most dense.
pub fn class_table(rows: &[KeptClassRow], unit: &str) -> String {
    let line = |row: &KeptClassRow| {
        vec![
            row.name.clone(),
            row.size.to_string(),
            row.recall.map_or("-".to_owned(), |r| format!("{r:.3}")),
            format!("{:.3}", row.density),
            row.kept.to_string(),
        ]
    };
    let headers = [unit, "size", "recall", "density", "kept"];
    if rows.len() <= MOST_ROWS {
        return output::table(&headers, rows.iter().map(line).collect(), 1);
    }
    let mut sorted: Vec<&KeptClassRow> = rows.iter().collect();
    sorted.sort_by(|a, b| a.density.total_cmp(&b.density));
    let between = format!("({} more)", rows.len() - 2 * END_ROWS);
    let mut lines: Vec<Vec<String>> = sorted[..END_ROWS].iter().map(|r| line(r)).collect();
    lines.push([between.as_str(), "", "", "", ""].map(str::to_owned).to_vec());
    lines.extend(sorted[rows.len() - END_ROWS..].iter().map(|r| line(r)));
    output::table(&headers, lines, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_percentages_without_noise() {
        assert_eq!(percentages(0.3), "keeps 30 %, prunes 70 %");
        assert_eq!(percentages(0.29), "keeps 29 %, prunes 71 %");
        assert_eq!(percentages(0.125), "keeps 12.5 %, prunes 87.5 %");
        assert_eq!(percentages(1.0), "keeps 100 %, prunes 0 %");
        assert_eq!(percentages(0.0), "keeps 0 %, prunes 100 %");
    }

    #[test]
    fn long_tables_show_both_ends() {
        let row = |k: u32| KeptClassRow {
            class: k,
            name: format!("c{k}"),
            size: 10,
            recall: None,
            density: f64::from(k) / 100.0,
            kept: 0,
        };
        let rows: Vec<KeptClassRow> = (0..100).rev().map(row).collect();
        let text = class_table(&rows, "class");
        assert_eq!(text.lines().count(), 2 * END_ROWS + 2);
        assert!(text.contains("c0 ") && text.contains("(76 more)") && text.contains("c99 "));
        assert!(!text.contains("c50 "));
        assert_eq!(class_table(&rows[..40], "class").lines().count(), 41);
    }
}
