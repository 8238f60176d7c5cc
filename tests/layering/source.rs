//! Just enough of Rust's grammar to see what a file uses: tokens without comments and literals,
//! modules opened in the file, and paths, use trees included.

use std::collections::BTreeSet;
use std::ops::Range;

/// An identifier, `::`, or one punctuation character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// Tokens of `source`. Comments, strings, characters, numbers and lifetimes are left out.
pub fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let (mut i, mut line) = (0, 1);
    while i < chars.len() {
        let start = i;
        let at = |offset: usize| chars.get(start + offset).copied().unwrap_or('\0');
        match chars[i] {
            '/' if at(1) == '/' => i = find(&chars, i, |c| c == '\n'),
            '/' if at(1) == '*' => i = block_comment(&chars, i),
            '"' => i = string(&chars, i + 1),
            '\'' if at(1) == '\\' => i = find(&chars, i + 3, |c| c == '\'') + 1,
            '\'' if at(2) == '\'' => i += 3,
            '\'' => i = find(&chars, i + 1, |c| !is_word(c)),
            c if is_word(c) => {
                i = find(&chars, i, |c| !is_word(c));
                let word: String = chars[start..i].iter().collect();
                let next = chars.get(i).copied();
                match (word.as_str(), next) {
                    ("b" | "c", Some('"')) => i = string(&chars, i + 1),
                    ("r" | "br" | "cr", Some('"')) => i = raw_string(&chars, i),
                    ("r" | "br" | "cr", Some('#')) if !is_word(after_hashes(&chars, i)) => {
                        i = raw_string(&chars, i);
                    }
                    // A raw identifier is the identifier.
                    ("r", Some('#')) => i += 1,
                    _ if c.is_ascii_digit() => {}
                    _ => tokens.push(Token { text: word, line }),
                }
            }
            ':' if at(1) == ':' => {
                tokens.push(Token { text: "::".to_owned(), line });
                i += 2;
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token { text: c.to_string(), line });
                }
                i += 1;
            }
        }
        i = i.min(chars.len());
        line += chars[start..i].iter().filter(|&&c| c == '\n').count();
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn find(chars: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|&i| stop(chars[i])).unwrap_or(chars.len())
}

fn block_comment(chars: &[char], from: usize) -> usize {
    let (mut depth, mut i) = (0, from);
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

/// The end of a string whose opening quote was before `from`.
fn string(chars: &[char], from: usize) -> usize {
    let mut i = from;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn after_hashes(chars: &[char], from: usize) -> char {
    chars.get(find(chars, from, |c| c != '#')).copied().unwrap_or('\0')
}

/// The end of a raw string whose hashes (or quote) start at `from`.
fn raw_string(chars: &[char], from: usize) -> usize {
    let quote = find(chars, from, |c| c != '#');
    let hashes = quote - from;
    let closes =
        |i: usize| chars[i] == '"' && (1..=hashes).all(|h| chars.get(i + h).copied() == Some('#'));
    let end = (quote + 1..chars.len()).find(|&i| closes(i)).unwrap_or(chars.len());
    end + hashes + 1
}

/// Token ranges of the bodies of `#[cfg(test)] mod name { ... }`.
pub fn test_modules(tokens: &[Token]) -> Vec<Range<usize>> {
    let pattern = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let starts = |i: usize| pattern.iter().zip(&tokens[i..]).all(|(p, t)| *p == t.text);
    let mut found = Vec::new();
    for i in (0..tokens.len().saturating_sub(pattern.len() + 1)).filter(|&i| starts(i)) {
        let open = i + pattern.len() + 1;
        if tokens[open].text == "{" {
            found.push(open..closing(tokens, open));
        }
    }
    found
}

/// The place of the brace that closes the one at `open`.
pub fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i;
        }
    }
    tokens.len()
}

/// Where the module ends whose `mod` is at `at`, if its body is here; its name may be a macro's `$name`.
pub fn module_end(tokens: &[Token], at: usize) -> Option<usize> {
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    let open = if text(at + 1) == "$" { at + 3 } else { at + 2 };
    (text(at) == "mod" && text(open) == "{").then(|| closing(tokens, open))
}

/// A module of the crate that a path names, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub module: String,
    pub line: usize,
    /// Place of its token.
    pub token: usize,
}

