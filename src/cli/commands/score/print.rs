//! Scores that are written, for people.

use anyhow::Result;
use fairprune::artefact::OutputDir;
use fairprune::experiment::folder::scores::{MethodScores, Scored, ScoredSamples};
use serde_json::{Value, json};

use crate::cli::args::Common;
use crate::cli::output;

/// Files that are complete.
pub struct Written<'a> {
    dir: &'a OutputDir,
    scored: Scored,
    /// What scores.json says.
    document: Value,
    samples: usize,
}

impl<'a> Written<'a> {
    /// Writes the folder.
    pub fn write(scored: Scored, of: ScoredSamples, dir: &'a OutputDir) -> Result<Self> {
        let samples = of.ids.len();
        let document = scored.write(of, dir)?;
        Ok(Written { dir, scored, document, samples })
    }

    /// Prints the outcome: one JSON document, or tables of the scores and the recalls.
    pub fn report(mut self, common: &Common) -> Result<u8> {
        let root = self.dir.root().display().to_string();
        if common.json {
            self.document["out"] = json!(root);
            self.document["recalls"] = json!(self.scored.recalls);
            output::print_json(&self.document)?;
            return Ok(0);
        }
        let rows = self.scored.scores.iter().map(row).collect();
        let headers = ["score", "mean", "min", "10 %", "median", "90 %", "max"];
        output::print(output::table(&headers, rows, 1))?;
        self.scored.scores.iter().filter_map(extrapolated).try_for_each(output::print)?;
        if let Some(recalls) = &self.scored.recalls {
            let groups = self.scored.of_groups[0].iter().flatten();
            let unit = match self.scored.of_groups[0] {
                Some(_) => "class, then group",
                None => "class",
            };
            let rows = recalls
                .iter()
                .chain(groups)
                .map(|r| {
                    let sd = r.recall_sd.map_or("-".to_owned(), |s| format!("{s:.3}"));
                    vec![r.name.clone(), r.train_size.to_string(), format!("{:.3}", r.recall), sd]
                })
                .collect();
            output::print(format!(
                "\n{}",
                output::table(&[unit, "train size", "recall", "sd"], rows, 1)
            ))?;
        }
        let path = self.dir.root().join("scores.csv");
        output::print(format!("\n{} samples scored: {}", self.samples, path.display()))?;
        let quota = if self.scored.recalls.is_some() { "" } else { " --quota uniform" };
        let next = format!("next: fairprune prune --scores {root} --density .5{quota} --out kept");
        output::hint(common, next)?;
        Ok(0)
    }
}

/// How well neighbours tell the score, where that is how most samples have theirs.
fn extrapolated(scores: &MethodScores) -> Option<String> {
    let stated = scores.parameters.get("extrapolated")?;
    let correlation = stated["rank_correlation"].as_f64();
    let correlation =
        correlation.map_or("unknown (equal values)".to_owned(), |r| format!("{r:.3}"));
    Some(format!(
        "{}: rank correlation {correlation} of extrapolated and computed scores, on {} of the {} scored \
         images held out for it",
        scores.method.label(),
        stated["held_out"],
        stated["scored"]
    ))
}

/// Mean and quantiles of the samples that have the score.
fn row(scores: &MethodScores) -> Vec<String> {
    let mut sorted: Vec<f64> = scores.values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1) as f64;
    let at = |q: f64| sorted.get((last * q).round() as usize).copied().unwrap_or(f64::NAN);
    let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
    let numbers = [mean, at(0.0), at(0.1), at(0.5), at(0.9), at(1.0)];
    let numbers = numbers.into_iter().map(|v| format!("{v:.4}"));
    std::iter::once(scores.method.label().to_owned()).chain(numbers).collect()
}
