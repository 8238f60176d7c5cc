//! What the numbers hold for: processor, cores, threads, memory, device.

use serde::{Deserialize, Serialize};

use super::card::TimedCard;
use crate::artefact;
use crate::backend::host::Host;
use crate::backend::{Backend, Cpu};

/// A machine as far as it decides speed. Results are compared only if all of this is equal, but for the
/// card's driver: whether a new one is slower is a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineFacts {
    /// Model name, with family, model and stepping where the system tells.
    pub cpu: String,
    /// Cores this process may use.
    pub cores: usize,
    /// Threads that compute.
    pub threads: usize,
    /// Instruction set of the hot loops.
    pub isa: String,
    /// Operating system and architecture.
    pub os: String,
    /// Installed memory in GiB, rounded; 0 where unknown.
    pub memory_gib: u64,
    /// `cpu`, or the card and its kernels: `NVIDIA H200 (cuda/sm_90a)`.
    pub device: String,
    /// Hash of all the above.
    pub fingerprint: String,
    /// The card's driver, where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
}

/// This machine, with the threads of `cpu`, computing on `card`, if on one.
pub fn describe(cpu: &Cpu, card: &TimedCard) -> MachineFacts {
    with_device(cpu, card.name().map(str::to_owned), card.driver())
}

fn with_device(cpu: &Cpu, card: Option<String>, driver: Option<String>) -> MachineFacts {
    let host = Host::look();
    let processor = match (host.processor, host.revision) {
        (Some(name), Some(revision)) => format!("{name} ({revision})"),
        (Some(name), None) => name,
        (None, _) => format!("unknown {}", std::env::consts::ARCH),
    };
    let gib = |bytes: u64| (bytes as f64 / f64::from(1 << 30)).round() as u64;
    let mut machine = MachineFacts {
        cpu: processor,
        cores: host.cores.unwrap_or(1),
        threads: cpu.workers(),
        isa: cpu.isa().name().to_owned(),
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        memory_gib: host.memory_bytes.map_or(0, gib),
        device: card.unwrap_or_else(|| "cpu".to_owned()),
        fingerprint: String::new(),
        driver: None,
    };
    let text = serde_json::to_string(&machine).unwrap_or_default();
    machine.fingerprint = artefact::digest(text.as_bytes());
    MachineFacts { driver, ..machine }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_the_same_each_time_and_another_with_other_threads() {
        let describe = |t, card: Option<&str>, driver: Option<&str>| {
            let cpu = Cpu::new(t).unwrap();
            with_device(&cpu, card.map(str::to_owned), driver.map(str::to_owned))
        };
        let [one, again, two] = [1, 1, 2].map(|t| describe(t, None, None));
        let card = describe(1, Some("card"), Some("580.1"));
        // Another driver makes no other machine.
        let newer = describe(1, Some("card"), Some("590.1"));
        assert_eq!(card.fingerprint, newer.fingerprint);
        assert_ne!(card, newer);
        assert_ne!(one.fingerprint, card.fingerprint);
        assert_eq!(one, again);
        assert_ne!(one.fingerprint, two.fingerprint);
    }
}
