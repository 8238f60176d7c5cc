//! What is measured: flags, and what they mean once checked.

use clap::{Args, ValueEnum};
use fairprune::error::{Error, Result};
use fairprune::exec::{Compute, Fusion};
use fairprune::experiment::Placement;
use fairprune::nn::{Arch, NetworkSpec, Stem};

use crate::cli::args::{Common, NetworkArgs};
use crate::cli::context;

/// Slows the timed loop by this factor, to prove that `bench compare` sees it: `1.2` for every row,
/// `grand=1.2` for one.
pub const SLOWDOWN_VARIABLE: &str = "FAIRPRUNE_BENCH_SLOWDOWN";

/// Bytes of random pixels unless `--samples` says otherwise: several times any last-level cache, and
/// as many as CIFAR's training images.
const WORKING_SET: usize = 154_000_000;

/// Seconds a row unless `--seconds` says otherwise.
const SECONDS: f64 = 5.0;

/// Mean and standard deviation of uniformly random pixels in [0, 1].
const NORMALISATION: [[f32; 3]; 2] = [[0.5; 3], [0.288_675; 3]];

/// A group of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// The training step
    Train,
    /// The EL2N pass (forward) and the full-parameter GraNd pass (grand)
    Score,
    /// Reading --data from a warm page cache
    Read,
    /// From --data on disk to scores: decoding, augmenting, both passes, and all at once
    Pipeline,
    /// Every operator of the network by itself, beside its floor
    Kernels,
    /// Every layer's products in every tile (bf16), its gradient norms in every form
    Tune,
}

/// Flags of a measurement. All are optional, so that `bench compare` can tell whether any was given
/// and hand on just those.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Measurement")]
pub struct SuiteArgs {
    /// What to time; may be given several times [default: train and score]
    #[arg(long, value_enum, value_name = "SUITE")]
    pub suite: Vec<Suite>,
    /// resnet8, 14, 20, 32, 44, 56, resnet18, 34, 50 [default: resnet20]
    #[arg(long, value_name = "NAME")]
    pub arch: Option<String>,
    /// resnet50 with the stride in each bottleneck's first 1x1
    #[arg(long)]
    pub resnet_v1: bool,
    /// Images of a batch [default: 128]
    #[arg(long, value_name = "B")]
    pub batch: Option<usize>,
    /// Side of the random images; `read` and `pipeline` resize to it if given [default: 32]
    #[arg(long, value_name = "S")]
    pub image_size: Option<usize>,
    /// Classes [default: 10]
    #[arg(long, value_name = "K")]
    pub classes: Option<usize>,
    /// Channels of the first stage [default: 16 in the CIFAR family, else 64]
    #[arg(long, value_name = "N")]
    pub width: Option<usize>,
    /// cifar (3x3) or imagenet (7x7 and max-pooling) [default: by image size]
    #[arg(long, value_name = "STEM")]
    pub stem: Option<String>,
    /// Channel means, of values in [0, 1] [default: the random images']
    #[arg(long, value_name = "R,G,B", value_delimiter = ',')]
    pub mean: Option<Vec<f32>>,
    /// Channel standard deviations [default: the random images']
    #[arg(long, value_name = "R,G,B", value_delimiter = ',')]
    pub std: Option<Vec<f32>>,
    /// Random images, rounded up to whole batches and one more [default: 154 MB of them]
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// Where a card finds the random images: device, stream (copied batch by batch while it computes)
    /// or auto (stream where they do not fit) [default: auto]
    #[arg(long, value_name = "WHERE", value_parser = placement)]
    pub images: Option<Placement>,
    /// Seconds a row is timed, warm-up apart [default: 5]
    #[arg(long, value_name = "S")]
    pub seconds: Option<f64>,
    /// Passes that convolutions do on the side: all, none, or some of statistics,gradients,affine
    #[arg(long, value_name = "LIST")]
    pub fuse: Option<String>,
    /// Launch every kernel of a step by itself, without a CUDA graph
    #[arg(long)]
    pub no_graphs: bool,
    /// Begin no kernel before the one before it has ended
    #[arg(long)]
    pub no_dependent_launch: bool,
    /// The folder that `--suite read` and `pipeline` read
    #[arg(long, value_name = "PATH")]
    pub data: Option<String>,
}

