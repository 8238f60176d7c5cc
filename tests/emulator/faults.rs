//! One kernel a planted error (`kernels/emulator/tests/test_faults.cu`): the finding names the kind,
//! the kernel, the block, the thread and the address.

use bytemuck::{Pod, Zeroable};

use super::device::{Device, shape};

// enum fairprune_emulator_kind
const OUT_OF_BOUNDS: u32 = 1;
const USE_AFTER_FREE: u32 = 2;
const MISALIGNED: u32 = 3;
const UNINITIALISED: u32 = 4;
const COPY_UNDER_WAY: u32 = 5;
const READ_AFTER_WRITE: u32 = 6;
const WRITE_AFTER_READ: u32 = 7;
const WRITE_AFTER_WRITE: u32 = 8;
const PARAMETER_WRITE: u32 = 9;
const DIVERGENT_BARRIER: u32 = 10;
const BARRIER_NOT_REACHED: u32 = 11;
const MISSING_LANES: u32 = 12;
const NOT_WAITED: u32 = 15;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Args {
    data: u64,
    other: u64,
    words: u64,
    filler: u64,
}

/// Where the finding must be.
#[derive(Clone, Copy, Debug)]
enum At {
    /// Bytes behind the start of `data`.
    Data(i64),
    Words,
    Shared(i64),
    /// Outside device memory: any address, this one.
    Foreign,
    Null,
    /// At no address.
    None,
}

