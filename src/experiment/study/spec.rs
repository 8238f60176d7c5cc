//! The file of a study: panels (settings of comparisons over a grid), blocks of strategies, claims.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::json;
use toml::{Table, Value};

use super::claim::Claim;
use crate::artefact::input;
use crate::error::{Error, Result};
use crate::experiment::comparison::{Block, ComparisonSettings};
use crate::experiment::settings::check_runs;
use crate::experiment::strategy::Strategy;

/// Longest file that is read.
const MOST_BYTES: u64 = 1 << 20;
/// Lists of these are axes of the grid; lists of other settings are one value.
const AXES: [&str; 2] = ["data", "arch"];
/// Settings that blocks or whoever starts the study say.
const ELSEWHERE: [&str; 12] = [
    "strategies",
    "density",
    "prune-rate",
    "seeds",
    "out",
    "resume",
    "force",
    "json",
    "quiet",
    "verbose",
    "device",
    "threads",
];

/// A study, checked.
pub struct StudySpec {
    pub title: String,
    pub panels: Vec<PanelSpec>,
    pub claims: Vec<Claim>,
}

/// One data set and network, with the settings of its comparison.
pub struct PanelSpec {
    /// Unique in the study.
    pub name: String,
    pub settings: ComparisonSettings,
    pub blocks: Vec<Block>,
    /// The settings as the file has them.
    pub table: Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: Option<String>,
    /// Settings of every panel.
    #[serde(default)]
    flags: Table,
    panel: Vec<PanelTable>,
    #[serde(default)]
    claim: Vec<Claim>,
}

#[derive(Deserialize)]
struct PanelTable {
    name: Option<String>,
    block: Vec<BlockTable>,
    #[serde(flatten)]
    flags: Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockTable {
    strategies: Vec<String>,
    density: Vec<f64>,
    seeds: usize,
}

impl StudySpec {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// A file that is no study, settings that do not exist, blocks of nothing, claims about what is not run.
    pub fn read(path: &Path) -> Result<StudySpec> {
        let what = || format!("study {}", path.display());
        let bytes = input::read(path, MOST_BYTES)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::invalid(what(), "bytes that are not UTF-8", "a TOML file"))?;
        let stem = path.file_stem().map_or("study".into(), |s| s.to_string_lossy());
        StudySpec::parse(&text, &what(), &stem)
    }

    /// Reads and checks the text of a file; `what` names it in errors, `stem` is its title if it has none.
    pub fn parse(text: &str, what: &str, stem: &str) -> Result<StudySpec> {
        let file: File = toml::from_str(text).map_err(|e| {
            let expected = "TOML with [[panel]] tables, each with [[panel.block]] tables of \
                            strategies, density and seeds";
            Error::invalid(what, e.to_string().trim(), expected)
        })?;
        if file.panel.is_empty() {
            return Err(Error::invalid(what, "no panel", "at least one [[panel]]"));
        }
        let mut panels: Vec<PanelSpec> = Vec::new();
        for table in &file.panel {
            for mut panel in table.panels(&file.flags, what)? {
                let stem = panel.name.clone();
                let mut number = 2;
                while panels.iter().any(|p| p.name == panel.name) {
                    panel.name = format!("{stem}-{number}");
                    number += 1;
                }
                panels.push(panel);
            }
        }
        for claim in &file.claim {
            check(claim, &panels, what)?;
        }
        let title = file.title.unwrap_or(stem.to_owned());
        Ok(StudySpec { title, panels, claims: file.claim })
    }
}

/// Refuses a claim about what the study does not run.
fn check(claim: &Claim, panels: &[PanelSpec], what: &str) -> Result<()> {
    let at = format!("{what}, claim {:?}", claim.text);
    for name in &claim.panels {
        if !panels.iter().any(|p| p.name == *name) {
            let names: Vec<&str> = panels.iter().map(|p| p.name.as_str()).collect();
            return Err(Error::invalid(at, name, format!("a panel: {}", names.join(", "))));
        }
    }
    for name in [&claim.method, &claim.baseline] {
        let strategy: Strategy = name.parse()?;
        let mut all = panels.iter().flat_map(|p| &p.blocks).flat_map(|b| &b.strategies);
        if !all.any(|s| *s == strategy) {
            return Err(Error::invalid(at, name, "a strategy that a block runs"));
        }
    }
    Ok(())
}

impl PanelTable {
    /// Every point of the grid.
    fn panels(&self, shared: &Table, what: &str) -> Result<Vec<PanelSpec>> {
        let mut flags = shared.clone();
        flags.extend(self.flags.clone());
        if let Some(key) = flags.keys().find(|k| ELSEWHERE.contains(&k.as_str())) {
            let expected = "strategies, density and seeds in [[panel.block]]; output, device and \
                            threads on the command line";
            return Err(Error::invalid(what, format!("the flag {key}"), expected));
        }
        let blocks = self.block.iter().map(|b| b.check(what)).collect::<Result<Vec<Block>>>()?;
        if blocks.is_empty() {
            return Err(Error::invalid(what, "a panel without blocks", "[[panel.block]]"));
        }
        let axis = |key: &str| match flags.get(key) {
            None => vec![None],
            Some(Value::Array(list)) => list.iter().cloned().map(Some).collect(),
            Some(one) => vec![Some(one.clone())],
        };
        let [data, archs] = AXES.map(axis);
        let mut panels = Vec::new();
        for data in &data {
            for arch in &archs {
                let mut point = flags.clone();
                for (key, value) in [("data", data), ("arch", arch)] {
                    if let Some(value) = value {
                        point.insert(key.to_owned(), value.clone());
                    }
                }
                panels.push(self.panel(point, &blocks, what)?);
            }
        }
        Ok(panels)
    }

