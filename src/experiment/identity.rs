//! What decides a result: one description, from which the job of an output folder, the identity of a training
//! run and that of a study's panel are made.
//!
//! Every fact is written in words or numbers of its own, never as Rust's debugging text, so that renaming
//! a field of the program changes no identity. A change of what is stated here, or how, raises
//! [`FORMAT`]: folders of another format are refused with that reason, never silently done again.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::session::Session;
use crate::artefact::{Existing, OutputDir, digest, input};
use crate::error::{Error, Result};
use crate::nn::NetworkSpec;

/// The version of the descriptions.
pub const FORMAT: u32 = 2;

/// What decides the result of one piece of work.
#[derive(Clone, Debug, Serialize)]
pub struct Identity {
    /// What is done: `train`, `score`, `prune`, `run`, `study`, `training run`.
    command: &'static str,
    version: &'static str,
    identity: u32,
    #[serde(flatten)]
    ground: Option<Ground>,
    /// What is done on that ground.
    #[serde(flatten)]
    work: Map<String, Value>,
}

/// The data, the network and the arithmetic that a result comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Ground {
    data: String,
    split: String,
    split_seed: u64,
    arch: String,
    width: usize,
    stem: String,
    mean: [f32; 3],
    std: [f32; 3],
    numerics: String,
    /// Stated where the network sees a part of the images.
    #[serde(skip_serializing_if = "Option::is_none")]
    input_size: Option<[usize; 2]>,
    /// Stated where quotas and metrics are over groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<String>,
    /// Digest of the findings by which training samples are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    without: Option<String>,
}

impl Ground {
    /// The ground that a session stands on.
    pub fn of(session: &Session) -> Ground {
        let NetworkSpec { arch, width, stem, size, .. } = session.spec;
        let whole = size == [session.data.height, session.data.width];
        Ground {
            data: session.data.fingerprint.clone(),
            split: session.split.kind.to_string(),
            split_seed: session.split.seed,
            arch: arch.to_string(),
            width,
            stem: stem.to_string(),
            mean: session.mean,
            std: session.std,
            numerics: session.numerics(),
            input_size: (!whole).then_some(size),
            groups: session.partition.attribute.clone(),
            without: session.split.left_out.as_ref().map(|l| l.digest.clone()),
        }
    }
}

impl Identity {
    /// Describes `work` (a structure whose fields are the facts) on a session's ground.
    ///
    /// # Errors
    /// Facts that are no map, which is a defect of the program.
    pub fn on(command: &'static str, ground: Ground, work: &impl Serialize) -> Result<Identity> {
        Ok(Identity { ground: Some(ground), ..Identity::of(command, work)? })
    }

    /// Describes work that no session stands behind.
    pub fn of(command: &'static str, work: &impl Serialize) -> Result<Identity> {
        let work = match serde_json::to_value(work) {
            Ok(Value::Object(map)) => map,
            other => return Err(Error::Internal(format!("facts of {command}: {other:?}"))),
        };
        let version = env!("CARGO_PKG_VERSION");
        Ok(Identity { command, version, identity: FORMAT, ground: None, work })
    }

    /// The facts without the command and the versions, to stand inside those of other work.
    pub fn facts(&self) -> Map<String, Value> {
        let mut job = self.job();
        for own in ["command", "version", "identity"] {
            job.remove(own);
        }
        job
    }

    /// The description as `job.json` holds it.
    pub fn job(&self) -> Map<String, Value> {
        match json!(self) {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    /// A hash of the description.
    pub fn digest(&self) -> String {
        digest(json!(self).to_string().as_bytes())
    }

    /// Claims the output folder `root` for this work.
    ///
    /// # Errors
    /// Those of [`OutputDir::claim`]; and a folder that a version of the program began which described
    /// its work in another way.
    pub fn claim(&self, root: &Path, existing: Existing) -> Result<OutputDir> {
        if existing != Existing::Restart {
            self.refuse_other_formats(root)?;
        }
        OutputDir::claim(root, &self.job(), existing)
    }

    fn refuse_other_formats(&self, root: &Path) -> Result<()> {
        // What is unreadable there, the claim itself refuses.
        let job = input::read(&root.join("job.json"), input::MOST_DOCUMENT);
        let Ok(text) = job else { return Ok(()) };
        let Ok(document) = serde_json::from_slice::<Value>(&text) else { return Ok(()) };
        let stated = document.get("job").and_then(|job| job.get("identity"));
        match (document.get("job"), stated.map(|s| s.as_u64() == Some(u64::from(FORMAT)))) {
            (None, _) | (_, Some(true)) => Ok(()),
            (Some(_), stated) => {
                let which = if stated.is_some() { "another" } else { "an earlier" };
                let found = format!(
                    "a job that {which} version of this program began, which stated otherwise what \
                     decides a result"
                );
                let expected = "a folder of this version: choose another `out`, finish it with the version \
                                that began it, or `force` to delete its files and start anew";
                Err(Error::invalid(format!("output folder {}", root.display()), found, expected))
            }
        }
    }
}
