//! Instructions against what a card recorded (`kernels/conformance`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytemuck::{Pod, Zeroable};
use half::bf16;
use serde_json::Value;

use super::device::{Device, shape};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Args {
    x: u64,
    out: u64,
}

/// One line of the list in conformance.cu.
struct Function {
    name: String,
    threads: u32,
    words_in: usize,
    words_out: usize,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/conformance")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The list `CONFORMANCE_FUNCTIONS`: `X(name, threads, words in, words out, kind)`.
fn functions() -> Vec<Function> {
    let source = read(&folder().join("conformance.cu"));
    let lines = source.lines().filter_map(|l| l.trim().strip_prefix("X("));
    let list: Vec<Function> = lines
        .map(|line| {
            let fields: Vec<&str> = line.split([',', ')']).map(str::trim).collect();
            let number = |i: usize| fields[i].parse().expect("a number of the list");
            let [threads, words_in, words_out] = [1, 2, 3].map(number);
            Function { name: fields[0].to_owned(), threads: threads as u32, words_in, words_out }
        })
        .collect();
    assert!(!list.is_empty());
    list
}

fn run(device: &Device, function: &Function, input: &[u32]) -> Vec<u32> {
    let words = function.threads as usize * function.words_out;
    let (x, out) = (device.upload(input), device.upload(&vec![0xcdcd_cdcd_u32; words]));
    let name = format!("conformance_{}", function.name);
    let shape = shape(1, function.threads, 4096);
    assert_eq!(device.run("conformance", &name, shape, &Args { x, out }), 0, "{name}");
    assert_eq!(device.findings().len(), 0, "{name}");
    device.download(out, words)
}

/// What ptx.cuh declares for the card is what there is a kernel for.
#[test]
fn every_function_has_its_kernel() {
    let source = read(&folder().parent().unwrap().join("ptx.cuh"));
    let card = source.split("#else").nth(1).expect("the card's forms");
    let declared: BTreeSet<&str> = card
        .lines()
        .filter_map(|l| l.strip_prefix("DEVICE "))
        .filter_map(|l| l.split('(').next()?.split_whitespace().last())
        // They compute nothing: where a pointer points, and what the copies' kernels do as well.
        .filter(|&name| !["shared_address", "async_copy_commit"].contains(&name))
        // Nothing to see in one launch: tests/sass.rs, and `selftest`'s whole steps.
        .filter(|&name| !["dependency_wait", "dependents_launch"].contains(&name))
        .collect();
    let functions = functions();
    let listed: BTreeSet<&str> = functions.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(declared, listed);
}

/// Inputs as any, so that special values and all bits occur.
#[test]
fn every_kernel_runs_clean_and_repeats() {
    let device = Device::fresh();
    for function in functions() {
        let words = function.threads as usize * function.words_in;
        let input: Vec<u32> = (0..words as u32).map(|i| i.wrapping_mul(2_654_435_769)).collect();
        let first = run(&device, &function, &input);
        assert_eq!(first, run(&device, &function, &input), "{}", function.name);
        // An output that nobody wrote would still hold the fill.
        let unwritten = first.iter().filter(|&&w| w == 0xcdcd_cdcd).count();
        assert_eq!(unwritten, 0, "{}", function.name);
    }
}

/// Recorded words equal ours, bit for bit; the sums of mma within the rounding that cards have.
#[test]
fn recorded_vectors() {
    let device = Device::fresh();
    let functions = functions();
    let mut confirmed = BTreeSet::new();
    let vectors = std::fs::read_dir(folder().join("vectors")).expect("a folder of vectors");
    for path in vectors.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some()) {
        for line in read(&path).lines() {
            let record: Value = serde_json::from_str(line).expect("a line of JSON");
            let Some(name) = record["function"].as_str() else { continue };
            let function = functions.iter().find(|f| f.name == name);
            let function = function.unwrap_or_else(|| panic!("{name} is recorded and unknown"));
            let words = |key: &str| hexadecimal(record[key].as_str().expect("words"));
            let (input, expected) = (words("in"), words("out"));
            let found = run(&device, function, &input);
            if name == "mma_m16n8k16_bf16" {
                judge_mma(&input, &expected, &found);
            } else {
                let alike = |(a, b): (&u32, &u32)| a == b || both_nan(name, *a, *b);
                let same = found.iter().zip(&expected).all(alike);
                assert!(same, "{name}: {found:08x?}, the card {expected:08x?}");
            }
            confirmed.insert(name.to_owned());
        }
    }
    let open: Vec<&str> =
        functions.iter().map(|f| f.name.as_str()).filter(|n| !confirmed.contains(*n)).collect();
    println!("confirmed: {confirmed:?}; unconfirmed: {open:?}");
}

/// Which NaN an fma gives is not part of its definition.
fn both_nan(name: &str, a: u32, b: u32) -> bool {
    name == "fma_f32" && f32::from_bits(a).is_nan() && f32::from_bits(b).is_nan()
}

fn hexadecimal(text: &str) -> Vec<u32> {
    let digits: Vec<char> = text.chars().collect();
    let word = |c: &[char]| u32::from_str_radix(&c.iter().collect::<String>(), 16).expect("hex");
    digits.chunks(8).map(word).collect()
}

/// Cards align the 16 products and the addend to the largest of them and cut off what lies below
/// 2^-23 of it: at most 17 such units apart.
fn judge_mma(input: &[u32], expected: &[u32], found: &[u32]) {
    let half = |lane: usize, word: usize, high: bool| {
        let bits = input[lane * 10 + word];
        f64::from(bf16::from_bits(if high { bits >> 16 } else { bits } as u16).to_f32())
    };
    for lane in 0..32 {
        for i in 0..4 {
            let (row, column) = (lane / 4 + i / 2 * 8, lane % 4 * 2 + i % 2);
            let mut largest = f64::from(f32::from_bits(input[lane * 10 + 6 + i])).abs();
            for k in 0..16 {
                // As ptx.cuh says where a and b lie.
                let a = half(row % 8 * 4 + k % 8 / 2, row / 8 + k / 8 * 2, k % 2 == 1);
                let b = half(column * 4 + k % 8 / 2, 4 + k / 8, k % 2 == 1);
                largest = largest.max((a * b).abs());
            }
            let [card, ours] =
                [expected, found].map(|w| f64::from(f32::from_bits(w[lane * 4 + i])));
            let bound = 17.0 * largest * 2f64.powi(-23);
            assert!((card - ours).abs() <= bound, "({row}, {column}): {ours}, the card {card}");
        }
    }
}
