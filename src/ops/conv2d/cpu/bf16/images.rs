//! Input rows as left factors.
//!
//! The rows of a tile are output pixels of one row of the image, of several images where a row has too few. So
//! the pixels that a tap sees lie at a constant distance if a row is stored as `[residue][column][image]
//! [channel]`: columns by their residue by the stride, with columns of zeros where the kernel reaches beyond
//! the border. Kernel rows beyond the border are left out.

use super::block::BLOCK;

/// For every output row: kernel rows and the input rows that they see.
pub type Reach = Vec<Vec<(usize, usize)>>;

/// Input positions `i * stride + tap - pad` inside `size`, for every output position.
pub fn forward_reach(outputs: usize, [kernel, stride, pad]: [usize; 3], size: usize) -> Reach {
    let inside = |i: usize, tap: usize| (i * stride + tap).checked_sub(pad).filter(|&at| at < size);
    (0..outputs).map(|i| (0..kernel).filter_map(|t| Some((t, inside(i, t)?))).collect()).collect()
}

/// For every input position the outputs that see it, in rising order of taps.
pub fn backward_reach(inputs: usize, [kernel, stride, pad]: [usize; 3], size: usize) -> Reach {
    let seen = |i: usize, tap: usize| {
        let at = (i + pad).checked_sub(tap).filter(|at| at.is_multiple_of(stride))?;
        Some(at / stride).filter(|&at| at < size)
    };
    (0..inputs).map(|i| (0..kernel).filter_map(|t| Some((t, seen(i, t)?))).collect()).collect()
}

/// First and last input row of some output rows.
pub fn span_of(rows: &[Vec<(usize, usize)>]) -> Option<(usize, usize)> {
    let all = || rows.iter().flatten().map(|tap| tap.1);
    Some((all().min()?, all().max()?))
}

/// Input rows that `count` neighbouring output rows see together at most, wherever they begin: what must be at
/// hand at once.
pub fn rows_seen(rows: &Reach, count: usize) -> usize {
    let spans: Vec<_> = rows.iter().map(|row| span_of(std::slice::from_ref(row))).collect();
    let seen = |some: &[Option<(usize, usize)>]| {
        let low = some.iter().flatten().next()?.0;
        Some(some.iter().rev().flatten().next()?.1 + 1 - low)
    };
    spans.windows(count.clamp(1, spans.len().max(1))).filter_map(seen).max().unwrap_or(0)
}

/// How the taps of one dimension see the input: by the residue of the position by the stride, and a shift in
/// strides.
#[derive(Clone, Debug)]
pub struct Strided {
    stride: isize,
    pad: isize,
    /// The first tap's shift, and how much further the last one's is.
    low: isize,
    pub reach: usize,
    /// Residues that taps see.
    pub residues: Vec<usize>,
}

impl Strided {
    /// Of a kernel's size, stride and padding.
    pub fn new([kernel, stride, pad]: [usize; 3]) -> Self {
        let mut all = Strided {
            stride: stride as isize,
            pad: pad as isize,
            low: 0,
            reach: 0,
            residues: Vec::new(),
        };
        all.low = all.place(0).1;
        all.reach = (all.place(kernel - 1).1 - all.low) as usize;
        all.residues = (0..kernel).map(|tap| all.place(tap).0).collect();
        all.residues.sort_unstable();
        all.residues.dedup();
        all
    }

    /// Residue and shift of a tap.
    fn place(&self, tap: usize) -> (usize, isize) {
        let at = tap as isize - self.pad;
        (at.rem_euclid(self.stride) as usize, at.div_euclid(self.stride))
    }

    /// Which of the residues a tap sees, and its shift behind the first one's.
    pub fn tap(&self, tap: usize) -> (usize, usize) {
        let (residue, shift) = self.place(tap);
        let index = self.residues.iter().position(|&known| known == residue).unwrap_or(0);
        (index, (shift - self.low) as usize)
    }

