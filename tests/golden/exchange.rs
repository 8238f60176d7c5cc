//! Weight files both ways: ours into torchvision with `strict=True`, torchvision's here.
//!
//! Needs a Python with torch, torchvision and safetensors: `FAIRPRUNE_PYTHON`, or `python3`.
//! Without one the tests say so and pass; `FAIRPRUNE_REQUIRE_TORCH=1` makes that a failure.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use fairprune::backend::Cpu;
use fairprune::exec::{
    ArenaMode, EvaluationSet, Executor, Mode, Requirements, TrainOptions, run_pass,
};
use fairprune::nn::init::initialise;
use fairprune::nn::{NetworkSpec, Stem, Weights, WeightsMetadata, weights};
use fairprune::ops::gather::Augmentation;
use fairprune::ops::sgd::SgdProblem;
use serde::Deserialize;
use serde_json::json;

use super::inputs;
use super::judge::Judge;

const SAMPLES: usize = 4;
const BATCHES: u64 = 1234;
const IMAGE_SEED: u64 = 103;

/// Every family, stem, block and odd sizes.
fn networks() -> Vec<(&'static str, NetworkSpec)> {
    let spec = |arch: &str, width, stem, classes, size| NetworkSpec {
        arch: arch.parse().unwrap(),
        width,
        stem,
        classes,
        size,
    };
    vec![
        ("resnet8", spec("resnet8", 16, Stem::Cifar, 10, [32, 32])),
        ("resnet20", spec("resnet20", 5, Stem::Cifar, 3, [17, 24])),
        ("resnet18_cifar", spec("resnet18", 64, Stem::Cifar, 10, [32, 32])),
        ("resnet18_imagenet", spec("resnet18", 64, Stem::Imagenet, 10, [64, 64])),
        ("resnet34", spec("resnet34", 64, Stem::Imagenet, 7, [47, 33])),
        ("resnet50", spec("resnet50", 64, Stem::Imagenet, 10, [64, 64])),
        ("resnet50_v1", spec("resnet50-v1", 64, Stem::Imagenet, 10, [64, 64])),
        ("vgg16", spec("vgg16", 64, Stem::Cifar, 10, [32, 32])),
        ("vgg19", spec("vgg19", 32, Stem::Cifar, 7, [67, 33])),
    ]
}

