//! Everything about two classes at several densities, and what to be warned of.

use super::model::{Decision, TwoGaussians};
use super::pruning::{Jump, RandomPruning, Ssp};
use crate::error::Result;

/// Densities listed in one message before it says "and n more".
const LISTED: usize = 8;

/// What the model says of its classes.
#[derive(Clone, Debug, PartialEq)]
pub struct TheoryStudy {
    /// The rule of least total risk on all data.
    pub full: Decision,
    /// The stationary point t* that is not of least risk, where the full rule is constant.
    pub local_minimum: Option<Decision>,
    /// The rule of least worst-class risk.
    pub worst_optimum: Decision,
    /// See [`TwoGaussians::optimal_priors`].
    pub optimal_priors: Option<[f64; 2]>,
    /// See [`TwoGaussians::reachable_density`].
    pub reachable_density: Option<f64>,
    /// See [`TwoGaussians::ssp_jump`].
    pub ssp_jump: Option<Jump>,
    /// One row for each density, in the order given.
    pub rows: Vec<StudyRow>,
}

/// Both ways of pruning at one density.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StudyRow {
    /// Kept share of all samples.
    pub density: f64,
    /// What [`TwoGaussians::metriq`] gives.
    pub metriq: Option<RandomPruning>,
    /// What [`TwoGaussians::ssp`] gives.
    pub ssp: Ssp,
}

impl TwoGaussians {
    /// Computes the study at these densities.
    ///
    /// # Errors
    /// [`crate::error::Error::Invalid`] for a density outside (0, 1].
    pub fn study(&self, densities: &[f64]) -> Result<TheoryStudy> {
        let row = |&density: &f64| {
            Ok(StudyRow { density, metriq: self.metriq(density)?, ssp: self.ssp(density)? })
        };
        let local = self.local_minimum().filter(|m| !m.global);
        Ok(TheoryStudy {
            full: self.minimiser(),
            local_minimum: local.map(|m| m.decision),
            worst_optimum: self.worst_optimum(),
            optimal_priors: self.optimal_priors(),
            reachable_density: self.reachable_density(),
            ssp_jump: self.ssp_jump(),
            rows: densities.iter().map(row).collect::<Result<_>>()?,
        })
    }
}

impl TheoryStudy {
    /// Returns every rule of the study: the full one, the one of least worst-class risk, then those
    /// of each row, MetriQ (where it is defined) before SSP.
    pub fn decisions(&self) -> Vec<Decision> {
        let mut all = vec![self.full, self.worst_optimum];
        for row in &self.rows {
            all.extend(row.metriq.map(|m| m.decision));
            all.push(row.ssp.decision);
        }
        all
    }

    /// Says what the numbers do not say by themselves: where MetriQ is undefined, degenerate, or
    /// worse for the worst class than no pruning.
    pub fn warnings(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(class) = self.full.degenerate() {
            found.push(format!(
                "on all data no threshold errs less than always predicting class {class}: MetriQ's \
                 quotas, in proportion to the risks of the classes, are undefined"
            ));
        }
        for class in [0, 1] {
            let always = |row: &&StudyRow| {
                row.metriq.is_some_and(|m| m.decision.degenerate() == Some(class))
            };
            let rows: Vec<&StudyRow> = self.rows.iter().filter(always).collect();
            if !rows.is_empty() {
                found.push(format!(
                    "after MetriQ at density {} always predicting class {class} errs least: its \
                     quotas starve class {}",
                    densities(&rows),
                    1 - class
                ));
            }
        }
        let worse =
            |row: &&StudyRow| row.metriq.is_some_and(|m| m.decision.worst() > self.full.worst());
        let rows: Vec<&StudyRow> = self.rows.iter().filter(worse).collect();
        if !rows.is_empty() {
            let most = rows.iter().filter_map(|r| r.metriq).map(|m| m.decision.worst());
            found.push(format!(
                "MetriQ is worse for the worst class than no pruning at density {}: risk up to \
                 {:.4} against {:.4}; that it is near-optimal depends on the parameters",
                densities(&rows),
                most.fold(0.0, f64::max),
                self.full.worst()
            ));
        }
        found
    }
}

fn densities(rows: &[&StudyRow]) -> String {
    let shown: Vec<String> = rows.iter().take(LISTED).map(|r| r.density.to_string()).collect();
    match rows.len().saturating_sub(LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study(means: [f64; 2], sigmas: [f64; 2], sizes: [f64; 2], densities: &[f64]) -> TheoryStudy {
        TwoGaussians::new(means, sigmas, sizes).unwrap().study(densities).unwrap()
    }

    #[test]
    fn warnings_say_where() {
        let quiet = study([-1.0, 1.0], [0.5, 1.0], [1.0; 2], &[1.0, 0.5, 0.1]);
        assert_eq!(quiet.warnings(), [""; 0]);
        assert_eq!(quiet.decisions().len(), 8);
        let worse = study([-1.0, 1.0], [0.25, 1.0], [1.0; 2], &[1.0, 0.5, 0.1]);
        let text = worse.warnings().join("\n");
        assert!(text.starts_with("MetriQ is worse for the worst class"), "{text}");
        assert!(text.contains("density 0.5, 0.1: risk up to 0.0743 against 0.0738"), "{text}");
        let undefined = study([0.0, 1.0], [0.1, 1.0], [1.0, 10.0], &[0.5]);
        let text = undefined.warnings().join("\n");
        assert!(text.contains("always predicting class 1: MetriQ's quotas"), "{text}");
        assert_eq!(undefined.decisions().len(), 3);
        assert!(undefined.local_minimum.is_some() && undefined.ssp_jump.is_none());
    }

    #[test]
    fn long_lists_are_cut() {
        let many: Vec<f64> = (1..=20).map(|i| f64::from(i) / 40.0).collect();
        let text = study([-1.0, 1.0], [0.25, 1.0], [1.0; 2], &many).warnings().join("\n");
        assert!(text.contains(" and 12 more:"), "{text}");
    }
}
