//! The machine that the program runs on, as far as the system tells.

use std::fs;

use crate::memory::kib;

/// Processor, cores and memory; None where the system does not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The processor's model name.
    pub processor: Option<String>,
    /// What tells it from others of its name: `family 25, model 17, stepping 1`.
    pub revision: Option<String>,
    /// Processors that this process may use.
    pub cores: Option<usize>,
    /// Installed memory.
    pub memory_bytes: Option<u64>,
}

impl Host {
    /// Asks the system.
    pub fn look() -> Host {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (processor, revision) = processor_of(&text("/proc/cpuinfo"));
        Host {
            processor,
            revision,
            cores: std::thread::available_parallelism().ok().map(usize::from),
            memory_bytes: kib(&text("/proc/meminfo"), "MemTotal").map(|kib| kib * 1024),
        }
    }
}

/// Name and revision of the first processor of a `/proc/cpuinfo`.
fn processor_of(cpuinfo: &str) -> (Option<String>, Option<String>) {
    let value = |key: &str| {
        let mut pairs = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
    };
    let keys = [("family", "cpu family"), ("model", "model"), ("stepping", "stepping")];
    let revision: Vec<String> =
        keys.iter().filter_map(|(name, key)| Some(format!("{name} {}", value(key)?))).collect();
    let name = value("model name").or_else(|| value("CPU part"));
    (name, (!revision.is_empty()).then(|| revision.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_with_its_stepping() {
        let text = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n\
                    model name\t: AMD EPYC\nstepping\t: 1\n\nprocessor\t: 1\nmodel name\t: other\n";
        let (name, revision) = processor_of(text);
        assert_eq!(name.unwrap(), "AMD EPYC");
        assert_eq!(revision.unwrap(), "family 25, model 17, stepping 1");
        assert_eq!(processor_of("processor : 0\n"), (None, None));
    }
}