/// What is planted: kernel, kind, blocks, threads, where, block and thread of the finding, and of a
/// race the thread before.
type Case = (&'static str, u32, u32, u32, At, u32, u32, Option<u32>);

/// `data` has 100 values and `other` 128, written; `words` has 4, the first of them 404. Shared
/// memory has 512 bytes.
#[rustfmt::skip]
const CASES: [Case; 53] = [
    ("global_overrun", OUT_OF_BOUNDS, 2, 64, At::Data(400), 1, 36, None),
    ("global_underrun", OUT_OF_BOUNDS, 1, 64, At::Data(-4), 0, 3, None),
    ("global_read_overrun", OUT_OF_BOUNDS, 1, 64, At::Data(400), 0, 7, None),
    ("null_pointer", OUT_OF_BOUNDS, 1, 64, At::Null, 0, 9, None),
    ("freed_pointer", USE_AFTER_FREE, 1, 64, At::Data(16), 0, 2, None),
    ("foreign_stack", OUT_OF_BOUNDS, 1, 64, At::Foreign, 0, 1, None),
    ("shared_overrun", OUT_OF_BOUNDS, 1, 128, At::Shared(128), 0, 32, None),
    ("shared_underrun", OUT_OF_BOUNDS, 1, 64, At::Shared(-4), 0, 1, None),
    ("parameter_write", PARAMETER_WRITE, 1, 64, At::None, 0, 6, None),
    ("filled_overrun", OUT_OF_BOUNDS, 1, 64, At::Data(0), 0, 4, None),
    ("misaligned_global", MISALIGNED, 1, 64, At::Data(4), 0, 3, None),
    ("misaligned_word", MISALIGNED, 1, 64, At::Data(2), 0, 3, None),
    ("misaligned_shared", MISALIGNED, 1, 64, At::Shared(8), 0, 5, None),
    ("uninitialised_global", UNINITIALISED, 1, 64, At::Data(48), 0, 11, None),
    ("uninitialised_byte", UNINITIALISED, 1, 64, At::Words, 0, 0, None),
    ("uninitialised_shared", UNINITIALISED, 1, 64, At::Shared(52), 0, 13, None),
    ("read_after_write", READ_AFTER_WRITE, 1, 64, At::Shared(160), 0, 40, Some(1)),
    ("write_after_read", WRITE_AFTER_READ, 1, 64, At::Shared(160), 0, 40, Some(1)),
    ("write_after_write", WRITE_AFTER_WRITE, 1, 64, At::Shared(160), 0, 40, Some(1)),
    ("write_after_two_reads", WRITE_AFTER_READ, 1, 64, At::Shared(160), 0, 40, None),
    ("byte_race", WRITE_AFTER_WRITE, 1, 64, At::Shared(40), 0, 41, Some(40)),
    ("warp_barrier_between_warps", READ_AFTER_WRITE, 1, 64, At::Shared(160), 0, 40, Some(1)),
    ("warp_read_after_write", READ_AFTER_WRITE, 1, 64, At::Shared(20), 0, 5, Some(1)),
    ("warp_write_after_read", WRITE_AFTER_READ, 1, 64, At::Shared(20), 0, 5, Some(1)),
    ("warp_write_after_write", WRITE_AFTER_WRITE, 1, 64, At::Shared(20), 0, 5, Some(1)),
    ("shuffle_is_no_barrier", READ_AFTER_WRITE, 1, 64, At::Shared(20), 0, 5, Some(1)),
    ("global_race_in_block", READ_AFTER_WRITE, 1, 64, At::Data(160), 0, 40, Some(1)),
    ("blocks_write_one_place", WRITE_AFTER_WRITE, 2, 64, At::Data(20), 1, 8, Some(8)),
    ("block_reads_others", READ_AFTER_WRITE, 2, 64, At::Data(0), 1, 8, Some(0)),
    ("block_overwrites_what_others_read", WRITE_AFTER_READ, 2, 64, At::Data(4), 1, 8, None),
    ("plain_beside_atomic", WRITE_AFTER_WRITE, 2, 64, At::Words, 1, 8, Some(8)),
    ("plain_read_beside_atomic", READ_AFTER_WRITE, 2, 64, At::Words, 1, 8, Some(8)),
    ("divergent_barrier", DIVERGENT_BARRIER, 1, 64, At::None, 0, 32, None),
    ("barrier_not_reached", BARRIER_NOT_REACHED, 1, 128, At::None, 0, 96, None),
    ("missing_lanes", MISSING_LANES, 1, 64, At::None, 0, 17, None),
    ("different_instructions", MISSING_LANES, 1, 64, At::None, 0, 16, None),
    ("partial_warp", MISSING_LANES, 1, 40, At::None, 0, 32, None),
    ("copy_read_before_wait", COPY_UNDER_WAY, 1, 64, At::Shared(0), 0, 0, None),
    ("copy_waits_for_too_few", COPY_UNDER_WAY, 1, 64, At::Shared(256), 0, 0, None),
    ("copy_without_commit", COPY_UNDER_WAY, 1, 64, At::Shared(0), 0, 0, None),
    ("copy_without_barrier", READ_AFTER_WRITE, 1, 64, At::Shared(0), 0, 40, Some(1)),
    ("copy_over_what_others_read", WRITE_AFTER_READ, 1, 64, At::Shared(0), 0, 40, Some(1)),
    ("copy_source_changes", COPY_UNDER_WAY, 1, 64, At::Data(0), 0, 1, None),
    ("copy_misaligned", MISALIGNED, 1, 64, At::Data(8), 0, 1, None),
    ("copy_source_out_of_bounds", OUT_OF_BOUNDS, 1, 64, At::Data(400), 0, 1, None),
    ("copy_to_global", OUT_OF_BOUNDS, 1, 64, At::Foreign, 0, 1, None),
    ("ldmatrix_misaligned", MISALIGNED, 1, 32, At::Shared(152), 0, 9, None),
    ("early_read", NOT_WAITED, 1, 64, At::Data(20), 0, 5, None),
    ("early_write", NOT_WAITED, 1, 64, At::Data(24), 0, 6, None),
    ("early_atomic", NOT_WAITED, 1, 64, At::Words, 0, 7, None),
    ("early_copy", NOT_WAITED, 1, 64, At::Data(32), 0, 8, None),
    ("early_behind_a_barrier", NOT_WAITED, 1, 64, At::Data(36), 0, 9, None),
    ("early_end", NOT_WAITED, 1, 64, At::None, 0, 10, None),
];

/// The driver's answer to a finding of each kind.
fn code(kind: u32) -> u32 {
    match kind {
        OUT_OF_BOUNDS | USE_AFTER_FREE | PARAMETER_WRITE => 700,
        MISALIGNED => 716,
        _ => 719,
    }
}

fn arguments(device: &Device, name: &str) -> Args {
    let data = match name {
        "uninitialised_global" => device.allocate(400),
        _ => device.upload(&[1.0f32; 100]),
    };
    let words = match name {
        "uninitialised_byte" => device.allocate(16),
        _ => device.upload(&[404u32, 0, 0, 0]),
    };
    let other = if name == "null_pointer" { 0 } else { device.upload(&[1.0f32; 128]) };
    if name == "freed_pointer" {
        // SAFETY: an allocation of above.
        assert_eq!(unsafe { (device.cuda.cuMemFree_v2)(data) }, 0);
    }
    Args { data, other, words, filler: 0 }
}

/// Runs one kernel and returns the only finding.
fn find(device: &Device, case: &Case) -> (Args, super::library::Finding) {
    let (name, kind, blocks, threads, ..) = *case;
    let shared = if name == "shared_overrun" { 128 } else { 1024 };
    let args = arguments(device, name);
    let shape = shape(blocks, threads, shared);
    let answer = match name.starts_with("early") {
        true => device.run_early("test_faults", name, shape, &args),
        false => device.run("test_faults", name, shape, &args),
    };
    assert_eq!(answer, code(kind), "{name}");
    let findings = device.findings();
    assert_eq!(findings.len(), 1, "{name}");
    (args, findings[0])
}

#[test]
fn every_planted_error_is_found_where_it_is() {
    let device = Device::fresh();
    for case in &CASES {
        let (name, kind, _, _, at, block, thread, before) = *case;
        device.reset();
        let (args, finding) = find(&device, case);
        let text = finding.text();
        assert_eq!(finding.kind, kind, "{text}");
        assert_eq!(finding.kernel(), name, "{text}");
        assert_eq!((finding.block, finding.thread), ([block, 0, 0], [thread, 0, 0]), "{text}");
        let (space, address) = match at {
            At::Data(offset) => (1, args.data.wrapping_add_signed(offset)),
            At::Words => (1, args.words),
            At::Shared(offset) => (2, offset as u64),
            At::Foreign => (3, finding.address),
            At::Null => (3, 0),
            At::None => (0, finding.address),
        };
        assert_eq!((finding.space, finding.address), (space, address), "{text}");
        if let Some(before) = before {
            assert_eq!(
                (finding.other_block, finding.other_thread),
                ([0; 3], [before, 0, 0]),
                "{text}"
            );
        }
        assert!(text.starts_with(&format!("{name}, block ({block}, 0, 0)")), "{text}");
    }
}

#[test]
fn every_planted_error_is_found_in_every_order() {
    let device = Device::fresh();
    for order in [1, 2] {
        device.set_order(order);
        for case in &CASES {
            device.reset();
            let (_, finding) = find(&device, case);
            // Which of two racing accesses comes second depends on the order.
            let races = COPY_UNDER_WAY..=WRITE_AFTER_WRITE;
            let either = races.contains(&finding.kind) && races.contains(&case.1);
            assert!(finding.kind == case.1 || either, "order {order}: {}", finding.text());
            assert_eq!(finding.kernel(), case.0);
        }
    }
}

/// Every lane wrote the row that it gives, but all lanes receive it.
#[test]
fn a_matrix_load_needs_a_barrier() {
    let device = Device::fresh();
    for order in 0..3 {
        device.set_order(order);
        device.reset();
        let case =
            ("ldmatrix_without_barrier", READ_AFTER_WRITE, 1, 32, At::Shared(0), 0, 1, Some(0));
        let (_, finding) = find(&device, &case);
        assert_eq!((finding.kind, finding.space), (READ_AFTER_WRITE, 2), "{}", finding.text());
    }
}

/// The line of the source is in the text where the system can tell.
#[test]
fn a_finding_names_its_line() {
    let device = Device::fresh();
    let source = include_str!("../../kernels/emulator/tests/test_faults.cu");
    let planted = "if (ME == 1 || ME == 5) shared[5] = 1.0f;";
    let line = 1 + source.lines().position(|l| l.contains(planted)).expect("it is there");
    let case = CASES.iter().find(|c| c.0 == "warp_write_after_write").expect("it is there");
    let (_, finding) = find(&device, case);
    let addr2line = std::process::Command::new("addr2line").arg("--version").output();
    let expected = match addr2line {
        Ok(_) => format!("test_faults.cu:{line}"),
        Err(_) => "libcuda.so+0x".to_owned(),
    };
    assert!(finding.text().contains(&expected), "{}", finding.text());
}

/// After a finding the context answers its code to everything, until it is made anew.
#[test]
fn a_fault_stays() {
    let device = Device::fresh();
    let case = &CASES[0];
    find(&device, case);
    let (mut free, mut total, mut address) = (0, 0, 0);
    // SAFETY: outputs are writable; nothing else is followed.
    unsafe {
        let cuda = device.cuda;
        assert_eq!((cuda.cuMemGetInfo_v2)(&mut free, &mut total), 700);
        assert_eq!((cuda.cuMemAlloc_v2)(&mut address, 16), 700);
        assert_eq!((cuda.cuStreamSynchronize)(std::ptr::null_mut()), 700);
        // The last owner lets go: a new context is clean.
        while (cuda.cuDevicePrimaryCtxRelease_v2)(0) == 0 {}
        let mut context = std::ptr::null_mut();
        assert_eq!((cuda.cuDevicePrimaryCtxRetain)(&mut context, 0), 0);
        assert_eq!((cuda.cuCtxSetCurrent)(context), 0);
        assert_eq!((cuda.cuMemGetInfo_v2)(&mut free, &mut total), 0);
    }
    assert_eq!(free, total, "a new context owns no memory");
}
