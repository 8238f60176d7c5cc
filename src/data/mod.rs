//! Labelled image sets in memory: u8 pixels, NHWC, three channels.
//!
//! Each format has one file, and all have one entry point ([`load`]). Order and class indices are
//! those of the ecosystem's own readers (torchvision's `ImageFolder`, the batch order of CIFAR), so
//! that a stored index means the same sample there and here. An unreadable sample is an error and
//! never skipped, because skipping would shift every index after it.

mod archive;
mod attributes;
pub mod cache;
pub mod cifar;
mod class_names;
mod class_tars;
mod contents;
mod decode;
mod detect;
pub mod fetch;
mod fingerprint;
mod format;
pub mod groups;
pub mod idx;
pub mod image_folder;
pub mod imagenet;
mod images;
mod listed;
mod load;
mod long_tail;
mod options;
#[cfg(feature = "parquet")]
pub mod parquet;
#[cfg(not(feature = "parquet"))]
#[path = "parquet/absent.rs"]
mod parquet;
mod part;
mod part_names;
mod partition;
mod pixels;
mod resize;
mod sequence;
mod set;
pub mod shapes;
mod shards;
pub mod split;
mod statistics;
pub mod tiny_imagenet;
pub mod webdataset;
mod wording;
pub mod wordnet;
pub mod write;

pub use attributes::Attributes;
pub use contents::Contents;
pub use decode::decode_image;
pub use fingerprint::samples as samples_fingerprint;
pub use format::Format;
pub use listed::Listing;
pub use load::{load, load_validation};
pub use long_tail::long_tail_sizes;
pub use options::{DecodeLimits, LoadOptions, Progress, StatedLayout};
pub use part::Part;
pub use part_names::{PartNames, VOCABULARY};
pub use partition::Partition;
pub use set::{DataSet, LongTail};
pub use split::{LeftOut, PartName, QueryPart, Split, SplitKind};
pub use statistics::ChannelStatistics;
