//! What kernels move, as the software device counts it: every tensor's bytes once in device memory,
//! the tiles' reads as planned, and few bank conflicts.

use std::ffi::{CStr, c_char, c_int, c_void};

use fairprune::cuda::tiles;
use fairprune::ops::batch_norm::BatchNormProblem;
use fairprune::ops::conv2d::{Conv2dProblem, GradNormForm, TileChoice, TileFamily, Tuning};
use fairprune::selftest::{Subject, batch_norm, conv2d};

use super::{card, cuda_device};

/// `fairprune_emulator_counters` of kernels/emulator/control.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub launches: u64,
    blocks: u64,
    threads: u64,
    read: u64,
    pub read_unique: u64,
    written: u64,
    pub written_unique: u64,
    shared_read: u64,
    shared_written: u64,
    block_barriers: u64,
    warp_instructions: u64,
    atomics: u64,
    async_copies: u64,
    bank_requests: u64,
    bank_passes: u64,
    bank_conflicts: u64,
    pub early: u64,
}

#[link(name = "dl")]
unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

fn function(name: &CStr) -> *mut c_void {
    const RTLD_NOW: c_int = 2;
    // SAFETY: the device is open, so this is its library, which is never closed.
    let address = unsafe { dlsym(dlopen(c"libcuda.so".as_ptr(), RTLD_NOW), name.as_ptr()) };
    assert!(!address.is_null(), "{name:?}");
    address
}

/// Sums over the launches of `kernel` so far.
pub fn counters(kernel: &CStr) -> Counters {
    let address = function(c"fairprune_emulator_get_counters");
    // SAFETY: the type is the header's.
    let get: unsafe extern "C" fn(*const c_char, *mut Counters) -> c_int =
        unsafe { std::mem::transmute(address) };
    let mut counters = Counters::default();
    // SAFETY: `counters` is writable, the name NUL-terminated. Without a launch it stays 0.
    unsafe { get(kernel.as_ptr(), &mut counters) };
    counters
}

impl Counters {
    fn since(&self, before: &Counters) -> Counters {
        Counters {
            launches: self.launches - before.launches,
            read: self.read - before.read,
            read_unique: self.read_unique - before.read_unique,
            written: self.written - before.written,
            written_unique: self.written_unique - before.written_unique,
            bank_passes: self.bank_passes - before.bank_passes,
            bank_conflicts: self.bank_conflicts - before.bank_conflicts,
            ..Counters::default()
        }
    }
}

/// What `kernel` moved during `call`, bank conflicts included.
fn count(kernel: &CStr, call: impl FnOnce()) -> Counters {
    let address = function(c"fairprune_emulator_count_bank_conflicts");
    // SAFETY: the type is the header's.
    let banks: unsafe extern "C" fn(c_int) = unsafe { std::mem::transmute(address) };
    let before = counters(kernel);
    // SAFETY: any number is a setting.
    unsafe { banks(1) };
    call();
    // SAFETY: as above.
    unsafe { banks(0) };
    counters(kernel).since(&before)
}

/// A convolution of several tiles in each direction; channels off the tile.
const CONVOLUTION: Conv2dProblem =
    Conv2dProblem { n: 2, h: 11, w: 10, c: 40, k: 72, r: 3, s: 3, stride: [1, 1], pad: [1, 1] };

fn bytes(values: usize) -> u64 {
    4 * values as u64
}

/// Tensors are read once from memory and written once; a tile reads its rows and columns of the
/// product, less what is padding; at most one in eight passes through shared memory is a conflict.
fn check(counted: Counters, launches: u64, tensors: [usize; 2], tile_reads: usize) {
    let Counters { read, read_unique, written, written_unique, .. } = counted;
    assert_eq!(counted.launches, launches);
    assert_eq!([read_unique, written_unique], tensors.map(bytes), "bytes read, written");
    assert_eq!(written, written_unique, "written once");
    let planned = bytes(tile_reads);
    assert!(read <= planned && 10 * read >= 8 * planned, "{read} bytes read, {planned} planned");
    let [passes, conflicts] = [counted.bank_passes, counted.bank_conflicts];
    assert!(8 * conflicts <= passes, "{conflicts} bank conflicts in {passes} passes");
}

