//! Philox4x32-10: a counter-based generator whose stream is the same on CPU and GPU.
//!
//! Source: Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011).
//! A draw is a pure function of (seed, stream, counter): no order of calls can change it.

const M0: u32 = 0xD251_1F53;
const M1: u32 = 0xCD9E_8D57;
const W0: u32 = 0x9E37_79B9;
const W1: u32 = 0xBB67_AE85;

/// What a stream of random numbers is used for. Separate streams keep runs paired: changing one
/// use (say, augmentation) moves no draw of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stream {
    Init = 1,
    Order = 2,
    Augment = 3,
    Split = 4,
    Subset = 5,
    Ties = 6,
    Rounding = 7,
    Shapes = 8,
    Bootstrap = 9,
    Seeds = 10,
    Theory = 11,
    KMeans = 20,
    Start = 21,
    Neighbours = 22,
    LongTail = 30,
    /// Samples that InfoBatch drops.
    InfoBatch = 40,
    /// Samples that an epoch draws with replacement.
    Draws = 41,
    /// Balanced samples of DFR.
    Dfr = 42,
    /// Samples that an epoch of RCAP keeps.
    Rcap = 43,
}

/// One Philox4x32-10 block: four words from a 128-bit counter and a 64-bit key.
pub fn philox4x32_10(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(W0), key[1].wrapping_add(W1)];
        }
        let p0 = u64::from(M0) * u64::from(counter[0]);
        let p1 = u64::from(M1) * u64::from(counter[2]);
        counter = [
            (p1 >> 32) as u32 ^ counter[1] ^ key[0],
            p1 as u32,
            (p0 >> 32) as u32 ^ counter[3] ^ key[1],
            p0 as u32,
        ];
    }
    counter
}

/// Random access to one stream: `block(major, minor)` is the block at that counter.
#[derive(Clone, Copy, Debug)]
pub struct Philox {
    key: [u32; 2],
    stream: u32,
}

impl Philox {
    /// The generator of `stream` under `seed`.
    pub fn new(seed: u64, stream: Stream) -> Self {
        Philox { key: [seed as u32, (seed >> 32) as u32], stream: stream as u32 }
    }

    /// The 64-bit key, as the device kernels take it.
    pub fn key(&self) -> [u32; 2] {
        self.key
    }

    /// Four words at counter (minor, major low, major high, stream).
    pub fn block(&self, major: u64, minor: u32) -> [u32; 4] {
        philox4x32_10([minor, major as u32, (major >> 32) as u32, self.stream], self.key)
    }

    /// A sequential reader of the blocks (major, 0), (major, 1), ...
    pub fn sequence(&self, major: u64) -> Sequence {
        Sequence { philox: *self, major, minor: 0, block: [0; 4], used: 4 }
    }
}

/// Sequential draws from one Philox counter line.
#[derive(Clone, Debug)]
pub struct Sequence {
    philox: Philox,
    major: u64,
    minor: u32,
    block: [u32; 4],
    used: usize,
}

impl Sequence {
    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.block = self.philox.block(self.major, self.minor);
            self.minor = self.minor.checked_add(1).expect("a Philox line holds 2^34 words");
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) | (u64::from(self.next_u32()) << 32)
    }

    /// Uniform in [0, 1) with 24 bits.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in [0, 1) with 53 bits.
    pub fn uniform_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Uniform integer in [0, n), unbiased (Lemire 2019). `n` must be positive.
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "below(0) has no value to draw");
        let threshold = n.wrapping_neg() % n;
        loop {
            let m = u64::from(self.next_u32()) * u64::from(n);
            if m as u32 >= threshold {
                return (m >> 32) as u32;
            }
        }
    }

    /// Standard normal (Box-Muller in f64 with platform-independent functions).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * libm::log(1.0 - self.uniform_f64())).sqrt();
        let angle = 2.0 * std::f64::consts::PI * self.uniform_f64();
        (radius * libm::cos(angle)) as f32
    }

    /// Uniformly random permutation in place (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(u32::try_from(i + 1).expect("at most 2^32 items")) as usize;
            items.swap(i, j);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the Random123 distribution (kat_vectors, philox4x32-10).
    #[test]
    fn known_answers() {
        assert_eq!(
            philox4x32_10([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox4x32_10([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32_10(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn below_is_in_range_and_reaches_every_value() {
        let mut seq = Philox::new(7, Stream::Order).sequence(0);
        let mut seen = [0u32; 7];
        for _ in 0..7_000 {
            seen[seq.below(7) as usize] += 1;
        }
        assert!(seen.iter().all(|&c| (800..1200).contains(&c)), "{seen:?}");
    }

    #[test]
    fn shuffle_is_a_permutation_that_depends_on_seed_and_stream() {
        let order = |seed, stream| {
            let mut v: Vec<u32> = (0..100).collect();
            Philox::new(seed, stream).sequence(3).shuffle(&mut v);
            v
        };
        let a = order(1, Stream::Order);
        let mut sorted = a.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_eq!(a, order(1, Stream::Order));
        assert_ne!(a, order(2, Stream::Order));
        assert_ne!(a, order(1, Stream::Subset));
    }

    #[test]
    fn normal_has_unit_moments() {
        let mut seq = Philox::new(11, Stream::Init).sequence(0);
        let draws: Vec<f64> = (0..20_000).map(|_| f64::from(seq.normal())).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let var = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.03 && (var - 1.0).abs() < 0.05, "mean {mean}, variance {var}");
    }
}
