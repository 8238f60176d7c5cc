//! Device memory: contents, bounds, and what is said when there is not enough.

use fairprune::backend::{Backend, View};
use fairprune::cuda::DevicePointer;
use fairprune::error::Error;
use fairprune::tensor::Dtype;

use crate::{cuda_device, floats, view, words};

#[test]
fn fresh_memory_is_poisoned_or_zero() {
    let cuda = cuda_device::open();
    for poison in [true, false] {
        // The second buffer ends inside a word; it has the whole word.
        let memory = cuda.allocate(&[1024, 1021, 0], poison).unwrap();
        for buffer in [0, 1] {
            let mut values = vec![5.0; 256];
            cuda.download(&memory, floats(buffer, 256), &mut values).unwrap();
            assert!(values.iter().all(|v| if poison { v.is_nan() } else { *v == 0.0 }), "{poison}");
        }
    }
}

#[test]
fn values_come_back_bit_for_bit_and_neighbours_stay() {
    let cuda = cuda_device::open();
    let mut memory = cuda.allocate(&[4096, 4096], true).unwrap();
    let at = view(1, 512, 100, Dtype::F32);
    let values: Vec<f32> = (0..100).map(|i| f32::from_bits(0x3f80_0000 + i * 7919)).collect();
    cuda.upload(&mut memory, at, &values).unwrap();
    let mut whole = vec![0.0; 1024];
    cuda.download(&memory, floats(1, 1024), &mut whole).unwrap();
    assert_eq!(whole[128..228], values);
    assert!(whole[..128].iter().chain(&whole[228..]).all(|v| v.is_nan()));

    let numbers: Vec<u32> = (0..100).map(|i| u32::MAX - i).collect();
    cuda.upload_u32(&mut memory, View { dtype: Dtype::U32, ..at }, &numbers).unwrap();
    let mut back = vec![0; 100];
    cuda.download_u32(&memory, View { dtype: Dtype::U32, ..at }, &mut back).unwrap();
    assert_eq!(back, numbers);
}

#[test]
fn a_fill_covers_its_view_and_no_more() {
    let cuda = cuda_device::open();
    let mut memory = cuda.allocate(&[2048], true).unwrap();
    cuda.fill(&mut memory, view(0, 256, 65, Dtype::F32), -2.5).unwrap();
    let mut values = vec![0.0; 512];
    cuda.download(&memory, floats(0, 512), &mut values).unwrap();
    for (i, v) in values.iter().enumerate() {
        assert!(if (64..129).contains(&i) { *v == -2.5 } else { v.is_nan() }, "{i}: {v}");
    }
    cuda.fill(&mut memory, words(0, 3), 0.0).unwrap();
    cuda.fill(&mut memory, View::EMPTY, 1.0).unwrap();
}

#[test]
fn bf16_is_rounded_on_the_way_in_and_exact_on_the_way_out() {
    let cuda = cuda_device::open();
    let mut memory = cuda.allocate(&[1024], true).unwrap();
    let at = view(0, 256, 6, Dtype::Bf16);
    // 1 + 2^-8 and 1 + 3 * 2^-8 lie between two values: to even.
    let tie = 1.0 / 256.0;
    let values = [1.0, 1.0 + tie, 1.0 + 3.0 * tie, -3.0e38, f32::INFINITY, 1.0e-45];
    cuda.upload(&mut memory, at, &values).unwrap();
    let mut back = [0.0; 6];
    cuda.download(&memory, at, &mut back).unwrap();
    assert_eq!(back[..3], [1.0, 1.0, 1.0 + 4.0 * tie]);
    assert!((back[3] / -3.0e38 - 1.0).abs() <= tie);
    assert_eq!(back[4..], [f32::INFINITY, 0.0]);
    // Two values a word, the first in the lower half; what lies behind stays.
    let mut words = vec![0; 4];
    cuda.download_u32(&memory, view(0, 256, 4, Dtype::U32), &mut words).unwrap();
    assert_eq!(words[..2], [0x3f80_3f80, words[1] & 0xffff_0000 | 0x3f82]);
    assert!(f32::from_bits(words[3]).is_nan());
    cuda.fill(&mut memory, at, -2.5).unwrap();
    cuda.download(&memory, at, &mut back).unwrap();
    assert_eq!(back, [-2.5; 6]);
    cuda.download_u32(&memory, view(0, 256, 4, Dtype::U32), &mut words).unwrap();
    assert!(f32::from_bits(words[3]).is_nan());
}

