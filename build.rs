//! Records the commit and the target that a binary was built from, for artefacts and `doctor`.
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/refs/heads");
    let commit = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()
        .filter(|o| o.status.success())
        .map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=FAIRPRUNE_COMMIT={commit}");
    println!("cargo:rustc-env=FAIRPRUNE_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
