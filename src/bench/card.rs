//! The card as it was found: driver, clocks, power. They are read, never set.

use std::cell::RefCell;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::floor::{Ceilings, ceilings};
use crate::backend::Backend;
use crate::experiment::Device;

/// What `nvidia-smi` is asked, in the order of [`CardClocks`].
const QUERY: &str =
    "--query-gpu=driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.draw,temperature.gpu";

/// A reading is taken again after this long: asking takes tens of milliseconds.
const FRESH: Duration = Duration::from_secs(1);

/// The card that is timed; on the CPU, none.
pub struct TimedCard {
    /// The card and its kernels: `NVIDIA H200 (cuda/sm_90a)`.
    name: Option<String>,
    address: Option<String>,
    last: RefCell<Option<(Instant, Option<CardClocks>)>>,
}

impl TimedCard {
    /// The card of an open device, if it is one.
    pub fn of(device: &Device) -> TimedCard {
        let card = device.card();
        TimedCard {
            name: card.map(|card| format!("{} ({})", card.properties().card, card.name())),
            address: card.and_then(|card| card.properties().address.clone()),
            last: RefCell::new(None),
        }
    }

    /// The card and its kernels.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What the card can do, where that is known.
    pub fn ceilings(&self) -> Option<Ceilings> {
        self.name().and_then(ceilings)
    }

    /// The driver's release, where the system tells.
    pub fn driver(&self) -> Option<String> {
        state(self.address.as_deref()?)?.driver
    }

    /// The card's state now, or that of a moment ago.
    pub fn state(&self) -> Option<CardClocks> {
        let address = self.address.as_deref()?;
        let mut last = self.last.borrow_mut();
        match &*last {
            Some((at, state)) if at.elapsed() < FRESH => state.clone(),
            _ => {
                let state = state(address);
                *last = Some((Instant::now(), state.clone()));
                state
            }
        }
    }
}

/// A card's state right after a row was timed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CardClocks {
    /// The driver's release; None where the system does not tell.
    #[serde(skip)]
    pub driver: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sm_mhz: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mhz: Option<f64>,
    /// The highest clock of its multiprocessors that the card would take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_sm_mhz: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watts: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub celsius: Option<f64>,
}

/// The state of the card at a PCI address (`0000:3b:00.0`); None where nothing tells.
fn state(address: &str) -> Option<CardClocks> {
    let output = Command::new("nvidia-smi")
        .args([QUERY, "--format=csv,noheader,nounits", "-i", address])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| parse(&text)).flatten()
}

/// A line of six values, each a number or a word in brackets.
fn parse(text: &str) -> Option<CardClocks> {
    let fields: Vec<&str> = text.lines().next()?.split(',').map(str::trim).collect();
    let [driver, sm, memory, most, watts, celsius] = fields[..] else { return None };
    let number = |text: &str| text.parse::<f64>().ok().filter(|v| v.is_finite());
    let known = !driver.is_empty() && !driver.starts_with('[');
    Some(CardClocks {
        driver: known.then(|| driver.to_owned()),
        sm_mhz: number(sm),
        memory_mhz: number(memory),
        most_sm_mhz: number(most),
        watts: number(watts),
        celsius: number(celsius),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_state_and_unknown_values_are_left_out() {
        let state = parse("580.159.03, 1980, 3201, 1980, 512.33, 41\n").unwrap();
        assert_eq!(state.driver.as_deref(), Some("580.159.03"));
        assert_eq!((state.sm_mhz, state.memory_mhz), (Some(1980.0), Some(3201.0)));
        assert_eq!((state.watts, state.celsius), (Some(512.33), Some(41.0)));
        let some = parse("580.159.03, 345, [N/A], [N/A], [Not Supported], 30").unwrap();
        assert_eq!((some.sm_mhz, some.memory_mhz, some.watts), (Some(345.0), None, None));
        let written = serde_json::to_string(&some).unwrap();
        assert_eq!(written, r#"{"sm_mhz":345.0,"celsius":30.0}"#);
        for bad in ["", "No devices were found", "1, 2, 3"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
