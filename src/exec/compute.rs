//! How a plan is computed, apart from what it computes.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::ops::Precision;

/// Which passes over activations are done by the convolution beside them. All of them unless a test or a
/// bench wants to see what one saves. In f32 on a card only `affine` can be chosen; a convolution's
/// statistics are its operator's own affair there, and dgrad has no sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fusion {
    /// Batch norm's statistics in fprop.
    pub statistics: bool,
    /// The ReLU's mask and batch norm's gradient sums in dgrad.
    pub gradients: bool,
    /// Affine map, sum and ReLU in fprop where statistics are the running ones.
    pub affine: bool,
}

impl Fusion {
    /// Everything that can be fused.
    pub const ALL: Fusion = Fusion { statistics: true, gradients: true, affine: true };
    /// Nothing.
    pub const NONE: Fusion = Fusion { statistics: false, gradients: false, affine: false };

    fn parts(&self) -> [(&'static str, bool); 3] {
        let Fusion { statistics, gradients, affine } = *self;
        [("statistics", statistics), ("gradients", gradients), ("affine", affine)]
    }
}

impl Default for Fusion {
    fn default() -> Self {
        Fusion::ALL
    }
}

impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let chosen: Vec<&str> = self.parts().iter().filter(|p| p.1).map(|p| p.0).collect();
        f.write_str(&match chosen.len() {
            0 => "none".to_owned(),
            3 => "all".to_owned(),
            _ => chosen.join(","),
        })
    }
}

impl FromStr for Fusion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut fusion = match text {
            "all" => return Ok(Fusion::ALL),
            "none" => return Ok(Fusion::NONE),
            _ => Fusion::NONE,
        };
        for name in text.split(',') {
            *match name {
                "statistics" => &mut fusion.statistics,
                "gradients" => &mut fusion.gradients,
                "affine" => &mut fusion.affine,
                _ => {
                    let expected = "all, none, or some of statistics,gradients,affine";
                    return Err(Error::invalid("`fuse`", text, expected));
                }
            } = true;
        }
        Ok(fusion)
    }
}

/// How a plan is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Compute {
    pub precision: Precision,
    pub fusion: Fusion,
    /// Steps are recorded when they come again, and replayed from then on, where the backend can.
    pub record: bool,
}

impl Compute {
    /// With everything fused and recorded.
    pub fn new(precision: Precision) -> Self {
        Compute { precision, fusion: Fusion::ALL, record: true }
    }
}

impl Default for Compute {
    fn default() -> Self {
        Compute::new(Precision::F32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fusions_are_read_as_they_are_written() {
        let some = Fusion { gradients: false, ..Fusion::ALL };
        for (fusion, text) in
            [(Fusion::ALL, "all"), (Fusion::NONE, "none"), (some, "statistics,affine")]
        {
            assert_eq!(fusion.to_string(), text);
            assert_eq!(text.parse::<Fusion>().unwrap(), fusion);
        }
        for bad in ["", "everything", "affine,", "none,affine"] {
            let message = bad.parse::<Fusion>().unwrap_err().to_string();
            assert!(message.contains("`fuse`"), "{message}");
        }
    }
}
