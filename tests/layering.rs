//! The library's floors: a module imports only from floors below its own. The floors are read
//! from the table in the documentation of `src/lib.rs`, so that it cannot say something else.

mod circles;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use circles::House;
use source::{Token, imports, test_modules, tokens};

/// Crates that only the command line may use.
const CLI_CRATES: [&str; 3] = ["anyhow", "clap", "indicatif"];
/// The driver's bindings, and the one module that knows them.
const DRIVER: (&str, &str) = ("cudarc", "cuda");
/// Macros that print.
const PRINTS: [&str; 5] = ["print", "println", "eprint", "eprintln", "dbg"];
/// Below every floor.
const GROUND: &str = "error";
/// The oracles, and who in `src` may use them besides unit tests.
const ORACLES: &str = "reference";
const ORACLE_USERS: [&str; 2] = ["reference", "selftest"];

/// Floor of every module: lines `| 3 | `ops` |` of the table.
fn floors(lib: &str) -> BTreeMap<String, u32> {
    let mut floors = BTreeMap::new();
    for row in lib.lines().filter_map(|l| l.strip_prefix("//! |")) {
        let Some((floor, modules)) = row.split_once('|') else { continue };
        let Ok(floor) = floor.trim().parse() else { continue };
        for module in modules.split('`').skip(1).step_by(2) {
            let before = floors.insert(module.to_owned(), floor);
            assert_eq!(before, None, "{module} is on two floors");
        }
    }
    floors
}

/// Modules that lib.rs declares.
fn declared(lib: &str) -> Vec<String> {
    let tokens = tokens(lib);
    let pairs = tokens.windows(3).filter(|w| w[0].text == "mod" && w[2].text == ";");
    pairs.map(|w| w[1].text.clone()).collect()
}

/// Where a file of `src` belongs.
struct Place {
    /// Top-level module; `main` and `cli` are the binary.
    module: String,
    /// Modules between the root and the file's own content.
    depth: usize,
}

impl Place {
    /// Of a path relative to `src`.
    fn of(path: &Path) -> Place {
        let mut parts: Vec<String> =
            path.with_extension("").iter().map(|p| p.to_string_lossy().into_owned()).collect();
        if parts.last().is_some_and(|p| p == "mod" || p == "lib") {
            parts.pop();
        }
        let module = parts.first().cloned().unwrap_or_else(|| "lib".to_owned());
        Place { depth: if module == "main" { 0 } else { parts.len() }, module }
    }

    fn is_binary(&self) -> bool {
        self.module == "main" || self.module == "cli"
    }
}

/// Everything in one file that the house rules forbid, as `path:line: what`.
fn violations(path: &Path, source: &str, floors: &BTreeMap<String, u32>) -> Vec<String> {
    let place = Place::of(path);
    let tokens = tokens(source);
    let tests = test_modules(&tokens);
    let in_test = |i: usize| tests.iter().any(|r| r.contains(&i));
    let mut found = Vec::new();
    let mut report = |line: usize, what: String| {
        found.push(format!("src/{}:{line}: {what}", path.display()));
    };
    for import in imports(&tokens, place.depth) {
        if let Some(what) = forbidden_import(&place, &import.module, in_test(import.token), floors)
        {
            report(import.line, what);
        }
    }
    for (i, token) in tokens.iter().enumerate() {
        if let Some(what) = forbidden_use(&place, &tokens, i, in_test(i)) {
            report(token.line, what);
        }
    }
    found
}

fn forbidden_import(
    place: &Place,
    module: &str,
    in_test: bool,
    floors: &BTreeMap<String, u32>,
) -> Option<String> {
    let own = &place.module;
    if module == ORACLES {
        let allowed = in_test || ORACLE_USERS.contains(&own.as_str());
        return (!allowed).then(|| "the oracles are for tests, benches and selftest".to_owned());
    }
    if module == own || place.is_binary() || ORACLE_USERS.contains(&own.as_str()) {
        return None;
    }
    if module == "self" || module == "*" {
        return Some("imports the crate's root, which hides what is used".to_owned());
    }
    let (Some(from), Some(to)) = (floors.get(own), floors.get(module)) else {
        let missing = if floors.contains_key(own) { module } else { own };
        return Some(format!("{missing} has no floor in the table of src/lib.rs"));
    };
    let below = to < from || module == GROUND;
    (!below).then(|| format!("{own} (floor {from}) imports {module} (floor {to})"))
}

