//! Which strategies train with the weights of their picks, and those weights.

use super::name::{Choice, Quota, Ranking, Strategy};
use super::pick_weights::PickWeights;
use crate::error::Result;
use crate::prune::{Population, Scope, Subset, training_weights};

impl Strategy {
    /// Whether its runs train with the weights of its picks.
    pub fn trains_with_weights(self, choice: &Choice) -> bool {
        let Strategy::Pruned { ranking: Ranking::Picks(picker), .. } = self else { return false };
        let selector = picker.selector(&choice.pickers);
        match choice.weights {
            PickWeights::Method => selector.trains_with_weights(),
            PickWeights::All => selector.gives_weights(),
            PickWeights::None => false,
        }
    }

    /// The weights of a subset that it kept, in the order of the subset, as training takes them: they
    /// average 1, inside each class where the method picked there or a quota says what a class counts.
    /// None where its method gives none.
    pub fn weights_of(
        self,
        subset: &Subset,
        population: Population,
        choice: &Choice,
    ) -> Result<Option<Vec<f32>>> {
        let (Strategy::Pruned { ranking: Ranking::Picks(picker), quota }, Some(picks)) =
            (self, &subset.picks)
        else {
            return Ok(None);
        };
        let quotas = quota != Quota::None;
        let scope = picker.selector(&choice.pickers).scope(quotas);
        let scope = choice.pickers.scope.unwrap_or(scope);
        training_weights(population, picks, quotas || scope == Scope::Class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authors_decide_unless_told_otherwise() {
        let trains = |name: &str, weights| {
            let choice = Choice { weights, ..Choice::default() };
            name.parse::<Strategy>().unwrap().trains_with_weights(&choice)
        };
        for (name, method, all) in [
            ("craig", true, true),
            ("grad-match+metriq", true, true),
            ("facility-location", false, true),
            ("coreset", false, false),
            ("random+craigq", false, false),
            ("metriq", false, false),
            ("full", false, false),
        ] {
            assert_eq!(trains(name, PickWeights::Method), method, "{name}");
            assert_eq!(trains(name, PickWeights::All), all, "{name}");
            assert!(!trains(name, PickWeights::None), "{name}");
        }
        assert_eq!("all".parse::<PickWeights>().unwrap(), PickWeights::All);
        assert!("yes".parse::<PickWeights>().unwrap_err().to_string().contains("`pick_weights`"));
    }
}
