//! Matrix instructions against their definitions, one element at a time.

use bytemuck::{Pod, Zeroable};
use half::bf16;

use super::device::{Device, shape};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Load {
    x: u64,
    out: u64,
    transposed: u32,
    filler: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Convert {
    x: u64,
    y: u64,
    back: u64,
    pairs: u64,
    len: u32,
    filler: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Gemm {
    a: u64,
    b: u64,
    d: u64,
    k: u32,
    filler: u32,
}

#[test]
fn ldmatrix() {
    let device = Device::fresh();
    // Matrix m, row r, column c has the value 100 m + 10 r + c.
    let x: Vec<u16> = (0..256).map(|i| i / 64 * 100 + i / 8 % 8 * 10 + i % 8).collect();
    let (x, out) = (device.upload(&x), device.allocate(512));
    for transposed in [0, 1] {
        let args = Load { x, out, transposed, filler: 0 };
        assert_eq!(device.run("test_tensor", "ldmatrix", shape(1, 32, 512), &args), 0);
        let out = device.download::<u32>(out, 128);
        for (i, &pair) in out.iter().enumerate() {
            let (lane, m) = (i as u32 / 4, i as u32 % 4);
            let value = |second: u32| {
                let (outer, inner) = (lane / 4, lane % 4 * 2 + second);
                let (row, column) = if transposed == 1 { (inner, outer) } else { (outer, inner) };
                100 * m + 10 * row + column
            };
            assert_eq!(pair, value(0) | value(1) << 16, "lane {lane}, matrix {m}");
        }
    }
}

#[test]
fn bf16_conversions_round_as_ieee() {
    let device = Device::fresh();
    let mut x: Vec<f32> = vec![
        0.0,
        -0.0,
        1.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        f32::from_bits(0x3f808000), // ties, to even below and above
        f32::from_bits(0x3f818000),
        f32::from_bits(0x3f808001),
        f32::NAN,
        -f32::NAN,
    ];
    x.extend((0..500u32).map(|i| f32::from_bits(i.wrapping_mul(0x9e37_79b9))));
    let len = x.len();
    let args = Convert {
        x: device.upload(&x),
        y: device.allocate(2 * len),
        back: device.allocate(4 * len),
        pairs: device.allocate(4 * len),
        len: len as u32,
        filler: 0,
    };
    assert_eq!(device.run("test_tensor", "convert", shape(9, 64, 0), &args), 0);
    let bits = |v: f32| if v.is_nan() { 0x7fff } else { bf16::from_f32(v).to_bits() };
    let y = device.download::<u16>(args.y, len);
    let back = device.download::<f32>(args.back, len);
    let pairs = device.download::<u32>(args.pairs, len);
    for i in 0..len {
        assert_eq!(y[i], bits(x[i]), "{:e}", x[i]);
        assert_eq!(back[i].to_bits(), u32::from(y[i]) << 16);
        assert_eq!(pairs[i], u32::from(y[i]) | u32::from(bits(x[len - 1 - i])) << 16);
    }
}

/// Asynchronous copies, matrix loads and mma together: small integers, so every sum is exact.
#[test]
fn tensor_core_product() {
    let device = Device::fresh();
    for k in [16, 32, 80] {
        let number = |i: usize, step: usize| ((i * step) % 17) as f32 - 8.0;
        let a: Vec<f32> = (0..64 * k).map(|i| number(i, 7)).collect();
        let b: Vec<f32> = (0..32 * k).map(|i| number(i, 11)).collect();
        let stored = |v: &[f32]| v.iter().map(|&v| bf16::from_f32(v).to_bits()).collect::<Vec<_>>();
        let args = Gemm {
            a: device.upload(&stored(&a)),
            b: device.upload(&stored(&b)),
            d: device.allocate(4 * 64 * 32),
            k: k as u32,
            filler: 0,
        };
        // SAFETY: takes any number.
        unsafe { (device.cuda.fairprune_emulator_count_bank_conflicts)(1) };
        for order in 0..3 {
            device.set_order(order);
            let code = device.run("test_tensor", "gemm", shape(1, 128, 2 * 96 * 24 * 2), &args);
            assert_eq!(code, 0, "{}", device.findings()[0].text());
            let d = device.download::<f32>(args.d, 64 * 32);
            for (i, &d) in d.iter().enumerate() {
                let (row, column) = (i / 32, i % 32);
                let sum: f32 = (0..k).map(|k_| a[row * k + k_] * b[column * k + k_]).sum();
                assert_eq!(d, sum, "k {k}, ({row}, {column})");
            }
            let counted = device.counters(None);
            let read = 2 * 96 * k as u64;
            assert_eq!((counted.global_read_bytes, counted.global_read_unique_bytes), (read, read));
            // Three matrix loads and four products a warp and step of 16, and nothing conflicts.
            assert_eq!(counted.warp_instructions, 7 * 4 * k as u64 / 16);
            assert_eq!(counted.bank_conflicts, 0);
        }
    }
}

/// The sum of products is rounded once.
#[test]
fn mma_rounds_once() {
    let device = Device::fresh();
    let k = 16;
    let value =
        |i: usize, seed: usize| bf16::from_f32(((i * 7919 + seed) % 1009) as f32 / 512.0 - 1.0);
    let a: Vec<bf16> = (0..64 * k).map(|i| value(i, 5)).collect();
    let b: Vec<bf16> = (0..32 * k).map(|i| value(i, 77)).collect();
    let bits = |v: &[bf16]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let args = Gemm {
        a: device.upload(&bits(&a)),
        b: device.upload(&bits(&b)),
        d: device.allocate(4 * 64 * 32),
        k: k as u32,
        filler: 0,
    };
    assert_eq!(device.run("test_tensor", "gemm", shape(1, 128, 2 * 96 * 24 * 2), &args), 0);
    for (i, &d) in device.download::<f32>(args.d, 64 * 32).iter().enumerate() {
        let (row, column) = (i / 32, i % 32);
        let products = (0..k).map(|k_| a[row * k + k_].to_f64() * b[column * k + k_].to_f64());
        assert_eq!(d, products.sum::<f64>() as f32, "({row}, {column})");
    }
}