impl SuiteArgs {
    /// The flags as words, for another process.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut push = |flag: &str, value: Option<String>| {
            if let Some(value) = value {
                words.extend([flag.to_owned(), value]);
            }
        };
        let list = |values: &Vec<f32>| {
            let values: Vec<String> = values.iter().map(f32::to_string).collect();
            values.join(",")
        };
        for suite in &self.suite {
            push("--suite", suite.to_possible_value().map(|v| v.get_name().to_owned()));
        }
        push("--arch", self.arch.clone());
        push("--batch", self.batch.map(|v| v.to_string()));
        push("--image-size", self.image_size.map(|v| v.to_string()));
        push("--classes", self.classes.map(|v| v.to_string()));
        push("--width", self.width.map(|v| v.to_string()));
        push("--stem", self.stem.clone());
        push("--mean", self.mean.as_ref().map(list));
        push("--std", self.std.as_ref().map(list));
        push("--samples", self.samples.map(|v| v.to_string()));
        push("--images", self.images.map(|v| v.to_string()));
        push("--seconds", self.seconds.map(|v| v.to_string()));
        push("--fuse", self.fuse.clone());
        push("--data", self.data.clone());
        if self.resnet_v1 {
            words.push("--resnet-v1".to_owned());
        }
        if self.no_graphs {
            words.push("--no-graphs".to_owned());
        }
        if self.no_dependent_launch {
            words.push("--no-dependent-launch".to_owned());
        }
        words
    }
}

/// A checked measurement.
#[derive(Clone, Debug)]
pub struct Settings {
    pub suites: Vec<Suite>,
    pub spec: NetworkSpec,
    /// If it was asked for; else by image size.
    pub stem: Option<Stem>,
    pub batch: usize,
    /// Random images: whole batches and one more, which a batch of one is made of.
    pub images: usize,
    pub placement: Placement,
    pub seconds: f64,
    pub normalisation: [[f32; 3]; 2],
    /// What `read` reads, and the side it resizes to.
    pub data: Option<String>,
    pub read_size: Option<usize>,
    pub seed: u64,
    /// Precision, fusion and graphs.
    pub compute: Compute,
    /// Kernels on a card may begin before the one before them has ended.
    pub dependent_launch: bool,
    /// Injected slowdown.
    pub slowdown: Slowdown,
}

impl Settings {
    /// Checks the flags and fills in what was not given.
    pub fn new(args: &SuiteArgs, common: &Common) -> Result<Self> {
        let suites = match args.suite.as_slice() {
            [] => vec![Suite::Train, Suite::Score],
            given => {
                let all = [
                    Suite::Train,
                    Suite::Score,
                    Suite::Read,
                    Suite::Pipeline,
                    Suite::Kernels,
                    Suite::Tune,
                ];
                all.into_iter().filter(|s| given.contains(s)).collect()
            }
        };
        let arch: Arch = args.arch.as_deref().unwrap_or("resnet20").parse()?;
        let arch = if args.resnet_v1 { arch.v1()? } else { arch };
        let side = args.image_size.unwrap_or(32);
        check("--image-size", side, (1..=4096).contains(&side), "1 to 4096")?;
        let batch = args.batch.unwrap_or(128);
        let least = if suites.contains(&Suite::Train) { 2 } else { 1 };
        check("--batch", batch, (least..=65_536).contains(&batch), &format!("{least} to 65536"))?;
        let classes = args.classes.unwrap_or(10);
        check("--classes", classes, (2..=100_000).contains(&classes), "2 to 100000")?;
        let images = args.samples.unwrap_or(WORKING_SET / (3 * side * side));
        check("--samples", images, images <= 1 << 28, "at most 268435456")?;
        let seconds = args.seconds.unwrap_or(SECONDS);
        check("--seconds", seconds, (0.0..=3600.0).contains(&seconds), "0 to 3600")?;
        if suites_read(args) && args.data.is_none() {
            let suite = if args.suite.contains(&Suite::Read) { "read" } else { "pipeline" };
            let what = format!("--suite {suite}");
            return Err(Error::invalid(what, "no --data", "a folder of images to read"));
        }
        let asked = args.stem.as_ref().map(|name| name.parse::<Stem>()).transpose()?;
        let stem = asked.unwrap_or(Stem::for_size(side));
        let width = args.width.unwrap_or(arch.default_width());
        let [mean, std] = context::normalisation(&network_args(args), None)?;
        Ok(Settings {
            suites,
            spec: NetworkSpec { arch, width, stem, classes, size: [side; 2] },
            stem: asked,
            batch,
            images: images.div_ceil(batch).max(1) * batch + 1,
            placement: args.images.unwrap_or_default(),
            seconds,
            normalisation: [mean.unwrap_or(NORMALISATION[0]), std.unwrap_or(NORMALISATION[1])],
            data: args.data.clone().filter(|_| suites_read(args)),
            read_size: args.image_size,
            seed: common.seed,
            compute: Compute {
                precision: common.precision,
                fusion: args.fuse.as_deref().map_or(Ok(Fusion::ALL), str::parse)?,
                record: !args.no_graphs,
            },
            dependent_launch: !args.no_dependent_launch,
            slowdown: Slowdown::from_environment()?,
        })
    }

