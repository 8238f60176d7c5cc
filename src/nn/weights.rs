//! Weight files: safetensors under torchvision's names and PyTorch's layouts, so that a
//! checkpoint loads in torchvision and theirs load here.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype as SafeDtype, TensorView};

use super::arch::{Arch, NetworkSpec, Stem};
use super::graph::Network;
use super::origin::{FORMAT_VERSION, check_origin, refuse_other, usual_name, wrapper};
use crate::artefact::input;
use crate::artefact::integrity::{self, CONTENT_DIGEST, ZEROS};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Suffix of the counter that PyTorch keeps beside running statistics.
const TRACKED: &str = "num_batches_tracked";

/// Named tensors in PyTorch's layouts: parameters and running statistics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    pub tensors: BTreeMap<String, Tensor>,
}

/// What a weight file says of itself beside its tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeightsMetadata {
    pub arch: Option<Arch>,
    pub width: Option<usize>,
    pub stem: Option<Stem>,
    /// Height and width of what the network sees.
    pub size: Option<[usize; 2]>,
    /// Height and width of the images that it was part of, where it was not all of them.
    pub images: Option<[usize; 2]>,
    pub classes: Option<Vec<String>>,
    /// Fingerprint of the data set it was trained on.
    pub data: Option<String>,
    pub mean: Option<[f32; 3]>,
    pub std: Option<[f32; 3]>,
    /// Batches the running statistics have seen.
    pub batches: u64,
    /// What of another program's file was read otherwise than it stands there, in sentences.
    pub notes: Vec<String>,
}

impl WeightsMetadata {
    /// The metadata of a network of `spec` trained on these classes.
    pub fn of(
        spec: &NetworkSpec,
        classes: &[String],
        mean: [f32; 3],
        std: [f32; 3],
        batches: u64,
    ) -> Self {
        WeightsMetadata {
            arch: Some(spec.arch),
            width: Some(spec.width),
            stem: Some(spec.stem),
            size: Some(spec.size),
            images: None,
            classes: Some(classes.to_vec()),
            data: None,
            mean: Some(mean),
            std: Some(std),
            batches,
            notes: Vec::new(),
        }
    }

    fn to_map(&self) -> HashMap<String, String> {
        let mut map = HashMap::from([
            ("format".to_owned(), "pt".to_owned()),
            ("format_version".to_owned(), FORMAT_VERSION.to_owned()),
            (CONTENT_DIGEST.to_owned(), ZEROS.to_owned()),
            ("tool".to_owned(), concat!("fairprune ", env!("CARGO_PKG_VERSION")).to_owned()),
        ]);
        let mut put = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                map.insert(key.to_owned(), value);
            }
        };
        let json = |v: &[f32; 3]| serde_json::to_string(v).ok();
        put("arch", self.arch.map(|a| a.to_string()));
        put("width", self.width.map(|w| w.to_string()));
        put("stem", self.stem.map(|s| s.to_string()));
        put("size", self.size.and_then(|s| serde_json::to_string(&s).ok()));
        put("images", self.images.and_then(|s| serde_json::to_string(&s).ok()));
        put("classes", self.classes.as_ref().and_then(|c| serde_json::to_string(c).ok()));
        put("data", self.data.clone());
        put("mean", self.mean.as_ref().and_then(json));
        put("std", self.std.as_ref().and_then(json));
        map
    }

    /// Reads the file's own words. Other programs use the same keys for other things: what they say that
    /// is not understood is passed over with a note, while this program's own words must be right.
    fn from_map(path: &Path, map: &HashMap<String, String>) -> Result<Self> {
        let mut read = MetadataReader { path, map, notes: Vec::new() };
        fn json<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
            serde_json::from_str(text).ok()
        }
        let is_print = |text: &str| {
            let hexadecimal = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
            hexadecimal.then(|| text.to_owned())
        };
        Ok(WeightsMetadata {
            arch: read.value("arch", "a known network", |t| t.parse().ok())?,
            width: read.value("width", "a number", json)?,
            stem: read.value("stem", "cifar or imagenet", |t| t.parse().ok())?,
            size: read.value("size", "[height, width]", json)?,
            images: read.value("images", "[height, width]", json)?,
            classes: read.value("classes", "a JSON list of class names", json)?,
            data: read.value("data", "a fingerprint of 32 hexadecimal digits", is_print)?,
            mean: read.value("mean", "a JSON list of three numbers", json)?,
            std: read.value("std", "a JSON list of three numbers", json)?,
            batches: 0,
            notes: read.notes,
        })
    }
}

/// The metadata of a file while it is being read.
struct MetadataReader<'a> {
    path: &'a Path,
    map: &'a HashMap<String, String>,
    notes: Vec<String>,
}