/// Runs the script, or says why not.
fn python(action: &str, dir: &Path) -> bool {
    let python = std::env::var("FAIRPRUNE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let required = std::env::var("FAIRPRUNE_REQUIRE_TORCH").is_ok_and(|v| v == "1");
    let probe =
        Command::new(&python).args(["-c", "import torch, torchvision, safetensors"]).output();
    if !probe.as_ref().is_ok_and(|p| p.status.success()) {
        let why = match probe {
            Ok(p) => String::from_utf8_lossy(&p.stderr).lines().last().unwrap_or("").to_owned(),
            Err(e) => e.to_string(),
        };
        println!("skipped: {python} cannot import torch, torchvision and safetensors: {why}");
        assert!(!required, "FAIRPRUNE_REQUIRE_TORCH=1, but PyTorch is missing: {why}");
        return false;
    }
    let networks: serde_json::Map<String, serde_json::Value> = networks()
        .into_iter()
        .map(|(name, s)| {
            let description = json!({
                "arch": s.arch.to_string(), "width": s.width, "stem": s.stem.to_string(),
                "classes": s.classes, "size": s.size, "samples": SAMPLES, "batches": BATCHES,
            });
            (name.to_owned(), description)
        })
        .collect();
    let text = serde_json::to_vec(&networks).unwrap();
    std::fs::write(dir.join("networks.json"), text).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/exchange.py");
    let mut command = Command::new(&python);
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(script).arg(action).arg(dir);
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{action}: {errors}");
    true
}

/// Logits of the network with these weights on the common images.
fn logits(spec: &NetworkSpec, weights: &Weights) -> Vec<f32> {
    let sgd = SgdProblem { momentum: 0.0, weight_decay: 0.0, nesterov: false };
    let options = TrainOptions { sgd, smoothing: 0.0, augmentation: Augmentation::NONE, seed: 0 };
    let requirements = Requirements {
        passes: vec![(Mode::Score, SAMPLES, SAMPLES)],
        capacity: SAMPLES,
        options,
        mean: inputs::MEAN,
        std: inputs::STD,
        arena: ArenaMode::Shared,
        divergences: false,
        compute: fairprune::exec::Compute::default(),
        stored: None,
        stream: false,
        memory_limit: Some(u64::MAX),
    };
    let cpu = Arc::new(Cpu::new(0).unwrap());
    let mut executor = Executor::new(cpu, spec.build().unwrap(), &requirements).unwrap();
    executor.set_weights(weights).unwrap();
    let images = inputs::images(SAMPLES, spec.size, IMAGE_SEED).into();
    let positions: Vec<u32> = (0..SAMPLES as u32).collect();
    let labels = inputs::labels(SAMPLES, spec.classes);
    let set =
        EvaluationSet { images: &images, labels: &labels, positions: &positions, groups: None };
    run_pass(&mut executor, Mode::Score, &set).unwrap();
    executor.logits(Mode::Score, SAMPLES).unwrap()
}

/// What the script computed.
#[derive(Deserialize)]
struct Logits {
    values: Vec<f64>,
    float32_error: f64,
}

impl Logits {
    /// Judges ours by what float32 does to theirs.
    fn judge(&self, name: &str, ours: &[f32]) {
        let errors = BTreeMap::from([(name.to_owned(), self.float32_error)]);
        Judge { errors: &errors, kinks: false }.list(name, ours, &self.values);
    }
}

fn compare(dir: &Path, ours: &BTreeMap<&str, Vec<f32>>) {
    let text = std::fs::read(dir.join("logits.json")).unwrap();
    let theirs: BTreeMap<String, Logits> = serde_json::from_slice(&text).unwrap();
    assert_eq!(theirs.len(), ours.len());
    ours.iter().for_each(|(name, ours)| theirs[*name].judge(name, ours));
}

#[test]
fn torchvision_reads_our_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut ours = BTreeMap::new();
    for (name, spec) in networks() {
        let weights = initialise(&spec.build().unwrap(), 9);
        let classes: Vec<String> = (0..spec.classes).map(|i| format!("class {i}")).collect();
        let metadata = WeightsMetadata::of(&spec, &classes, inputs::MEAN, inputs::STD, BATCHES);
        let bytes = weights::to_bytes(&weights, &metadata).unwrap();
        std::fs::write(dir.path().join(format!("{name}.safetensors")), bytes).unwrap();
        ours.insert(name, (spec, weights));
    }
    if python("read", dir.path()) {
        let ours = ours.iter().map(|(name, (s, w))| (*name, logits(s, w))).collect();
        compare(dir.path(), &ours);
    }
}

#[test]
fn we_read_torchvision_s_files() {
    let dir = tempfile::tempdir().unwrap();
    if !python("write", dir.path()) {
        return;
    }
    let mut ours = BTreeMap::new();
    for (name, spec) in networks() {
        let path = dir.path().join(format!("{name}.safetensors"));
        let (weights, metadata) = weights::read(&path).unwrap();
        weights::check(&weights, &spec.build().unwrap(), name).unwrap();
        assert_eq!((metadata.batches, metadata.arch), (20, None));
        ours.insert(name, logits(&spec, &weights));
    }
    compare(dir.path(), &ours);
}

