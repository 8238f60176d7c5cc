//! Records the commit, the target and the profile that a binary was built from, for artefacts and
//! `doctor`.
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A path that does not exist would make every build a new one; in a work tree `.git` is a file.
    for name in ["HEAD", "logs/HEAD"] {
        match git(&["rev-parse", "--git-path", name]) {
            Some(path) if Path::new(&path).exists() => println!("cargo:rerun-if-changed={path}"),
            _ => {}
        }
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=FAIRPRUNE_COMMIT={commit}");
    println!("cargo:rustc-env=FAIRPRUNE_TARGET={}", std::env::var("TARGET").unwrap_or_default());
    println!("cargo:rustc-env=FAIRPRUNE_PROFILE={}", std::env::var("PROFILE").unwrap_or_default());
}

/// What `git` prints, or nothing outside a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|t| !t.is_empty())
}
