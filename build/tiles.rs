//! The numbers that kernels and host agree on.

use std::path::Path;

const HEADER: &str = "kernels/tiles.h";

/// `#define FAIRPRUNE_X 123` of the header becomes `pub const X: u32 = 123;` in `tiles.rs`.
pub fn write(out: &Path) -> Result<(), String> {
    println!("cargo:rerun-if-changed={HEADER}");
    let header = std::fs::read_to_string(HEADER).map_err(|e| format!("{HEADER}: {e}"))?;
    let mut constants = String::new();
    for (i, line) in header.lines().enumerate() {
        let Some(definition) = line.trim().strip_prefix("#define ") else { continue };
        let words: Vec<&str> = definition.split_whitespace().collect();
        let constant = match words[..] {
            [name, value] => name.strip_prefix("FAIRPRUNE_").zip(value.parse::<u32>().ok()),
            _ => None,
        };
        let (name, value) = constant.ok_or_else(|| {
            format!(
                "{HEADER}:{}: found {line:?}, expected #define FAIRPRUNE_<NAME> <integer>",
                i + 1
            )
        })?;
        constants.push_str(&format!("pub const {name}: u32 = {value};\n"));
    }
    crate::images::write_if_new(&out.join("tiles.rs"), constants.as_bytes())
}
