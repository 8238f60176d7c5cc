//! `completions` and `man`: every command is in them, and shells take the scripts.

use std::process::{Command as Process, Stdio};

use crate::*;

const COMMANDS: [&str; 9] =
    ["run", "train", "score", "prune", "quota", "eval", "doctor", "selftest", "bench"];

#[test]
fn completions_name_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = good(folder.path(), &format!("completions {shell}")).out;
        for name in COMMANDS {
            assert!(script.contains(name), "{shell} does not know {name}");
        }
        assert!(script.contains("--min-per-class") || script.contains("min-per-class"), "{shell}");
    }
    let bad = run(folder.path(), "completions tcsh");
    assert_eq!(bad.code, 2);
    assert!(bad.err.contains("tcsh") && bad.err.contains("fish"), "{}", bad.err);
}

#[test]
fn bash_takes_its_completions() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("fairprune.bash");
    fs::write(&script, good(folder.path(), "completions bash").out).unwrap();
    let test = "source \"$1\"; COMP_WORDS=(fairprune pru); COMP_CWORD=1; \
                _fairprune fairprune pru fairprune; echo \"${COMPREPLY[@]}\"";
    let mut bash = Process::new("bash");
    bash.args(["-c", test, "-"]).arg(&script).stderr(Stdio::inherit());
    let Ok(output) = bash.output() else {
        return println!("skipped: there is no bash");
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "prune");
}

#[test]
fn every_command_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let page = good(folder.path(), "man").out;
    assert!(page.starts_with(".ie") && page.contains(".TH fairprune"), "{page}");
    assert!(page.contains("prune data sets fairly"), "{page}");
    good(folder.path(), "man --out pages");
    for name in COMMANDS {
        let page = folder.path().join(format!("pages/fairprune-{name}.1"));
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains(".SH SYNOPSIS") && text.contains("threads"), "{name}");
    }
    assert!(folder.path().join("pages/fairprune.1").is_file());
}
