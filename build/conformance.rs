//! Which kernels use instructions that no card has confirmed: functions of `kernels/ptx.cuh`
//! without recorded vectors under `kernels/conformance/vectors`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::images::{family, read, sources, write_if_new};

const FOLDER: &str = "kernels/conformance";
/// The instructions' own files; every source includes them.
const OWN: [&str; 2] = ["kernel.cuh", "ptx.cuh"];

/// Writes `conformance.rs`: `UNCONFIRMED`, family and functions.
pub fn write(out: &Path) -> Result<(), String> {
    println!("cargo:rerun-if-changed={FOLDER}");
    let list = text(&Path::new(FOLDER).join("conformance.cu"))?;
    let names = list.lines().filter_map(|l| l.trim().strip_prefix("X(")?.split(',').next());
    let confirmed = confirmed()?;
    let open: Vec<&str> = names.filter(|n| !confirmed.contains(*n)).collect();
    let mut table = "pub const UNCONFIRMED: &[(&str, &[&str])] = &[\n".to_owned();
    for source in sources()? {
        let code = with_headers(&source, &mut BTreeSet::new())?;
        let words: BTreeSet<&str> =
            code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let used: Vec<&str> = open.iter().copied().filter(|n| words.contains(n)).collect();
        if !used.is_empty() {
            table.push_str(&format!("    ({:?}, &{used:?}),\n", family(&source)));
        }
    }
    table.push_str("];\n");
    write_if_new(&out.join("conformance.rs"), table.as_bytes())
}

/// Functions with at least one recorded launch.
fn confirmed() -> Result<BTreeSet<String>, String> {
    let folder = Path::new(FOLDER).join("vectors");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut confirmed = BTreeSet::new();
    for path in entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some()) {
        for line in text(&path)?.lines() {
            let name = line.split("\"function\":\"").nth(1).and_then(|l| l.split('"').next());
            confirmed.extend(name.map(str::to_owned));
        }
    }
    Ok(confirmed)
}

/// A source without comments, and what it includes of this folder, each once.
fn with_headers(source: &Path, seen: &mut BTreeSet<PathBuf>) -> Result<String, String> {
    let mut code = String::new();
    for line in text(source)?.lines() {
        let line = line.split("//").next().unwrap_or_default();
        code.push_str(line);
        code.push('\n');
        let Some(name) = line.strip_prefix("#include \"").and_then(|l| l.split('"').next()) else {
            continue;
        };
        let header = source.with_file_name(name);
        if !OWN.contains(&name) && seen.insert(header.clone()) {
            code.push_str(&with_headers(&header, seen)?);
        }
    }
    Ok(code)
}

fn text(path: &Path) -> Result<String, String> {
    Ok(String::from_utf8_lossy(&read(path)?).into_owned())
}
