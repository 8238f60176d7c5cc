//! Warnings that say the same of several strategies or densities, put together.

/// What stands between a strategy and its density in a warning.
const AT: &str = " at density ";

/// What a warning is about, without the names that follow.
fn kind(text: &str) -> &str {
    text.split('"').next().unwrap_or(text)
}

/// The warnings in their order, where those that say the same are one: `fewer than 50 samples ... (Random at
/// density 0.3; EL2N at density 0.3, 0.5)`.
pub fn merged(warnings: &[String]) -> Vec<String> {
    struct Said<'a> {
        text: &'a str,
        /// Others of the same strategy and density, of other seeds, that differ in names and numbers alone.
        alike: usize,
        /// Strategies and their densities; empty for a warning about the whole.
        of: Vec<(&'a str, Vec<&'a str>)>,
    }
    let mut all: Vec<Said> = Vec::new();
    for warning in warnings {
        let (who, text) = match warning.split_once(": ") {
            Some((who, text)) if who.contains(AT) => (who.split_once(AT), text),
            _ => (None, warning.as_str()),
        };
        let place = match all.iter().position(|said| said.text == text) {
            Some(place) => place,
            None => {
                let same = |said: &&mut Said| {
                    let one = who.is_some_and(|(name, density)| {
                        matches!(&said.of[..], [(n, d)] if *n == name && d[..] == [density])
                    });
                    one && kind(said.text) == kind(text)
                };
                if let Some(said) = all.iter_mut().find(same) {
                    said.alike += 1;
                    continue;
                }
                all.push(Said { text, alike: 0, of: Vec::new() });
                all.len() - 1
            }
        };
        let Some((strategy, density)) = who else { continue };
        let of = &mut all[place].of;
        match of.iter_mut().find(|(name, _)| *name == strategy) {
            Some((_, densities)) => densities.push(density),
            None => of.push((strategy, vec![density])),
        }
    }
    let line = |said: Said| match &said.of[..] {
        [] => said.text.to_owned(),
        [(strategy, densities)] if densities.len() == 1 => {
            let alike = match said.alike {
                0 => String::new(),
                n => format!(" (alike in {n} more)"),
            };
            format!("{strategy}{AT}{}: {}{alike}", densities[0], said.text)
        }
        of => {
            let each = of.iter().map(|(name, d)| format!("{name}{AT}{}", d.join(", ")));
            format!("{} ({})", said.text, each.collect::<Vec<_>>().join("; "))
        }
    };
    all.into_iter().map(line).collect()
}
