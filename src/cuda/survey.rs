//! What CUDA there is on this machine, for people who wonder.

use super::absence::Absence;
use super::card::Cuda;
use super::context::{self, Properties};
use super::driver::driver;
use super::images::{self, Built};
use super::terms::{ImageSource, Version};

/// The binary's kernels, the driver and its cards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// How the kernels of this binary were made: None without nvcc.
    pub built: Option<Built>,
    /// Where kernels are taken from.
    pub source: Result<ImageSource, Absence>,
    /// The newest CUDA version that the driver serves.
    pub driver: Result<Version, Absence>,
    /// Every card; an absence where there is none.
    pub cards: Result<Vec<SurveyedCard>, Absence>,
}

/// One card, and why it cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedCard {
    pub properties: Properties,
    /// The image in use, or why the card has none.
    pub image: Result<String, Absence>,
}

/// Looks at everything, opening each card once.
pub fn survey() -> Survey {
    let driver = driver().and_then(|d| d.version().map_err(Absence::DriverFails));
    let cards = context::count().and_then(|count| (0..count).map(card).collect());
    Survey { built: images::built(), source: images::source(), driver, cards }
}

fn card(ordinal: usize) -> Result<SurveyedCard, Absence> {
    let (_, properties) = context::properties(ordinal)?;
    let image = Cuda::open(ordinal).map(|cuda| cuda.image().to_owned());
    Ok(SurveyedCard { properties, image })
}
