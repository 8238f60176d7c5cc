//! From a device to a session, step by step: a data set, then a network.

use std::path::Path;
use std::sync::Arc;

use super::device::Device;
use super::session::Session;
use super::settings::{DataSettings, DefaultNetwork, NetworkSettings};
use super::weight_file::WeightFile;
use crate::data::{DataSet, Partition, SplitKind};
use crate::error::Result;
use crate::nn::WeightsMetadata;

/// A data set beside an open device, before there is a network.
pub struct Loaded {
    device: Device,
    data: Arc<DataSet>,
    settings: DataSettings,
    seed: u64,
    groups: String,
}

impl Session {
    /// Opens the device called `auto`, `cpu`, `cuda` or `cuda:N`: the first step to a session.
    pub fn open(device: &str) -> Result<Device> {
        Device::open(device)
    }
}

impl Device {
    /// Reads the data set at `path` (a folder, a tar, Parquet or cache file), or the built-in one of that name.
    pub fn load(&self, path: impl Into<String>) -> Result<Loaded> {
        self.load_with(&DataSettings::of(path), &|_, _| {})
    }

    /// Reads a data set as the settings say; `progress` gets images done and in all.
    pub fn load_with(
        &self,
        settings: &DataSettings,
        progress: crate::data::Progress,
    ) -> Result<Loaded> {
        let data = settings.load(self.host(), progress)?;
        Ok(Loaded::of(self, data, settings))
    }
}

impl Loaded {
    /// A data set that was read already.
    pub fn of(device: &Device, data: Arc<DataSet>, settings: &DataSettings) -> Self {
        let (device, settings) = (device.clone(), settings.clone());
        Loaded { device, data, settings, seed: 0, groups: "classes".to_owned() }
    }

    /// The data set.
    pub fn data(&self) -> &Arc<DataSet> {
        &self.data
    }

    /// Draws everything random from `seed`, which is 0 otherwise.
    pub fn seed(self, seed: u64) -> Self {
        Loaded { seed, ..self }
    }

    /// Holds out what `kind` says.
    pub fn split(mut self, kind: SplitKind) -> Self {
        self.settings.split = Some(kind);
        self
    }

    /// Counts quotas and metrics over class x attribute, for the attribute of that name.
    pub fn groups(self, attribute: &str) -> Self {
        Loaded { groups: attribute.to_owned(), ..self }
    }

    /// The session with the network of that name.
    pub fn network(self, name: &str) -> Result<Session> {
        let arch = Some(name.parse()?);
        let settings = NetworkSettings { arch, ..NetworkSettings::default() };
        self.session(&settings, DefaultNetwork::default())
    }

    /// The session with the network that the settings name, or a default one.
    pub fn session(self, network: &NetworkSettings, default: DefaultNetwork) -> Result<Session> {
        let input_size = self.settings.input_size;
        let split = self.settings.split_of(&self.data, self.seed)?;
        self.with(network, default, input_size, None, split)
    }

    /// The session with the network of a weight file, which holds out what `split` says of the data.
    pub fn with_weights(
        self,
        file: &WeightFile,
        network: &NetworkSettings,
        split: crate::data::Split,
    ) -> Result<Session> {
        file.check_classes(&self.data)?;
        let input_size = file.input_size(&self.settings);
        let (network, default) = file.network(network);
        let session = self.with(&network, default, input_size, Some(&file.metadata), split)?;
        file.check(&session.network)?;
        Ok(session)
    }

    /// The session with the network of the weight file at `path`, and the weights.
    pub fn weights(self, path: impl AsRef<Path>) -> Result<(Session, WeightFile)> {
        let file = WeightFile::read(path.as_ref())?;
        let split = super::scoring::nothing_held_out(&self.data, self.settings.split, self.seed)?;
        let split = self.settings.left_out(&self.data, split)?;
        Ok((self.with_weights(&file, &NetworkSettings::default(), split)?, file))
    }

    fn with(
        self,
        network: &NetworkSettings,
        default: DefaultNetwork,
        input_size: Option<usize>,
        file: Option<&WeightsMetadata>,
        split: crate::data::Split,
    ) -> Result<Session> {
        let Loaded { device, data, seed, groups, .. } = self;
        let partition = Partition::of(&data, &groups)?;
        let spec = network.spec(&data, input_size, file, default)?;
        let session = Session::new(device, data, split, spec, network.seen(file)?)?;
        Ok(session.seeded(seed).over(partition))
    }
}
