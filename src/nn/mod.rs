//! Networks as data: a graph of layers that every executor reads, the architectures, their
//! initialisation and their weight files.

pub mod arch;
mod build;
pub mod graph;
pub mod init;
mod origin;
mod recognise;
pub mod resnet;
pub mod vgg;
pub mod weights;

pub use arch::{Arch, NetworkSpec, Stem};
pub use graph::{Layer, Network, Node, Parameter, ParameterKind, ValueId};
pub use recognise::{Likeness, nearest, recognise};
pub use weights::{Weights, WeightsMetadata};
