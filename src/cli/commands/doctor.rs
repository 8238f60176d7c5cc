//! `fairprune doctor`: what this build can compute on here, and why not on the rest.

use std::fs;

use anyhow::Result;
use clap::Args;
use fairprune::backend::kernel_sets::kernel_sets;
use fairprune::backend::{Backend, Cpu};
use fairprune::cuda::{Absence, FAMILIES, ImageSource, Survey, SurveyedCard, survey, unconfirmed};
use serde_json::{Value, json};

use crate::cli::args::Common;
use crate::cli::device::Device;
use crate::cli::{device, output};

#[derive(Args, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub common: Common,
}

/// Prints the report; a `--device` that cannot be used is an error all the same.
pub fn doctor(args: &DoctorArgs) -> Result<u8> {
    let common = &args.common;
    let cpu = device::cpu(common)?;
    let host = Host::look(&cpu);
    let survey = survey();
    let rows = rows(&survey);
    if common.json {
        output::print_json(&document(&cpu, &host, &survey, &rows))?;
    } else {
        output::print(text(&cpu, &host, &survey, &rows))?;
    }
    Device::open(common)?;
    Ok(0)
}

/// A device with one set of kernels.
struct Row {
    device: String,
    kernels: String,
    /// Why it cannot be used; None where it can.
    reason: Option<String>,
    card: Option<SurveyedCard>,
}

/// What `--device auto` prefers first: it takes the first card, else the first usable row.
fn rows(survey: &Survey) -> Vec<Row> {
    let mut rows = Vec::new();
    match (&survey.cards, &survey.source) {
        (Ok(cards), _) => rows.extend(cards.iter().map(|card| {
            let name = &card.properties.card;
            Row {
                device: format!("cuda:{}", card.properties.ordinal),
                kernels: match &card.image {
                    Ok(image) => format!("{image}, {name}"),
                    Err(_) => name.clone(),
                },
                reason: card.image.as_ref().err().map(Absence::to_string),
                card: Some(card.clone()),
            }
        })),
        // As `--device cuda` says: without kernels nothing else matters.
        (Err(absence), Ok(_)) | (Err(_), Err(absence)) => rows.push(Row {
            device: "cuda".to_owned(),
            kernels: "NVIDIA GPUs".to_owned(),
            reason: Some(absence.to_string()),
            card: None,
        }),
    }
    rows.extend(kernel_sets().into_iter().map(|candidate| Row {
        device: candidate.name,
        kernels: candidate.kernels.to_owned(),
        reason: candidate.absence.map(|absence| absence.to_string()),
        card: None,
    }));
    rows
}

/// The row that `--device auto` takes.
fn in_use(rows: &[Row]) -> Option<usize> {
    let first_card = |i: usize, row: &Row| row.card.is_none() || i == 0;
    (0..rows.len()).find(|&i| rows[i].reason.is_none() && first_card(i, &rows[i]))
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

/// What there is of CUDA besides cards.
fn cuda(survey: &Survey) -> String {
    let kernels = match (&survey.source, survey.built) {
        (Ok(ImageSource::Folder(folder)), _) => format!("kernels of {}", folder.display()),
        (_, Some(built)) => {
            format!("kernels for {} (nvcc {})", built.architectures.join(", "), built.compiler)
        }
        (_, None) => "no kernels".to_owned(),
    };
    let driver = match &survey.driver {
        Ok(version) => format!("driver for CUDA {version}"),
        Err(_) => "no usable driver".to_owned(),
    };
    format!("{kernels}; {driver}")
}

fn text(cpu: &Cpu, host: &Host, survey: &Survey, rows: &[Row]) -> String {
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
        format!("cuda       {}", cuda(survey)),
    ];
    let in_use = in_use(rows);
    let cells = rows
        .iter()
        .enumerate()
        .map(|(i, row)| {
            let state = match &row.reason {
                Some(reason) => format!("no, {reason}"),
                None if Some(i) == in_use => "yes, in use".to_owned(),
                None => "yes".to_owned(),
            };
            vec![row.device.clone(), row.kernels.clone(), state]
        })
        .collect();
    let devices = output::table(&["device", "kernels", "usable"], cells, 3);
    let mut text = format!("{}\n\n{devices}", lines.join("\n"));
    if survey.source.is_ok() && !unconfirmed().is_empty() {
        text.push_str(&format!("\n\n{}", unconfirmed_table()));
    }
    text
}

/// Kernels whose instructions were never compared with a card's.
fn unconfirmed_table() -> String {
    let rows = unconfirmed()
        .iter()
        .map(|(family, functions)| {
            let kernels = FAMILIES.iter().find(|f| f.0 == *family).map_or(&[][..], |f| f.1);
            vec![(*family).to_owned(), kernels.join(", "), functions.join(", ")]
        })
        .collect();
    let headers = ["unconfirmed", "kernels", "instructions that no card has recorded"];
    output::table(&headers, rows, 3)
}

fn document(cpu: &Cpu, host: &Host, survey: &Survey, rows: &[Row]) -> Value {
    let in_use = in_use(rows);
    let devices: Vec<Value> = rows
        .iter()
        .enumerate()
        .map(|(i, row)| {
            let properties = row.card.as_ref().map(|card| &card.properties);
            json!({
                "device": row.device,
                "kernels": row.kernels,
                "usable": row.reason.is_none(),
                "in_use": Some(i) == in_use,
                "reason": row.reason,
                "capability": properties.map(|p| p.capability.to_string()),
                "memory_bytes": properties.map(|p| p.memory_bytes),
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
        "cuda": {
            "architectures": survey.built.map_or(&[][..], |built| built.architectures),
            "compiler": survey.built.map(|built| built.compiler),
            "driver": survey.driver.as_ref().ok().map(ToString::to_string),
            "unconfirmed": unconfirmed()
                .iter()
                .map(|(family, functions)| json!({ "family": family, "functions": functions }))
                .collect::<Vec<_>>(),
        },
        "devices": devices,
    })
}
