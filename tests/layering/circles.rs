//! Which file imports which, and the circles among them. A name that a `mod.rs` hands on counts for the
//! file that defines it, and handing on is no import.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Token, Use, definitions, module_end, test_modules, tokens, uses};

/// A file's imports: the files, and the names taken from each.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// One file of the crate.
struct File {
    /// Relative to `src`.
    path: String,
    tokens: Vec<Token>,
    definitions: BTreeSet<String>,
    uses: Vec<Use>,
}

/// The files of a crate by their module, `ops::conv2d`. The library and its binary share one root: their
/// modules have different names.
pub struct House {
    files: BTreeMap<Vec<String>, File>,
}

/// What a path leads to.
enum Found {
    Module(Vec<String>),
    /// An item, and the module whose file defines it.
    Item(Vec<String>, String),
}

impl House {
    /// Of paths relative to `src` and their text.
    pub fn new(sources: &[(String, String)]) -> House {
        let mut files = BTreeMap::new();
        for (path, text) in sources {
            let all = tokens(text);
            let tests = test_modules(&all);
            let kept = all.iter().enumerate().filter(|(i, _)| !tests.iter().any(|r| r.contains(i)));
            let tokens: Vec<Token> = kept.map(|(_, token)| token.clone()).collect();
            let (definitions, uses) = (definitions(&tokens), uses(&tokens));
            let file = File { path: path.clone(), tokens, definitions, uses };
            files.insert(module_of(path), file);
        }
        House { files }
    }

    /// Every circle: the files that reach each other, and the imports among them as
    /// `a.rs -> b.rs: Name, Other`.
    pub fn circles(&self) -> Vec<Circle> {
        let imports: BTreeMap<String, Imports> = self
            .files
            .iter()
            .map(|(module, file)| (file.path.clone(), self.imports(module)))
            .collect();
        let reach: BTreeMap<&String, BTreeSet<&String>> =
            imports.keys().map(|path| (path, reached(path, &imports))).collect();
        let mut circles = Vec::new();
        let mut known = BTreeSet::new();
        for (path, ends) in &reach {
            if !ends.contains(path) || known.contains(path) {
                continue;
            }
            let files: Vec<String> = ends
                .iter()
                .filter(|end| reach[**end].contains(path))
                .map(|end| (*end).clone())
                .collect();
            let mut ties = Vec::new();
            for from in &files {
                for (to, names) in imports[from].iter().filter(|(to, _)| files.contains(to)) {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    ties.push(format!("{from} -> {to}: {}", names.join(", ")));
                }
            }
            known.extend(ends.iter().filter(|end| files.contains(end)).copied());
            circles.push(Circle { files, ties });
        }
        circles
    }

    /// What the file of `module` takes from others.
    fn imports(&self, module: &[String]) -> Imports {
        let file = &self.files[module];
        let mut imports = Imports::new();
        let mut add = |path: &[String], base: &[String]| {
            if let Some(Found::Item(owner, name)) = self.find(base, path, 0)
                && owner != *module
            {
                imports.entry(self.files[&owner].path.clone()).or_default().insert(name);
            }
        };
        for used in &file.uses {
            match used.path.split_last() {
                Some((last, path)) if last == "*" => {
                    if let Some(Found::Module(owner)) = self.find(module, path, 0) {
                        add(&["self".to_owned(), "*".to_owned()], &owner);
                    }
                }
                _ if !used.public || file.mentions(used) => add(&used.path, module),
                _ => {}
            }
        }
        for path in file.paths() {
            add(&path, module);
        }
        imports
    }

