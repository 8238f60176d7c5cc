//! The study file: flags of `fairprune run`, as TOML, over a grid.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use clap::{CommandFactory, Parser};
use fairprune::error::Error;
use fairprune::experiment::run_plan::Block;
use fairprune::experiment::strategy::Strategy;
use fairprune::experiment::study::Claim;
use serde::Deserialize;
use toml::{Table, Value};

use crate::cli::args::Common;
use crate::cli::commands::run::RunArgs;
use crate::cli::context;

/// Longest study file that is read.
const MOST_BYTES: u64 = 1 << 20;
/// Lists of these are axes of the grid; lists of other flags are one value.
const AXES: [&str; 2] = ["data", "arch"];
/// Flags that blocks or the command say.
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
pub struct Study {
    pub title: String,
    pub panels: Vec<PanelSpec>,
    pub claims: Vec<Claim>,
}

/// One data set and network, with its flags.
pub struct PanelSpec {
    pub name: String,
    /// As `fairprune run` takes them.
    pub args: RunArgs,
    pub blocks: Vec<Block>,
    /// The same flags for a shell.
    pub command: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: Option<String>,
    /// Flags of every panel.
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

/// Flags alone, as the command line of `run` takes them.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Flags {
    #[command(flatten)]
    run: RunArgs,
}

impl Study {
    /// Reads and checks a file.
    pub fn read(path: &Path, common: &Common) -> Result<Study> {
        let what = || format!("study {}", path.display());
        let size = std::fs::metadata(path).map_err(Error::io(path))?.len();
        if size > MOST_BYTES {
            let expected = format!("at most {MOST_BYTES}");
            return Err(Error::invalid(what(), format!("{size} bytes"), expected).into());
        }
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::invalid(what(), "bytes that are not UTF-8", "a TOML file"))?;
        let file: File = toml::from_str(&text).map_err(|e| {
            let expected = "TOML with [[panel]] tables, each with [[panel.block]] tables of \
                            strategies, density and seeds";
            Error::invalid(what(), e.to_string().trim().to_owned(), expected)
        })?;
        if file.panel.is_empty() {
            return Err(Error::invalid(what(), "no panel", "at least one [[panel]]").into());
        }
        let mut panels: Vec<PanelSpec> = Vec::new();
        for table in &file.panel {
            for mut panel in table.panels(&file.flags, common, &what())? {
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
            check(claim, &panels, &what())?;
        }
        let stem = path.file_stem().map_or("study".into(), |s| s.to_string_lossy());
        Ok(Study { title: file.title.unwrap_or(stem.into_owned()), panels, claims: file.claim })
    }
}

/// Refuses a claim about what the study does not run.
fn check(claim: &Claim, panels: &[PanelSpec], what: &str) -> Result<()> {
    let at = format!("{what}, claim {:?}", claim.text);
    for name in &claim.panels {
        if !panels.iter().any(|p| p.name == *name) {
            let names: Vec<&str> = panels.iter().map(|p| p.name.as_str()).collect();
            return Err(Error::invalid(at, name, format!("a panel: {}", names.join(", "))).into());
        }
    }
    for name in [&claim.method, &claim.baseline] {
        let strategy: Strategy = name.parse()?;
        let mut all = panels.iter().flat_map(|p| &p.blocks).flat_map(|b| &b.strategies);
        if !all.any(|s| *s == strategy) {
            let expected = "a strategy that a block runs";
            return Err(Error::invalid(at, name, expected).into());
        }
    }
    Ok(())
}

