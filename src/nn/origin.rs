//! Whose weight file it is: wrappers of PyTorch, other kinds of files, files of this program that are damaged.

use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensors;

use crate::artefact::integrity::{self, Seal};
use crate::artefact::sniff::{self, FileKind};
use crate::error::{Error, Result};

/// Version of the files of this program: since 2 they carry the digest of their content.
pub const FORMAT_VERSION: &str = "2";

/// What DataParallel, `torch.compile`, averages of weights and trainers put before names.
const WRAPPERS: [&str; 5] = ["module.", "_orig_mod.", "model_ema.", "ema.", "model."];

/// What other programs call parts of the same networks (kuangliu/pytorch-cifar), and torchvision's words.
const ALIASES: [(&str, &str); 2] = [("shortcut.", "downsample."), ("linear.", "fc.")];

/// torchvision's name of a tensor that another program calls `name`.
pub fn usual_name(name: &str) -> String {
    let mut usual = name.to_owned();
    for (theirs, ours) in ALIASES {
        let whole = usual.starts_with(theirs) || usual.contains(&format!(".{theirs}"));
        if whole {
            usual = usual.replacen(theirs, ours, 1);
        }
    }
    usual
}

/// Returns what wrappers of PyTorch put before the names of all tensors.
pub fn wrapper(file: &SafeTensors) -> String {
    let names = file.names();
    let mut prefix = String::new();
    while let Some(more) = names.first().and_then(|name| {
        WRAPPERS.into_iter().find(|wrapper| name[prefix.len()..].starts_with(wrapper))
    }) {
        let longer = format!("{prefix}{more}");
        if !names.iter().all(|name| name.starts_with(&longer)) {
            break;
        }
        prefix = longer;
    }
    prefix
}

/// Refuses other kinds of files, PyTorch's own among them.
pub fn refuse_other(bytes: &[u8], path: &Path) -> Result<()> {
    let what = format!("weights {}", path.display());
    let of_pytorch = match FileKind::of(bytes) {
        Some(FileKind::Zip) => "a zip archive, as PyTorch writes .pth and .pt",
        Some(FileKind::Pickle) => "a Python pickle, as older versions of PyTorch write",
        _ => return sniff::check(bytes, &what, "a safetensors file", &[]),
    };
    let expected = "a safetensors file; scripts/pth_to_safetensors.py makes one of it";
    Err(Error::invalid(what, of_pytorch, expected))
}

/// Refuses a damaged file of this program. Files of others, and those of the first version, carry no digest
/// of ours and are taken as they are.
pub fn check_origin(
    path: &Path,
    bytes: &[u8],
    metadata: Option<&HashMap<String, String>>,
) -> Result<()> {
    if integrity::check(path, bytes)? == Seal::Whole {
        return Ok(());
    }
    let stated = |key: &str| metadata.and_then(|map| map.get(key)).map(String::as_str);
    let ours = stated("tool").is_some_and(|tool| tool.starts_with("fairprune"));
    let sealed = stated("format_version") == Some(FORMAT_VERSION);
    match ours && sealed {
        true => Err(Error::damaged(path, "no readable digest of its content")),
        false => Ok(()),
    }
}
