//! The CPU's kernel sets, and why some cannot be used here.

use std::fmt;

use super::Isa;

/// Why a kernel set cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// The kernels are for x86-64 processors.
    OtherArchitecture,
    /// The processor lacks these instruction sets.
    Lacking(Vec<&'static str>),
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Unsupported::OtherArchitecture => f.write_str("for x86-64 processors only"),
            Unsupported::Lacking(sets) => write!(f, "the processor lacks {}", sets.join(", ")),
        }
    }
}

/// The CPU with one set of kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelSet {
    /// The name in results: `cpu/avx512`.
    pub name: String,
    /// What the kernels are made for.
    pub kernels: &'static str,
    /// Why it cannot be used; None where it can.
    pub absence: Option<Unsupported>,
}

/// All kernel sets, the fastest first: the first usable one is taken.
pub fn kernel_sets() -> Vec<KernelSet> {
    let sets = [Isa::Avx512, Isa::Avx2, Isa::Portable].map(|isa| KernelSet {
        name: format!("cpu/{}", isa.name()),
        kernels: match isa {
            Isa::Avx512 => "AVX-512, 16 lanes",
            Isa::Avx2 => "AVX2 and FMA, 8 lanes",
            Isa::Portable => "any processor",
        },
        absence: absence(isa),
    });
    sets.into()
}

#[cfg(target_arch = "x86_64")]
fn absence(isa: Isa) -> Option<Unsupported> {
    macro_rules! features {
        ($($name:tt)*) => { [$(($name, is_x86_feature_detected!($name))),*] };
    }
    let avx2 = features!("avx2" "fma");
    let avx512 = features!("avx512f" "avx512vl" "avx512dq" "avx512bw");
    let needed: Vec<(&'static str, bool)> = match isa {
        Isa::Portable => Vec::new(),
        Isa::Avx2 => avx2.to_vec(),
        Isa::Avx512 => avx2.into_iter().chain(avx512).collect(),
    };
    let lacking: Vec<&str> = needed.into_iter().filter(|n| !n.1).map(|n| n.0).collect();
    (!lacking.is_empty()).then_some(Unsupported::Lacking(lacking))
}

#[cfg(not(target_arch = "x86_64"))]
fn absence(isa: Isa) -> Option<Unsupported> {
    (isa != Isa::Portable).then_some(Unsupported::OtherArchitecture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Backend, Cpu};

    #[test]
    fn the_first_usable_set_is_what_the_program_takes() {
        let usable: Vec<KernelSet> =
            kernel_sets().into_iter().filter(|c| c.absence.is_none()).collect();
        assert_eq!(usable[0].name, Cpu::new(1).unwrap().name());
        assert_eq!(usable.last().unwrap().name, "cpu/portable");
    }

    #[test]
    fn absences_say_why() {
        let lacking = Unsupported::Lacking(vec!["avx512f", "avx512bw"]);
        assert_eq!(lacking.to_string(), "the processor lacks avx512f, avx512bw");
    }
}
