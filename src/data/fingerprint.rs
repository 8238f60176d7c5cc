//! The fingerprint that identifies a data set by its content, whatever its place and storage.

use super::contents::Contents;
use super::part::Part;

/// Version of the definition, which is part of the hash.
const VERSION: u32 = 1;

/// Computes [`DataSet::fingerprint`](super::DataSet::fingerprint).
pub(super) fn fingerprint(set: &Contents) -> String {
    let mut hash = blake3::Hasher::new();
    fn number(hash: &mut blake3::Hasher, n: usize) {
        hash.update(&(n as u64).to_le_bytes());
    }
    fn text(hash: &mut blake3::Hasher, s: &str) {
        number(hash, s.len());
        hash.update(s.as_bytes());
    }
    fn numbers(hash: &mut blake3::Hasher, values: &[u32]) {
        for value in values {
            hash.update(&value.to_le_bytes());
        }
    }
    hash.update(b"fairprune data set");
    number(&mut hash, VERSION as usize);
    number(&mut hash, set.classes.len());
    set.classes.iter().for_each(|c| text(&mut hash, c));
    number(&mut hash, set.size.0);
    number(&mut hash, set.size.1);
    let parts = set.parts().map(|(_, part)| part);
    for part in parts {
        hash.update(&[u8::from(part.is_some())]);
        let Some(part) = part else { continue };
        number(&mut hash, part.len());
        part.ids.iter().for_each(|id| text(&mut hash, id));
        numbers(&mut hash, &part.labels);
        hash.update_rayon(&part.images);
    }
    // Sets without attributes keep the fingerprint that they had before there were any.
    if let Some(attributes) = &set.attributes {
        text(&mut hash, &attributes.name);
        number(&mut hash, attributes.values.len());
        attributes.values.iter().for_each(|v| text(&mut hash, v));
        parts.into_iter().flatten().for_each(|p: &Part| numbers(&mut hash, &p.attributes));
    }
    hash.finalize().to_hex()[..32].to_owned()
}

/// Computes [`DataSet::samples_fingerprint`](super::DataSet::samples_fingerprint) from what names the
/// training samples; `present` holds the positions that a long tail leaves.
pub fn samples(
    classes: &[String],
    ids: &[String],
    labels: &[u32],
    present: Option<&[usize]>,
) -> String {
    let mut hash = blake3::Hasher::new();
    let mut text = |s: &str| {
        hash.update(&(s.len() as u64).to_le_bytes());
        hash.update(s.as_bytes());
    };
    text("fairprune samples");
    text(&classes.len().to_string());
    classes.iter().for_each(|c| text(c));
    ids.iter().for_each(|id| text(id));
    labels.iter().for_each(|l| {
        hash.update(&l.to_le_bytes());
    });
    if let Some(present) = present.filter(|p| p.len() < labels.len()) {
        present.iter().for_each(|&i| {
            hash.update(&(i as u64).to_le_bytes());
        });
    }
    hash.finalize().to_hex()[..32].to_owned()
}
