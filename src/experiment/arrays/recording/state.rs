//! A recorder's state, to be kept between two processes.

use super::tally::ClassTally;
use super::{LogitRecorder, UNKNOWN};
use crate::error::{Error, Result};

/// Everything that a recorder holds between two epochs, to be kept and given back.
#[derive(Clone, Debug, PartialEq)]
pub struct RecorderState {
    pub divergence: bool,
    pub classes: usize,
    pub labels: Vec<u32>,
    pub epochs: usize,
    /// Epochs x quantities x samples.
    pub rows: Vec<f32>,
    pub previous: Vec<f32>,
    /// Correct and total of each finished epoch, E x 2 x K.
    pub validated: Vec<u64>,
    pub updates: u64,
}

impl LogitRecorder {
    /// What the recorder holds, between two epochs.
    ///
    /// # Errors
    /// In the middle of an epoch.
    pub fn state(&mut self) -> Result<RecorderState> {
        if !self.presented.is_empty() {
            let found = format!("{} samples of an unfinished epoch", self.presented.len());
            return Err(Error::invalid("state", found, "`end_epoch` before"));
        }
        let (epochs, quantities) = (self.rows.epochs(), self.recording.quantities());
        let mut rows = Vec::with_capacity(epochs * quantities.len() * self.labels.len());
        for epoch in 0..epochs {
            for &quantity in quantities {
                let row = self.rows.row(quantity, epoch).map_err(Error::io("recorder"))?;
                rows.extend(row);
            }
        }
        let tallies = self.validated.iter();
        Ok(RecorderState {
            divergence: self.recording.divergence,
            classes: self.classes,
            labels: self.labels.clone(),
            epochs,
            rows,
            previous: self.previous.clone(),
            validated: tallies.flat_map(|t| [&t.correct, &t.total]).flatten().copied().collect(),
            updates: self.updates,
        })
    }

    /// A recorder that goes on from a state.
    ///
    /// # Errors
    /// Arrays whose lengths do not fit each other, or labels that are no classes.
    pub fn from_state(state: RecorderState) -> Result<LogitRecorder> {
        let (n, k) = (state.labels.len(), state.classes);
        let mut recorder = LogitRecorder::new(n, k, state.divergence)?;
        let quantities = recorder.recording.quantities();
        let sizes = [
            ("rows", state.rows.len(), state.epochs * quantities.len() * n),
            ("previous", state.previous.len(), recorder.previous.len()),
            ("validated", state.validated.len(), state.epochs * 2 * k),
        ];
        for (what, found, expected) in sizes {
            if found != expected {
                let what = format!("recorder's state: {what}");
                return Err(Error::invalid(what, format!("{found} values"), format!("{expected}")));
            }
        }
        if let Some(&label) = state.labels.iter().find(|&&l| l != UNKNOWN && l as usize >= k) {
            let expected = format!("below {k}");
            return Err(Error::invalid("recorder's state: label", label.to_string(), expected));
        }
        for epoch in state.rows.chunks(quantities.len() * n) {
            let mut columns: Vec<Vec<f32>> = epoch.chunks(n).map(<[f32]>::to_vec).collect();
            let presented: Vec<u32> =
                (0..n as u32).filter(|&i| !columns[0][i as usize].is_nan()).collect();
            recorder.rows.push(&mut columns, &presented)?;
        }
        let tally = |t: &[u64]| ClassTally { correct: t[..k].to_vec(), total: t[k..].to_vec() };
        recorder.validated = state.validated.chunks(2 * k).map(tally).collect();
        recorder.labels = state.labels;
        recorder.previous = state.previous;
        recorder.updates = state.updates;
        Ok(recorder)
    }
}
