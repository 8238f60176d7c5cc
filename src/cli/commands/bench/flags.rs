//! The flags of a measurement.

use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use fairprune::bench::{Measurement, Slowdown, Suite};
use fairprune::exec::{Compute, Fusion};
use fairprune::experiment::Placement;

use crate::cli::args::Common;
use crate::cli::context::triple;
use crate::cli::output::worded;

/// Flags of a measurement. All are optional, so that `bench compare` can tell whether any was given
/// and hand on just those.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Measurement")]
pub struct SuiteArgs {
    /// What to time; may be given several times [default: train and score]
    #[arg(long, value_parser = suite_parser(), value_name = "SUITE")]
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
    /// Where `--suite tune` writes the tiles that beat the planned ones, as rows of the kept table
    #[arg(long, value_name = "FILE")]
    pub write: Option<String>,
}

/// The suites' names, with what `--help` says of them.
fn suite_parser() -> impl TypedValueParser<Value = Suite> {
    let value = |suite: Suite| PossibleValue::new(suite.name()).help(about(suite));
    let suite = |name: String| Suite::ALL.into_iter().find(|suite| suite.name() == name);
    PossibleValuesParser::new(Suite::ALL.map(value))
        .try_map(move |name| suite(name).ok_or("no suite of this program"))
}

/// What a suite times.
fn about(suite: Suite) -> &'static str {
    match suite {
        Suite::Train => "The training step",
        Suite::Score => "The EL2N pass (forward) and the full-parameter GraNd pass (grand)",
        Suite::Read => "Reading --data from a warm page cache",
        Suite::Pipeline => {
            "From --data on disk to scores: decoding, augmenting, both passes, and all at once"
        }
        Suite::Kernels => "Every operator of the network by itself, beside its floor",
        Suite::Tune => {
            "Every layer's products in every tile (bf16), its gradient norms in every form"
        }
    }
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
            push("--suite", Some(suite.name().to_owned()));
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
        push("--write", self.write.clone());
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

    /// What the flags ask for, and the defaults of what they do not say. Ranges are not checked.
    pub fn measurement(&self, common: &Common) -> Result<Measurement> {
        let default = Measurement::default();
        let arch = self.arch.as_deref().map_or(Ok(default.arch), str::parse)?;
        let [mean, std] = default.normalisation;
        Ok(Measurement {
            suites: if self.suite.is_empty() { default.suites } else { self.suite.clone() },
            arch: if self.resnet_v1 { arch.v1()? } else { arch },
            width: self.width,
            stem: self.stem.as_deref().map(str::parse).transpose()?,
            classes: self.classes.unwrap_or(default.classes),
            image_size: self.image_size,
            batch: self.batch.unwrap_or(default.batch),
            samples: self.samples,
            placement: self.images.unwrap_or(default.placement),
            seconds: self.seconds.unwrap_or(default.seconds),
            normalisation: [
                triple("--mean", &self.mean, false)?.unwrap_or(mean),
                triple("--std", &self.std, true)?.unwrap_or(std),
            ],
            data: self.data.clone(),
            write: self.write.clone(),
            seed: common.seed,
            compute: Compute {
                precision: common.precision,
                fusion: self.fuse.as_deref().map_or(Ok(Fusion::ALL), str::parse)?,
                record: !self.no_graphs,
            },
            dependent_launch: !self.no_dependent_launch,
            slowdown: Slowdown::from_environment()?,
        })
    }
}

/// `auto`, `device` or `stream`; a number has a flag of its own.
fn placement(text: &str) -> Result<Placement, String> {
    match text.parse::<usize>() {
        Ok(count) => {
            Err(format!("expected auto, device or stream; {count} images are --samples {count}"))
        }
        Err(_) => text.parse::<Placement>().map_err(|e| worded(&e.to_string())),
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
        let given: Vec<&str> = "--suite score --suite read --arch resnet8 --batch 7 --data x_y --width 4 \
                                --std 0.1,0.2,0.3 --seconds 0.25 --samples 99 --images stream --stem cifar \
                                --classes 3 --image-size 16 --mean 0,0,0.5"
            .split_whitespace()
            .collect();
        let (args, _) = parse(&given);
        let words = args.words();
        let again: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(parse(&again).0, args);
        assert_eq!(words.len(), given.len());
        assert!(SuiteArgs::default().words().is_empty());
    }

    #[test]
    fn unusable_flags_are_named() {
        for (words, flag) in [
            (&["--arch", "vgg"][..], "arch"),
            (&["--std", "0,1,1"], "--std"),
            (&["--stem", "x"], "stem"),
            (&["--fuse", "x"], "fuse"),
        ] {
            let (args, common) = parse(words);
            let message = args.measurement(&common).unwrap_err().to_string();
            assert!(message.contains(flag), "{words:?}: {message}");
        }
        let (args, common) = parse(&["--seconds=-1"]);
        assert!(args.measurement(&common).unwrap().check().is_err());
    }
}
