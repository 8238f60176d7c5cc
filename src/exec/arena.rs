//! Memory planning: every tensor of a plan gets a place in one arena, shared by tensors whose
//! lifetimes do not meet.

use crate::backend::ALIGN;

/// How the tensors of a plan are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArenaMode {
    /// One buffer, places reused.
    Shared,
    /// One buffer a tensor, filled with NaN, never reused: an overrun or a read of something
    /// unwritten shows instead of hitting a neighbour.
    Debug,
}

/// A tensor's demand: bytes, and the first and last step that touch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    pub bytes: usize,
    pub first: usize,
    pub last: usize,
}

/// Byte offset of every tensor, and the arena's size. Largest first, each at the lowest offset
/// that is free during its whole life.
pub fn place(tensors: &[Lifetime]) -> (Vec<usize>, usize) {
    let mut by_size: Vec<usize> = (0..tensors.len()).collect();
    by_size.sort_by_key(|&i| (std::cmp::Reverse(tensors[i].bytes), i));
    let mut offsets = vec![0; tensors.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut size = 0;
    for i in by_size {
        let t = tensors[i];
        let bytes = t.bytes.next_multiple_of(ALIGN);
        let mut busy: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&j| tensors[j].first <= t.last && t.first <= tensors[j].last)
            .map(|&j| (offsets[j], offsets[j] + tensors[j].bytes.next_multiple_of(ALIGN)))
            .collect();
        busy.sort_unstable();
        let mut offset = 0;
        for (start, end) in busy {
            if offset + bytes <= start {
                break;
            }
            offset = offset.max(end);
        }
        offsets[i] = offset;
        size = size.max(offset + bytes);
        placed.push(i);
    }
    (offsets, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Philox, Stream};

    #[test]
    fn tensors_alive_together_never_overlap() {
        let mut draws = Philox::new(3, Stream::Shapes).sequence(0);
        for _ in 0..50 {
            let tensors: Vec<Lifetime> = (0..40)
                .map(|_| {
                    let first = draws.below(30) as usize;
                    let last = first + draws.below(10) as usize;
                    Lifetime { bytes: draws.below(5000) as usize, first, last }
                })
                .collect();
            let (offsets, size) = place(&tensors);
            for (i, a) in tensors.iter().enumerate() {
                assert!(offsets[i] + a.bytes <= size && offsets[i].is_multiple_of(ALIGN));
                for (j, b) in tensors.iter().enumerate().skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart =
                        offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i];
                    assert!(!together || apart || a.bytes == 0 || b.bytes == 0, "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn places_are_reused() {
        let chain: Vec<Lifetime> =
            (0..10).map(|i| Lifetime { bytes: 1024, first: i, last: i + 1 }).collect();
        assert_eq!(place(&chain).1, 2048);
    }
}
