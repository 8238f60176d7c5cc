//! Images that are the same, byte for byte.

use rayon::prelude::*;

/// Returns the groups of equal images: at least two positions each, ascending, and the groups by
/// their first position. The work is a BLAKE3 hash of every image, O(N) bytes read, and N x 40 bytes
/// of memory. Images of one hash are compared in full, so that no collision makes a duplicate.
pub fn exact_duplicates(images: &[&[u8]]) -> Vec<Vec<usize>> {
    groups_by(images, |image| *blake3::hash(image).as_bytes())
}

/// Groups equal images that have one hash.
fn groups_by<H: Ord + Send + Sync>(
    images: &[&[u8]],
    hash: impl Fn(&[u8]) -> H + Sync,
) -> Vec<Vec<usize>> {
    let mut hashed: Vec<(H, usize)> =
        images.par_iter().enumerate().map(|(i, image)| (hash(image), i)).collect();
    hashed.par_sort_unstable();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for run in hashed.chunk_by(|a, b| a.0 == b.0).filter(|run| run.len() > 1) {
        let mut of_run: Vec<Vec<usize>> = Vec::new();
        for &(_, i) in run {
            match of_run.iter_mut().find(|group| images[group[0]] == images[i]) {
                Some(group) => group.push(i),
                None => of_run.push(vec![i]),
            }
        }
        groups.extend(of_run.into_iter().filter(|group| group.len() > 1));
    }
    groups.sort_unstable();
    groups
}

/// Returns the one of `copies` that the others are copies of: a held-out one where there is one, so
/// that training never keeps what is evaluated on; else one whose label is not suspected; else the
/// first. Both lists have a value for each position.
///
/// `copies` must not be empty.
pub fn original(copies: &[usize], held_out: &[bool], suspected: &[bool]) -> usize {
    let first = copies.iter().min_by_key(|&&i| (!held_out[i], suspected[i], i));
    *first.expect("a group has members")
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGES: [&[u8]; 7] = [b"aa", b"bc", b"aa", b"cb", b"bc", b"aa", b"zz"];

    #[test]
    fn equal_images_are_grouped_by_their_first() {
        let groups = vec![vec![0, 2, 5], vec![1, 4]];
        assert_eq!(exact_duplicates(&IMAGES), groups);
        assert!(exact_duplicates(&IMAGES[..2]).is_empty());
        assert!(exact_duplicates(&[]).is_empty());
    }

    #[test]
    fn a_collision_is_not_believed() {
        // Everything has one hash; then images of equal sums of bytes have.
        assert_eq!(groups_by(&IMAGES, |_| 0), exact_duplicates(&IMAGES));
        let sum = |image: &[u8]| image.iter().map(|&b| u32::from(b)).sum::<u32>();
        assert_eq!(groups_by(&IMAGES, sum), exact_duplicates(&IMAGES));
    }

    #[test]
    fn held_out_copies_stay_and_suspected_labels_go() {
        let (none, all) = ([false; 6], [true; 6]);
        assert_eq!(original(&[1, 3, 5], &none, &none), 1);
        assert_eq!(original(&[1, 3, 5], &none, &all), 1);
        let mut suspected = none;
        suspected[1] = true;
        assert_eq!(original(&[1, 3, 5], &none, &suspected), 3);
        let mut held_out = none;
        held_out[5] = true;
        assert_eq!(original(&[1, 3, 5], &held_out, &all), 5);
    }
}
