//! What the numbers hold for: processor, cores, threads, memory, device.

use std::fs;

use fairprune::artefact;
use fairprune::backend::{Backend, Cpu};
use serde::{Deserialize, Serialize};

use super::card::Card;

/// A machine as far as it decides speed. Results are compared only if all of this is equal, but for the
/// card's driver: whether a new one is slower is a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
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
pub fn describe(cpu: &Cpu, card: &Card) -> Machine {
    with_device(cpu, card.name().map(str::to_owned), card.driver())
}

fn with_device(cpu: &Cpu, card: Option<String>, driver: Option<String>) -> Machine {
    let mut machine = Machine {
        cpu: processor(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        threads: cpu.workers(),
        isa: cpu.isa().name().to_owned(),
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        memory_gib: memory_gib(),
        device: card.unwrap_or_else(|| "cpu".to_owned()),
        fingerprint: String::new(),
        driver: None,
    };
    let text = serde_json::to_string(&machine).unwrap_or_default();
    machine.fingerprint = artefact::digest(text.as_bytes());
    Machine { driver, ..machine }
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    processor_of(&text).unwrap_or_else(|| format!("unknown {}", std::env::consts::ARCH))
}

/// The first processor of a `/proc/cpuinfo`.
fn processor_of(cpuinfo: &str) -> Option<String> {
    let value = |key: &str| {
        cpuinfo.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == key).then(|| value.trim().to_owned())
        })
    };
    let name = value("model name").or_else(|| value("CPU part"))?;
    let detail: Vec<String> =
        [("family", "cpu family"), ("model", "model"), ("stepping", "stepping")]
            .iter()
            .filter_map(|(short, key)| value(key).map(|v| format!("{short} {v}")))
            .collect();
    if detail.is_empty() { Some(name) } else { Some(format!("{name} ({})", detail.join(", "))) }
}

fn memory_gib() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = super::memory::kib_of(&text, "MemTotal").unwrap_or(0);
    (kib as f64 / f64::from(1 << 20)).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_with_its_stepping() {
        let text = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n\
                    model name\t: AMD EPYC\nstepping\t: 1\n\nprocessor\t: 1\nmodel name\t: other\n";
        assert_eq!(processor_of(text).unwrap(), "AMD EPYC (family 25, model 17, stepping 1)");
        assert_eq!(processor_of("processor : 0\n"), None);
    }

    #[test]
    fn a_machine_is_the_same_each_time_and_another_with_other_threads() {
        let describe = |t, card: Option<&str>, driver: Option<&str>| {
            let cpu = Cpu::new(t).unwrap();
            with_device(&cpu, card.map(str::to_owned), driver.map(str::to_owned))
        };
        let [one, again, two] = [1, 1, 2].map(|t| describe(t, None, None));
        let card = describe(1, Some("card"), Some("580.1"));
        // The same machine with another driver.
        let newer = describe(1, Some("card"), Some("590.1"));
        assert_eq!(card.fingerprint, newer.fingerprint);
        assert_ne!(card, newer);
        assert_ne!(one.fingerprint, card.fingerprint);
        assert_eq!(one, again);
        assert_ne!(one.fingerprint, two.fingerprint);
    }
}
