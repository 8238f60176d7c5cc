//! Finds nvcc and compiles one family.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the kernels are compiled for: machine code for two generations of cards, and the portable
/// form that the driver compiles for all others.
const ARCHITECTURES: &str = "sm_80 sm_90a compute_80";
/// No contraction but by `fma_f32`: the software device computes the same bits. The assembler
/// reports what every kernel uses; tests/images.rs reads that.
const FLAGS: [&str; 5] =
    ["-O3", "--fmad=false", "-std=c++17", "--fatbin", "-Xptxas=-v,-warn-spills,-warn-lmem-usage"];

/// A compiler and what it compiles for.
pub struct Nvcc {
    path: PathBuf,
    /// The version that the compiler states: `13.0.88`.
    pub version: String,
    pub architectures: Vec<String>,
}

impl Nvcc {
    /// `$NVCC`, then `bin/nvcc` in `$CUDA_HOME` and `$CUDA_PATH`, then `PATH`, then what
    /// scripts/cuda-toolkit.sh installs. None where there is none; a `$NVCC` that does not run is
    /// an error.
    pub fn find() -> Result<Option<Nvcc>, String> {
        for variable in ["NVCC", "CUDA_HOME", "CUDA_PATH", "FAIRPRUNE_CUDA_ARCHS"] {
            println!("cargo:rerun-if-env-changed={variable}");
        }
        let architectures = architectures()?;
        let named = variable("NVCC").map(PathBuf::from);
        let mut candidates: Vec<PathBuf> = named.iter().cloned().collect();
        for root in ["CUDA_HOME", "CUDA_PATH"] {
            candidates.extend(variable(root).map(|folder| Path::new(&folder).join("bin/nvcc")));
        }
        let folders = variable("PATH").unwrap_or_default();
        candidates.extend(std::env::split_paths(&folders).map(|folder| folder.join("nvcc")));
        candidates.extend(installed());
        for path in candidates {
            let version = version(&path);
            if let Some(version) = version {
                return Ok(Some(Nvcc { path, version, architectures }));
            }
            if named.as_ref() == Some(&path) {
                return Err(format!("NVCC={}: this is no compiler that runs", path.display()));
            }
        }
        Ok(None)
    }

    /// What decides an image besides the sources.
    pub fn settings(&self) -> String {
        format!("{} {} {:?} {:?}", self.path.display(), self.version, self.architectures, FLAGS)
    }

    /// Compiles `source` to the fatbin `image` and returns nvcc's messages; where it fails they are
    /// the error.
    pub fn compile(&self, source: &Path, image: &Path) -> Result<String, String> {
        let output = Command::new(&self.path)
            .args(FLAGS)
            .args(self.architectures.iter().map(|a| generate(a)))
            .arg(source)
            .arg("-o")
            .arg(image)
            .output()
            .map_err(|e| format!("{}: {e}", self.path.display()))?;
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            return Ok(messages);
        }
        Err(format!("nvcc does not compile {}:\n{messages}", source.display()))
    }
}

fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// `FAIRPRUNE_CUDA_ARCHS`, separated by blanks or commas, else the default.
fn architectures() -> Result<Vec<String>, String> {
    let text = std::env::var("FAIRPRUNE_CUDA_ARCHS").unwrap_or_default();
    let text = if text.trim().is_empty() { ARCHITECTURES.to_owned() } else { text };
    let list: Vec<String> =
        text.split([' ', ',']).filter(|a| !a.is_empty()).map(str::to_owned).collect();
    let good = |a: &String| a.strip_prefix("sm_").or(a.strip_prefix("compute_")).is_some();
    match list.iter().find(|a| !good(a)) {
        None => Ok(list),
        Some(bad) => Err(format!(
            "FAIRPRUNE_CUDA_ARCHS: found {bad}, expected sm_NN (machine code) or compute_NN (PTX)"
        )),
    }
}

/// nvcc's option for `sm_80` (machine code) or `compute_80` (PTX).
fn generate(architecture: &str) -> String {
    let number = architecture.trim_start_matches("sm_").trim_start_matches("compute_");
    format!("-gencode=arch=compute_{number},code={architecture}")
}

/// The compiler of scripts/cuda-toolkit.sh: `.cuda/nvidia/<release>/bin/nvcc`.
fn installed() -> Vec<PathBuf> {
    let mark = Path::new(".cuda/installed");
    if mark.exists() {
        println!("cargo:rerun-if-changed={}", mark.display());
    }
    let releases = std::fs::read_dir(".cuda/nvidia").into_iter().flatten().flatten();
    let root = std::env::current_dir().unwrap_or_default();
    let mut found: Vec<PathBuf> =
        releases.map(|release| root.join(release.path()).join("bin/nvcc")).collect();
    found.sort();
    found
}

/// `13.0.88` of "Cuda compilation tools, release 13.0, V13.0.88"; None where nothing runs.
fn version(nvcc: &Path) -> Option<String> {
    let output = Command::new(nvcc).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("release"))?;
    Some(line.rsplit(", V").next()?.trim().to_owned()).filter(|_| output.status.success())
}
