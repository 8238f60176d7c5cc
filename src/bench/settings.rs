//! What is measured.

use crate::error::{Error, Result};
use crate::exec::Compute;
use crate::experiment::Placement;
use crate::nn::{Arch, NetworkSpec, Stem};
use crate::ops::Precision;

/// Slows the timed loop by this factor, to prove that `bench compare` sees it: `1.2` for every row,
/// `grand=1.2` for one.
pub const SLOWDOWN_VARIABLE: &str = "FAIRPRUNE_BENCH_SLOWDOWN";

/// Bytes of random pixels unless their number is given: several times any last-level cache, and as
/// many as CIFAR's training images.
const WORKING_SET: usize = 154_000_000;

/// Mean and standard deviation of uniformly random pixels in [0, 1].
const NORMALISATION: [[f32; 3]; 2] = [[0.5; 3], [0.288_675; 3]];

/// A group of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// The training step.
    Train,
    /// The pass that gives EL2N and the one that gives full-parameter GraNd.
    Score,
    /// Reading the folder from a warm page cache.
    Read,
    /// From the folder on disk to scores: decoding, augmenting, both passes, and all at once.
    Pipeline,
    /// Every operator of the network by itself, beside its floor.
    Kernels,
    /// Every layer's products in every tile (bf16), its gradient norms in every form.
    Tune,
}

impl Suite {
    /// All suites, in the order in which they are timed.
    pub const ALL: [Suite; 6] =
        [Suite::Train, Suite::Score, Suite::Read, Suite::Pipeline, Suite::Kernels, Suite::Tune];

    /// The suite's name.
    pub fn name(self) -> &'static str {
        match self {
            Suite::Train => "train",
            Suite::Score => "score",
            Suite::Read => "read",
            Suite::Pipeline => "pipeline",
            Suite::Kernels => "kernels",
            Suite::Tune => "tune",
        }
    }
}

/// A measurement, as it is asked for; what is not asked for is in [`Measurement::default`].
#[derive(Clone, Debug)]
pub struct Measurement {
    pub suites: Vec<Suite>,
    pub arch: Arch,
    /// Channels of the first stage; None: the architecture's.
    pub width: Option<usize>,
    /// None: by image size.
    pub stem: Option<Stem>,
    pub classes: usize,
    /// Side of the random images (None: 32), to which those of a folder are resized where it is given.
    pub image_size: Option<usize>,
    pub batch: usize,
    /// Random images; None: as many as no cache holds.
    pub samples: Option<usize>,
    /// Where a card finds the random images.
    pub placement: Placement,
    /// Seconds that a row is timed, warm-up apart.
    pub seconds: f64,
    /// Channel means and standard deviations, of values in [0, 1].
    pub normalisation: [[f32; 3]; 2],
    /// The folder that `read` and `pipeline` read.
    pub data: Option<String>,
    pub seed: u64,
    /// Precision, fusion and graphs.
    pub compute: Compute,
    /// Kernels on a card may begin before the one before them has ended.
    pub dependent_launch: bool,
    /// Injected slowdown.
    pub slowdown: Slowdown,
}

impl Default for Measurement {
    fn default() -> Self {
        Measurement {
            suites: vec![Suite::Train, Suite::Score],
            arch: Arch::CifarResnet(20),
            width: None,
            stem: None,
            classes: 10,
            image_size: None,
            batch: 128,
            samples: None,
            placement: Placement::Auto,
            seconds: 5.0,
            normalisation: NORMALISATION,
            data: None,
            seed: 0,
            compute: Compute::new(Precision::F32),
            dependent_launch: true,
            slowdown: Slowdown::default(),
        }
    }
}

impl Measurement {
    /// Checks the ranges, and that what the suites need is given.
    ///
    /// # Errors
    /// The first value that cannot be used, by the field's name.
    pub fn check(&self) -> Result<()> {
        let side = self.side();
        check("image_size", side, (1..=4096).contains(&side), "1 to 4096")?;
        let least = if self.times(Suite::Train) { 2 } else { 1 };
        let batches = (least..=65_536).contains(&self.batch);
        check("batch", self.batch, batches, &format!("{least} to 65536"))?;
        let classes = (2..=100_000).contains(&self.classes);
        check("classes", self.classes, classes, "2 to 100000")?;
        let samples = self.samples.unwrap_or(0);
        check("samples", samples, samples <= 1 << 28, "at most 268435456")?;
        let seconds = (0.0..=3600.0).contains(&self.seconds);
        check("seconds", self.seconds, seconds, "0 to 3600")?;
        let reads = [Suite::Read, Suite::Pipeline].into_iter().find(|s| self.times(*s));
        if let (Some(suite), None) = (reads, &self.data) {
            let what = format!("`suite` {}", suite.name());
            return Err(Error::invalid(what, "no `data`", "a folder of images to read"));
        }
        Ok(())
    }