impl MetadataReader<'_> {
    fn value<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(text) = self.map.get(key) else { return Ok(None) };
        let value = parse(text);
        if value.is_some() {
            return Ok(value);
        }
        let found: String = text.chars().take(80).collect();
        let what = format!("{}: metadata key {key}", self.path.display());
        if self.map.get("tool").is_some_and(|tool| tool.contains("fairprune")) {
            return Err(Error::invalid(what, found, expected));
        }
        self.notes.push(format!("{what}: {found:?} is not read, since it is not {expected}"));
        Ok(None)
    }
}

/// The file's bytes. Deterministic: the same weights give the same bytes.
pub fn to_bytes(weights: &Weights, metadata: &WeightsMetadata) -> Result<Vec<u8>> {
    let tracked = (metadata.batches as i64).to_le_bytes();
    let mut views = Vec::new();
    for (name, t) in &weights.tensors {
        let bytes: &[u8] = bytemuck::cast_slice(&t.data);
        let view = TensorView::new(SafeDtype::F32, t.shape.clone(), bytes).map_err(internal)?;
        views.push((name.clone(), view));
        if let Some(prefix) = name.strip_suffix("running_var") {
            let view = TensorView::new(SafeDtype::I64, Vec::new(), &tracked).map_err(internal)?;
            views.push((format!("{prefix}{TRACKED}"), view));
        }
    }
    // The library writes the header's map in its own order, so sort it for equal bytes.
    let bytes = safetensors::serialize(views, Some(metadata.to_map())).map_err(internal)?;
    let mut bytes = sorted_header(bytes)?;
    integrity::seal(&mut bytes)?;
    Ok(bytes)
}

/// Rewrites the header with `__metadata__` keys in order.
fn sorted_header(bytes: Vec<u8>) -> Result<Vec<u8>> {
    let length = bytes.get(..8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    let end = 8 + length.unwrap_or(0) as usize;
    let mut header: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&bytes[8..end]).map_err(internal)?;
    if let Some(serde_json::Value::Object(map)) = header.get_mut("__metadata__") {
        map.sort_keys();
    }
    let mut text = serde_json::to_vec(&header).map_err(internal)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.extend_from_slice(&text);
    out.extend_from_slice(&bytes[end..]);
    Ok(out)
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("weights file: {error}"))
}

/// Reads a weight file: f32, f16, bf16 or f64 tensors, `num_batches_tracked` optional.
///
/// # Errors
/// [`Error::Damaged`]: a file of this program that is not what was written; [`Error::Invalid`]: no weights.
pub fn read(path: &Path) -> Result<(Weights, WeightsMetadata)> {
    parse(path, &input::read(path, input::MOST)?)
}

/// Reads the weight file that `bytes` are, as [`read`] does.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<(Weights, WeightsMetadata)> {
    let bad = |found: String| {
        Error::invalid(format!("weights {}", path.display()), found, "a safetensors file")
    };
    refuse_other(bytes, path)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| bad(e.to_string()))?;
    check_origin(path, bytes, header.metadata().as_ref())?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| bad(e.to_string()))?;
    let mut metadata =
        WeightsMetadata::from_map(path, header.metadata().as_ref().unwrap_or(&HashMap::new()))?;
    let mut weights = Weights::default();
    let prefix = wrapper(&file);
    if !prefix.is_empty() {
        let text = format!("{}: the names of all tensors begin with {prefix}", path.display());
        metadata.notes.push(format!("{text}, which was left out"));
    }
    let mut renamed = BTreeMap::new();
    for (name, view) in file.tensors() {
        let own = &name[prefix.len()..];
        let name = usual_name(own);
        if name != own {
            renamed.insert(own.to_owned(), name.clone());
        }
        if name.ends_with(TRACKED) {
            if let Ok(raw) = view.data().try_into() {
                metadata.batches = i64::from_le_bytes(raw).max(0) as u64;
            }
            continue;
        }
        let data = to_f32(&view).ok_or_else(|| {
            let found = format!("{:?}", view.dtype());
            Error::invalid(
                format!("{}: tensor {name}", path.display()),
                found,
                "F32, F64, F16 or BF16",
            )
        })?;
        let tensor = Tensor::new(view.shape().to_vec(), data)?;
        if weights.tensors.insert(name.clone(), tensor).is_some() {
            return Err(bad(format!("two tensors that are both {name}")));
        }
    }
    if let Some((own, name)) = renamed.first_key_value() {
        let file = path.display();
        let text = format!("{file}: names of another program are read as torchvision's");
        metadata.notes.push(format!("{text} ({own} is read as {name})"));
    }
    Ok((weights, metadata))
}

fn to_f32(view: &TensorView) -> Option<Vec<f32>> {
    fn convert<const N: usize>(data: &[u8], f: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        data.as_chunks::<N>().0.iter().map(|&b| f(b)).collect()
    }
    match view.dtype() {
        SafeDtype::F32 => Some(convert(view.data(), f32::from_le_bytes)),
        SafeDtype::F64 => Some(convert(view.data(), |b| f64::from_le_bytes(b) as f32)),
        SafeDtype::F16 => Some(convert(view.data(), |b| half::f16::from_le_bytes(b).to_f32())),
        SafeDtype::BF16 => Some(convert(view.data(), |b| half::bf16::from_le_bytes(b).to_f32())),
        _ => None,
    }
}

