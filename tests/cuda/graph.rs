//! Captured work does nothing until it is replayed, and then the same each time.

use fairprune::backend::Backend;
use fairprune::cuda::tiles;
use fairprune::error::Error;

use crate::launch::{echo, echo_args};
use crate::{cuda_device, floats, words};

const LEN: usize = (2 * tiles::ECHO_THREADS * tiles::ECHO_WORDS) as usize;

#[test]
fn captured_work_runs_when_it_is_replayed() {
    let cuda = cuda_device::open();
    let mut memory = cuda.allocate(&[LEN * 4, 64], false).unwrap();
    let args = echo_args(cuda.pointer(&memory, words(0, LEN)).unwrap());
    let graph = cuda
        .capture(|| {
            cuda.fill(&mut memory, floats(1, 16), 3.0)?;
            echo(&cuda, [2, 1, 1], &args)
        })
        .unwrap();
    let read = |memory: &_| {
        let (mut record, mut filled) = (vec![0; LEN], vec![0.0; 16]);
        cuda.download_u32(memory, words(0, LEN), &mut record).unwrap();
        cuda.download(memory, floats(1, 16), &mut filled).unwrap();
        (record, filled)
    };
    assert_eq!(read(&memory), (vec![0; LEN], vec![0.0; 16]), "ran while being captured");
    // SAFETY: the memory lives.
    unsafe { cuda.replay(&graph) }.unwrap();
    let once = read(&memory);
    assert_eq!(once.0[6], 0xdead_beef);
    assert_eq!(once.1, [3.0; 16]);
    // What was there is overwritten again.
    cuda.upload_u32(&mut memory, words(0, LEN), &vec![9; LEN]).unwrap();
    cuda.fill(&mut memory, floats(1, 16), 4.0).unwrap();
    // SAFETY: the memory lives.
    unsafe { cuda.replay(&graph) }.unwrap();
    assert_eq!(read(&memory), once);
}

#[test]
fn what_cannot_be_captured_is_an_error_and_the_device_goes_on() {
    let cuda = cuda_device::open();
    let mut memory = cuda.allocate(&[LEN * 4], false).unwrap();
    let waited = cuda.capture(|| cuda.synchronize());
    assert!(matches!(waited, Err(Error::Device { .. })), "{:?}", waited.map(|_| ()));
    let copied = cuda.capture(|| cuda.upload(&mut memory, floats(0, 4), &[1.0; 4]));
    assert!(matches!(copied, Err(Error::Device { .. })), "{:?}", copied.map(|_| ()));
    // An error of the captured code is the one that is reported.
    let own = cuda.capture(|| Err(Error::Interrupted));
    assert!(matches!(own, Err(Error::Interrupted)));

    cuda.upload(&mut memory, floats(0, 4), &[1.0; 4]).unwrap();
    let args = echo_args(cuda.pointer(&memory, words(0, LEN)).unwrap());
    let graph = cuda.capture(|| echo(&cuda, [1, 1, 1], &args)).unwrap();
    // SAFETY: the memory lives.
    unsafe { cuda.replay(&graph) }.unwrap();
    cuda.synchronize().unwrap();
}

#[test]
fn a_graph_runs_on_its_own_device_only() {
    let (one, other) = (cuda_device::open(), cuda_device::open());
    let memory = one.allocate(&[LEN * 4], false).unwrap();
    let args = echo_args(one.pointer(&memory, words(0, LEN)).unwrap());
    let graph = one.capture(|| echo(&one, [1, 1, 1], &args)).unwrap();
    // SAFETY: refused, so that nothing runs.
    assert!(unsafe { other.replay(&graph) }.is_err());
}
