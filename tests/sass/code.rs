//! This file reads the kernels' machine code: it finds the tool that lists the code of an image, and splits
//! the list into kernels, instructions and loops.

use std::path::{Path, PathBuf};
use std::process::Command;

/// nvcc's tool, beside an nvcc that this build may have used.
pub fn cuobjdump() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let releases = std::fs::read_dir(root.join(".cuda/nvidia")).into_iter().flatten().flatten();
    let installed = releases.map(|release| release.path().join("bin"));
    let variable = |name: &str| std::env::var_os(name).map(|v| PathBuf::from(v).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(variable);
    let folders = folders.chain(std::env::split_paths(&path)).chain(installed);
    let has = |folder: &PathBuf| ["cuobjdump", "nvdisasm"].iter().all(|t| folder.join(t).exists());
    Some(folders.into_iter().find(has)?.join("cuobjdump"))
}

pub fn listing(tool: &Path, family: &str) -> String {
    let image = Path::new(env!("OUT_DIR")).join(format!("{family}.fatbin"));
    let output = Command::new(tool).arg("-sass").arg(&image).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// One instruction: its address in the kernel, and its text.
pub type Instruction<'a> = (u64, &'a str);

/// A kernel's code on one architecture.
pub struct Code<'a> {
    pub kernel: &'a str,
    pub architecture: &'a str,
    pub instructions: Vec<Instruction<'a>>,
}

/// Kernels of `cuobjdump -sass`.
pub fn read(listing: &str) -> Vec<Code<'_>> {
    let mut architecture = "";
    let mut kernels: Vec<Code> = Vec::new();
    for line in listing.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("code for ") {
            architecture = name;
        } else if let Some(kernel) = line.strip_prefix("Function : ") {
            kernels.push(Code { kernel, architecture, instructions: Vec::new() });
        } else if let (Some(last), Some(instruction)) = (kernels.last_mut(), instruction(line)) {
            last.instructions.push(instruction);
        }
    }
    kernels
}

/// `/*0a10*/  BRA 0x40 ;  /* ... */`
fn instruction(line: &str) -> Option<Instruction<'_>> {
    let (address, rest) = line.strip_prefix("/*")?.split_once("*/")?;
    let (text, _) = rest.split_once(';')?;
    Some((u64::from_str_radix(address, 16).ok()?, text.trim()))
}

/// The operation without its guard: `LDGSTS.E.BYPASS.128`.
pub fn operation(text: &str) -> &str {
    text.split_whitespace().find(|word| !word.starts_with('@')).unwrap_or_default()
}

pub fn is(text: &str, name: &str) -> bool {
    operation(text).split('.').next() == Some(name)
}

/// Loops, from the target of a branch back to the branch.
fn loops<'a, 'c>(code: &'c Code<'a>) -> Vec<&'c [Instruction<'a>]> {
    let all = &code.instructions;
    let loops = all.iter().enumerate().filter_map(|(end, (address, text))| {
        let target = text.split_whitespace().last()?.strip_prefix("0x")?;
        let target = u64::from_str_radix(target, 16).ok()?;
        let back = is(text, "BRA") && target < *address;
        let begin = all.iter().position(|(a, _)| *a == target)?;
        back.then(|| &all[begin..=end])
    });
    loops.collect()
}

/// The innermost loops with products: a kernel has one for each kind of operand.
pub fn main_loops<'a, 'c>(code: &'c Code<'a>) -> Vec<&'c [Instruction<'a>]> {
    let mut found = loops(code);
    found.retain(|body| body.iter().any(|(_, t)| is(t, "HMMA")));
    let address = |at: Option<&Instruction>| at.map(|(address, _)| *address);
    let ends: Vec<_> = found.iter().map(|b| (address(b.first()), address(b.last()))).collect();
    let inner = |&(first, last): &_| {
        !ends.iter().any(|&(f, l)| (f, l) != (first, last) && f >= first && l <= last)
    };
    found.into_iter().zip(&ends).filter(|(_, e)| inner(e)).map(|(body, _)| body).collect()
}

/// Loops that read device memory.
pub fn reading_loops<'a, 'c>(code: &'c Code<'a>) -> Vec<&'c [Instruction<'a>]> {
    let mut found = loops(code);
    found.retain(|body| body.iter().any(|(_, t)| is(t, "LDG")));
    found
}
