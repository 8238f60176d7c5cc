//! What a strategy cannot do without.

use super::name::Strategy;
use super::picker::PickerOptions;
use crate::data::{Split, SplitKind};
use crate::error::{Error, Result};

impl Strategy {
    /// Whether something is measured on validation images for it: recalls, or what a method of selection
    /// looks at.
    pub fn measures(self, options: &PickerOptions) -> bool {
        self.needs_recalls() || self.pickers().any(|p| p.needs_validation(options))
    }

    /// Refuses a split that leaves nothing to measure on.
    ///
    /// # Errors
    /// The split is none, and something is measured.
    pub fn check_split(self, options: &PickerOptions, split: &Split) -> Result<()> {
        if split.kind != SplitKind::None || !self.measures(options) {
            return Ok(());
        }
        let found = "`split` none, under which nothing is measured on validation images";
        let expected = "another `split`; or quotas without recalls (none, uniform, balanced), and no method \
                        that looks at validation images";
        Err(Error::invalid(format!("strategy {self}"), found, expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_needs_a_split() {
        let names = vec!["a".to_owned(), "b".to_owned()];
        let split = |kind| Split::new(kind, &names, &[0, 0, 1, 1], None, None, 0).unwrap();
        let options = PickerOptions::default();
        for (name, measures) in [
            ("random", false),
            ("el2n+uniform", false),
            ("coreset", false),
            ("metriq", true),
            ("el2n+metriq", true),
            ("predicted", true),
            ("glister", true),
        ] {
            let strategy: Strategy = name.parse().unwrap();
            let refused = strategy.check_split(&options, &split(SplitKind::None)).is_err();
            assert_eq!((strategy.measures(&options), refused), (measures, measures), "{name}");
            strategy.check_split(&options, &split(SplitKind::Holdout)).unwrap();
        }
    }
}