    /// Whether a network is timed at all.
    pub fn computes(&self) -> bool {
        self.suites.iter().any(|s| matches!(s, Suite::Train | Suite::Score))
    }
}

/// `auto`, `device` or `stream`; a number has a flag of its own.
fn placement(text: &str) -> Result<Placement, String> {
    match text.parse::<usize>() {
        Ok(count) => {
            Err(format!("expected auto, device or stream; {count} images are --samples {count}"))
        }
        Err(_) => text.parse::<Placement>().map_err(|e| e.to_string()),
    }
}

fn suites_read(args: &SuiteArgs) -> bool {
    args.suite.contains(&Suite::Read) || args.suite.contains(&Suite::Pipeline)
}

fn check(flag: &str, value: impl ToString, good: bool, expected: &str) -> Result<()> {
    if good { Ok(()) } else { Err(Error::invalid(flag, value.to_string(), expected)) }
}

/// The part of the flags that other commands have too.
fn network_args(args: &SuiteArgs) -> NetworkArgs {
    NetworkArgs {
        arch: args.arch.clone(),
        resnet_v1: args.resnet_v1,
        width: args.width,
        stem: args.stem.clone(),
        mean: args.mean.clone(),
        std: args.std.clone(),
        score_batch: args.batch.unwrap_or(128),
        images: Placement::Auto,
    }
}

/// An injected slowdown: of one row, or of all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slowdown(Option<(Option<String>, f64)>);

impl Slowdown {
    fn from_environment() -> Result<Self> {
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
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn parse(words: &[&str]) -> (SuiteArgs, Common) {
        let all = ["fairprune", "bench"].iter().chain(words);
        match Cli::try_parse_from(all).unwrap().command {
            Command::Bench(args) => (args.suite, args.common),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_parse_to_the_same_flags() {
        let given = [
            "--suite",
            "score",
            "--suite",
            "read",
            "--arch",
            "resnet8",
            "--batch",
            "7",
            "--data",
            "x y",
            "--width",
            "4",
            "--std",
            "0.1,0.2,0.3",
            "--seconds",
            "0.25",
            "--samples",
            "99",
            "--images",
            "stream",
            "--stem",
            "cifar",
            "--classes",
            "3",
            "--image-size",
            "16",
            "--mean",
            "0,0,0.5",
        ];
        let (args, _) = parse(&given);
        let words = args.words();
        let again: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(parse(&again).0, args);
        assert_eq!(words.len(), given.len());
        assert!(SuiteArgs::default().words().is_empty());
    }

    #[test]
    fn defaults_fill_caches_with_whole_batches_and_one_image() {
        let (args, common) = parse(&[]);
        let settings = Settings::new(&args, &common).unwrap();
        assert_eq!(settings.suites, [Suite::Train, Suite::Score]);
        assert_eq!(settings.images % settings.batch, 1);
        assert!(settings.images * 3 * 32 * 32 >= WORKING_SET);
        assert_eq!(settings.spec.width, 16);
    }

    #[test]
    fn unusable_flags_are_named() {
        for (words, flag) in [
            (&["--batch", "0"][..], "--batch"),
            (&["--batch", "1"], "--batch"),
            (&["--classes", "1"], "--classes"),
            (&["--image-size", "0"], "--image-size"),
            (&["--seconds=-1"], "--seconds"),
            (&["--seconds", "nan"], "--seconds"),
            (&["--arch", "vgg"], "--arch"),
            (&["--std", "0,1,1"], "--std"),
            (&["--suite", "read"], "--data"),
        ] {
            let (args, common) = parse(words);
            let message = Settings::new(&args, &common).unwrap_err().to_string();
            assert!(message.contains(flag), "{words:?}: {message}");
        }
        let (args, common) = parse(&["--suite", "score", "--batch", "1"]);
        assert!(Settings::new(&args, &common).is_ok());
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
