//! How activations and their gradients are stored, and what a run states about its arithmetic.

use std::fmt;
use std::str::FromStr;

use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::tensor::Dtype;

/// Storage of activations, their gradients and the convolutions' copies of the weights. Sums, statistics,
/// the loss, the last layer, master weights and their update are f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Exact f32.
    #[default]
    F32,
    /// bf16, on tensor cores; on a CPU by AMX or AVX-512 BF16 where it has them.
    Bf16,
}

impl Precision {
    /// The type of a stored activation.
    pub fn dtype(self) -> Dtype {
        match self {
            Precision::F32 => Dtype::F32,
            Precision::Bf16 => Dtype::Bf16,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "f32" => Ok(Precision::F32),
            "bf16" => Ok(Precision::Bf16),
            _ => Err(Error::invalid("`precision`", name, "f32 or bf16")),
        }
    }
}

/// Version of the order in which operators sum: raised by every change that moves bits, so that no
/// run is resumed by a program that would end it with other ones.
const NUMERICS: u32 = 2;
/// Version of the order of those sums that only bf16 has.
const NUMERICS_BF16: u32 = 3;

/// Backend, version of the sums and precision, for the identity of a job. f32 has no name there: runs
/// from before there was a choice go on. bf16 has its own version.
pub fn numerics(backend: &impl Backend, precision: Precision) -> String {
    match precision {
        Precision::F32 => format!("{}/{NUMERICS}", backend.name()),
        Precision::Bf16 => format!("{}/{NUMERICS}/bf16/{NUMERICS_BF16}", backend.bf16_name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;
    use crate::isa::bf16::Bf16Form;

    #[test]
    fn names_are_read_as_they_are_written() {
        for precision in [Precision::F32, Precision::Bf16] {
            assert_eq!(precision.to_string().parse::<Precision>().unwrap(), precision);
        }
        let message = "fp16".parse::<Precision>().unwrap_err().to_string();
        assert!(message.contains("fp16") && message.contains("f32 or bf16"), "{message}");
    }

    #[test]
    fn results_in_bf16_state_the_order_of_their_sums() {
        let cpu = Cpu::new(1).unwrap();
        let f32 = numerics(&cpu, Precision::F32);
        for form in [Bf16Form::Tiles, Bf16Form::Pairs] {
            let cpu = Cpu::new(1).unwrap().with_bf16_form(form);
            assert_eq!(numerics(&cpu, Precision::F32), f32);
            let expected =
                format!("{}/{}/{NUMERICS}/bf16/{NUMERICS_BF16}", cpu.name(), form.name());
            assert_eq!(numerics(&cpu, Precision::Bf16), expected);
        }
    }
}
