//! Commit, target and profile of a binary, for artefacts and `doctor`.

use std::path::Path;
use std::process::Command;

pub fn record() {
    let profile = std::env::var("PROFILE").unwrap_or_default();
    // A new commit would compile everything anew: development builds are not worth it.
    let commit = if profile == "release" { commit() } else { "unrecorded".to_owned() };
    println!("cargo:rustc-env=FAIRPRUNE_COMMIT={commit}");
    println!("cargo:rustc-env=FAIRPRUNE_TARGET={}", std::env::var("TARGET").unwrap_or_default());
    println!("cargo:rustc-env=FAIRPRUNE_PROFILE={profile}");
}

fn commit() -> String {
    // A path that does not exist would make every build a new one; in a work tree `.git` is a file.
    for name in ["HEAD", "logs/HEAD"] {
        match git(&["rev-parse", "--git-path", name]) {
            Some(path) if Path::new(&path).exists() => println!("cargo:rerun-if-changed={path}"),
            _ => {}
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned())
}

/// What `git` prints, or nothing outside a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|t| !t.is_empty())
}
