//! What this build can compute on here, and why not on the rest.

use crate::backend::Backend;
use crate::backend::host::Host;
use crate::backend::kernel_sets::kernel_sets;
use crate::cuda::{Absence, Properties, Survey, survey};
use crate::error::Result;
use crate::experiment::Device;

/// Machine, CUDA and devices, as they are found.
pub struct Examination {
    pub host: Host,
    /// Threads of the processor that compute.
    pub threads: usize,
    /// Memory that can still be allocated.
    pub free_bytes: Option<u64>,
    pub survey: Survey,
    /// Every device with one set of kernels; what `auto` prefers comes first.
    pub devices: Vec<DeviceState>,
}

/// A device with one set of kernels.
pub struct DeviceState {
    /// As it is asked for, or as results name it: `cuda:0`, `cpu/avx512`.
    pub device: String,
    /// What the kernels are made for, and the card's name.
    pub kernels: String,
    /// Why it cannot be used; None where it can.
    pub reason: Option<String>,
    /// Whether `auto` takes it.
    pub in_use: bool,
    /// What the driver says of a card.
    pub card: Option<Properties>,
}

impl Examination {
    /// Looks at everything, opening each card once; the processor with `threads` threads, 0 for one a
    /// core.
    ///
    /// # Errors
    /// More threads than can be started.
    pub fn make(threads: usize) -> Result<Examination> {
        let processor = Device::with_threads("cpu", threads)?;
        let survey = survey();
        Ok(Examination {
            host: Host::look(),
            threads: processor.workers(),
            free_bytes: processor.host().free_bytes(),
            devices: devices(&survey),
            survey,
        })
    }
}

/// All devices. `auto` takes the first card, else the first that can be used.
fn devices(survey: &Survey) -> Vec<DeviceState> {
    let mut devices = Vec::new();
    match (&survey.cards, &survey.source) {
        (Ok(cards), _) => devices.extend(cards.iter().map(|card| {
            let name = &card.properties.card;
            DeviceState {
                device: format!("cuda:{}", card.properties.ordinal),
                kernels: match &card.image {
                    Ok(image) => format!("{image}, {name}"),
                    Err(_) => name.clone(),
                },
                reason: card.image.as_ref().err().map(Absence::to_string),
                in_use: false,
                card: Some(card.properties.clone()),
            }
        })),
        // As the device `cuda` says: without kernels nothing else matters.
        (Err(absence), Ok(_)) | (Err(_), Err(absence)) => devices.push(DeviceState {
            device: "cuda".to_owned(),
            kernels: "NVIDIA GPUs".to_owned(),
            reason: Some(absence.to_string()),
            in_use: false,
            card: None,
        }),
    }
    devices.extend(kernel_sets().into_iter().map(|candidate| DeviceState {
        device: candidate.name,
        kernels: candidate.kernels.to_owned(),
        reason: candidate.absence.map(|absence| absence.to_string()),
        in_use: false,
        card: None,
    }));
    let taken = |(i, device): (usize, &DeviceState)| {
        device.reason.is_none() && (device.card.is_none() || i == 0)
    };
    if let Some(first) = devices.iter().enumerate().position(taken) {
        devices[first].in_use = true;
    }
    devices
}
