//! Kernels that may begin before the one before them has ended: which do, and that no bit shows it. The
//! software device reports a kernel that touches device memory before it has waited.

use std::ffi::CString;
use std::sync::Arc;

use fairprune::cuda::{Cuda, FAMILIES};
use fairprune::exec::{Fusion, Mode};

use super::fusion::{BATCH, begin, executor, images};
use super::traffic::counters;
use super::{card, cuda_device};

/// Launches of all kernels so far, and those of them that may begin early.
fn launches() -> [u64; 2] {
    let names = FAMILIES.iter().flat_map(|(_, kernels)| kernels.iter());
    let all = names.map(|name| counters(&CString::new(*name).unwrap()));
    all.fold([0, 0], |[all, early], c| [all + c.launches, early + c.early])
}

/// Three steps: weights as bits, and the launches of the last one.
fn train(on: bool, record: bool) -> (Vec<u32>, [u64; 2]) {
    let cuda: Arc<Cuda> = Arc::new(cuda_device::open());
    cuda.set_dependent_launch(on);
    let images = images(&cuda);
    let mut executor = executor(&cuda, Fusion::ALL, record);
    let order: Vec<u32> = (0..BATCH as u32).collect();
    let mut last = [0, 0];
    for _ in 0..3 {
        begin(&mut executor, &order, &[0.1]);
        executor.state().unwrap();
        let [all, early] = launches();
        executor.step(Mode::Train, BATCH, &images).unwrap();
        assert_eq!(executor.state().unwrap().bad_step, None);
        last = launches();
        last = [last[0] - all, last[1] - early];
    }
    let weights = executor.weights().unwrap();
    let bits = weights.tensors.values().flat_map(|t| t.data.iter().map(|v| v.to_bits())).collect();
    (bits, last)
}

#[test]
fn kernels_begin_early_and_no_bit_shows_it() {
    let _alone = card();
    let (expected, [all, early]) = train(false, true);
    if cuda_device::real() {
        assert!(train(true, true).0 == expected && train(true, false).0 == expected);
        return;
    }
    println!("{all} launches a step");
    assert!(all > 50 && early == 0, "{early} of {all}");
    for record in [true, false] {
        let (bits, [again, early]) = train(true, record);
        assert!(bits == expected, "recorded {record}");
        // All but the first, and what follows a fill.
        println!("{early} of {again} launches may begin early, recorded: {record}");
        assert!(again == all && early < all && 10 * early > 9 * all, "{early} of {again}");
    }
}
