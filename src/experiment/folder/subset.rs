//! A pruned set on disk: `kept.npy` with the JSON that says whose positions they are, and what stands beside
//! it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{provenance, weights};
use crate::artefact::provenance::DataIdentity;
use crate::artefact::tables::{
    self, DroppedRow, KeptClassRow, KeptRow, PickRow, Reason, SamplePart,
};
use crate::artefact::{OutputDir, Provenance, npy};
use crate::data::{DataSet, Partition, Split, SplitKind};
use crate::error::{Error, Result};
use crate::experiment::strategy::{Choice, PickWeights, Ranking, Strategy};
use crate::prune::{Population, Subset, check_indices, check_within};

/// A subset with everything that is said of it.
pub struct SubsetRecord<'a> {
    pub subset: &'a Subset,
    pub strategy: Strategy,
    pub density: f64,
    pub choice: &'a Choice,
    pub seed: u64,
    pub partition: &'a Partition,
    /// What was pruned, by class or group.
    pub population: Population<'a>,
    /// Names of the classes or groups, and the recalls that quotas were made from.
    pub names: &'a [String],
    pub recalls: &'a [Option<f64>],
    /// What held other samples out, where that is known.
    pub split: Option<String>,
}

/// The names of a subset's files.
pub struct SubsetNames {
    /// What follows `kept`, `weights` and `classes` in their names; empty, or `-STRATEGY-SEED`.
    stem: String,
}

impl SubsetNames {
    /// `kept.npy`, for a folder of one subset.
    pub fn alone() -> Self {
        SubsetNames { stem: String::new() }
    }

    /// `kept-STRATEGY-SEED.npy`, for a folder of several, or `kept-STRATEGY-dDENSITY-SEED.npy` where a
    /// strategy has several densities.
    pub fn of(strategy: Strategy, density: Option<f64>, seed: usize) -> Self {
        let density = density.map_or(String::new(), |d| format!("d{d}-"));
        SubsetNames { stem: format!("-{}-{density}{seed}", strategy.stem()) }
    }

    /// Positions of the kept samples.
    pub fn kept(&self) -> String {
        format!("kept{}.npy", self.stem)
    }

    /// What the subset was made of.
    pub fn provenance(&self) -> String {
        format!("kept{}.json", self.stem)
    }

    /// Weights of the kept samples, where the method gives some.
    pub fn weights(&self) -> String {
        format!("weights{}.npy", self.stem)
    }

    /// How many samples of each class are kept.
    pub fn classes(&self) -> String {
        format!("classes{}.csv", self.stem)
    }
}