/// Every tensor that `network` needs, by name, with PyTorch's shape.
pub fn expected(network: &Network) -> BTreeMap<String, Vec<usize>> {
    let mut all: BTreeMap<String, Vec<usize>> =
        network.parameters().into_iter().map(|p| (p.name, p.shape)).collect();
    for (node, c) in network.batch_norms() {
        for statistic in ["running_mean", "running_var"] {
            all.insert(format!("{}.{statistic}", network.nodes[node].name), vec![c]);
        }
    }
    all
}

/// Checks that `weights` has exactly the tensors of `network`; `origin` names the file.
pub fn check(weights: &Weights, network: &Network, origin: &str) -> Result<()> {
    let expected = expected(network);
    for (name, shape) in &expected {
        let what = || format!("{origin}: tensor {name}");
        match weights.tensors.get(name) {
            None => {
                let found = format!("none of that name among {}", weights.tensors.len());
                let want = format!("shape {shape:?} for {}", network.name);
                return Err(Error::invalid(what(), found, want));
            }
            Some(t) if t.shape != *shape => {
                let want = format!("{shape:?} for {}", network.name);
                return Err(Error::invalid(what(), format!("shape {:?}", t.shape), want));
            }
            Some(t) => {
                if let Some(i) = t.data.iter().position(|v| !v.is_finite()) {
                    return Err(Error::invalid(
                        what(),
                        format!("{} at element {i}", t.data[i]),
                        "finite values",
                    ));
                }
            }
        }
    }
    if let Some(name) = weights.tensors.keys().find(|n| !expected.contains_key(*n)) {
        let want = format!("the {} tensors of {}", expected.len(), network.name);
        return Err(Error::invalid(origin, format!("an extra tensor {name}"), want));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::init::initialise;

    fn small() -> (NetworkSpec, Network) {
        let arch = Arch::CifarResnet(8);
        let spec = NetworkSpec { arch, width: 4, stem: Stem::Cifar, classes: 3, size: [8, 8] };
        (spec, spec.build().unwrap())
    }

    #[test]
    fn files_round_trip_and_are_deterministic() {
        let (spec, network) = small();
        let weights = initialise(&network, 5);
        let classes = ["a".to_owned(), "b \"c\"".to_owned(), "d".to_owned()];
        let metadata = WeightsMetadata::of(&spec, &classes, [0.1, 0.2, 0.3], [1.0, 2.0, 3.0], 77);
        let bytes = to_bytes(&weights, &metadata).unwrap();
        assert_eq!(bytes, to_bytes(&weights, &metadata).unwrap());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        assert_eq!(read(file.path()).unwrap(), (weights.clone(), metadata));
        check(&weights, &network, "test").unwrap();
    }

    #[test]
    fn names_of_other_programs_are_read_as_torchvisions() {
        let (_, network) = small();
        let weights = initialise(&network, 5);
        let theirs = |name: &String| {
            let name = name.replace("downsample.", "shortcut.");
            name.strip_prefix("fc.").map_or(name.clone(), |rest| format!("linear.{rest}"))
        };
        let tensors = weights.tensors.iter().map(|(name, t)| (theirs(name), t.clone())).collect();
        let bytes = to_bytes(&Weights { tensors }, &WeightsMetadata::default()).unwrap();
        let (read, metadata) = parse(Path::new("theirs"), &bytes).unwrap();
        assert_eq!(read, weights);
        let renamed = "layer2.0.shortcut.0.weight is read as layer2.0.downsample.0.weight";
        assert!(metadata.notes.iter().any(|n| n.contains(renamed)), "{:?}", metadata.notes);
    }

    #[test]
    fn wrong_tensors_are_named() {
        let (_, network) = small();
        let good = initialise(&network, 5);
        let mut missing = good.clone();
        missing.tensors.remove("layer2.0.conv1.weight");
        let mut shaped = good.clone();
        shaped.tensors.insert("fc.bias".to_owned(), Tensor::zeros(&[7]));
        let mut extra = good.clone();
        extra.tensors.insert("fc2.bias".to_owned(), Tensor::zeros(&[7]));
        for (weights, words) in [
            (missing, ["layer2.0.conv1.weight", "none"]),
            (shaped, ["fc.bias", "[7]"]),
            (extra, ["fc2.bias", "extra"]),
        ] {
            let message = check(&weights, &network, "w").unwrap_err().to_string();
            assert!(words.iter().all(|w| message.contains(w)), "{message}");
        }
    }

    #[test]
    fn damaged_files_are_errors() {
        let (spec, network) = small();
        let metadata = WeightsMetadata::of(&spec, &[], [0.0; 3], [1.0; 3], 0);
        let bytes = to_bytes(&initialise(&network, 1), &metadata).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        for cut in [0, 4, 8, 100, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(file.path(), &bytes[..cut]).unwrap();
            assert!(read(file.path()).is_err(), "cut at {cut}");
        }
    }
}
