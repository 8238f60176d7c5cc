//! One image a family, and the table of them that the binary embeds.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::nvcc::Nvcc;

const FOLDER: &str = "kernels";

/// Compiles what changed and writes `images.rs`; without nvcc, or the feature `cuda`, its table is empty.
pub fn write(out: &Path) -> Result<(), String> {
    let (sources, headers) = list()?;
    println!("cargo:rerun-if-env-changed=FAIRPRUNE_REQUIRE_NVCC");
    if std::env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return table(out, None, &[]);
    }
    let required = std::env::var("FAIRPRUNE_REQUIRE_NVCC").is_ok_and(|v| v == "1");
    match Nvcc::find()? {
        Some(nvcc) => {
            compile_all(&nvcc, &sources, &headers, out)?;
            table(out, Some(&nvcc), &sources)
        }
        None if required => Err("FAIRPRUNE_REQUIRE_NVCC=1, but no nvcc was found in $NVCC, \
             $CUDA_HOME/bin, $CUDA_PATH/bin, PATH or .cuda/; scripts/cuda-toolkit.sh installs one"
            .to_owned()),
        None => {
            println!(
                "cargo:warning=no nvcc: this build has no CUDA kernels and computes on the CPU; \
                 scripts/cuda-toolkit.sh installs the compiler (300 MB, no root)"
            );
            table(out, None, &[])
        }
    }
}

/// Sources, one a family; sorted.
pub fn sources() -> Result<Vec<PathBuf>, String> {
    Ok(list()?.0)
}

/// Headers that any of the sources may include; sorted.
pub fn headers() -> Result<Vec<PathBuf>, String> {
    Ok(list()?.1)
}

/// Sources, one a family, and the headers that any of them may include; sorted.
fn list() -> Result<(Vec<PathBuf>, Vec<PathBuf>), String> {
    let entries = std::fs::read_dir(FOLDER).map_err(|e| format!("{FOLDER}: {e}"))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let with = |extensions: &[&str]| -> Vec<PathBuf> {
        let wanted =
            |p: &&PathBuf| p.extension().is_some_and(|e| extensions.iter().any(|x| e == *x));
        paths.iter().filter(wanted).cloned().collect()
    };
    Ok((with(&["cu"]), with(&["cuh", "h"])))
}

pub fn family(source: &Path) -> String {
    source.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn image(out: &Path, source: &Path) -> PathBuf {
    out.join(format!("{}.fatbin", family(source)))
}

/// Compiles every family whose inputs are not those of its image, on as many threads as cargo
/// gives jobs.
fn compile_all(
    nvcc: &Nvcc,
    sources: &[PathBuf],
    headers: &[PathBuf],
    out: &Path,
) -> Result<(), String> {
    let mut shared = DefaultHasher::new();
    nvcc.settings().hash(&mut shared);
    for header in headers {
        read(header)?.hash(&mut shared);
    }
    let jobs = std::env::var("NUM_JOBS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(message) = compile(nvcc, source, &shared, out)
                && let Ok(mut failures) = failures.lock()
            {
                failures.push(message);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..sources.len().min(jobs) {
            scope.spawn(work);
        }
    });
    let mut failures = failures.into_inner().unwrap_or_default();
    failures.sort();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Compiles one family, unless its image is there and was made from the same inputs.
fn compile(nvcc: &Nvcc, source: &Path, shared: &DefaultHasher, out: &Path) -> Result<(), String> {
    let mut hasher = shared.clone();
    read(source)?.hash(&mut hasher);
    let inputs = format!("{:016x}", hasher.finish());
    let (image, mark) = (image(out, source), out.join(format!("{}.inputs", family(source))));
    let made = std::fs::read_to_string(&mark).is_ok_and(|before| before == inputs);
    if made && image.exists() {
        return Ok(());
    }
    let messages = nvcc.compile(source, &image)?;
    // What the kernels use: tests/images.rs holds them to it.
    write_if_new(&out.join(format!("{}.ptxas", family(source))), messages.as_bytes())?;
    write_if_new(&mark, inputs.as_bytes())
}

/// `images.rs`: `COMPILER`, `ARCHITECTURES`, and `IMAGES` with the families' bytes.
fn table(out: &Path, nvcc: Option<&Nvcc>, sources: &[PathBuf]) -> Result<(), String> {
    let compiler = nvcc.map(|n| &n.version);
    let architectures = nvcc.map_or(&[][..], |n| &n.architectures);
    let mut text = format!(
        "pub const COMPILER: Option<&str> = {compiler:?};\n\
         pub const ARCHITECTURES: &[&str] = &{architectures:?};\n\
         pub static IMAGES: &[(&str, &[u8])] = &[\n"
    );
    for source in sources {
        let (name, path) = (family(source), image(out, source));
        text.push_str(&format!("    ({name:?}, include_bytes!({path:?})),\n"));
    }
    text.push_str("];\n");
    write_if_new(&out.join("images.rs"), text.as_bytes())
}

pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// Leaves a file alone that already says so: its time decides what is compiled anew.
pub fn write_if_new(path: &Path, content: &[u8]) -> Result<(), String> {
    if std::fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    std::fs::write(path, content).map_err(|e| format!("{}: {e}", path.display()))
}
