//! One timed row: what was timed, and how it went.

use serde::{Deserialize, Serialize};

use super::card::CardClocks;
use super::floor::{FloorShares, Seconds};
use super::statistics::Rates;
use super::timing::Clock;

/// What was timed, and how it went, as in the document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimedRow {
    /// `train`, `forward`, `grand`, `read`, an operator with its sizes, ...
    pub work: String,
    /// `stream` where its images stay on the host and batches of them are copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
    pub images_per_second: Rates,
    /// Most resident bytes of the process while the row was timed; where the system does not tell,
    /// the planned bytes.
    #[serde(default)]
    pub peak_bytes: u64,
    /// Bytes that the executor allocated: parameters, tables, activations, workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_bytes: Option<u64>,
    /// Bytes of the host's memory that are pinned beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_bytes: Option<u64>,
    #[serde(default)]
    pub repeats: usize,
    #[serde(default)]
    pub images_a_repeat: usize,
    /// On a card whose ceilings are known: the least time that arithmetic and the tensors' bytes allow, over
    /// the median time. A step's least time is that of its convolutions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction_of_floor: Option<f64>,
    /// The time at each ceiling over the median time, and which is the largest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<FloorShares>,
    /// In the suite `tune`: whether this is what is used without being timed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub planned: bool,
    /// The card's clocks right after the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clocks: Option<CardClocks>,
    /// The tile, family and splits of a single convolution on tensor cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile: Option<String>,
    /// The factor of an injected slowdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injected_slowdown: Option<f64>,
}

impl TimedRow {
    /// A row whose repeats, of `images` images each, took `times` seconds. Everything that only some
    /// rows have is left out.
    pub fn new(clock: &Clock, images: usize, times: &[f64]) -> TimedRow {
        let rates: Vec<f64> = times.iter().map(|t| images as f64 / t).collect();
        TimedRow {
            work: clock.work.to_owned(),
            images: None,
            images_per_second: Rates::of(&rates),
            peak_bytes: 0,
            planned_bytes: None,
            pinned_bytes: None,
            repeats: times.len(),
            images_a_repeat: images,
            fraction_of_floor: None,
            limits: None,
            planned: false,
            clocks: None,
            tile: None,
            injected_slowdown: clock.slowdown,
        }
    }

    /// The row with the memory it took: the process's peak, and what was planned.
    pub fn with_memory(self, peak: Option<u64>, planned: Option<u64>) -> TimedRow {
        TimedRow { peak_bytes: peak.or(planned).unwrap_or(0), planned_bytes: planned, ..self }
    }

    /// The row beside its floor: the time that `batch` images take at the card's ceilings, if known.
    pub fn with_floor(self, seconds: Option<Seconds>, batch: usize) -> TimedRow {
        let measured = batch as f64 / self.images_per_second.median;
        let floor = seconds.map(|seconds| seconds.of(measured));
        TimedRow {
            fraction_of_floor: floor.map(|(fraction, _)| fraction),
            limits: floor.map(|(_, shares)| shares),
            ..self
        }
    }

    /// What the row is, for people and to find it in another document.
    pub fn name(&self) -> String {
        match &self.images {
            Some(place) => format!("{} ({place})", self.work),
            None => self.work.clone(),
        }
    }
}