impl SubsetRecord<'_> {
    /// The weights of the picks as training takes them, where the method gives some.
    pub fn weights(&self) -> Result<Option<Vec<f32>>> {
        self.strategy.weights_of(self.subset, self.population, self.choice)
    }

    /// What the JSON beside the subset states.
    pub fn provenance(&self, data: DataIdentity, weights: Option<&[f32]>) -> Provenance {
        let seeds = [self.seed];
        let stated = provenance::of_subset(data, self.strategy, self.density, self.choice, &seeds);
        let stated = provenance::over(self.partition, stated);
        let stated = provenance::under(self.split.as_deref(), stated);
        let stated = provenance::with_positions(stated, &self.subset.kept);
        weights::stated(stated, weights)
    }

    /// One row a class or group.
    pub fn class_rows(&self) -> Vec<KeptClassRow> {
        let row = |k: usize| KeptClassRow {
            class: k as u32,
            name: self.names[k].clone(),
            size: self.subset.sizes[k] as u64,
            recall: self.recalls.get(k).copied().flatten(),
            density: self.subset.densities[k],
            kept: self.subset.counts[k] as u64,
        };
        (0..self.names.len()).map(row).collect()
    }

    /// Writes what is said of the subset: its provenance (`stated`, which may say more than
    /// [`SubsetRecord::provenance`]), its classes, its weights.
    pub fn write_about(
        &self,
        stated: &Value,
        weights: Option<&[f32]>,
        names: &SubsetNames,
        dir: &OutputDir,
    ) -> Result<()> {
        dir.write_sealed(&names.provenance(), stated)?;
        tables::write(&dir.file(&names.classes())?, &self.class_rows())?;
        if let Some(weights) = weights {
            npy::write(&dir.file(&names.weights())?, &[weights.len()], weights)?;
        }
        Ok(())
    }

    /// Writes the positions. They come last, so that they never lie there without their provenance.
    pub fn write_kept(&self, names: &SubsetNames, dir: &OutputDir) -> Result<()> {
        let kept: Vec<i64> = self.subset.kept.iter().map(|&i| i as i64).collect();
        npy::write(&dir.file(&names.kept())?, &[kept.len()], &kept)
    }

    /// Writes `mask.npy`, `eligible.npy`, `kept.csv`, `dropped.csv` and, of methods that pick, `picks.csv`:
    /// what tells the samples by name.
    pub fn write_samples(&self, samples: &SubsetSamples, dir: &OutputDir) -> Result<()> {
        let SubsetSamples { ids, labels, parts, .. } = *samples;
        let mask = self.subset.mask(ids.len())?;
        npy::write(&dir.file("mask.npy")?, &[mask.len()], &mask)?;
        let eligible: Vec<bool> = parts.iter().map(|&part| part == SamplePart::Train).collect();
        npy::write(&dir.file("eligible.npy")?, &[eligible.len()], &eligible)?;
        // Exactly what scores.csv holds, which is f32. Held-out samples may have none.
        let score = |i: usize| samples.scores.map(|s| s[i] as f32).filter(|s| !s.is_nan());
        let row = |i: usize| KeptRow {
            index: i as u64,
            id: ids[i].clone(),
            label: labels[i],
            part: parts[i],
            score: score(i),
            kept: mask[i],
        };
        let rows: Vec<KeptRow> = (0..mask.len()).map(row).collect();
        tables::write(&dir.file("kept.csv")?, &rows)?;
        let row = |i: usize| DroppedRow {
            index: i as u64,
            id: ids[i].clone(),
            label: labels[i],
            part: parts[i],
            score: score(i),
            reason: self.reason(samples, i),
        };
        let rows: Vec<DroppedRow> = (0..mask.len()).filter(|&i| !mask[i]).map(row).collect();
        tables::write(&dir.file("dropped.csv")?, &rows)?;
        let Some(picks) = &self.subset.picks else { return Ok(()) };
        let row = |(i, &position): (usize, &usize)| PickRow {
            pick: i as u64,
            index: position as u64,
            id: ids[position].clone(),
            label: labels[position],
            weight: picks.weights.as_ref().map(|w| w[i]),
        };
        let rows: Vec<PickRow> = picks.order.iter().enumerate().map(row).collect();
        tables::write(&dir.file("picks.csv")?, &rows)
    }

    /// How many samples are not kept for each reason, by its name.
    pub fn dropped(&self, samples: &SubsetSamples) -> Vec<(&'static str, usize)> {
        let kept = &self.subset.kept;
        let dropped = (0..samples.ids.len()).filter(|i| kept.binary_search(i).is_err());
        let reasons: Vec<Reason> = dropped.map(|i| self.reason(samples, i)).collect();
        let count = |reason: Reason| reasons.iter().filter(|r| **r == reason).count();
        Reason::ALL.into_iter().map(|reason| (reason.name(), count(reason))).collect()
    }

    /// Why a sample is not kept.
    fn reason(&self, samples: &SubsetSamples, i: usize) -> Reason {
        let kept_without = samples.kept_without_quotas;
        match samples.parts[i] {
            SamplePart::Val => Reason::HeldOut,
            SamplePart::Out => Reason::LeftOut,
            SamplePart::Train if kept_without.is_some_and(|k| k.binary_search(&i).is_ok()) => {
                Reason::Quota
            }
            SamplePart::Train if self.subset.picks.is_some() => Reason::Picks,
            SamplePart::Train => match self.strategy {
                Strategy::Pruned { ranking: Ranking::Score(_) | Ranking::Given, .. } => {
                    Reason::Score
                }
                _ => Reason::Draw,
            },
        }
    }
}

/// The samples that a subset is one of, in data-set order.
#[derive(Clone, Copy)]
pub struct SubsetSamples<'a> {
    pub ids: &'a [String],
    pub labels: &'a [u32],
    pub parts: &'a [SamplePart],
    /// The scores that ranked them, if some did; NaN where a sample has none.
    pub scores: Option<&'a [f64]>,
    /// What the same ranking keeps without quotas, ascending, where there are quotas and it is known.
    pub kept_without_quotas: Option<&'a [usize]>,
}

/// A subset that was read: positions in the training set, and where they come from.
pub struct SubsetFile {
    pub path: PathBuf,
    /// Ascending, each once.
    pub positions: Vec<usize>,
    /// The JSON of the same name, where there is one.
    pub stated: Option<Provenance>,
    /// What a reader should know of the file but need not act on.
    pub notes: Vec<String>,
}

/// The weights that a subset is trained with, in the order of its positions.
pub struct SubsetWeights {
    /// The strategy whose picks they are of.
    pub strategy: Strategy,
    pub file: PathBuf,
    pub values: Vec<f32>,
}

/// The JSON that states where an array comes from.
pub fn sidecar(path: &Path) -> PathBuf {
    path.with_extension("json")
}