#[test]
fn convolutions_read_their_tiles() {
    if cuda_device::real() {
        println!("skipped: a card does not count");
        return;
    }
    let cuda = card();
    let subject = Subject { backend: &*cuda, reduced: true };
    let p = CONVOLUTION;
    let i = conv2d::Inputs::random(&p);
    let calls = conv2d::Calls::new(&subject, &p, &i);
    let (x, w, y) = (p.x_len(), p.w_len(), p.y_len());
    let (positions, window) = (p.n * p.p() * p.q(), p.r * p.s * p.c);
    let tiles = |rows: usize, columns: usize| {
        let [tall, wide] = [tiles::CONV_WIDE_ROWS, tiles::CONV_WIDE_COLUMNS].map(|v| v as usize);
        [rows.div_ceil(tall), columns.div_ceil(wide)]
    };
    // A product reads its rows once a column of tiles, and its columns once a row of tiles.
    let product = |rows: usize, columns: usize, depth: usize| {
        let [down, across] = tiles(rows, columns);
        (rows * across + columns * down) * depth
    };

    let counted = count(c"conv2d_fprop_wide_f32", || drop(calls.fprop(false).unwrap()));
    check(counted, 1, [x + w, y], product(positions, p.k, window));

    let counted = count(c"conv2d_dgrad_wide_f32", || drop(calls.dgrad(false).unwrap()));
    // c = 40 channels, 64 a tile.
    check(counted, 1, [y + w, x], product(p.n * p.h * p.w, p.c, p.r * p.s * p.k));

    let counted = count(c"conv2d_wgrad_wide_f32", || drop(calls.wgrad(false).unwrap()));
    check(counted, 1, [x + y, w], product(window, p.k, positions));
}

/// The same of a product in bf16: tensors' bytes exactly, tiles' reads as planned, no conflict at all.
fn check16(counted: Counters, [read_bytes, written_bytes]: [u64; 2], tile_reads: usize) {
    let Counters { read, read_unique, written, written_unique, .. } = counted;
    assert_eq!(counted.launches, 1);
    assert_eq!([read_unique, written_unique], [read_bytes, written_bytes], "bytes read, written");
    assert_eq!(written, written_unique, "written once");
    let planned = 2 * tile_reads as u64;
    assert!(read <= planned && 10 * read >= 8 * planned, "{read} bytes read, {planned} planned");
    let [passes, conflicts] = [counted.bank_passes, counted.bank_conflicts];
    assert!(passes > 0 && conflicts == 0, "{conflicts} bank conflicts in {passes} passes");
}