/// A file that PyTorch wrote (`make_golden.py`), so that reading one is tested without PyTorch.
#[test]
fn a_committed_file_of_pytorch_gives_its_logits() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let (weights, metadata) = weights::read(&dir.join("resnet8_torch.safetensors")).unwrap();
    assert_eq!(metadata.batches, 20);
    let spec = NetworkSpec {
        arch: "resnet8".parse().unwrap(),
        width: 4,
        stem: Stem::Cifar,
        classes: 3,
        size: [19, 26],
    };
    let text = std::fs::read(dir.join("resnet8_torch.json")).unwrap();
    let theirs: Logits = serde_json::from_slice(&text).unwrap();
    theirs.judge("resnet8_torch", &logits(&spec, &weights));
}

/// Runs `scripts/pth_to_safetensors.py` in `dir` on each line: exit codes and stderr.
fn convert(dir: &Path, lines: &[String]) -> Vec<(i32, String)> {
    std::fs::write(dir.join("lines.json"), serde_json::to_vec(lines).unwrap()).unwrap();
    assert!(python("convert", dir));
    serde_json::from_slice(&std::fs::read(dir.join("ends.json")).unwrap()).unwrap()
}

#[test]
fn pickled_files_of_torchvision_become_ours() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    if !python("pickle", dir) {
        return;
    }
    let line = |(name, spec): &(&str, NetworkSpec)| {
        let (arch, [h, w]) = (spec.arch, spec.size);
        format!("{name}.pth {name}.safetensors --arch {arch} --size {h} {w} --mean .5,.25,.125")
    };
    let lines: Vec<String> = networks().iter().map(line).collect();
    for (line, end) in lines.iter().zip(convert(dir, &lines)) {
        assert_eq!(end, (0, String::new()), "{line}");
    }
    let mut ours = BTreeMap::new();
    for (name, spec) in networks() {
        let (weights, metadata) = weights::read(&dir.join(format!("{name}.safetensors"))).unwrap();
        weights::check(&weights, &spec.build().unwrap(), name).unwrap();
        assert_eq!((metadata.batches, metadata.arch), (20, Some(spec.arch)), "{name}");
        assert_eq!((metadata.width, metadata.size), (Some(spec.width), Some(spec.size)), "{name}");
        assert_eq!((metadata.mean, metadata.std), (Some([0.5, 0.25, 0.125]), None), "{name}");
        let stem = if name.starts_with("vgg") { None } else { Some(spec.stem) };
        assert_eq!(metadata.stem, stem, "{name}");
        ours.insert(name, logits(&spec, &weights));
    }
    compare(dir, &ours);
    // The last network, as it must not be saved, with a tensor too many, and under a wrong name.
    let cases = [
        ("module.pth no.safetensors --arch vgg19", 2, "without running code"),
        ("extra.pth no.safetensors --arch vgg19", 2, "unknown to vgg19: head.bias [2]"),
        ("vgg19.pth no.safetensors --arch vgg16", 2, "missing features.25."),
        ("vgg19.pth no.safetensors --arch vgg19 --width 64", 2, "has 32 channels"),
        ("vgg19.pth no.safetensors --arch vgg19 --classes a,b", 2, "7 values"),
        ("vgg19.pth no.safetensors --key weights", 2, "no key weights; found epoch, state_dict"),
        ("absent.pth no.safetensors", 2, "absent.pth"),
        ("vgg19.pth no.safetensors --arch vgg19 --rename classifier=fc", 2, "classifier.bias"),
        ("extra.pth yes.safetensors --arch vgg19 --drop-unknown", 0, "unknown to vgg19: head.bias"),
    ];
    let lines: Vec<String> = cases.iter().map(|case| case.0.to_owned()).collect();
    for ((words, code, message), (found, err)) in cases.into_iter().zip(convert(dir, &lines)) {
        assert_eq!(found, code, "{words}: {err}");
        assert!(err.contains(message), "{words}: {err}");
    }
    assert!(!dir.join("no.safetensors").exists());
    let (kept, _) = weights::read(&dir.join("yes.safetensors")).unwrap();
    assert!(!kept.tensors.contains_key("head.bias") && kept.tensors.len() > 90);
}
