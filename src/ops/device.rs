//! What the operators' CUDA forms share: sizes as kernels take them.

use bytemuck::Pod;

use crate::cuda::args::Divisor;
use crate::cuda::{Cuda, DevicePointer, Kernel, tiles};
use crate::error::{Error, Result};

/// Kernels index a tensor's elements with 32 bits, and divide numbers below this.
const LIMIT: usize = 1 << 31;

/// A number of elements, rows, ... of a kernel; an error where it is too large to be indexed.
pub(crate) fn count(operator: &str, what: &str, count: usize) -> Result<u32> {
    u32::try_from(count).ok().filter(|_| count < LIMIT).ok_or_else(|| {
        let expected = "fewer than 2^31 on a CUDA device; a smaller batch";
        Error::invalid(operator, format!("{count} {what}"), expected)
    })
}

impl Divisor {
    /// Division by a number that the host knows: `value`, which lies below 2^31; 0 becomes 1, since nothing is divided then.
    pub fn new(value: u32) -> Self {
        let value = value.max(1);
        let shift = 31 + value.next_power_of_two().trailing_zeros();
        let multiplier = (1u64 << shift).div_ceil(u64::from(value)) as u32;
        Divisor { value, multiplier, shift }
    }
}

/// `elements` values of 4 bytes behind `pointer`.
pub(crate) fn offset(pointer: DevicePointer, elements: usize) -> DevicePointer {
    DevicePointer(pointer.0 + 4 * elements as u64)
}

/// What an optional pointer is passed as.
pub(crate) const NULL: DevicePointer = DevicePointer(0);

/// Neighbouring channels that a thread takes: four where every row's are aligned.
pub(crate) fn vector(channels: usize) -> usize {
    if channels.is_multiple_of(4) { 4 } else { 1 }
}

/// Launches a thread an item, in blocks of `ELEMENTWISE_THREADS`.
///
/// # Safety
/// What [`Cuda::launch`] asks of its callers.
pub(crate) unsafe fn launch_items<A: Pod>(
    cuda: &Cuda,
    kernel: &Kernel<A>,
    items: u32,
    args: &A,
) -> Result<()> {
    let threads = tiles::ELEMENTWISE_THREADS;
    // SAFETY: passed on to the caller.
    unsafe { cuda.launch(kernel, [items.div_ceil(threads), 1, 1], threads, 0, args) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The quotient as kernels/divisor.cuh computes it.
    fn quotient(n: u32, d: Divisor) -> u32 {
        ((u64::from(n) * u64::from(d.multiplier)) >> d.shift) as u32
    }

    #[test]
    fn quotients_are_exact_at_every_edge() {
        let last = LIMIT as u32 - 1;
        let many = (1..2000).chain((1..31).flat_map(|b| [(1 << b) - 1, 1 << b, (1 << b) + 1]));
        for value in many.chain([last, last - 1, 3 << 29, 715_827_883]) {
            let d = Divisor::new(value);
            let multiples = [1, 2, 3, 1000, last / value, last / value / 2];
            let near = multiples.map(|m| value.saturating_mul(m));
            let all = near.iter().flat_map(|&n| [n.saturating_sub(1), n, n.saturating_add(1)]);
            for n in all.chain([0, 1, last, last - 1]).filter(|&n| n <= last) {
                assert_eq!(quotient(n, d), n / value, "{n} / {value}");
            }
        }
    }

    #[test]
    fn counts_beyond_32_bit_offsets_are_refused() {
        assert_eq!(count("x", "elements", LIMIT - 1).ok(), Some(i32::MAX as u32));
        let error = count("convolution", "elements", LIMIT).unwrap_err().to_string();
        assert!(error.contains("convolution") && error.contains("2147483648"), "{error}");
    }
}
