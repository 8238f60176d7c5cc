//! The guide for contributors names files and functions that are there.

use std::path::Path;

/// What stands between backticks, outside fenced blocks.
fn quoted(text: &str) -> Vec<&str> {
    let outside = text.split("```").step_by(2);
    outside.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

/// Why a name of the guide leads nowhere, if it does.
fn missing(root: &Path, name: &str) -> Option<String> {
    let folders = ["src/", "kernels/", "build/", "tests/", "docs/", "scripts/"];
    if !folders.iter().any(|f| name.starts_with(f)) || name.contains(['<', '*']) {
        return None;
    }
    let (file, function) = name.split_once(':').map_or((name, None), |(f, g)| (f, Some(g)));
    let path = root.join(file);
    let Some(function) = function else {
        return (!path.exists()).then(|| format!("{file} is not there"));
    };
    let source = std::fs::read_to_string(&path).unwrap_or_default();
    let defined = [format!("fn {function}("), format!("fn {function}<")];
    (!defined.iter().any(|d| source.contains(d))).then(|| format!("{file} has no {function}"))
}

#[test]
fn the_guide_names_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let names = quoted(&guide);
    let hops = names.iter().filter(|n| n.starts_with("src/") && n.contains(':')).count();
    assert!(hops >= 25, "{hops} hops with a function: the ways are told by them");
    let wrong: Vec<String> = names.iter().filter_map(|name| missing(root, name)).collect();
    assert!(wrong.is_empty(), "CONTRIBUTING.md: {}", wrong.join("; "));
    assert!(missing(root, "src/lib.rs:nothing").is_some() && missing(root, "src/no.rs").is_some());
}
