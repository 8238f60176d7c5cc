//! Changes to inputs: bytes, numbers, ranges, words, and pieces of other inputs.

use fairprune::rng::{Philox, Stream};

/// Numbers at the edges of what lengths and counts can be.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// Random decisions about one input.
pub struct Mutator {
    random: fairprune::rng::Sequence,
}

impl Mutator {
    /// Of input `number` of a target.
    pub fn new(target: &str, number: u64) -> Mutator {
        let seed =
            target.bytes().fold(17u64, |h, b| h.wrapping_mul(131).wrapping_add(u64::from(b)));
        Mutator { random: Philox::new(seed, Stream::Ties).sequence(number) }
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.random.below(n.max(1) as u32) as usize
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn byte(&mut self) -> u8 {
        self.random.next_u32() as u8
    }

    /// An input of the corpus with one to eight changes, or random bytes.
    pub fn change(&mut self, corpus: &[Vec<u8>], words: &[&[u8]]) -> Vec<u8> {
        if self.once_in(100) {
            let length = self.below(300);
            return (0..length).map(|_| self.byte()).collect();
        }
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(8) {
            self.one(&mut input, corpus, words);
        }
        // A tenth of the changes may double it; beyond this, length is no news.
        input.truncate(1 << 20);
        input
    }

    fn one(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&[u8]]) {
        let at = self.below(input.len() + 1);
        let kind = self.below(12);
        match kind {
            0 | 1 if at < input.len() => input[at] ^= 1 << self.below(8),
            2 if at < input.len() => input[at] = self.byte(),
            3 | 4 => {
                let edge = EDGES[self.below(EDGES.len())];
                let width = [1, 2, 4, 8][self.below(4)];
                let mut bytes = edge.to_le_bytes();
                if self.once_in(2) {
                    bytes[..width].reverse();
                }
                for (slot, byte) in input.iter_mut().skip(at).zip(&bytes[..width]) {
                    *slot = *byte;
                }
            }
            5 => {
                let end = (at + 1 + self.below(40)).min(input.len());
                input.drain(at.min(end)..end);
            }
            6 => {
                let end = (at + 1 + self.below(200)).min(input.len());
                let piece = input[at.min(end)..end].to_vec();
                input.splice(at..at, piece);
            }
            7 => {
                let piece: Vec<u8> = (0..=self.below(8)).map(|_| self.byte()).collect();
                input.splice(at..at, piece);
            }
            8 => input.truncate(at),
            9 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                let end = (from + self.below(600)).min(other.len());
                let piece = other[from..end].to_vec();
                let over = if self.once_in(2) { piece.len() } else { 0 };
                input.splice(at..(at + over).min(input.len()), piece);
            }
            10 if !words.is_empty() => {
                let word = words[self.below(words.len())];
                let over = if self.once_in(2) { word.len() } else { 0 };
                input.splice(at..(at + over).min(input.len()), word.iter().copied());
            }
            // Digits of texts.
            _ => {
                let digits: Vec<usize> =
                    (0..input.len()).filter(|&i| input[i].is_ascii_digit()).take(5000).collect();
                if let Some(&at) = digits.get(self.below(digits.len())) {
                    let many = b"99999999999999999999";
                    match self.below(4) {
                        0 => input[at] = b'0' + self.below(10) as u8,
                        1 => input[at] = b'-',
                        2 => drop(input.splice(at..at, many[..=self.below(19)].iter().copied())),
                        _ => drop(input.splice(at..=at, *b"1e9")),
                    }
                }
            }
        }
    }
}
