//! What lies in folders of results, reader beside writer.

pub mod features;
pub mod provenance;
pub mod weights;
