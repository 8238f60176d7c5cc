//! Scores a data set with a network in torchvision's format, as safetensors (`scripts/pth_to_safetensors.py`
//! converts), and prints its hardest samples.
//!
//! `cargo run --release --example score_weights -- resnet18.safetensors FOLDER`

use fairprune::error::Result;
use fairprune::experiment::Session;
use fairprune::experiment::network::TrainedNetwork;
use fairprune::score::Method;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let weights = words.next().unwrap_or("model.safetensors".to_owned());
    let data = words.next().unwrap_or("shapes".to_owned());

    let (session, file) = Session::open("auto")?.load(data)?.weights(&weights)?;
    let told = session.score(&TrainedNetwork::from(file), &[Method::El2n])?;
    let scores = &told.scores[&Method::El2n];
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    for &i in order.iter().take(10) {
        println!("{:.4} {}", scores[i], session.data.train.ids[i]);
    }
    Ok(())
}
