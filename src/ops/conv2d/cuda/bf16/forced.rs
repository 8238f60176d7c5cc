//! A choice that a benchmark or a test has forced on a card.

use std::sync::atomic::Ordering::Relaxed;

use crate::cuda::Cuda;
use crate::ops::conv2d::{TileChoice, TileFamily};

/// What [`Cuda::forced`] holds; 0 is nothing.
fn encode(choice: Option<TileChoice>) -> u64 {
    let Some(TileChoice { tile: [rows, columns], family, splits }) = choice else { return 0 };
    let halo = u64::from(family == TileFamily::Halo);
    (rows as u64) << 48 | (columns as u64 & 0xffff) << 32 | halo << 31 | (splits as u64 & 0xffff)
}

fn decode(code: u64) -> Option<TileChoice> {
    let part = |shift: u32| (code >> shift & 0xffff) as usize;
    let family = if code >> 31 & 1 == 1 { TileFamily::Halo } else { TileFamily::PerTap };
    (code != 0).then(|| TileChoice { tile: [part(48), part(32)], family, splits: part(0) })
}

/// Computes every problem that can be by `choice` from now on; as planned again with None.
pub fn force(cuda: &Cuda, choice: Option<TileChoice>) {
    cuda.forced().store(encode(choice), Relaxed);
}

/// What was forced last.
pub fn forced(cuda: &Cuda) -> Option<TileChoice> {
    decode(cuda.forced().load(Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forced_choices_are_read_as_they_are_written() {
        assert_eq!(decode(encode(None)), None);
        for family in [TileFamily::PerTap, TileFamily::Halo] {
            let choice = TileChoice { tile: [256, 32], family, splits: 128 };
            assert_eq!(decode(encode(Some(choice))), Some(choice));
        }
    }
}