fn forbidden_use(place: &Place, tokens: &[Token], i: usize, in_test: bool) -> Option<String> {
    let text = |offset: isize| {
        i.checked_add_signed(offset).and_then(|i| tokens.get(i)).map_or("", |t| t.text.as_str())
    };
    let word = text(0);
    if PRINTS.contains(&word) && text(1) == "!" && !place.is_binary() && !in_test {
        return Some(format!("{word}! outside the command line"));
    }
    let is_crate = text(1) == "::" && text(-1) != "::" || text(-1) == "use" || text(-1) == "crate";
    if CLI_CRATES.contains(&word) && is_crate && !place.is_binary() {
        return Some(format!("{word} outside the command line"));
    }
    if word == DRIVER.0 && is_crate && place.module != DRIVER.1 {
        return Some(format!("{word} outside {}", DRIVER.1));
    }
    if word == "process" && text(1) == "::" && !place.is_binary() {
        let mut names = tokens[i + 2..].iter().take_while(|t| t.text != ";" && t.text != "(");
        let direct = text(2) == "exit";
        let listed = text(2) == "{" && names.any(|t| t.text == "exit");
        return (direct || listed).then(|| "process::exit in the library".to_owned());
    }
    None
}

/// Every Rust file below `dir`, sorted.
fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn modules_import_from_floors_below_them() {
    let lib = std::fs::read_to_string(src().join("lib.rs")).unwrap();
    let floors = floors(&lib);
    let mut found = Vec::new();
    for module in declared(&lib) {
        if !floors.contains_key(&module) && !ORACLE_USERS.contains(&module.as_str()) {
            found.push(format!("src/lib.rs: {module} has no floor in the table"));
        }
    }
    let files = rust_files(&src());
    assert!(files.len() > 40, "only {} files in {}", files.len(), src().display());
    for file in files {
        let path = file.strip_prefix(src()).unwrap();
        found.extend(violations(path, &std::fs::read_to_string(&file).unwrap(), &floors));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_file_imports_what_imports_it() {
    let sources = rust_files(&src()).into_iter().map(|file| {
        let path = file.strip_prefix(src()).unwrap().to_string_lossy().into_owned();
        (path, std::fs::read_to_string(&file).unwrap())
    });
    let circles = House::new(&sources.collect::<Vec<_>>()).circles();
    let found: Vec<String> = circles
        .iter()
        .map(|c| format!("a circle of {} files:\n{}", c.files.len(), c.ties.join("\n")))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n\n"));
}

const TABLE: &str = "
//! | floor | modules |
//! |---|---|
//! | 2 | `exec` |
//! | 1 | `ops`, `nn` |
//! | 0 | `tensor`, `cuda`, `error` |
";

/// What the checker says of `source` at `path`.
fn planted(path: &str, source: &str) -> Vec<String> {
    violations(Path::new(path), source, &floors(TABLE))
}

#[test]
fn planted_violations_are_found_where_they_are() {
    let cases = [
        ("ops/mod.rs", "\nuse crate::exec::Plan;", "src/ops/mod.rs:2: ops (floor 1) imports exec"),
        ("ops/a/b.rs", "use crate::nn;", "src/ops/a/b.rs:1: ops (floor 1) imports nn (floor 1)"),
        ("tensor.rs", "fn f() { crate::ops::g() }", "src/tensor.rs:1: tensor (floor 0)"),
        ("ops/a.rs", "use crate::{\n    tensor::T,\n    exec,\n};", "src/ops/a.rs:3: ops"),
        ("ops/a.rs", "use crate::{tensor::{A, B}, nn::{C}};", "src/ops/a.rs:1: ops"),
        ("ops/a.rs", "use {std::fs, crate::nn::N};", "src/ops/a.rs:1: ops"),
        ("ops/a.rs", "pub(crate) use crate::r#exec;", "src/ops/a.rs:1: ops"),
        ("ops/a.rs", "use super::super::exec::Plan;", "src/ops/a.rs:1: ops"),
        ("ops/mod.rs", "mod t { use super::super::exec; }", "src/ops/mod.rs:1: ops"),
        ("ops/m.rs", "macro_rules! m { () => { $crate::exec::f() } }", "src/ops/m.rs:1: ops"),
        ("ops/a.rs", "fn f() { fairprune::exec::g() }", "src/ops/a.rs:1: ops"),
        ("ops/a.rs", "const S: &str = r#\"\"\"#; use crate::nn;", "src/ops/a.rs:1: ops"),
        ("ops/a.rs", "const C: char = '\"'; use crate::nn;", "src/ops/a.rs:1: ops"),
        ("ops/a.rs", "/* a /* b */ c */ use crate::nn;", "src/ops/a.rs:1: ops"),
        ("ops/a.rs", "use crate::*;", "src/ops/a.rs:1: imports the crate's root"),
        ("ops/a.rs", "use crate as c;", "src/ops/a.rs:1: imports the crate's root"),
        ("ops/a.rs", "use crate::{self as c};", "src/ops/a.rs:1: imports the crate's root"),
        ("ops/a.rs", "use crate::attic;", "src/ops/a.rs:1: attic has no floor"),
        ("attic.rs", "use crate::ops;", "src/attic.rs:1: attic has no floor"),
        ("ops/a.rs", "use crate::reference::U;", "src/ops/a.rs:1: the oracles"),
        ("cli/a.rs", "use fairprune::reference::U;", "src/cli/a.rs:1: the oracles"),
        ("ops/a.rs", "fn f() {\n  println!(\"\");\n}", "src/ops/a.rs:2: println! outside"),
        ("ops/a.rs", "fn f() { std::eprint!(\"\") }", "src/ops/a.rs:1: eprint! outside"),
        ("ops/a.rs", "use clap::Parser;", "src/ops/a.rs:1: clap outside"),
        ("ops/cuda.rs", "use cudarc::Library;", "src/ops/cuda.rs:1: cudarc outside cuda"),
        ("cli/a.rs", "fn f() { cudarc::g() }", "src/cli/a.rs:1: cudarc outside cuda"),
        ("cuda/a.rs", "use crate::ops;", "src/cuda/a.rs:1: cuda (floor 0) imports ops (floor 1)"),
        ("ops/a.rs", "#[derive(clap::Args)] struct A;", "src/ops/a.rs:1: clap outside"),
        ("ops/a.rs", "fn f() -> anyhow::Result<()> {}", "src/ops/a.rs:1: anyhow outside"),
        ("ops/a.rs", "fn f() { std::process::exit(1) }", "src/ops/a.rs:1: process::exit"),
        ("ops/a.rs", "use std::process::{Command, exit};", "src/ops/a.rs:1: process::exit"),
    ];
    for (path, source, expected) in cases {
        let found = planted(path, source);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{source:?}: {found:?}");
    }
}

#[test]
fn lawful_code_passes() {
    let cases = [
        ("exec/a.rs", "use crate::ops::{self, conv::C};\nuse crate::nn;\nuse crate::error::E;"),
        ("tensor.rs", "use crate::error::Error;"),
        ("cuda/a.rs", "use cudarc::Library; use crate::error::Error;"),
        ("ops/a.rs", "use super::exec; use super::super::ops; use crate::ops::x;"),
        ("ops/a.rs", "// use crate::exec;\n/// crate::exec\nconst S: &str = \"crate::exec\";"),
        ("ops/a.rs", "fn f<'a>(x: &'a u8) { let c = 'x'; let b = b'\"'; } // println!()"),
        ("ops/a.rs", "#[cfg(test)]\nmod tests { use crate::reference::U; fn f() { println!() } }"),
        ("selftest.rs", "use crate::reference::U; use crate::exec;"),
        ("reference/a.rs", "use crate::ops::A; use super::U;"),
        ("main.rs", "use fairprune::exec; fn main() { println!(); std::process::exit(1) }"),
        ("cli/a.rs", "use fairprune::exec; use clap::Parser; use anyhow::Result;"),
        ("ops/a.rs", "fn f(clap: u8) -> u8 { clap } fn g() { std::process::Command::new(\"\") }"),
    ];
    for (path, source) in cases {
        let found = planted(path, source);
        assert!(found.is_empty(), "{source:?}: {found:?}");
    }
}

/// The circles of files with these paths and texts, a line an import.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let owned = |(path, text): &(&str, &str)| (path.to_string(), text.to_string());
    let circles = House::new(&files.iter().map(owned).collect::<Vec<_>>()).circles();
    circles.iter().map(|circle| circle.ties.join("; ")).collect()
}

#[test]
fn planted_circles_are_found() {
    let cases: [(&[(&str, &str)], &str); 9] = [
        // Straight, over a third file, and by a path without a `use`.
        (
            &[
                ("ops/a.rs", "use super::b::B; struct A;"),
                ("ops/b.rs", "use super::a::A; struct B;"),
            ],
            "ops/a.rs -> ops/b.rs: B; ops/b.rs -> ops/a.rs: A",
        ),
        (
            &[
                ("ops/a.rs", "use crate::ops::{b::{self, B}}; struct A;"),
                ("ops/b.rs", "use super::c::C as D; struct B;"),
                ("ops/c.rs", "fn f() { crate::ops::a::A::new() } struct C;"),
            ],
            "ops/a.rs -> ops/b.rs: B; ops/b.rs -> ops/c.rs: C; ops/c.rs -> ops/a.rs: A",
        ),
        (
            &[
                ("ops/a.rs", "use super::b; struct A; fn f() { b::g() }"),
                ("ops/b.rs", "fn g() -> super::a::A {}"),
            ],
            "ops/a.rs -> ops/b.rs: g; ops/b.rs -> ops/a.rs: A",
        ),
        // A module whose items a macro names.
        (
            &[
                ("ops/a.rs", "use super::b; struct A; macro_rules! m { ($n:ident) => { b::$n } }"),
                ("ops/b.rs", "use super::a::A;"),
            ],
            "ops/a.rs -> ops/b.rs: $n; ops/b.rs -> ops/a.rs: A",
        ),
        // A parent that needs its child, which needs the parent's own.
        (
            &[
                ("ops/mod.rs", "mod a; struct M; fn f() { a::g() }"),
                ("ops/a.rs", "use super::M; fn g() {}"),
            ],
            "ops/a.rs -> ops/mod.rs: M; ops/mod.rs -> ops/a.rs: g",
        ),
        (
            &[
                ("ops/mod.rs", "mod a; pub use a::A; struct M(A);"),
                ("ops/a.rs", "use super::M; struct A;"),
            ],
            "ops/a.rs -> ops/mod.rs: M; ops/mod.rs -> ops/a.rs: A",
        ),
        // A name that the parent hands on is its sibling's, whatever it is called on the way.
        (
            &[
                ("ops/mod.rs", "mod a; mod b; pub use b::B as C;"),
                ("ops/a.rs", "use super::C; struct A;"),
                ("ops/b.rs", "use crate::ops::a::A; struct B;"),
            ],
            "ops/a.rs -> ops/b.rs: B; ops/b.rs -> ops/a.rs: A",
        ),
        // Everything of a file, and the root of another crate's view of this one.
        (
            &[("ops/a.rs", "use super::b::*; struct A;"), ("ops/b.rs", "use super::a::A;")],
            "ops/a.rs -> ops/b.rs: *; ops/b.rs -> ops/a.rs: A",
        ),
        (
            &[
                ("main.rs", "mod cli;"),
                ("cli/a.rs", "use crate::cli::b::B; struct A;"),
                ("cli/b.rs", "use super::a; fn f(a: a::A) {} struct B;"),
            ],
            "cli/a.rs -> cli/b.rs: B; cli/b.rs -> cli/a.rs: A",
        ),
    ];
    for (files, expected) in cases {
        assert_eq!(circles_of(files), [expected], "{files:?}");
    }
}

#[test]
fn files_without_a_circle_pass() {
    let cases: [&[(&str, &str)]; 5] = [
        // Handing on is no import.
        &[
            ("ops/mod.rs", "mod a; mod m; pub use a::{A, f}; pub use m::M;"),
            ("ops/a.rs", "use super::M; struct A; fn f() {}"),
            ("ops/m.rs", "struct M;"),
        ],
        // Tests may use what is above them.
        &[
            (
                "ops/a.rs",
                "struct A; #[cfg(test)] mod tests { use super::super::b::B; use super::*; }",
            ),
            ("ops/b.rs", "use super::a::A; struct B;"),
        ],
        // A module inside the file is the file.
        &[
            ("ops/mod.rs", "mod a; fn f() { a::g() }"),
            ("ops/a.rs", "mod inner { use super::H; } struct H; fn g() { inner::x() }"),
        ],
        &[
            ("ops/mod.rs", "mod a; fn f() { a::g() }"),
            ("ops/a.rs", "macro_rules! m { ($n:ident) => { mod $n { use super::*; } } } fn g() {}"),
        ],
        // Names of others, and a module that shares its name with a function.
        &[
            ("ops/mod.rs", "mod a; pub use a::a;"),
            ("ops/a.rs", "use std::fmt; fn a() { fmt::b(); Vec::<u8>::new() }"),
            ("ops/b.rs", "use super::a; fn b() { a() }"),
        ],
    ];
    for files in cases {
        assert_eq!(circles_of(files), [""; 0], "{files:?}");
    }
}
