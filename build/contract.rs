//! What kernels and their launchers share is stated once, in the kernels' sources, and handed to Rust:
//!
//! - `KERNEL(name, Args, ...)` names a kernel and its structure: `kernels.rs`, the table of all kernels;
//! - that structure, and what it holds: `args.rs`, a `#[repr(C)]` structure of the same fields;
//! - `enum Name : uint32_t { A, B };`: `enums.rs`, a module `name` of constants.
//!
//! A structure is a list of `type name, name;` lines. Structures of one source whose fields are those of
//! another's (pointers apart, which are addresses on the host) are one type in Rust under two names.

use std::collections::BTreeSet;
use std::path::Path;

use crate::images::{family, headers, read, sources, write_if_new};

/// A structure of a source.
struct Structure {
    /// Where it is, for documentation and messages.
    source: String,
    name: String,
    fields: Result<Vec<Field>, String>,
}

struct Field {
    docs: Vec<String>,
    name: String,
    /// The type as Rust writes it.
    kind: String,
}

/// A kernel and the name of its structure.
struct Kernel {
    family: String,
    name: String,
    args: String,
}

/// Writes `args.rs`, `enums.rs` and `kernels.rs`.
pub fn write(out: &Path) -> Result<(), String> {
    let (mut structures, mut kernels, mut enums) = (Vec::new(), Vec::new(), String::new());
    for path in sources()?.into_iter().chain(headers()?) {
        println!("cargo:rerun-if-changed={}", path.display());
        let text = String::from_utf8_lossy(&read(&path)?).into_owned();
        let place = path.display().to_string();
        structures.extend(structures_of(&place, &text));
        if path.extension().is_some_and(|extension| extension == "cu") {
            kernels.extend(kernels_of(&family(&path), &text));
        }
        enums.push_str(&enums_of(&place, &text)?);
    }
    write_if_new(&out.join("args.rs"), arguments(&structures, &kernels)?.as_bytes())?;
    write_if_new(&out.join("kernels.rs"), table(&kernels).as_bytes())?;
    write_if_new(&out.join("enums.rs"), enums.as_bytes())
}

/// Structures that begin at a line's first column and are no templates.
fn structures_of(place: &str, text: &str) -> Vec<Structure> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let name = line.strip_prefix("struct ").and_then(|rest| rest.strip_suffix(" {"));
        let template = i > 0 && lines[i - 1].starts_with("template");
        let Some(name) = name.filter(|_| !template) else { continue };
        let body = lines[i + 1..].iter().take_while(|line| !line.starts_with('}'));
        found.push(Structure {
            source: place.to_owned(),
            name: name.to_owned(),
            fields: fields(body.copied()),
        });
    }
    found
}

/// The fields of a structure's lines, or the line that holds none.
fn fields<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Field>, String> {
    let (mut fields, mut docs) = (Vec::new(), Vec::new());
    for line in lines.map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("//") {
            docs.push(comment.trim().replace('[', "\\[").replace(']', "\\]"));
            continue;
        }
        for (name, kind) in line.strip_suffix(';').and_then(declared).ok_or(line)? {
            fields.push(Field { docs: std::mem::take(&mut docs), name, kind });
        }
    }
    Ok(fields)
}

/// Names and Rust types of `const float* x`, `uint32_t h, w` or `float mean[3]`.
fn declared(line: &str) -> Option<Vec<(String, String)>> {
    let is_name = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if let Some((_, name)) = line.split_once('*') {
        let name = name.trim();
        return is_name(name).then(|| vec![(name.to_owned(), "DevicePointer".to_owned())]);
    }
    let (kind, names) = line.split_once(' ')?;
    let kind = match kind {
        "uint32_t" => "u32",
        "int32_t" => "i32",
        "uint64_t" => "u64",
        "float" => "f32",
        structure if structure.starts_with(|c: char| c.is_ascii_uppercase()) => structure,
        _ => return None,
    };
    let one = |name: &str| match name.trim().strip_suffix(']').and_then(|n| n.split_once('[')) {
        Some((name, len)) => {
            len.parse::<u32>().ok().map(|len| (name.to_owned(), format!("[{kind}; {len}]")))
        }
        None => Some((name.trim().to_owned(), kind.to_owned())),
    };
    let all: Option<Vec<(String, String)>> = names.split(',').map(one).collect();
    all.filter(|all| all.iter().all(|(name, _)| is_name(name)))
}