    /// The input position of a residue that lies `index` strides behind the first; None outside of `size`.
    pub fn input(&self, residue: usize, index: usize, size: usize) -> Option<usize> {
        let at = (index as isize + self.low) * self.stride + residue as isize;
        usize::try_from(at).ok().filter(|&at| at < size)
    }
}

/// Output columns that see the input through the same taps: `first`, `first + step`, ...
#[derive(Clone, Debug)]
pub struct Class {
    pub first: usize,
    pub step: usize,
    pub count: usize,
    /// Kernel columns, and the stored column that the first output column sees.
    pub taps: Vec<(usize, usize)>,
}

/// How the columns of a row are stored.
#[derive(Clone, Debug)]
pub struct Columns {
    pub classes: Vec<Class>,
    /// Input column of every stored one; None where it is zeros.
    stored: Vec<Option<usize>>,
}

impl Columns {
    /// For outputs of a convolution.
    pub fn forward(outputs: usize, kernel: [usize; 3], size: usize) -> Self {
        let strided = Strided::new(kernel);
        let width = outputs + strided.reach;
        let stored = strided.residues.iter();
        let stored = stored
            .flat_map(|&r| (0..width).map(move |j| (r, j)))
            .map(|(r, j)| strided.input(r, j, size));
        let stored = stored.collect();
        let tap = |tap: usize| {
            let (residue, shift) = strided.tap(tap);
            (tap, residue * width + shift)
        };
        let taps = (0..kernel[0]).map(tap).collect();
        Columns { classes: vec![Class { first: 0, step: 1, count: outputs, taps }], stored }
    }

    /// For the inputs of a convolution, from its outputs: a class a residue by the stride.
    pub fn backward(inputs: usize, [kernel, stride, pad]: [usize; 3], size: usize) -> Self {
        // Input column j * stride + first sees output column j + (first + pad - tap) / stride.
        let shift = |first: usize, tap: usize| {
            let place = first as isize + pad as isize - tap as isize;
            (place.rem_euclid(stride as isize) == 0).then_some(place.div_euclid(stride as isize))
        };
        let all = (0..stride).flat_map(|first| (0..kernel).filter_map(move |t| shift(first, t)));
        let (low, high) = all.fold((0, 0), |(low, high), s| (low.min(s), high.max(s)));
        let most = inputs.div_ceil(stride);
        let width = most + (high - low) as usize;
        let column = |j: usize| usize::try_from(j as isize + low).ok().filter(|&c| c < size);
        let class = |first: usize| {
            let taps = (0..kernel).filter_map(|t| Some((t, (shift(first, t)? - low) as usize)));
            let count = inputs.saturating_sub(first).div_ceil(stride);
            Class { first, step: stride, count, taps: taps.collect() }
        };
        Columns {
            classes: (0..stride).map(class).collect(),
            stored: (0..width).map(column).collect(),
        }
    }

    /// Values of a row of `images` images. A tile may reach beyond the last pixel of a row.
    pub fn row_len(&self, images: usize, channels: usize) -> usize {
        self.stored.len() * images * channels
    }

    /// Stores one input row of `images` images.
    ///
    /// # Safety
    /// `row` is the row of the first image, readable for all its columns of `channels` values (a multiple of
    /// 8), and so are the other images' rows, `image` values apart; `out` is writable for
    /// [`Columns::row_len`] values.
    pub unsafe fn store(
        &self,
        row: *const u16,
        image: usize,
        images: usize,
        channels: usize,
        out: *mut u16,
    ) {
        let mut j = 0;
        while j < self.stored.len() {
            // A run of neighbours, or of columns of zeros.
            let first = self.stored[j];
            let follows = |(i, next): (usize, &Option<usize>)| *next == first.map(|f| f + i);
            let run =
                self.stored[j..].iter().enumerate().take_while(|&(i, n)| follows((i, n))).count();
            // SAFETY: inside the row and the stored columns (caller).
            unsafe {
                let to = out.add(j * images * channels);
                match first {
                    None => std::ptr::write_bytes(to, 0, run * images * channels),
                    Some(column) if images == 1 => {
                        let from = row.add(column * channels);
                        std::ptr::copy_nonoverlapping(from, to, run * channels);
                    }
                    Some(column) => {
                        for i in 0..images {
                            let from = row.add(i * image + column * channels);
                            let to = to.add(i * channels);
                            spread(from, run, channels, to, images * channels);
                        }
                    }
                }
            }
            j += run;
        }
    }
}