impl PanelTable {
    /// Every point of the grid.
    fn panels(&self, shared: &Table, common: &Common, what: &str) -> Result<Vec<PanelSpec>> {
        let mut flags = shared.clone();
        flags.extend(self.flags.clone());
        if let Some(key) = flags.keys().find(|k| ELSEWHERE.contains(&k.as_str())) {
            let expected = "strategies, density and seeds in [[panel.block]]; output, device and \
                            threads on the command line";
            return Err(Error::invalid(what, format!("the flag {key}"), expected).into());
        }
        let blocks = self.block.iter().map(|b| b.check(what)).collect::<Result<Vec<Block>>>()?;
        if blocks.is_empty() {
            return Err(Error::invalid(what, "a panel without blocks", "[[panel.block]]").into());
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
                panels.push(self.panel(&point, &blocks, common, what)?);
            }
        }
        Ok(panels)
    }

    fn panel(
        &self,
        flags: &Table,
        blocks: &[Block],
        common: &Common,
        what: &str,
    ) -> Result<PanelSpec> {
        let mut words = Vec::new();
        for (key, value) in flags {
            match value {
                Value::Boolean(on) if is_switch(key) => {
                    words.extend(on.then(|| format!("--{key}")));
                }
                _ => words.extend([format!("--{key}"), text(key, value, what)?]),
            }
        }
        let mut all = words.clone();
        all.extend(extra(common));
        let parsed = Flags::try_parse_from(&all).map_err(|e| {
            let found = e.to_string();
            let found = found.lines().next().unwrap_or_default().trim_start_matches("error: ");
            Error::invalid(what, found, "flags of `fairprune run`")
        })?;
        let mut args = parsed.run;
        let strategies: BTreeSet<String> =
            blocks.iter().flat_map(|b| &b.strategies).map(Strategy::to_string).collect();
        args.strategies = strategies.into_iter().collect();
        args.density = blocks.iter().flat_map(|b| b.densities.iter().copied()).collect();
        args.seeds = blocks.iter().map(|b| b.seeds).max().unwrap_or(1);
        let of = |key: &str, default: &str| {
            flags.get(key).map_or(default.to_owned(), |v| v.as_str().unwrap_or(default).to_owned())
        };
        let set = of("data", "shapes");
        let set = Path::new(&set).file_name().map_or(set.clone(), |n| n.to_string_lossy().into());
        let name = self.name.clone().unwrap_or(format!("{set}-{}", of("arch", "resnet8")));
        Ok(PanelSpec {
            name: slug(&name),
            args,
            blocks: blocks.to_vec(),
            command: format!("fairprune run {}", words.join(" ")),
        })
    }
}

impl BlockTable {
    fn check(&self, what: &str) -> Result<Block> {
        let strategies =
            self.strategies.iter().map(|s| s.parse()).collect::<Result<Vec<Strategy>, Error>>()?;
        let full_alone = strategies.iter().all(|s| s.stands_beside_all());
        if strategies.is_empty() || self.seeds == 0 || (self.density.is_empty() && !full_alone) {
            let found = format!(
                "a block of {} strategies, {} densities, {} seeds",
                strategies.len(),
                self.density.len(),
                self.seeds
            );
            return Err(Error::invalid(what, found, "at least one of each").into());
        }
        context::runs(&format!("{what}, seeds"), self.seeds)?;
        if let Some(d) = self.density.iter().find(|d| !(**d > 0.0 && **d <= 1.0)) {
            let expected = "above 0 and at most 1";
            return Err(Error::invalid(format!("{what}, density"), d.to_string(), expected).into());
        }
        Ok(Block { strategies, densities: self.density.clone(), seeds: self.seeds })
    }
}

/// What the study's own command line says for every panel.
fn extra(common: &Common) -> Vec<String> {
    vec![
        format!("--device={}", common.device),
        format!("--threads={}", common.threads),
        "--quiet".to_owned(),
    ]
}

/// Whether a flag of `fairprune run` takes no value.
fn is_switch(key: &str) -> bool {
    let command = Flags::command();
    let arg = command.get_arguments().find(|a| a.get_long() == Some(key));
    arg.is_some_and(|a| !a.get_action().takes_values())
}

/// A value as a word of a command line.
fn text(key: &str, value: &Value, what: &str) -> Result<String> {
    Ok(match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Array(list) => {
            let words = list.iter().map(|v| text(key, v, what)).collect::<Result<Vec<_>>>()?;
            words.join(",")
        }
        other => {
            let expected = "a string, a number, true or false, or a list of them";
            let found = other.type_str().to_owned();
            return Err(Error::invalid(format!("{what}, {key}"), found, expected).into());
        }
    })
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

    /// Every flag is one of `fairprune run`, every strategy and claim can be read.
    #[test]
    fn the_studies_that_come_with_the_program_can_be_read() {
        let words = ["fairprune", "study", "x.toml"];
        let crate::cli::args::Command::Study(args) =
            crate::cli::args::Cli::try_parse_from(words).unwrap().command
        else {
            panic!("another command");
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("studies");
        let mut found = 0;
        for folder in [root.clone(), root.join("paper")] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_none_or(|e| e != "toml") {
                    continue;
                }
                let study = Study::read(&path, &args.common).unwrap();
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
}
