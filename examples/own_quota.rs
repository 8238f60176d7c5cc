//! A quota rule of one's own: every class keeps the square root of its size, in proportion; inside a class the
//! samples are drawn at random.
//!
//! `cargo run --no-default-features --example own_quota`

use fairprune::error::Result;
use fairprune::prune::{Order, Population, QuotaOptions, QuotaRule, Selection, select};

fn main() -> Result<()> {
    let labels: Vec<u32> = (0..1000).map(|i| if i < 800 { 0 } else { 1 + i % 2 }).collect();
    let eligible: Vec<usize> = (0..labels.len()).collect();
    let population = Population { labels: &labels, eligible: &eligible, classes: 3 };

    let roots: Vec<f64> = population.sizes()?.iter().map(|&n| (n as f64).sqrt()).collect();
    let share = 300.0 / roots.iter().sum::<f64>();
    let mut counts: Vec<usize> = roots.iter().map(|root| (share * root) as usize).collect();
    // The counts of a rule add up to what the density keeps.
    counts[0] += 300 - counts.iter().sum::<usize>();
    let quota = QuotaOptions { rule: QuotaRule::From(counts), ..QuotaOptions::default() };
    let selection = Selection { order: Order::Random, quota: Some(quota), density: 0.3, seed: 7 };
    let subset = select(population, &selection)?;
    println!("kept {:?} of {:?}", subset.counts, subset.sizes);
    Ok(())
}
