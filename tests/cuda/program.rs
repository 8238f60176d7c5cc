//! The program in a process of its own, with a driver of the test's choice.

use std::path::Path;
use std::process::Command;

use crate::cuda_device::software_device;

/// What a finished process left.
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// The program with the libcuda and the images of the software device.
pub fn on_software_device() -> Command {
    let folder = software_device::directory();
    let mut command = with_driver(folder);
    command.env("FAIRPRUNE_KERNELS", folder.join("images"));
    command
}

/// The program with the libcuda in `folder`.
pub fn with_driver(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairprune"));
    command.env("LD_LIBRARY_PATH", folder);
    for variable in ["FAIRPRUNE_KERNELS", "CUDA_VISIBLE_DEVICES"] {
        command.env_remove(variable);
    }
    command
}

/// Runs it with the words of `line`; a panic is never right.
pub fn run(command: &mut Command, line: &str) -> Outcome {
    let output = command.args(line.split_whitespace()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    let code = output.status.code().unwrap_or_else(|| panic!("{line}: {:?}", output.status));
    let outcome = Outcome { code, out: text(output.stdout), err: text(output.stderr) };
    assert!(!outcome.err.contains("panicked"), "{line}\n{}", outcome.err);
    outcome
}
