//! Mean and standard deviation of the channels, from exact integer sums, so that any order of
//! adding gives the same bits.

use rayon::prelude::*;

use super::part::Part;

/// Mean and standard deviation (population form) of red, green and blue, in [0, 1] units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelStatistics {
    /// Mean of each channel.
    pub mean: [f64; 3],
    /// Standard deviation of each channel, dividing by the number of pixels.
    pub std: [f64; 3],
}

/// Number of bytes that a task adds up. Sums are integers, so that this changes no result.
const CHUNK: usize = 3 << 16;

/// Number, sums and sums of squares of pixels.
#[derive(Clone, Copy, Default)]
struct PixelSums {
    pixels: u64,
    sum: [u64; 3],
    squares: [u64; 3],
}

impl PixelSums {
    fn of(pixels: &[u8]) -> PixelSums {
        let mut s = PixelSums::default();
        // Short runs keep the inner sums in 32 bits, because 4,096 * 255^2 < 2^32.
        for run in pixels.chunks(3 * 4096) {
            let (mut sum, mut squares) = ([0u32; 3], [0u32; 3]);
            for rgb in run.chunks_exact(3) {
                for c in 0..3 {
                    let v = u32::from(rgb[c]);
                    sum[c] += v;
                    squares[c] += v * v;
                }
            }
            s.pixels += (run.len() / 3) as u64;
            for c in 0..3 {
                s.sum[c] += u64::from(sum[c]);
                s.squares[c] += u64::from(squares[c]);
            }
        }
        s
    }

    fn add(mut self, other: PixelSums) -> PixelSums {
        self.pixels += other.pixels;
        for c in 0..3 {
            self.sum[c] += other.sum[c];
            self.squares[c] += other.squares[c];
        }
        self
    }

    fn finish(self) -> ChannelStatistics {
        if self.pixels == 0 {
            return ChannelStatistics { mean: [0.0; 3], std: [0.0; 3] };
        }
        let n = u128::from(self.pixels);
        let scale = self.pixels as f64 * 255.0;
        ChannelStatistics {
            mean: self.sum.map(|s| s as f64 / scale),
            // The numerator n sum(x^2) - sum(x)^2 is computed in integers, where nothing cancels.
            std: std::array::from_fn(|c| {
                let sum = u128::from(self.sum[c]);
                ((n * u128::from(self.squares[c]) - sum * sum) as f64).sqrt() / scale
            }),
        }
    }
}

/// Returns the statistics of interleaved RGB pixels, or zeros where there is no pixel.
pub(super) fn channel_statistics(pixels: &[u8]) -> ChannelStatistics {
    pixels.par_chunks(CHUNK).map(PixelSums::of).reduce(PixelSums::default, PixelSums::add).finish()
}

/// Returns the statistics over the images at `positions` of a part.
pub(super) fn channel_statistics_of(part: &Part, positions: &[usize]) -> ChannelStatistics {
    positions
        .par_iter()
        .map(|&i| PixelSums::of(part.image(i)))
        .reduce(PixelSums::default, PixelSums::add)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(n: usize) -> Vec<u8> {
        (0..n * 3).map(|i| ((i * 7919 + i / 5 * 31) % 256) as u8).collect()
    }

    #[test]
    fn equals_the_two_pass_definition() {
        let data = pixels(200_003);
        let s = channel_statistics(&data);
        for c in 0..3 {
            let values: Vec<f64> = data.chunks_exact(3).map(|p| f64::from(p[c]) / 255.0).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let var = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
            assert!((s.mean[c] - mean).abs() < 1e-12, "{} {mean}", s.mean[c]);
            assert!((s.std[c] - var.sqrt()).abs() < 1e-12, "{} {}", s.std[c], var.sqrt());
        }
    }

    #[test]
    fn constant_and_empty_images() {
        let s = channel_statistics(&[255, 0, 51].repeat(70_000));
        assert_eq!((s.mean, s.std), ([1.0, 0.0, 0.2], [0.0; 3]));
        assert_eq!(channel_statistics(&[]).mean, [0.0; 3]);
    }

    #[test]
    fn same_bits_for_any_thread_count_and_for_positions() {
        let data = pixels(64 * 5_000);
        let part = Part {
            images: data.clone().into(),
            labels: vec![0; 5_000],
            ids: vec![String::new(); 5_000],
            attributes: Vec::new(),
        };
        let all: Vec<usize> = (0..5_000).collect();
        let reference = channel_statistics(&data);
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| channel_statistics(&data)), reference);
            assert_eq!(pool.install(|| channel_statistics_of(&part, &all)), reference);
        }
        assert_ne!(channel_statistics_of(&part, &all[..100]), reference);
    }
}
