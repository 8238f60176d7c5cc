//! Correct kernels run clean, with the same bits in every order; one that is not independent of
//! the order shows it.

use bytemuck::{Pod, Zeroable};

use super::device::{Device, Shape, shape};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Fill {
    pub out: u64,
    pub len: u32,
    pub value: f32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Map {
    pub x: u64,
    pub y: u64,
    pub len: u32,
    pub filler: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Bytes {
    x: u64,
    y: u64,
    len: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Count {
    x: u64,
    counts: u64,
    least: u64,
    order: u64,
    len: u32,
    filler: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Index {
    out: u64,
    filler: u64,
}

/// Values whose sums round.
fn values(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 2654435761) % 1000003) as f32 / 7.0 - 60000.0).collect()
}

fn run(device: &Device, name: &str, shape: Shape, args: &impl Pod) {
    let code = device.run("test_correct", name, shape, args);
    let texts: Vec<_> = device.findings().iter().map(|f| f.text().to_owned()).collect();
    assert_eq!(code, 0, "{name}: {texts:?}");
}

/// Runs `body` in every order and compares what it returns.
fn in_every_order<T: PartialEq + std::fmt::Debug>(body: impl Fn(&Device) -> T) -> T {
    let device = Device::fresh();
    let results: Vec<T> = (0..3)
        .map(|order| {
            device.reset();
            device.set_order(order);
            body(&device)
        })
        .collect();
    assert_eq!(results[0], results[1], "forward and backward");
    assert_eq!(results[0], results[2], "forward and shuffled");
    results.into_iter().next().expect("three")
}

#[test]
fn fill() {
    let out = in_every_order(|device| {
        let out = device.allocate(4 * 1000);
        run(device, "fill", shape(4, 256, 0), &Fill { out, len: 1000, value: 2.5 });
        device.download::<f32>(out, 1000)
    });
    assert_eq!(out, [2.5; 1000]);
}

#[test]
fn block_sums() {
    let x = values(1000);
    let y = in_every_order(|device| {
        let (x, y) = (device.upload(&x), device.allocate(4000));
        run(device, "block_sums", shape(4, 256, 1024), &Map { x, y, len: 1000, filler: 0 });
        device.download::<f32>(y, 1000)
    });
    for (i, &y) in y.iter().enumerate() {
        let block: Vec<f32> = (0..256).map(|t| *x.get(i / 256 * 256 + t).unwrap_or(&0.0)).collect();
        let mut sum = 0.0;
        for warp in block.chunks(32) {
            let mut tree = warp.to_vec();
            while tree.len() > 1 {
                let half = tree.len() / 2;
                tree = (0..half).map(|i| tree[i] + tree[i + half]).collect();
            }
            sum += tree[0];
        }
        assert_eq!(y, sum + (255 - i % 256) as f32, "{i}");
    }
}

#[test]
fn warp_mirror() {
    let x = values(256);
    let y = in_every_order(|device| {
        let (x, y) = (device.upload(&x), device.allocate(1024));
        run(device, "warp_mirror", shape(2, 128, 512), &Map { x, y, len: 256, filler: 0 });
        device.download::<f32>(y, 256)
    });
    for (i, &y) in y.iter().enumerate() {
        assert_eq!(y, x[i / 32 * 32 + 31 - i % 32] + x[i / 32 * 32 + 28], "{i}");
    }
}

/// Also when it may begin early; so may every other kernel, which waits at once.
#[test]
fn early_mirror() {
    let x = values(64);
    for early in [false, true] {
        let y = in_every_order(|device| {
            let (x, y) = (device.upload(&x), device.allocate(256));
            let (shape, args) = (shape(1, 64, 256), Map { x, y, len: 64, filler: 0 });
            let answer = match early {
                true => device.run_early("test_correct", "early_mirror", shape, &args),
                false => device.run("test_correct", "early_mirror", shape, &args),
            };
            assert_eq!(answer, 0, "{:?}", device.findings().len());
            let args = Map { x: 0, y, len: 64, filler: 0 };
            assert_eq!(device.run_early("test_correct", "rotate_in_place", shape, &args), 0);
            device.download::<f32>(y, 64)
        });
        for (i, &y) in y.iter().enumerate() {
            assert_eq!(y, x[63 - (i + 1) % 64], "{i}");
        }
    }
}

#[test]
fn rotate_in_place() {
    let x = values(192);
    let y = in_every_order(|device| {
        let y = device.upload(&x);
        run(device, "rotate_in_place", shape(3, 64, 0), &Map { x: 0, y, len: 192, filler: 0 });
        device.download::<f32>(y, 192)
    });
    for (i, &y) in y.iter().enumerate() {
        assert_eq!(y, x[i / 64 * 64 + (i + 1) % 64], "{i}");
    }
}

#[test]
fn bytes() {
    let x: Vec<u8> = (0..150).map(|i| (i * 37 % 251) as u8).collect();
    let y = in_every_order(|device| {
        let (x, y) = (device.upload(&x), device.allocate(150));
        run(device, "bytes", shape(3, 64, 64), &Bytes { x, y, len: 150 });
        device.download::<u8>(y, 150)
    });
    let at = |i: usize| *x.get(i).unwrap_or(&0);
    for (i, &y) in y.iter().enumerate() {
        let word = (0..4).fold(0u8, |sum, b| sum.wrapping_add(at(i / 4 * 4 + b)));
        assert_eq!(y, word.wrapping_add([3, 1, 4, 1][usize::from(at(i) % 4)]), "{i}");
    }
}

#[test]
fn histogram() {
    let x: Vec<u32> = (0..500).map(|i| 40 + (i * 7919) % 1009).collect();
    let (counts, least) = in_every_order(|device| {
        let args = Count {
            x: device.upload(&x),
            counts: device.upload(&[0u32; 16]),
            least: device.upload(&[u32::MAX, 0]),
            order: 0,
            len: 500,
            filler: 0,
        };
        run(device, "histogram", shape(8, 64, 0), &args);
        (device.download::<u32>(args.counts, 16), device.download::<u32>(args.least, 2))
    });
    for (bin, &count) in counts.iter().enumerate() {
        assert_eq!(count as usize, x.iter().filter(|&&v| v as usize % 16 == bin).count());
    }
    assert_eq!(least, [*x.iter().min().expect("some"), 7]);
}

#[test]
fn indices() {
    let (grid, block) = ([3, 2, 2], [4, 3, 2]);
    let out = in_every_order(|device| {
        let out = device.allocate(12 * 12 * 24 * 4);
        let shape = Shape { grid, block, shared: 0 };
        run(device, "indices", shape, &Index { out, filler: 0 });
        device.download::<u32>(out, 12 * 12 * 24)
    });
    for (i, row) in out.chunks(12).enumerate() {
        let (b, t) = (i as u32 / 24, i as u32 % 24);
        let expected = [[b % 3, b / 3 % 2, b / 6], [t % 4, t / 4 % 3, t / 12], grid, block];
        assert_eq!(row, expected.as_flattened(), "{i}");
    }
}

#[test]
fn pipeline() {
    let x = values(300);
    let y = in_every_order(|device| {
        let (x, y) = (device.upload(&x), device.allocate(256));
        run(device, "pipeline", shape(1, 64, 768), &Map { x, y, len: 300, filler: 0 });
        device.download::<f32>(y, 64)
    });
    for (t, &y) in y.iter().enumerate() {
        let mut sum = 0.0f32;
        for stage in 0..5 {
            sum = sum.mul_add(2.0, *x.get(stage * 64 + 63 - t).unwrap_or(&0.0));
        }
        assert_eq!(y, sum, "{t}");
    }
}

/// The numbers of the blocks, in the order in which they ran.
pub fn tickets(device: &Device, blocks: u32) -> Vec<u32> {
    let (counts, order) = (device.upload(&[0u32]), device.allocate(4 * blocks as usize));
    let args = Count { x: 0, counts, least: 0, order, len: blocks, filler: 0 };
    run(device, "tickets", shape(blocks, 32, 0), &args);
    device.download(order, blocks as usize)
}

/// A kernel whose result depends on the order of its blocks gives different results.
#[test]
fn dependence_on_the_order_shows() {
    let device = Device::fresh();
    let results: Vec<Vec<u32>> = (0..3)
        .map(|order| {
            device.set_order(order);
            tickets(&device, 20)
        })
        .collect();
    assert_eq!(results[0], (0..20).collect::<Vec<_>>());
    assert_eq!(results[1], (0..20).rev().collect::<Vec<_>>());
    assert!(results[2] != results[0] && results[2] != results[1], "{:?}", results[2]);
    let mut sorted = results[2].clone();
    sorted.sort();
    assert_eq!(sorted, results[0], "every block once");
}
