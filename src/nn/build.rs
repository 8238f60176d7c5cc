//! The network that a description stands for.

use super::arch::{Arch, NetworkSpec};
use super::graph::Network;
use super::{resnet, vgg};
use crate::error::{Error, Result};

impl NetworkSpec {
    /// The network. Errors if the images are too small for it, or a size is 0.
    pub fn build(&self) -> Result<Network> {
        if self.width == 0 || self.width > 4096 {
            return Err(Error::invalid("`width`", self.width.to_string(), "1 to 4096"));
        }
        if self.classes < 2 {
            return Err(Error::invalid("classes", self.classes.to_string(), "at least 2"));
        }
        match self.arch {
            Arch::Vgg16 | Arch::Vgg19 => vgg::build(self),
            _ => resnet::build(self),
        }
    }
}
