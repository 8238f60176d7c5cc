//! Trains a network on a data set, scores every training sample with it, sets class quotas and prunes.
//!
//! `cargo run --release --example train_score_prune -- FOLDER OUT` (FOLDER/train/CLASS/*, FOLDER/test/CLASS/*;
//! or the built-in `shapes`).

use fairprune::error::Result;
use fairprune::experiment::settings::RecipeSettings;
use fairprune::experiment::{Session, Strategy};
use fairprune::score::Method;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let data = words.next().unwrap_or("shapes".to_owned());
    let out = words.next().unwrap_or("kept".to_owned());

    let session = Session::open("auto")?.load(data)?.network("resnet8")?;
    let recipe = RecipeSettings { epochs: Some(2), ..RecipeSettings::default() };
    let network = session.train(&recipe.recipe_of(&session)?)?;
    let told = session.score(&network, &[Method::El2n])?;
    let kept = session.prune(Strategy::METRIQ, &told, 0.3)?;
    kept.write(&out)?;
    network.write(format!("{out}/model.safetensors"))?;
    println!("{out}: {} of {} samples", kept.positions().len(), session.split.train.len());
    Ok(())
}