    /// Follows `path` from within `module`; None where it leaves the crate.
    fn find(&self, module: &[String], path: &[String], depth: usize) -> Option<Found> {
        const MOST_HOPS: usize = 20;
        let file = self.files.get(module);
        let Some((first, rest)) = path.split_first() else {
            return Some(Found::Module(module.to_vec()));
        };
        if depth > MOST_HOPS {
            return None;
        }
        match first.as_str() {
            "crate" | "fairprune" => return self.find(&[], rest, depth + 1),
            "self" => return self.find(module, rest, depth + 1),
            "super" => return self.find(ancestor(module, 1), rest, depth + 1),
            _ => {}
        }
        let child: Vec<String> = module.iter().chain([first]).cloned().collect();
        let defined = file.is_some_and(|f| f.definitions.contains(first));
        let bound = file.and_then(|f| f.uses.iter().find(|u| u.name == *first));
        let is_module = self.files.contains_key(&child) || self.has_below(&child);
        // A module and a function may share a name: what follows decides.
        if is_module && (!rest.is_empty() || bound.is_none() && !defined) {
            return self.find(&child, rest, depth + 1);
        }
        if defined {
            return Some(Found::Item(module.to_vec(), first.clone()));
        }
        if let Some(used) = bound {
            let path: Vec<String> = used.path.iter().chain(rest).cloned().collect();
            return self.find(module, &path, depth + 1);
        }
        // Only what was reached by a path of the crate can be something that no one here sees defined.
        let inside = depth > 0 && file.is_some();
        inside.then(|| Found::Item(module.to_vec(), first.clone()))
    }

    fn has_below(&self, module: &[String]) -> bool {
        self.files.keys().any(|m| m.len() > module.len() && m.starts_with(module))
    }
}

/// Files that reach each other over imports.
pub struct Circle {
    pub files: Vec<String>,
    pub ties: Vec<String>,
}

impl File {
    /// Whether the file itself needs a name that it hands on.
    fn mentions(&self, used: &Use) -> bool {
        let text = |i: usize| self.tokens.get(i).map_or("", |t| t.text.as_str());
        (0..self.tokens.len()).any(|i| {
            let before = if i == 0 { "" } else { text(i - 1) };
            let own = !matches!(before, "::" | "." | "mod" | "fn");
            text(i) == used.name && own && text(i + 1) != ":" && !self.in_use(i)
        })
    }

    fn in_use(&self, token: usize) -> bool {
        self.uses.iter().any(|u| u.tokens.contains(&token))
    }

    /// Paths of two segments or more outside `use`, as from the file's own module.
    fn paths(&self) -> Vec<Vec<String>> {
        let text = |i: usize| self.tokens.get(i).map_or("", |t| t.text.as_str());
        let mut found = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        for i in 0..self.tokens.len() {
            open.retain(|&end| i < end);
            open.extend(module_end(&self.tokens, i));
            let starts = text(i + 1) == "::" && (i == 0 || !matches!(text(i - 1), "::" | "."));
            if !starts || self.in_use(i) {
                continue;
            }
            let mut path = vec![text(i).to_owned()];
            let mut at = i + 1;
            while text(at) == "::" && is_name(text(at + 1)) {
                path.push(text(at + 1).to_owned());
                at += 2;
            }
            // What a macro puts there is some item of the module.
            if text(at) == "::" && text(at + 1) == "$" && is_name(text(at + 2)) {
                path.push(format!("${}", text(at + 2)));
            }
            // `super` in a module inside the file leads to the file.
            let supers = path.iter().take_while(|segment| *segment == "super").count();
            found.push(path.split_off(supers.min(open.len())));
        }
        found
    }
}

fn is_name(text: &str) -> bool {
    text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
}

/// The module of a file, from its path relative to `src`.
fn module_of(path: &str) -> Vec<String> {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let mut parts: Vec<String> = stem.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod") || stem == "lib" {
        parts.pop();
    }
    parts
}

fn ancestor(module: &[String], levels: usize) -> &[String] {
    &module[..module.len().saturating_sub(levels)]
}

/// Every file that `path` reaches over at least one import.
fn reached<'a>(path: &str, imports: &'a BTreeMap<String, Imports>) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = vec![path];
    while let Some(from) = open.pop() {
        for to in imports.get(from).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(to) {
                open.push(to);
            }
        }
    }
    reached
}
