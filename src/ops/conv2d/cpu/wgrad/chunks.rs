//! Chunks of a batch: how many there are at most, and the tree that merges them.

/// Most gradient chunks of a batch.
pub const CHUNKS: usize = 8;
/// Tasks below which chunks are split by output channels.
pub const TASKS: usize = 16;

/// Sums `count` parts pairwise: neighbours first.
pub fn merge<'a>(count: usize, part: impl Fn(usize) -> &'a [f32], out: &mut [f32]) {
    for (j, out) in out.iter_mut().enumerate() {
        let mut values = [0.0f32; CHUNKS];
        for (i, v) in values.iter_mut().enumerate().take(count) {
            *v = part(i)[j];
        }
        let [a, b, c, d, e, f, g, h] = values;
        *out = ((a + b) + (c + d)) + ((e + f) + (g + h));
    }
}