/// The JSON that there is: one stands for kept.npy and mask.npy together.
pub fn beside(path: &Path) -> PathBuf {
    let (own, shared) = (sidecar(path), path.with_file_name("kept.json"));
    let is_mask = path.file_name().is_some_and(|name| name == "mask.npy");
    if is_mask && !own.exists() && shared.exists() { shared } else { own }
}

impl SubsetFile {
    /// Reads positions or a mask, checked against the data set; its fingerprint too where a JSON of the
    /// same name states it.
    pub fn read(path: &Path, data: &DataSet) -> Result<SubsetFile> {
        let subset = SubsetFile::read_for(path, &provenance::identity(data))?;
        if data.long_tail.is_some() {
            check_within(&path.display().to_string(), &subset.positions, &data.present())?;
        }
        Ok(subset)
    }

    /// Reads positions or a mask of the data set that `data` identifies.
    pub fn read_for(path: &Path, data: &DataIdentity) -> Result<SubsetFile> {
        let name = path.display().to_string();
        if path.is_dir() {
            let expected = format!("a file of positions or a mask, such as {name}/kept.npy");
            return Err(Error::invalid(format!("`subset` {name}"), "a folder", expected));
        }
        std::fs::metadata(path).map_err(Error::io(path))?;
        let sidecar = beside(path);
        let (mut stated, mut notes) = (None, Vec::new());
        if sidecar.exists() {
            let found = Provenance::read(&sidecar)?;
            notes.extend(found.check_positions(&name, data)?);
            stated = Some(found);
        } else {
            notes.push(format!(
                "{name} comes without {}: which data set it belongs to is unknown",
                sidecar.display()
            ));
        }
        let array = npy::read(path)?;
        let positions: Vec<i64> =
            array.into_positions(data.samples, &name)?.into_iter().map(|i| i as i64).collect();
        let mut positions = check_indices(&name, &positions, data.samples)?;
        // A set of positions: other programs write them in any order.
        positions.sort_unstable();
        if let Some(stated) = &stated {
            provenance::check_positions(&name, stated, &positions)?;
        }
        Ok(SubsetFile { path: path.to_owned(), positions, stated, notes })
    }

    /// All of `positions`, of no file.
    pub fn whole(positions: Vec<usize>) -> SubsetFile {
        SubsetFile { path: PathBuf::new(), positions, stated: None, notes: Vec::new() }
    }

    /// The split that the subset states it was made under, if it does.
    pub fn made_under(&self) -> Option<SplitKind> {
        provenance::split_of(self.stated.as_ref()?)?.parse().ok()
    }

    /// Refuses positions that `split` holds out.
    pub fn check_split(&self, split: &Split) -> Result<()> {
        let made_under = self.stated.as_ref().and_then(provenance::split_of);
        let name = self.path.display().to_string();
        check_within(&name, &self.positions, &split.train).map_err(|e| match e {
            Error::Invalid { what, found, expected } => {
                let made = made_under.map_or("made".to_owned(), |s| format!("made under `split` {s}"));
                let expected = format!(
                    "{expected}, here those of `split` {} with seed {}; the subset was {made}, perhaps \
                     with another seed",
                    split.kind, split.seed
                );
                Error::Invalid { what, found, expected }
            }
            other => other,
        })
    }

    /// The weights beside the file, where its method is one whose picks `asked` trains with; None takes
    /// the default.
    pub fn weights(&self, asked: Option<PickWeights>) -> Result<Option<SubsetWeights>> {
        let choice = Choice { weights: asked.unwrap_or_default(), ..Choice::default() };
        let strategy = self.stated.as_ref().and_then(weights::strategy_of);
        match (strategy.filter(|s| s.trains_with_weights(&choice)), &self.stated) {
            (Some(strategy), Some(stated)) => {
                let values = weights::read(&self.path, stated, self.positions.len())?;
                Ok(Some(SubsetWeights { strategy, file: weights::beside(&self.path), values }))
            }
            _ if asked.is_none_or(|a| a == PickWeights::None) => Ok(None),
            _ => {
                let found = strategy.map_or("unknown".to_owned(), |s| s.to_string());
                let found = format!("{}, whose strategy is {found}", self.path.display());
                let expected = "a subset of craig, grad-match or, with all, facility-location, with the \
                                JSON and weights.npy that `prune` or `run` wrote beside it";
                Err(Error::invalid("`pick_weights`", found, expected))
            }
        }
    }
}

/// Adds what a pruned data set's own folder says beyond its provenance.
pub fn document(stated: &Provenance, names: &[String], warnings: &[String]) -> Value {
    let mut document = json!(stated);
    document["class_names"] = json!(names);
    document["warnings"] = json!(warnings);
    document
}
