//! `fairprune doctor`: what this build can compute on here, and why not on the rest.

use std::fs;

use anyhow::Result;
use clap::Args;
use fairprune::backend::candidates::{Candidate, candidates};
use fairprune::backend::{Backend, Cpu};
use serde_json::{Value, json};

use crate::cli::args::Common;
use crate::cli::{context, output};

#[derive(Args, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub common: Common,
}

/// Prints the report; a `--device` that cannot be used is an error all the same.
pub fn doctor(args: &DoctorArgs) -> Result<u8> {
    let common = &args.common;
    let cpu = context::cpu(common)?;
    let host = Host::look(&cpu);
    let candidates = candidates();
    let in_use = candidates.iter().position(|c| c.absence.is_none());
    if common.json {
        output::print_json(&document(&cpu, &host, &candidates, in_use))?;
    } else {
        output::print(text(&cpu, &host, &candidates, in_use))?;
    }
    context::device(common)?;
    Ok(0)
}

/// The machine, as far as the system tells.
struct Host {
    cpu: Option<String>,
    /// Processors this process may use.
    cores: Option<usize>,
    memory_bytes: Option<u64>,
    free_bytes: Option<u64>,
}

impl Host {
    fn look(cpu: &Cpu) -> Self {
        Host {
            cpu: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().ok().map(usize::from),
            memory_bytes: field("/proc/meminfo", "MemTotal")
                .and_then(|text| text.trim_end_matches("kB").trim().parse::<u64>().ok())
                .map(|kib| kib * 1024),
            free_bytes: cpu.free_bytes(),
        }
    }
}

/// The value of the first `name: value` line of a file.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn text(cpu: &Cpu, host: &Host, candidates: &[Candidate], in_use: Option<usize>) -> String {
    let unknown = || "unknown".to_owned();
    let number = |n: Option<usize>| n.map_or(unknown(), |n| n.to_string());
    let size = |n: Option<u64>| n.map_or(unknown(), output::bytes);
    let lines = [
        format!(
            "fairprune {}, commit {}, {}, {} profile",
            env!("CARGO_PKG_VERSION"),
            env!("FAIRPRUNE_COMMIT"),
            env!("FAIRPRUNE_TARGET"),
            env!("FAIRPRUNE_PROFILE")
        ),
        format!(
            "processor  {}, {} cores, {} threads in use",
            host.cpu.clone().unwrap_or_else(unknown),
            number(host.cores),
            cpu.workers()
        ),
        format!("memory     {}, {} free", size(host.memory_bytes), size(host.free_bytes)),
    ];
    let rows = candidates
        .iter()
        .enumerate()
        .map(|(i, candidate)| {
            let state = match &candidate.absence {
                Some(absence) => format!("no, {absence}"),
                None if Some(i) == in_use => "yes, in use".to_owned(),
                None => "yes".to_owned(),
            };
            vec![candidate.name.clone(), candidate.kernels.to_owned(), state]
        })
        .collect();
    format!("{}\n\n{}", lines.join("\n"), output::table(&["device", "kernels", "usable"], rows, 3))
}

fn document(cpu: &Cpu, host: &Host, candidates: &[Candidate], in_use: Option<usize>) -> Value {
    let devices: Vec<Value> = candidates
        .iter()
        .enumerate()
        .map(|(i, candidate)| {
            json!({
                "device": candidate.name,
                "kernels": candidate.kernels,
                "usable": candidate.absence.is_none(),
                "in_use": Some(i) == in_use,
                "reason": candidate.absence.as_ref().map(ToString::to_string),
            })
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": env!("FAIRPRUNE_COMMIT"),
        "target": env!("FAIRPRUNE_TARGET"),
        "profile": env!("FAIRPRUNE_PROFILE"),
        "cpu": {
            "name": host.cpu,
            "cores": host.cores,
            "threads": cpu.workers(),
        },
        "memory": { "total_bytes": host.memory_bytes, "free_bytes": host.free_bytes },
        "devices": devices,
    })
}