    fn panel(&self, table: Table, blocks: &[Block], what: &str) -> Result<PanelSpec> {
        let names = setting_names();
        if let Some(key) = table.keys().find(|key| !names.contains(key.as_str())) {
            let expected =
                format!("settings of a comparison: {}", Vec::from_iter(names).join(", "));
            return Err(Error::invalid(what, format!("the flag {key}"), expected));
        }
        let read = |table: Table| table.try_into::<ComparisonSettings>();
        let settings = read(table.clone()).map_err(|e| {
            // The error does not say which setting it is about.
            let alone = |(key, value): (&String, &Value)| {
                read(Table::from_iter([(key.clone(), value.clone())]))
                    .err()
                    .map(|e| (key.clone(), e))
            };
            let (key, error) = table.iter().find_map(alone).unwrap_or_else(|| ("it".to_owned(), e));
            let found = format!("`{key}`: {}", error.to_string().trim());
            Error::invalid(what, found, "settings of a comparison")
        })?;
        let set = Path::new(&settings.data.data).file_name();
        let set = set.map_or(settings.data.data.clone(), |n| n.to_string_lossy().into());
        let arch = settings.network.arch.map_or("resnet8".to_owned(), |arch| arch.to_string());
        let name = slug(&self.name.clone().unwrap_or(format!("{set}-{arch}")));
        Ok(PanelSpec { name, settings, blocks: blocks.to_vec(), table })
    }
}

/// The names that settings of a comparison have in files.
fn setting_names() -> BTreeSet<String> {
    let settings = json!(ComparisonSettings::default());
    let names = settings.as_object().into_iter().flat_map(|map| map.keys().cloned());
    names.chain(["crop", "groupby-fields"].map(str::to_owned)).collect()
}

impl BlockTable {
    fn check(&self, what: &str) -> Result<Block> {
        let block = Block::parse(&self.strategies, &self.density, self.seeds)?;
        let full_alone = block.strategies.iter().all(|s| s.stands_beside_all());
        if block.strategies.is_empty()
            || self.seeds == 0
            || (self.density.is_empty() && !full_alone)
        {
            let found = format!(
                "a block of {} strategies, {} densities, {} seeds",
                self.strategies.len(),
                self.density.len(),
                self.seeds
            );
            return Err(Error::invalid(what, found, "at least one of each"));
        }
        check_runs(&format!("{what}, seeds"), self.seeds)?;
        if let Some(d) = self.density.iter().find(|d| !(**d > 0.0 && **d <= 1.0)) {
            let expected = "above 0 and at most 1";
            return Err(Error::invalid(format!("{what}, density"), d.to_string(), expected));
        }
        Ok(block)
    }
}

/// A folder's name.
fn slug(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let text: String = name.chars().map(plain).collect();
    text.trim_start_matches(['.', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every setting is one of a comparison, every strategy and claim can be read.
    #[test]
    fn the_studies_that_come_with_the_program_can_be_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("studies");
        let mut found = 0;
        for folder in [root.clone(), root.join("paper")] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_none_or(|e| e != "toml") {
                    continue;
                }
                let study = StudySpec::read(&path).unwrap();
                let name = path.display();
                assert!(!study.claims.is_empty() && !study.panels.is_empty(), "{name}");
                let known: BTreeSet<String> = study.panels[0]
                    .blocks
                    .iter()
                    .flat_map(|b| &b.strategies)
                    .map(Strategy::to_string)
                    .collect();
                for claim in &study.claims {
                    for strategy in [&claim.method, &claim.baseline] {
                        assert!(known.contains(strategy), "{name}: {strategy} is not run");
                    }
                }
                found += 1;
            }
        }
        assert!(found >= 7, "{found}");
    }

    #[test]
    fn every_setting_can_be_written_in_a_file() {
        let text = "[flags]\nlr = 1\nmomentum = 0.5\nschedule = 'step'\nmean = [0.5, 0.5, 0.5]\nflip = false\n\
                    split = 'crossfit:3'\ngrand-layers = 'last'\nbase = 'el2n'\npick-weights = 'all'\n\
                    smooth = 'laplace'\nprecision = 'f32'\ncrop = 2\nlong-tail = 10\nbudget = 'steps'\n\
                    [[panel]]\ndata = ['a/b', 'c']\narch = 'resnet18'\n\
                    [[panel.block]]\nstrategies = ['random']\ndensity = [0.5]\nseeds = 1\n";
        let study = StudySpec::parse(text, "study", "s").unwrap();
        let names: Vec<&str> = study.panels.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["b-resnet18", "c-resnet18"]);
        let settings = &study.panels[0].settings;
        assert_eq!((settings.recipe.lr, settings.recipe.translate), (Some(1.0), Some(2)));
        assert_eq!(settings.recipe.momentum, Some(0.5));
        assert_eq!(settings.data.split.unwrap().to_string(), "crossfit:3");
        assert_eq!(settings.pickers.base.unwrap().name(), "el2n");
        for (from, to, word) in [
            ("lr = 1", "learning = 1", "learning"),
            ("lr = 1", "lr = 'fast'", "lr"),
            ("schedule = 'step'", "schedule = 'linear'", "cosine"),
            ("lr = 1", "seeds = 3", "[[panel.block]]"),
        ] {
            let error = StudySpec::parse(&text.replace(from, to), "study", "s");
            let error = error.err().unwrap().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