/// Copies `count` runs of `len` values, a multiple of 8, to places `pitch` values apart.
///
/// # Safety
/// Both are readable and writable for as much.
#[inline]
unsafe fn spread(from: *const u16, count: usize, len: usize, to: *mut u16, pitch: usize) {
    for i in 0..count {
        for at in (0..len).step_by(8) {
            // SAFETY: inside the runs (caller).
            unsafe {
                let eight = from.add(i * len + at).cast::<[u16; 8]>().read_unaligned();
                to.add(i * pitch + at).cast::<[u16; 8]>().write_unaligned(eight);
            }
        }
    }
}

/// Images whose rows of `columns` outputs fill whole blocks best: few, and a power of two.
pub fn images_together(columns: usize, n: usize) -> usize {
    let waste = |g: usize| (columns * g).next_multiple_of(BLOCK) as f64 / (columns * g) as f64;
    let all = (0..=5).map(|i| 1usize << i).filter(|&g| g == 1 || g <= n);
    let best = all.clone().map(waste).fold(f64::INFINITY, f64::min);
    all.into_iter().find(|&g| waste(g) < best + 0.02).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sweeps begin where tasks do, in the middle of what lies at the border of others.
    #[test]
    fn all_rows_of_any_sweep_are_counted() {
        for (size, kernel) in [(4, [3, 1, 1]), (9, [3, 2, 1]), (12, [7, 2, 3]), (6, [1, 2, 0])] {
            let outputs = (size + 2 * kernel[2] - kernel[0]) / kernel[1] + 1;
            for rows in
                [forward_reach(outputs, kernel, size), backward_reach(size, kernel, outputs)]
            {
                for count in 1..=rows.len() {
                    let spans = rows.windows(count).filter_map(span_of);
                    let most = spans.map(|(low, high)| high + 1 - low).max().unwrap_or(0);
                    assert_eq!(rows_seen(&rows, count), most, "{count} of {size}, {kernel:?}");
                }
            }
        }
        // Both halves of four rows end at a border; the middle does not.
        assert_eq!(rows_seen(&forward_reach(4, [3, 1, 1], 4), 2), 4);
    }

    #[test]
    fn images_fill_blocks() {
        for (columns, images) in
            [(32, 1), (16, 2), (8, 4), (4, 8), (1, 32), (56, 4), (7, 32), (224, 1)]
        {
            assert_eq!(images_together(columns, 128), images, "{columns} columns");
        }
        assert_eq!(images_together(4, 3), 2);
    }

    #[test]
    fn taps_see_their_columns() {
        for (size, kernel, stride, pad) in
            [(9, 3, 1, 1), (9, 3, 2, 1), (8, 1, 2, 0), (11, 7, 2, 3), (5, 3, 3, 0)]
        {
            let outputs = (size + 2 * pad - kernel) / stride + 1;
            let forward = Columns::forward(outputs, [kernel, stride, pad], size);
            for class in &forward.classes {
                for q in 0..class.count {
                    for &(tap, at) in &class.taps {
                        let expected = (q * stride + tap).checked_sub(pad).filter(|&w| w < size);
                        assert_eq!(forward.stored[at + q], expected, "{size} {kernel} {stride}");
                    }
                }
            }
            let backward = Columns::backward(size, [kernel, stride, pad], outputs);
            let reach = backward_reach(size, [kernel, stride, pad], outputs);
            for class in &backward.classes {
                for j in 0..class.count {
                    let seen = class
                        .taps
                        .iter()
                        .filter_map(|&(t, at)| Some((t, backward.stored[at + j]?)));
                    let seen: Vec<_> = seen.collect();
                    assert_eq!(
                        seen,
                        reach[class.first + j * class.step],
                        "{size} {kernel} {stride}"
                    );
                }
            }
        }
    }
}
