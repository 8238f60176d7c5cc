//! The compiled kernels keep to the card's resources: no spilled registers, no stack frames, no
//! warning of the compiler or the assembler. Reads what nvcc said when the images of this build
//! were made (`--nocapture` shows the table).

use std::fmt::Write;
use std::path::Path;

use fairprune::cuda::{FAMILIES, built};

/// What one kernel uses on one architecture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Usage {
    kernel: String,
    architecture: String,
    registers: u32,
    stack_bytes: u32,
    spill_bytes: u32,
    /// Fixed shared memory; kernels ask for theirs at the launch.
    shared_bytes: u32,
}

/// Kernels of nvcc's messages (`-Xptxas -v`), and the lines that are warnings.
fn read(messages: &str) -> (Vec<Usage>, Vec<String>) {
    let mut kernels: Vec<Usage> = Vec::new();
    let mut warnings = Vec::new();
    for line in messages.lines() {
        let lower = line.to_lowercase();
        if lower.contains("warning") || lower.contains("performance loss") {
            warnings.push(line.trim().to_owned());
        } else if line.contains("Compiling entry function") {
            let mut quoted = line.split('\'').skip(1).step_by(2).map(str::to_owned);
            let (kernel, architecture) = quoted.next().zip(quoted.next()).unwrap_or_default();
            kernels.push(Usage { kernel, architecture, ..Usage::default() });
        } else if let Some(last) = kernels.last_mut() {
            let before = |unit: &str| number_before(line, unit);
            // Functions that were not inlined follow their kernel.
            last.stack_bytes = last.stack_bytes.max(before("bytes stack frame").unwrap_or(0));
            let spilled = ["bytes spill stores", "bytes spill loads"].map(before);
            last.spill_bytes += spilled.into_iter().flatten().sum::<u32>();
            last.registers = before("registers").unwrap_or(last.registers);
            last.shared_bytes = before("bytes smem").unwrap_or(last.shared_bytes);
        }
    }
    (kernels, warnings)
}

/// 12 of "..., 12 bytes smem" for "bytes smem".
fn number_before(line: &str, unit: &str) -> Option<u32> {
    let (before, _) = line.split_once(unit)?;
    before.split_whitespace().next_back()?.parse().ok()
}

/// What is wrong with a family's kernels, which should be `expected` on `architectures`.
fn faults(messages: &str, expected: &[&str], architectures: &[&str]) -> Vec<String> {
    let (kernels, mut faults) = read(messages);
    for usage in &kernels {
        let Usage { kernel, architecture, stack_bytes, spill_bytes, .. } = usage;
        if *stack_bytes > 0 || *spill_bytes > 0 {
            faults.push(format!(
                "{kernel} on {architecture}: {spill_bytes} bytes of spills, a stack frame of \
                 {stack_bytes} bytes; expected none"
            ));
        }
        if !expected.contains(&kernel.as_str()) {
            faults.push(format!("{kernel} is not in the list of src/cuda/kernels.rs"));
        }
    }
    for architecture in architectures.iter().filter(|a| a.starts_with("sm_")) {
        for name in expected {
            if !kernels.iter().any(|u| u.kernel == *name && u.architecture == *architecture) {
                faults.push(format!("{name} was not compiled for {architecture}"));
            }
        }
    }
    faults
}

#[test]
fn compiled_kernels_keep_to_the_cards_resources() {
    let Some(built) = built() else {
        let required = std::env::var("FAIRPRUNE_REQUIRE_NVCC").is_ok_and(|v| v == "1");
        assert!(!required, "FAIRPRUNE_REQUIRE_NVCC=1, but this build has no images");
        println!("skipped: built without nvcc (scripts/cuda-toolkit.sh installs it)");
        return;
    };
    let (mut table, mut found) = (String::new(), Vec::new());
    for (family, kernels) in FAMILIES {
        let log = Path::new(env!("OUT_DIR")).join(format!("{family}.ptxas"));
        let messages = std::fs::read_to_string(&log)
            .unwrap_or_else(|e| panic!("{}: {e}; kernels/{family}.cu?", log.display()));
        for Usage { kernel, architecture, registers, shared_bytes, .. } in read(&messages).0 {
            let _ = writeln!(
                table,
                "{kernel:<40} {architecture:<8} {registers:>3} registers {shared_bytes:>6} B fixed \
                 shared memory"
            );
        }
        let here = faults(&messages, kernels, built.architectures);
        found.extend(here.into_iter().map(|fault| format!("{family}: {fault}")));
    }
    println!("nvcc {}\n{table}", built.compiler);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_family_has_a_source_and_every_source_is_a_family() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sources = files.filter(|path| path.extension().is_some_and(|e| e == "cu"));
    let mut sources: Vec<String> =
        sources.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    let mut families: Vec<&str> = FAMILIES.iter().map(|(family, _)| *family).collect();
    sources.sort();
    families.sort();
    assert_eq!(families, sources);
}

const GOOD: &str = "\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'a' for 'sm_80'
ptxas info    : Function properties for a
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 22 registers, used 1 barriers, 48 bytes smem, 384 bytes cmem[0]
";

#[test]
fn planted_faults_are_found() {
    let usage = Usage {
        kernel: "a".to_owned(),
        architecture: "sm_80".to_owned(),
        registers: 22,
        shared_bytes: 48,
        ..Usage::default()
    };
    assert_eq!(read(GOOD), (vec![usage], vec![]));
    let good = faults(GOOD, &["a"], &["sm_80", "compute_80"]);
    assert!(good.is_empty(), "{good:?}");
    for (from, to) in [
        ("0 bytes stack", "16 bytes stack"),
        ("0 bytes spill stores", "4 bytes spill stores"),
        ("0 bytes spill loads", "4 bytes spill loads"),
        ("function 'a'", "function 'b'"),
        ("'sm_80'", "'sm_90a'"),
        ("ptxas info    : 0 bytes gmem", "ptxas info : (C7510) Potential Performance Loss: wgmma"),
        ("ptxas info    : 0 bytes gmem", "ptxas warning : Registers are spilled"),
    ] {
        let bad = GOOD.replace(from, to);
        assert_ne!(bad, GOOD);
        assert!(!faults(&bad, &["a"], &["sm_80"]).is_empty(), "{bad}");
    }
}