/// First segments of all paths from the crate's root in a file that lies `depth` modules deep
/// (0: lib.rs). `*` and `self` stand for imports of the root itself.
pub fn imports(tokens: &[Token], depth: usize) -> Vec<Import> {
    let mut found = Vec::new();
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    let mut open_modules: Vec<usize> = Vec::new();
    for i in 0..tokens.len() {
        open_modules.retain(|&end| i < end);
        open_modules.extend(module_end(tokens, i));
        if i > 0 && text(i - 1) == "::" {
            continue;
        }
        let after_root = match text(i) {
            "crate" | "fairprune" => i + 1,
            "super" => {
                let mut levels = 1;
                while text(i + 2 * levels - 1) == "::" && text(i + 2 * levels) == "super" {
                    levels += 1;
                }
                if levels != depth + open_modules.len() {
                    continue;
                }
                i + 2 * levels - 1
            }
            _ => continue,
        };
        if text(after_root) == "::" {
            heads(tokens, after_root + 1, &mut found);
        } else if text(after_root) == "as" {
            found.push(Import { module: "self".to_owned(), line: tokens[i].line, token: i });
        }
    }
    found
}

/// The first segment at `at`, or those of every branch of the use tree there.
fn heads(tokens: &[Token], at: usize, found: &mut Vec<Import>) {
    let Some(first) = tokens.get(at) else { return };
    if first.text != "{" {
        found.push(Import { module: first.text.clone(), line: first.line, token: at });
        return;
    }
    let mut depth = 0;
    for i in at..=closing(tokens, at).min(tokens.len() - 1) {
        match tokens[i].text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        let starts_branch = matches!(tokens[i].text.as_str(), "{" | ",") && depth == 1;
        if starts_branch && tokens.get(i + 1).is_some_and(|t| t.text != "}") {
            heads(tokens, i + 1, found);
        }
    }
}

/// One name that a `use` brings into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// As from the file's own module; the last segment may be `*`.
    pub path: Vec<String>,
    /// The name in this file.
    pub name: String,
    /// The file hands it on.
    pub public: bool,
    /// The whole declaration.
    pub tokens: Range<usize>,
}

/// Every name that the `use` declarations of a file bring.
pub fn uses(tokens: &[Token]) -> Vec<Use> {
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    let mut found = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for i in 0..tokens.len() {
        open.retain(|&end| i < end);
        open.extend(module_end(tokens, i));
        if text(i) != "use" {
            continue;
        }
        let end = (i..tokens.len()).find(|&at| text(at) == ";").unwrap_or(tokens.len());
        let public = i > 0 && matches!(text(i - 1), "pub" | ")");
        let mut names = Vec::new();
        branches(tokens, i + 1, &mut Vec::new(), &mut names);
        for (path, name) in names {
            // `super` in a module inside the file leads to the file.
            let supers = path.iter().take_while(|segment| *segment == "super").count();
            let path = path[supers.min(open.len())..].to_vec();
            found.push(Use { path, name, public, tokens: i..end });
        }
    }
    found
}

/// Paths and names of the use tree at `at`, below `prefix`; returns the place behind it.
fn branches(
    tokens: &[Token],
    mut at: usize,
    prefix: &mut Vec<String>,
    found: &mut Vec<(Vec<String>, String)>,
) -> usize {
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    let depth = prefix.len();
    loop {
        match text(at) {
            "::" => at += 1,
            "{" => {
                at += 1;
                while text(at) != "}" && at < tokens.len() {
                    at = branches(tokens, at, prefix, found);
                    at += usize::from(text(at) == ",");
                }
                prefix.truncate(depth);
                return at + 1;
            }
            segment => {
                prefix.push(segment.to_owned());
                at += 1;
                if text(at) != "::" {
                    break;
                }
            }
        }
    }
    let mut path = prefix.clone();
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let mut name = path.last().cloned().unwrap_or_default();
    if text(at) == "as" {
        name = text(at + 1).to_owned();
        at += 2;
    }
    found.push((path, name));
    prefix.truncate(depth);
    at
}

/// Names of the items that a file defines: types, functions, constants, macros, modules with a body.
/// Members of types are among them; they harm nothing.
pub fn definitions(tokens: &[Token]) -> BTreeSet<String> {
    const ITEMS: [&str; 9] =
        ["struct", "enum", "union", "trait", "type", "fn", "const", "static", "mod"];
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    let mut found = BTreeSet::new();
    for i in 0..tokens.len() {
        let name = match text(i) {
            "mod" if text(i + 2) != "{" => continue,
            "macro_rules" => text(i + 2),
            word if ITEMS.contains(&word) => text(i + 1),
            _ => continue,
        };
        found.insert(name.to_owned());
    }
    found
}