/// Kernels that a source declares, each at the beginning of a line.
fn kernels_of(family: &str, text: &str) -> Vec<Kernel> {
    let declarations = text.split("\nKERNEL(").skip(1);
    let words = declarations.filter_map(|rest| {
        let mut words = rest.split(',').map(str::trim);
        words.next().zip(words.next())
    });
    let kernel = |(name, args): (&str, &str)| Kernel {
        family: family.to_owned(),
        name: name.to_owned(),
        args: args.to_owned(),
    };
    words.map(kernel).collect()
}

/// A module of constants for every enumeration, and how many they are.
fn enums_of(place: &str, text: &str) -> Result<String, String> {
    let mut written = String::new();
    for declaration in text.split("\nenum ").skip(1) {
        let bad = || format!("{place}: enum {:?}", declaration.lines().next().unwrap_or_default());
        let (head, rest) = declaration.split_once(" : uint32_t {").ok_or_else(bad)?;
        let names = rest.split_once("};").ok_or_else(bad)?.0;
        let mut next = 0u32;
        let mut module = String::new();
        let mut count = 0;
        for item in names.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = item.split_once(" = ").unwrap_or((item, ""));
            if !value.is_empty() {
                next = value.parse().map_err(|_| bad())?;
            }
            module.push_str(&format!("    pub const {name}: u32 = {next};\n"));
            (next, count) = (next + 1, count + 1);
        }
        written.push_str(&format!(
            "/// `enum {head}` of {place}.\npub mod {} {{\n{module}    pub const COUNT: usize = {count};\n}}\n",
            head.to_lowercase()
        ));
    }
    Ok(written)
}

/// The structures that kernels take, and those within them.
fn arguments(structures: &[Structure], kernels: &[Kernel]) -> Result<String, String> {
    let mut wanted: Vec<&str> = kernels.iter().map(|kernel| kernel.args.as_str()).collect();
    let mut known = BTreeSet::new();
    let mut written: Vec<(&Structure, &[Field])> = Vec::new();
    let mut text = String::new();
    while let Some(name) = wanted.pop() {
        if !known.insert(name) {
            continue;
        }
        let mut named = structures.iter().filter(|structure| structure.name == name);
        let structure = named.next().ok_or_else(|| {
            format!("kernels: found no structure {name}, which a kernel takes; `struct {name} {{`")
        })?;
        if let Some(other) = named.next() {
            let (one, other) = (&structure.source, &other.source);
            return Err(format!(
                "kernels: found {name}, which a kernel takes, in {one} and in {other}"
            ));
        }
        let fields = structure.fields.as_ref().map_err(|line| {
            format!("{}: found {line:?} in {name}, expected `type name, name;`", structure.source)
        })?;
        let inner = fields.iter().map(|field| field.kind.as_str());
        wanted.extend(inner.filter(|kind| structures.iter().any(|s| s.name == **kind)));
        written.push((structure, fields));
    }
    written.sort_by_key(|(structure, _)| (&structure.source, &structure.name));
    for (i, (structure, fields)) in written.iter().enumerate() {
        let Structure { source, name, .. } = structure;
        let same = written[..i].iter().find(|(_, others)| is_same(fields, others));
        if let Some((other, _)) = same {
            let other = &other.name;
            text.push_str(&format!(
                "/// `{name}` of {source}, field by field [`{other}`].\npub type {name} = {other};\n"
            ));
            continue;
        }
        text.push_str(&format!(
            "/// `{name}` of {source}.\n\
             #[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]\n\
             #[repr(C)]\npub struct {name} {{\n"
        ));
        for Field { docs, name, kind } in *fields {
            docs.iter().for_each(|line| text.push_str(&format!("    /// {line}\n")));
            text.push_str(&format!("    pub {name}: {kind},\n"));
        }
        text.push_str("}\n");
    }
    Ok(text)
}

fn is_same(a: &[Field], b: &[Field]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (&a.name, &a.kind) == (&b.name, &b.kind))
}

/// `kernels! { family { kernel: Args, ... } ... }`, for the macro of that name.
fn table(kernels: &[Kernel]) -> String {
    let mut text = "kernels! {\n".to_owned();
    let families: BTreeSet<&str> = kernels.iter().map(|kernel| kernel.family.as_str()).collect();
    for family in families {
        text.push_str(&format!("    {family} {{\n"));
        for Kernel { name, args, .. } in kernels.iter().filter(|k| k.family == family) {
            text.push_str(&format!("        {name}: {args},\n"));
        }
        text.push_str("    }\n");
    }
    text + "}\n"
}
