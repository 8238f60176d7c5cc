//! Prunes by scores, labels and recalls of one's own: no network, no files, no features of this crate.
//!
//! `cargo run --no-default-features --example own_scores`

use fairprune::error::Result;
use fairprune::prune::{Direction, Order, Population, QuotaOptions, QuotaRule, Selection, select};

fn main() -> Result<()> {
    // Nine samples of three classes; the third class is recalled worst, so it keeps most.
    let labels = [0, 0, 0, 1, 1, 1, 2, 2, 2];
    let scores = [0.9, 0.1, 0.5, 0.3, 0.2, 0.8, 0.4, 0.6, 0.7];
    let recalls = [Some(0.9), Some(0.8), Some(0.3)];

    let eligible: Vec<usize> = (0..labels.len()).collect();
    let population = Population { labels: &labels, eligible: &eligible, classes: 3 };
    let order = Order::Score { values: &scores, direction: Direction::KeepHighest };
    let quota =
        QuotaOptions { rule: QuotaRule::Metriq, recalls: &recalls, ..QuotaOptions::default() };
    let selection = Selection { order, quota: Some(quota), density: 0.5, seed: 0 };
    let subset = select(population, &selection)?;
    println!("kept {:?}: {:?} of {:?} a class", subset.kept, subset.counts, subset.sizes);
    Ok(())
}
