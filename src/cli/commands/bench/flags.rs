//! The flags of a measurement.

use anyhow::Result;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use fairprune::bench::{Measurement, Slowdown, Suite};
use fairprune::exec::{Compute, Fusion};
use fairprune::experiment::Placement;
use fairprune::experiment::settings::triple;

use crate::cli::args::Common;
use crate::cli::output::worded;

/// Flags of a measurement.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Measurement")]
pub struct SuiteArgs {
    /// What to time; may be given several times [default: train and score]
    #[arg(long, value_parser = suite_parser(), value_name = "SUITE")]
    pub suite: Vec<Suite>,
    /// resnet8, 14, 20, 32, 44, 56, resnet18, 34, 50 [default: resnet20]
    #[arg(long, value_name = "NAME", visible_alias = "model")]
    pub arch: Option<String>,
    /// resnet50 with the stride in each bottleneck's first 1x1
    #[arg(long)]
    pub resnet_v1: bool,
    /// Images of a batch [default: 128]
    #[arg(long, value_name = "B", visible_alias = "batch-size")]
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
    /// Where a GPU finds the random images: device, stream (copied batch by batch while it computes)
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
                triple("`mean`", &self.mean, false)?.unwrap_or(mean),
                triple("`std`", &self.std, true)?.unwrap_or(std),
            ],
            data: self.data.clone(),
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

/// The flags of a measurement that were given, as words for another process.
#[derive(Clone, Debug)]
pub struct PassedOn(pub Vec<String>);

impl Args for PassedOn {
    fn augment_args(command: Command) -> Command {
        SuiteArgs::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        SuiteArgs::augment_args_for_update(command)
    }
}

impl FromArgMatches for PassedOn {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut words = Vec::new();
        for flag in SuiteArgs::augment_args(Command::new("bench")).get_arguments() {
            let (id, name) = (flag.get_id().as_str(), flag.get_long().unwrap_or_default());
            if matches.value_source(id) != Some(ValueSource::CommandLine) {
                continue;
            }
            if !flag.get_action().takes_values() {
                words.push(format!("--{name}"));
                continue;
            }
            for values in matches.get_raw_occurrences(id).into_iter().flatten() {
                let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
                words.extend([format!("--{name}"), values.join(",")]);
            }
        }
        Ok(PassedOn(words))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = PassedOn::from_arg_matches(matches)?;
        Ok(())
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

    #[derive(Parser)]
    #[command(no_binary_name = true)]
    struct Given {
        #[command(flatten)]
        suite: SuiteArgs,
        #[command(flatten)]
        common: Common,
    }

    #[test]
    fn flags_are_passed_on_as_they_were_given() {
        let words = |given: &str| {
            let command = PassedOn::augment_args(Command::new("bench").no_binary_name(true));
            let matches = command.get_matches_from(given.split_whitespace());
            PassedOn::from_arg_matches(&matches).unwrap().0.join(" ")
        };
        let given =
            "--suite score --suite read --arch resnet8 --no-graphs --mean 0,.5,0.50 --seconds 0.25";
        let mut passed_on: Vec<String> = words(given).split(' ').map(str::to_owned).collect();
        passed_on.sort();
        let mut expected: Vec<&str> = given.split(' ').collect();
        expected.sort();
        assert_eq!(passed_on, expected);
        assert_eq!(words(""), "");
    }

    #[test]
    fn unusable_flags_are_named() {
        for (words, flag) in [
            ("--arch vgg", "arch"),
            ("--std 0,1,1", "std"),
            ("--stem x", "stem"),
            ("--fuse x", "fuse"),
        ] {
            let Given { suite, common } = Given::parse_from(words.split(' '));
            let message = suite.measurement(&common).unwrap_err().to_string();
            assert!(message.contains(flag), "{words}: {message}");
        }
        let Given { suite, common } = Given::parse_from(["--seconds=-1"]);
        assert!(suite.measurement(&common).unwrap().check().is_err());
    }
}
