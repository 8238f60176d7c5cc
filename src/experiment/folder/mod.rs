//! What lies in folders of results, reader beside writer.

pub mod features;
pub mod findings;
pub mod own_features;
pub mod provenance;
pub mod recall_rows;
pub mod recalls;
pub mod scores;
pub mod subset;
pub mod validation_rows;
pub mod weights;
