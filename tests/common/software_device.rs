//! The software CUDA device (`kernels/emulator`), built once a state of the kernel sources and
//! shared by all test binaries.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder with `libcuda.so` and `images/<family>.fatbin`, test kernels included. Builds it if
/// these sources were not built before; needs g++ and binutils. `FAIRPRUNE_EMULATOR_BUILD=DIR` names one
/// that kernels/emulator/build.sh built, of other kernels than these (scripts/mutate-kernels.py).
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| match std::env::var_os("FAIRPRUNE_EMULATOR_BUILD") {
        Some(folder) => PathBuf::from(folder),
        None => build(),
    })
}

fn build() -> PathBuf {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("inside target");
    let out = target.join(format!("emulator-{}", state(&kernels)));
    // Test binaries run at the same time: the first builds, the others wait.
    let lock = File::create(target.join("emulator.lock")).expect("the lock file is writable");
    lock.lock().expect("the lock file can be locked");
    let complete = out.join("complete");
    if !complete.exists() {
        let script = kernels.join("emulator/build.sh");
        let built = Command::new("bash").arg(script).arg(&out).arg("tests").output();
        let built = built.expect("bash runs");
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "the software device does not build:\n{said}");
        fs::write(&complete, "").expect("target is writable");
    }
    out
}

/// Sixteen digits of a hash over all kernel sources and the compiler's version.
fn state(kernels: &Path) -> String {
    let mut files = Vec::new();
    collect(kernels, &mut files);
    files.sort();
    let mut hash = blake3::Hasher::new();
    for file in &files {
        let content = fs::read(file).expect("sources are readable");
        hash.update(
            file.strip_prefix(kernels).expect("collected there").as_os_str().as_encoded_bytes(),
        );
        hash.update(&(content.len() as u64).to_le_bytes());
        hash.update(&content);
    }
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".to_owned());
    let version = Command::new(&compiler).arg("--version").output();
    let version = version.unwrap_or_else(|e| panic!("the software device needs {compiler}: {e}"));
    hash.update(&version.stdout);
    hash.finalize().to_hex()[..16].to_owned()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("kernels is readable") {
        let path = entry.expect("kernels is readable").path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}
