//! A run: query, score, quota, prune, train, evaluate; and what it found.

pub mod summary;
