//! Scores that compare a sample with the centre of a class or of a cluster, with its neighbours,
//! or with its label.
//!
//! Every score comes in data-set order with its direction: NaN stands for samples that are not
//! eligible.

mod centres;
mod k_means;
mod outputs;
mod sample_score;

pub(crate) use centres::centre_distances;
pub use centres::{Centre, class_distances};
pub use k_means::{ClusterMetric, KMeans, prototype_distances};
pub use outputs::{cal, last_layer_grand, least_confidence};
pub use sample_score::SampleScore;
