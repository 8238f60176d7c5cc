//! What the runs of a baseline presented, for people.

use fairprune::experiment::training::Presentations;

/// What a baseline's runs presented, where that is not what as many plain epochs do.
pub fn presentations(runs: &[Presentations]) -> Option<String> {
    let sum = |of: fn(&Presentations) -> u64| runs.iter().map(of).sum::<u64>();
    let (trained, plain) = (sum(|p| p.trained), sum(|p| p.plain));
    let (selection, before) = (sum(|p| p.selection), sum(|p| p.before));
    if plain == 0 || (trained == plain && selection == 0 && before == 0) {
        return None;
    }
    let share = |n: u64| format!("{:.0} %", 100.0 * n as f64 / plain as f64);
    let mut text = format!("trained with {} of the presentations of plain epochs", share(trained));
    if before > 0 {
        text += &format!(", and another network with {}", share(before));
    }
    if selection > 0 {
        text += &format!(", and looked at {} to choose them", share(selection));
    }
    Some(text)
}
