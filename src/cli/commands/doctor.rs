//! `fairprune doctor`: what this build can compute on here, and why not on the rest.

use anyhow::Result;
use clap::Args;
use fairprune::cuda::{FAMILIES, ImageSource, Survey, unconfirmed};
use fairprune::doctor::Examination;
use fairprune::experiment::Device;
use fairprune::isa::bf16::Bf16Form;
use serde_json::{Value, json};

use crate::cli::args::Common;
use crate::cli::output;

/// Where the values of the report's lines begin.
const INDENT: usize = 11;

#[derive(Args, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub common: Common,
}

/// Prints the report; a `--device` that cannot be used is an error all the same.
pub fn doctor(args: &DoctorArgs) -> Result<u8> {
    let common = &args.common;
    let found = Examination::make(common.threads)?;
    if common.json {
        output::print_json(&document(&found))?;
    } else {
        output::print(text(&found))?;
    }
    Device::with_threads(&common.device, common.threads)?;
    Ok(0)
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

fn text(found: &Examination) -> String {
    let unknown = || "unknown".to_owned();
    let size = |n: Option<u64>| n.map_or(unknown(), output::bytes);
    let host = &found.host;
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
            host.processor.clone().unwrap_or_else(unknown),
            host.cores.map_or(unknown(), |n| n.to_string()),
            found.threads
        ),
        format!("bf16       {}", Bf16Form::detect().means()),
        format!("memory     {}, {} free", size(host.memory_bytes), size(found.free_bytes)),
        format!("cuda       {}", cuda(&found.survey)),
    ];
    let cells = found.devices.iter().map(|device| {
        let state = match &device.reason {
            Some(reason) => format!("no, {}", output::worded(reason)),
            None if device.in_use => "yes, in use".to_owned(),
            None => "yes".to_owned(),
        };
        vec![device.device.clone(), device.kernels.clone(), state]
    });
    let devices = output::table(&["device", "kernels", "usable"], cells.collect(), 3);
    let mut text = format!("{}\n\n{devices}", output::wrap(&lines.join("\n"), INDENT));
    if found.survey.source.is_ok() && !unconfirmed().is_empty() {
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

fn document(found: &Examination) -> Value {
    let (host, survey) = (&found.host, &found.survey);
    let devices = found.devices.iter().map(|device| {
        let properties = device.card.as_ref();
        json!({
            "device": device.device,
            "kernels": device.kernels,
            "usable": device.reason.is_none(),
            "in_use": device.in_use,
            "reason": device.reason.as_deref().map(output::worded),
            "capability": properties.map(|p| p.capability.to_string()),
            "memory_bytes": properties.map(|p| p.memory_bytes),
        })
    });
    let devices: Vec<Value> = devices.collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": env!("FAIRPRUNE_COMMIT"),
        "target": env!("FAIRPRUNE_TARGET"),
        "profile": env!("FAIRPRUNE_PROFILE"),
        "cpu": {
            "name": host.processor,
            "cores": host.cores,
            "threads": found.threads,
            "bf16": { "sums": Bf16Form::detect().name(), "native": Bf16Form::detect().is_native() },
        },
        "memory": { "total_bytes": host.memory_bytes, "free_bytes": found.free_bytes },
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever processor and card are called, and whatever is wrong with them.
    #[test]
    fn the_report_fits_100_columns() {
        let mut found = Examination::make(1).unwrap();
        let long = "a processor of a vendor who has a long way with names ".repeat(3);
        found.host.processor = Some(long.clone() + &"x".repeat(120));
        for device in &mut found.devices {
            device.kernels = long.clone();
            device.reason = Some(long.clone());
        }
        let text = text(&found);
        assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
    }
}
