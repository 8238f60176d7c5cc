//! `.npy` against files that NumPy wrote (tests/golden/npy/make.py).

use fairprune::artefact::npy::{self, Array, ArrayValues};
use std::fs;
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/npy").join(name)
}

fn same_bytes<T: npy::Element>(name: &str, shape: &[usize], data: &[T]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    npy::write(&path, shape, data).unwrap();
    assert!(fs::read(&path).unwrap() == fs::read(golden(name)).unwrap(), "{name} differs");
}

#[test]
fn writes_what_numpy_writes() {
    same_bytes("f32.npy", &[6], &[0.0, 1.5, -2.25, 3e38, 1e-45, f32::INFINITY]);
    same_bytes("f64.npy", &[3], &[0.1, -1e300, 5e-324]);
    same_bytes("i64.npy", &[5], &[0i64, 1, 5, 1 << 40, -7]);
    same_bytes("u8.npy", &[3], &[0u8, 127, 255]);
    same_bytes("bool.npy", &[4], &[true, false, true, true]);
    same_bytes("f32_2d.npy", &[2, 3], &[0.0f32, 0.25, 0.5, 0.75, 1.0, 1.25]);
    same_bytes::<i64>("i64_empty.npy", &[0], &[]);
    same_bytes("i64_long.npy", &[1000], &(0..1000).map(|i| i * 3).collect::<Vec<i64>>());
    same_bytes("u8_wide.npy", &[1, 1234], &[0u8; 1234]);
}

#[test]
fn reads_what_numpy_writes() {
    let read = |name: &str| npy::read(&golden(name)).unwrap();
    let array = |shape: &[usize], values| Array { shape: shape.to_vec(), values };
    let f32s = vec![0.0, 1.5, -2.25, 3e38, 1e-45, f32::INFINITY];
    assert_eq!(read("f32.npy"), array(&[6], ArrayValues::F32(f32s)));
    assert_eq!(read("f64.npy"), array(&[3], ArrayValues::F64(vec![0.1, -1e300, 5e-324])));
    assert_eq!(read("i64.npy"), array(&[5], ArrayValues::Int(vec![0, 1, 5, 1 << 40, -7])));
    assert_eq!(read("u8.npy"), array(&[3], ArrayValues::Int(vec![0, 127, 255])));
    assert_eq!(read("bool.npy"), array(&[4], ArrayValues::Bool(vec![true, false, true, true])));
    let quarters = vec![0.0, 0.25, 0.5, 0.75, 1.0, 1.25];
    assert_eq!(read("f32_2d.npy"), array(&[2, 3], ArrayValues::F32(quarters)));
    assert_eq!(read("f16.npy"), array(&[3], ArrayValues::F32(vec![0.5, -2.0, 65504.0])));
    assert_eq!(read("i32.npy"), array(&[2], ArrayValues::Int(vec![3, -4])));
    assert_eq!(read("u64.npy"), array(&[2], ArrayValues::Int(vec![3, 4])));
    assert_eq!(read("i64_empty.npy"), array(&[0], ArrayValues::Int(vec![])));
    assert_eq!(read("version2.npy"), array(&[2], ArrayValues::Int(vec![7, 8])));
}

#[test]
fn refuses_what_is_not_a_plain_array() {
    for (name, says) in [
        ("refused_big_endian.npy", "astype"),
        ("refused_fortran.npy", "ascontiguousarray"),
        ("refused_object.npy", "\"|O\""),
        ("refused_struct.npy", "plain array"),
        ("refused_scalar.npy", "0 axes"),
        ("refused_3d.npy", "3 axes"),
        ("refused_text.npy", "<U2"),
        ("refused_u64.npy", "9223372036854775808"),
        ("make.py", "numpy.save"),
    ] {
        let error = npy::read(&golden(name)).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(says), "{error}");
    }
    assert!(npy::read(&golden("absent.npy")).unwrap_err().to_string().contains("absent.npy"));
}

/// A file of format 1.0 with this header and `values` bytes of zeros.
fn file(header: &str, values: usize) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; values]);
    bytes
}

fn parse(bytes: &[u8]) -> Result<Array, String> {
    npy::read_from(bytes, bytes.len() as u64, "x.npy").map_err(|e| e.to_string())
}

#[test]
fn headers_of_other_writers_are_read() {
    for header in [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
        "{\"shape\": (2, ), \"descr\": \"<f4\", \"fortran_order\": False, }  \n",
        "{'fortran_order':True,'shape':(2,),'descr':'<f4'}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)}",
    ] {
        assert!(parse(&file(header, 8)).is_ok(), "{header}");
    }
}

#[test]
fn damaged_files_are_refused_without_allocating() {
    let good = fs::read(golden("f32.npy")).unwrap();
    for length in 0..good.len() {
        assert!(parse(&good[..length]).is_err(), "{length} bytes accepted");
    }
    let mut long = good.clone();
    long.push(0);
    assert!(parse(&long).unwrap_err().contains("25 bytes"));
    // Sizes that would overflow, or take all memory, before the file is known to hold them.
    for shape in [
        "(1000000000000,)",
        "(4294967296, 4294967296)",
        "(18446744073709551615,)",
        "(18446744073709551616,)",
        "(9223372036854775807, 3)",
    ] {
        let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
        assert!(parse(&file(&header, 16)).is_err(), "{shape}");
    }
    for header in [
        "",
        "{",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (+2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'other': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '\u{e9}\u{1F600}', 'fortran_order': False, 'shape': (2,)}",
    ] {
        assert!(parse(&file(header, 8)).is_err(), "{header}");
    }
    let huge = format!("{:60000}", "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}");
    assert!(parse(&file(&huge, 8)).unwrap_err().contains("60000 bytes"));
    let bad_bool = "{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}";
    let mut bytes = file(bad_bool, 1);
    bytes.push(2);
    assert!(parse(&bytes).unwrap_err().contains("2 at position 1"));
}

#[test]
fn positions_and_scores_are_checked() {
    let ints = |v: &[i64]| Array { shape: vec![v.len()], values: ArrayValues::Int(v.to_vec()) };
    assert_eq!(ints(&[4, 0, 2]).into_positions(5, "k").unwrap(), [4, 0, 2]);
    for bad in [5, -1, i64::MIN, i64::MAX] {
        let error = ints(&[0, bad]).into_positions(5, "k.npy").unwrap_err().to_string();
        assert!(error.contains("position 1") && error.contains("0 to 4"), "{error}");
    }
    let mask = |v: &[bool]| Array { shape: vec![v.len()], values: ArrayValues::Bool(v.to_vec()) };
    assert_eq!(mask(&[false, true, true]).into_positions(3, "k").unwrap(), [1, 2]);
    assert!(mask(&[false, true]).into_positions(3, "k").is_err());
    let floats = |v: &[f32]| Array { shape: vec![v.len()], values: ArrayValues::F32(v.to_vec()) };
    assert!(floats(&[0.0, 1.0]).into_positions(3, "k").is_err());
    assert_eq!(floats(&[0.5, -1.0]).into_scores(2, "s").unwrap(), [0.5, -1.0]);
    assert!(floats(&[0.5]).into_scores(2, "s").unwrap_err().to_string().contains("1 scores"));
    let error = floats(&[0.5, f32::NAN]).into_scores(2, "s").unwrap_err().to_string();
    assert!(error.contains("position 1") && error.contains("NaN"), "{error}");
    let matrix = Array { shape: vec![1, 2], values: ArrayValues::F32(vec![0.0, 1.0]) };
    assert!(matrix.into_scores(2, "s").is_err());
}
