//! The commands of `docs/guide.md`, taken from it and run in order on a small folder.

use crate::*;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide.md");

/// The commands of all `sh` blocks: one a line, or several lines joined by `\`; comments removed.
fn commands(guide: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let (mut inside, mut open) = (false, String::new());
    for line in guide.lines() {
        if line.starts_with("```") {
            assert_eq!(open, "", "a command that does not end");
            inside = line == "```sh";
        } else if inside {
            let line = line.split(" #").next().unwrap_or_default().trim();
            match line.strip_suffix('\\') {
                Some(part) => open.push_str(part),
                None if open.is_empty() && line.is_empty() => {}
                None => commands.push(std::mem::take(&mut open) + line),
            }
        }
    }
    commands
}

/// The same command for 36 images and seconds: the smallest network, few epochs and seeds.
fn small(command: &str) -> String {
    let mut words: Vec<&str> = command.split_whitespace().collect();
    let shrink = [
        ("--arch", "resnet8 --width 4"),
        ("--epochs", "1"),
        ("--batch", "8"),
        ("--image-size", "16"),
        ("--runs", "2"),
        ("--seeds", "2"),
        ("--min-per-class", "2"),
    ];
    for (flag, value) in shrink {
        if let Some(i) = words.iter().position(|w| *w == flag) {
            words[i + 1] = value;
        }
    }
    words.join(" ")
}

/// Names of files in backticks that begin with a folder that a command wrote.
fn named<'a>(guide: &'a str, folders: &[&str]) -> Vec<&'a str> {
    let quoted = guide.lines().flat_map(|l| l.split('`').skip(1).step_by(2));
    let inside = |name: &&str| {
        let first = name.split_once('/').map(|n| n.0);
        first.is_some_and(|f| folders.contains(&f)) && !name.contains(' ')
    };
    quoted.filter(inside).collect()
}

#[test]
fn the_guide_works() {
    let guide = fs::read_to_string(GUIDE).unwrap();
    let place = Place::new();
    place.tree("FOLDER", &[("train", [14, 12, 10]), ("val", [4, 4, 4])]);
    let commands = commands(&guide);
    assert!(commands.len() >= 10, "{} commands found", commands.len());
    let mut folders = Vec::new();
    for command in &commands {
        let line = small(command);
        let line = line.strip_prefix("fairprune ").unwrap_or_else(|| panic!("{line}"));
        good(place.path(), line);
        folders.extend(command.split(" --out ").nth(1).and_then(|o| o.split(' ').next()));
    }
    let files = named(&guide, &folders);
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        assert!(place.path().join(file).exists(), "{file}");
    }
}

#[test]
fn commands_are_found_and_shrunk() {
    let text = "a\n```sh\nfairprune x --runs 5  # why\n\nfairprune y \\\n  --epochs 9\n```\n```text\nz\n```\n";
    assert_eq!(commands(text), ["fairprune x --runs 5", "fairprune y --epochs 9"]);
    assert_eq!(
        small("fairprune y --epochs 9 --arch vgg16"),
        "fairprune y --epochs 1 --arch resnet8 --width 4"
    );
    assert_eq!(named("see `out/a.csv`, `b/c` and `out/x y`", &["out"]), ["out/a.csv"]);
}