    /// Whether the suite is asked for.
    pub fn times(&self, suite: Suite) -> bool {
        self.suites.contains(&suite)
    }

    /// Whether a network is timed on random images.
    pub fn computes(&self) -> bool {
        self.times(Suite::Train) || self.times(Suite::Score)
    }

    /// Side of the random images.
    pub fn side(&self) -> usize {
        self.image_size.unwrap_or(32)
    }

    /// Random images: whole batches and one more, which a batch of one is made of.
    pub fn images(&self) -> usize {
        let images = self.samples.unwrap_or(WORKING_SET / (3 * self.side() * self.side()));
        images.div_ceil(self.batch).max(1) * self.batch + 1
    }

    /// The network of random images.
    pub fn spec(&self) -> NetworkSpec {
        self.spec_of([self.side(); 2], self.classes)
    }

    /// The network of images of this size (height and width) in so many classes.
    pub fn spec_of(&self, size: [usize; 2], classes: usize) -> NetworkSpec {
        NetworkSpec {
            arch: self.arch,
            width: self.width.unwrap_or(self.arch.default_width()),
            stem: self.stem.unwrap_or(Stem::for_size(size[0].min(size[1]))),
            classes,
            size,
        }
    }
}

fn check(field: &str, value: impl ToString, good: bool, expected: &str) -> Result<()> {
    if good {
        Ok(())
    } else {
        Err(Error::invalid(format!("`{field}`"), value.to_string(), expected))
    }
}

/// An injected slowdown: of one row, or of all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slowdown(Option<(Option<String>, f64)>);

impl Slowdown {
    /// What [`SLOWDOWN_VARIABLE`] says; none where it is not set.
    ///
    /// # Errors
    /// A value that is no factor from 1 to 1000.
    pub fn from_environment() -> Result<Self> {
        match std::env::var(SLOWDOWN_VARIABLE) {
            Ok(text) => Slowdown::parse(&text),
            Err(_) => Ok(Slowdown::default()),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let (row, factor) = match text.split_once('=') {
            Some((row, factor)) => (Some(row.to_owned()), factor),
            None => (None, text),
        };
        match factor.parse::<f64>() {
            Ok(f) if (1.0..=1000.0).contains(&f) => Ok(Slowdown(Some((row, f)))),
            _ => Err(Error::invalid(SLOWDOWN_VARIABLE, text, "FACTOR or ROW=FACTOR, 1 to 1000")),
        }
    }

    /// The factor for a row, if there is one.
    pub fn of(&self, work: &str) -> Option<f64> {
        let (row, factor) = self.0.as_ref()?;
        row.as_ref().is_none_or(|row| row == work).then_some(*factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_fill_caches_with_whole_batches_and_one_image() {
        let settings = Measurement::default();
        settings.check().unwrap();
        assert_eq!(settings.images() % settings.batch, 1);
        assert!(settings.images() * 3 * 32 * 32 >= WORKING_SET);
        assert_eq!(settings.spec().width, 16);
    }

    #[test]
    fn unusable_values_are_named() {
        let good = Measurement::default;
        for (settings, field) in [
            (Measurement { batch: 0, ..good() }, "`batch`"),
            (Measurement { batch: 1, ..good() }, "`batch`"),
            (Measurement { classes: 1, ..good() }, "`classes`"),
            (Measurement { image_size: Some(0), ..good() }, "`image_size`"),
            (Measurement { seconds: -1.0, ..good() }, "`seconds`"),
            (Measurement { seconds: f64::NAN, ..good() }, "`seconds`"),
            (Measurement { suites: vec![Suite::Read], ..good() }, "no `data`"),
        ] {
            let message = settings.check().unwrap_err().to_string();
            assert!(message.contains(field), "{settings:?}: {message}");
        }
        Measurement { suites: vec![Suite::Score], batch: 1, ..good() }.check().unwrap();
    }

    #[test]
    fn a_slowdown_is_for_all_rows_or_for_one() {
        assert_eq!(Slowdown::parse("1.2").unwrap().of("train"), Some(1.2));
        let one = Slowdown::parse("grand=3").unwrap();
        assert_eq!([one.of("grand"), one.of("train")], [Some(3.0), None]);
        for bad in ["", "0.5", "fast", "grand=", "nan"] {
            assert!(Slowdown::parse(bad).is_err(), "{bad}");
        }
    }
}