#[test]
fn views_that_do_not_fit_are_refused() {
    let cuda = cuda_device::open();
    let mut memory = cuda.allocate(&[1024], false).unwrap();
    for bad in [
        floats(0, 257),
        floats(1, 1),
        view(0, 4, 1, Dtype::F32),
        view(0, 1024, 1, Dtype::F32),
        view(0, usize::MAX & !255, 64, Dtype::F32),
    ] {
        let values = vec![0.0; bad.len];
        let uploaded = cuda.upload(&mut memory, bad, &values);
        assert!(matches!(uploaded, Err(Error::Internal(_))), "{bad:?}");
        let downloaded = cuda.download(&memory, bad, &mut vec![0.0; bad.len]);
        assert!(matches!(downloaded, Err(Error::Internal(_))), "{bad:?}");
        assert!(matches!(cuda.fill(&mut memory, bad, 0.0), Err(Error::Internal(_))), "{bad:?}");
        assert!(matches!(cuda.pointer(&memory, bad), Err(Error::Internal(_))), "{bad:?}");
    }
    // Another length, another type.
    assert!(cuda.upload(&mut memory, floats(0, 3), &[0.0; 4]).is_err());
    assert!(cuda.upload(&mut memory, words(0, 4), &[0.0; 4]).is_err());
    assert!(cuda.upload(&mut memory, view(0, 0, 4, Dtype::Bf16), &[0.0; 3]).is_err());
    // Not a whole number of words.
    assert!(cuda.fill(&mut memory, view(0, 0, 3, Dtype::Bf16), 0.0).is_err());
    assert!(cuda.fill(&mut memory, view(0, 0, 4, Dtype::U8), 0.0).is_err());
    assert_eq!(cuda.pointer(&memory, View::EMPTY).unwrap(), DevicePointer(0));
}

#[test]
fn pointers_are_apart_as_their_views_are() {
    let cuda = cuda_device::open();
    let memory = cuda.allocate(&[4096, 4096], false).unwrap();
    let pointer = |v: View| cuda.pointer(&memory, v).unwrap().0;
    assert_eq!(pointer(view(0, 768, 1, Dtype::U8)) - pointer(floats(0, 1)), 768);
    assert_eq!(pointer(floats(1, 1)) % 256, 0);
}

#[test]
fn images_arrive_whole() {
    let cuda = cuda_device::open();
    let images = cuda.upload_images(&[7; 3 * 32 * 32 + 1]).unwrap();
    assert_eq!(images.len(), 3 * 32 * 32 + 1);
    assert_ne!(images.pointer(), DevicePointer(0));
    let none = cuda.upload_images(&[]).unwrap();
    assert!(none.is_empty() && none.pointer() == DevicePointer(0));
}

#[test]
fn too_much_is_refused_with_needed_and_free_bytes_and_given_back() {
    let cuda = cuda_device::open();
    let before = cuda.free_bytes().unwrap();
    let total = cuda.properties().memory_bytes;
    // The first buffer fits, the second does not.
    let sizes = [1 << 20, total as usize];
    match cuda.allocate(&sizes, false) {
        Err(Error::OutOfMemory { needed, free, largest_batch: None }) => {
            assert_eq!(needed, total + (1 << 20));
            assert!(free > 0 && free <= before, "{free} of {before}");
        }
        other => panic!("{:?}", other.map(|_| ())),
    }
    // Other tests allocate at the same time, but nothing of this size.
    assert!(cuda.free_bytes().unwrap() + (1 << 19) > before, "the first buffer is still there");
    cuda.allocate(&[1 << 20], false).unwrap();
}
