//! Compiles the CUDA kernels where there is an nvcc, hands what they share with their launchers to Rust, and records
//! what a binary was built from.

#[path = "build/conformance.rs"]
mod conformance;
#[path = "build/contract.rs"]
mod contract;
#[path = "build/images.rs"]
mod images;
#[path = "build/nvcc.rs"]
mod nvcc;
#[path = "build/stamp.rs"]
mod stamp;
#[path = "build/tiles.rs"]
mod tiles;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    for path in ["build.rs", "build"] {
        println!("cargo:rerun-if-changed={path}");
    }
    stamp::record();
    if std::env::var_os("CARGO_FEATURE_TRAIN").is_none() {
        return ExitCode::SUCCESS;
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let done = tiles::write(&out)
        .and_then(|()| contract::write(&out))
        .and_then(|()| conformance::write(&out))
        .and_then(|()| images::write(&out));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
