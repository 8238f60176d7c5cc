//! What the device counts, on kernels whose traffic is known.

use super::correct::{Fill, Map};
use super::device::{Device, shape};
use super::library::Counters;

#[test]
fn global_traffic() {
    let device = Device::fresh();
    let (x, y) = (device.upload(&[1.0f32; 256]), device.allocate(1024));
    assert_eq!(
        device.run("test_correct", "repeated", shape(4, 64, 0), &Map { x, y, len: 0, filler: 0 }),
        0
    );
    let expected = Counters {
        launches: 1,
        blocks: 4,
        threads: 256,
        global_read_bytes: 3 * 1024,
        global_read_unique_bytes: 1024,
        global_written_bytes: 2 * 1024,
        global_written_unique_bytes: 1024,
        ..Counters::default()
    };
    assert_eq!(device.counters(None), expected);
    assert_eq!(device.counters(Some("repeated")), expected);
}

#[test]
fn launches_of_a_kernel_add_up() {
    let device = Device::fresh();
    let out = device.allocate(4000);
    for len in [1000, 10] {
        let args = Fill { out, len, value: 1.0 };
        assert_eq!(device.run("test_correct", "fill", shape(4, 256, 0), &args), 0);
    }
    let sum = device.counters(Some("fill"));
    assert_eq!((sum.launches, sum.blocks, sum.threads), (2, 8, 2048));
    // Unique in each launch.
    assert_eq!((sum.global_written_bytes, sum.global_written_unique_bytes), (4040, 4040));
    assert_eq!(device.counters(None).global_written_bytes, 40);
}

#[test]
fn bytes_copies_barriers_and_instructions() {
    let device = Device::fresh();
    let (x, y) = (device.upload(&[1.0f32; 300]), device.allocate(256));
    let args = Map { x, y, len: 300, filler: 0 };
    assert_eq!(device.run("test_correct", "pipeline", shape(1, 64, 768), &args), 0);
    let counted = device.counters(None);
    assert_eq!(counted.async_copies, 5 * 16);
    // 300 values arrive, in 75 copies; the other 5 bring zeros.
    assert_eq!((counted.global_read_bytes, counted.global_read_unique_bytes), (1200, 1200));
    assert_eq!((counted.shared_written_bytes, counted.shared_read_bytes), (5 * 256, 5 * 256));
    assert_eq!(counted.block_barriers, 5);
    let args = Map { x, y, len: 64, filler: 0 };
    assert_eq!(device.run("test_correct", "block_sums", shape(1, 256, 1024), &args), 0);
    // Five shuffles in each of eight warps.
    assert_eq!(device.counters(None).warp_instructions, 5 * 8);
}

/// A column of a 32 x 32 tile is in one bank; with rows 33 apart it is in all 32.
#[test]
fn bank_conflicts() {
    let device = Device::fresh();
    // SAFETY: takes any number.
    unsafe { (device.cuda.fairprune_emulator_count_bank_conflicts)(1) };
    let x: Vec<f32> = (0..1024).map(|i| i as f32).collect();
    let (x, y) = (device.upload(&x), device.allocate(4096));
    for (pitch, passes) in [(32, 32), (33, 1), (34, 2)] {
        for order in 0..3 {
            device.set_order(order);
            let args = Map { x, y, len: pitch, filler: 0 };
            assert_eq!(
                device.run("test_correct", "transpose", shape(1, 32, 4 * 34 * 32), &args),
                0
            );
            let counted = device.counters(None);
            assert_eq!(counted.bank_requests, 64, "{pitch}");
            assert_eq!(counted.bank_passes, 32 + 32 * passes, "{pitch}");
            assert_eq!(counted.bank_conflicts, 32 * (passes - 1), "{pitch}");
        }
    }
    assert_eq!(device.download::<f32>(y, 1024)[1], 32.0);
}
