//! Ways of choosing samples: a ranking and a quota, with their options, and the samples they keep.

mod choose;
mod difficulty;
mod evidence;
mod name;
mod needs;
mod pick_weights;
mod picker;
mod predicted;
mod weighting;

pub use evidence::{QueryData, Recalls};
pub use name::{Choice, Quota, QuotaSettings, Ranking, Strategy};
pub use pick_weights::PickWeights;
pub use picker::{Idle, Material, Picker, PickerOptions, ValidationMaterial};
pub use predicted::PredictedQuota;