/// Rows and columns of a tile, and the kernels of fprop, dgrad and wgrad that compute it.
type Kernels = ([u32; 2], [&'static CStr; 3]);

const MEDIUM: Kernels = (
    [tiles::MMA_MEDIUM_ROWS, tiles::MMA_MEDIUM_COLUMNS],
    [c"conv2d_fprop_medium_bf16", c"conv2d_dgrad_medium_bf16", c"conv2d_wgrad_medium_bf16"],
);
const NARROW: Kernels = (
    [tiles::MMA_NARROW_ROWS, tiles::MMA_NARROW_COLUMNS],
    [c"conv2d_fprop_narrow_bf16", c"conv2d_dgrad_narrow_bf16", c"conv2d_wgrad_narrow_bf16"],
);

#[test]
fn tensor_core_convolutions_read_their_tiles() {
    if cuda_device::real() {
        println!("skipped: a card does not count");
        return;
    }
    let cuda = card();
    let subject = Subject { backend: &*cuda, reduced: true };
    for (c, k, ([tall, wide], [fprop, dgrad, wgrad])) in [(40, 56, MEDIUM), (24, 32, NARROW)] {
        let p = Conv2dProblem { c, k, ..CONVOLUTION };
        let i = conv2d::Inputs::random(&p).rounded();
        let calls = conv2d::Calls::bf16(&subject, &p, &i);
        let [x, w, y] = [p.x_len(), p.w_len(), p.y_len()].map(|len| 2 * len as u64);
        let (positions, window) = (p.n * p.p() * p.q(), p.r * p.s * p.c);
        let product = |rows: usize, columns: usize, depth: usize| {
            let [down, across] = [rows.div_ceil(tall as usize), columns.div_ceil(wide as usize)];
            (rows * across + columns * down) * depth
        };
        let tile = [tall as usize, wide as usize];
        cuda.force(Some(TileChoice { tile, family: TileFamily::PerTap, splits: 1 }));
        let counted = count(fprop, || drop(calls.fprop(false).unwrap()));
        check16(counted, [x + w, y], product(positions, p.k, window));
        let counted = count(dgrad, || drop(calls.dgrad(false).unwrap()));
        check16(counted, [y + w, x], product(p.n * p.h * p.w, p.c, p.r * p.s * p.k));
        let counted = count(wgrad, || drop(calls.wgrad(false).unwrap()));
        // dw is f32.
        check16(counted, [x + y, 2 * w], product(window, p.k, positions));
    }
    // Wide tiles: wgrad of more than 64 output channels.
    let p = CONVOLUTION;
    let i = conv2d::Inputs::random(&p).rounded();
    let calls = conv2d::Calls::bf16(&subject, &p, &i);
    let [x, w, y] = [p.x_len(), p.w_len(), p.y_len()].map(|len| 2 * len as u64);
    let tile = [tiles::MMA_WIDE_ROWS, tiles::MMA_WIDE_COLUMNS].map(|v| v as usize);
    cuda.force(Some(TileChoice { tile, family: TileFamily::PerTap, splits: 1 }));
    let counted = count(c"conv2d_wgrad_wide_bf16", || drop(calls.wgrad(false).unwrap()));
    cuda.force(None);
    let down = (p.r * p.s * p.c).div_ceil(tiles::MMA_WIDE_ROWS as usize);
    let tile_reads = (p.r * p.s * p.c + p.k * down) * p.n * p.p() * p.q();
    check16(counted, [x + y, 2 * w], tile_reads);
}

/// The pixels of a tensor that tiles of `rows` positions see, in sum over the tiles.
fn halo(p: &Conv2dProblem, rows: usize) -> usize {
    let positions = p.n * p.h * p.w;
    let seen = |first: usize| {
        let end = (first + rows + p.w + 1).min(positions);
        end - first.saturating_sub(p.w + 1)
    };
    (0..positions).step_by(rows).map(seen).sum()
}

/// Tiles with a halo copy each pixel that they see once and the weights of their columns once, to the
/// byte; tensors' bytes exactly; no bank conflict.
#[test]
fn halos_are_read_once_a_tile() {
    if cuda_device::real() {
        println!("skipped: a card does not count");
        return;
    }
    let cuda = card();
    let subject = Subject { backend: &*cuda, reduced: true };
    for (c, k, tile, [fprop, dgrad]) in [
        (72, 80, [128, 128], [c"conv2d_fprop_halo_wide_bf16", c"conv2d_dgrad_halo_wide_bf16"]),
        (40, 56, [128, 64], [c"conv2d_fprop_halo_medium_bf16", c"conv2d_dgrad_halo_medium_bf16"]),
        (64, 64, [128, 64], [c"conv2d_fprop_halo_medium_bf16", c"conv2d_dgrad_halo_medium_bf16"]),
        (24, 32, [256, 32], [c"conv2d_fprop_halo_narrow_bf16", c"conv2d_dgrad_halo_narrow_bf16"]),
    ] {
        let p = Conv2dProblem { n: 3, c, k, ..CONVOLUTION };
        let i = conv2d::Inputs::random(&p).rounded();
        let calls = conv2d::Calls::bf16(&subject, &p, &i);
        let [x, w, y] = [p.x_len(), p.w_len(), p.y_len()].map(|len| 2 * len as u64);
        let down = (p.n * p.h * p.w).div_ceil(tile[0]);
        let planned =
            |channels: usize| 2 * (halo(&p, tile[0]) * channels + down * p.w_len()) as u64;
        cuda.force(Some(TileChoice { tile, family: TileFamily::Halo, splits: 1 }));
        let counted = [
            (count(fprop, || drop(calls.fprop(false).unwrap())), x + w, y, planned(c)),
            (count(dgrad, || drop(calls.dgrad(false).unwrap())), y + w, x, planned(k)),
        ];
        cuda.force(None);
        for (counted, read, written, planned) in counted {
            assert_eq!(counted.launches, 1);
            assert_eq!([counted.read_unique, counted.written_unique], [read, written]);
            assert_eq!(counted.written, written, "written once");
            assert_eq!(counted.read, planned, "{p:?} {tile:?}");
            let [passes, conflicts] = [counted.bank_passes, counted.bank_conflicts];
            assert!(passes > 0 && conflicts == 0, "{conflicts} bank conflicts in {passes} passes");
        }
    }
    // wgrad: 32 positions see 34 pixels, once a filter row.
    let p = Conv2dProblem { n: 3, c: 64, k: 72, ..CONVOLUTION };
    let i = conv2d::Inputs::random(&p).rounded();
    let calls = conv2d::Calls::bf16(&subject, &p, &i);
    let tile = [tiles::MMA_TALL_ROWS, tiles::MMA_TALL_COLUMNS].map(|v| v as usize);
    cuda.force(Some(TileChoice { tile, family: TileFamily::Halo, splits: 1 }));
    let counted = count(c"conv2d_wgrad_halo_bf16", || drop(calls.wgrad(false).unwrap()));
    cuda.force(None);
    let [x, w, y] = [p.x_len(), p.w_len(), p.y_len()].map(|len| 2 * len as u64);
    assert_eq!(counted.launches, 1);
    // dw is f32.
    assert_eq!([counted.read_unique, counted.written_unique], [x + y, 2 * w]);
    assert_eq!(counted.written, 2 * w, "written once");
    let (positions, across) = (p.n * p.h * p.w, p.k.div_ceil(tile[1]));
    // Three filter rows each read 34 pixels of x a stage and column tile, and all of dy.
    let planned = 2 * 3 * (across * positions.div_ceil(32) * 34 * p.c + positions * p.k) as u64;
    assert!(counted.read <= planned && 20 * counted.read >= 19 * planned, "{planned}: {counted:?}");
    assert_eq!(counted.bank_conflicts, 0, "{counted:?}");
}

/// Instantiated gradient norms: every filter row and column tile copies the 34 pixels that 32 of a sample's
/// positions see, and every filter row a sample's dy, to the byte; each tile leaves one f64; no bank conflict.
/// Gathered, the same tensors take more than twice the bytes.
#[test]
fn instantiated_norms_share_pixels() {
    if cuda_device::real() {
        println!("skipped: a card does not count");
        return;
    }
    let cuda = card();
    let subject = Subject { backend: &*cuda, reduced: true };
    let norms =
        |p: &Conv2dProblem, kernel: &CStr, [rows, columns]: [u32; 2], family: TileFamily| {
            let i = conv2d::Inputs::random(p).rounded();
            let calls = conv2d::Calls::bf16(&subject, p, &i);
            let tile = [rows as usize, columns as usize];
            cuda.force(Some(TileChoice { tile, family, splits: 1 }));
            let form = GradNormForm::Instantiate;
            let counted = count(kernel, || drop(calls.grad_norm(false, form).unwrap()));
            cuda.force(None);
            assert_eq!(counted.launches, 1);
            let partials = p.n * (9 * p.c).div_ceil(tile[0]) * p.k.div_ceil(tile[1]);
            let [read, written] = [2 * (p.x_len() + p.y_len()) as u64, 8 * partials as u64];
            assert_eq!([counted.read_unique, counted.written_unique], [read, written]);
            assert_eq!(counted.written, written, "written once");
            let [passes, conflicts] = [counted.bank_passes, counted.bank_conflicts];
            assert!(passes > 0 && conflicts == 0, "{conflicts} bank conflicts in {passes} passes");
            counted.read
        };
    let tall = [tiles::MMA_TALL_ROWS, tiles::MMA_TALL_COLUMNS];
    let halo = c"conv2d_grad_norm_instantiate_halo_bf16";
    let medium = c"conv2d_grad_norm_instantiate_medium_bf16";
    for (h, w, c, k) in [(11, 10, 64, 72), (7, 7, 128, 64), (16, 16, 64, 64)] {
        let p = Conv2dProblem { n: 3, h, w, c, k, ..CONVOLUTION };
        let (positions, all) = (h * w, 3 * h * w);
        // Those before the first image and behind the last are not there.
        let seen = |first: usize, r: usize| {
            let place = |pixel: usize| (pixel + r * w).saturating_sub(w + 1).min(all);
            place(first + 34) - place(first)
        };
        let stages =
            (0..3).flat_map(|n| (0..positions).step_by(32).map(move |t| n * positions + t));
        let pixels: usize = stages.flat_map(|first| (0..3).map(move |r| seen(first, r))).sum();
        let across = k.div_ceil(tall[1] as usize);
        let rows = 3 * c / 64;
        let planned = 2 * (across * pixels * c + rows * p.y_len()) as u64;
        assert_eq!(norms(&p, halo, tall, TileFamily::Halo), planned, "{p:?}");
        let gathered = norms(&p, medium, MEDIUM.0, TileFamily::PerTap);
        println!("{h} x {w}, {c} > {k}: {planned} bytes, gathered {gathered}");
        assert!(h < 16 || gathered > 2 * planned, "{gathered} gathered, {planned} with a halo");
    }
}

#[test]
fn batch_norm_reads_everything_twice_at_most() {
    if cuda_device::real() {
        println!("skipped: a card does not count");
        return;
    }
    let cuda = card();
    let subject = Subject { backend: &*cuda, reduced: true };
    let p = BatchNormProblem { n: 6, hw: 70, c: 96 };
    let i = batch_norm::Inputs::random(&p);
    let run = || drop(batch_norm::everything(&subject, &p, &i).unwrap());
    for (kernel, once, per_channel, reads) in [
        (c"batch_norm_apply_vector_f32", 2, 2, 1),
        (c"batch_norm_backward_apply_f32", 3, 5, 1),
        (c"batch_norm_backward_reduce_f32", 3, 2, 1),
        (c"batch_norm_backward_eval_f32", 3, 3, 1),
        (c"batch_norm_statistics_f32", 1, 0, 2),
    ] {
        let counted = count(kernel, run);
        let tensors = bytes(once * p.len() + per_channel * p.c);
        // backward_eval adds to the norms.
        let norms = if kernel == c"batch_norm_backward_eval_f32" { bytes(p.n) } else { 0 };
        assert_eq!(counted.read_unique, tensors + norms, "{kernel:?}");
        // Vectors of one value a channel are read again by each row of threads.
        let most = reads * bytes(once * p.len()) + per_channel as u64 * bytes(p.len());
        assert!(counted.read <= most + norms, "{kernel:?}: {counted:?}");
        let [passes, conflicts] = [counted.bank_passes, counted.bank_conflicts];
        assert!(8 * conflicts <= passes, "{kernel:?}: {conflicts} conflicts in {passes} passes");
    }
}
