//! Event files of scalars, as TensorBoard reads them.
//!
//! A file is a sequence of records: the length of the data (u64, little endian), a checksum of these eight
//! bytes, the data, a checksum of the data. A checksum is CRC-32C, rotated right by 15 bits, plus a constant
//! (TensorFlow, `core/lib/io/record_writer.h`). The data is a message `Event` of protocol buffers
//! (`core/util/event.proto`), of which scalars need five fields.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::error::{Error, Result};

/// The version that a file states in its first record.
const VERSION: &str = "brain.Event:2";

/// What is added to a rotated checksum.
const MASK: u32 = 0xa282_ead8;

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// An event file that is being written. Each record is whole in the file as soon as it is written, so that
/// TensorBoard shows it while the work goes on; a process that continues the work begins a file of its own.
pub struct ScalarEvents {
    path: PathBuf,
    file: File,
    failed: Option<Error>,
}

impl ScalarEvents {
    /// Begins a file in the folder `place`, which is made where it is not there.
    ///
    /// # Errors
    /// [`Error::Io`]: the folder or the file cannot be written.
    pub fn create(place: &Path) -> Result<ScalarEvents> {
        std::fs::create_dir_all(place).map_err(Error::io(place))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, fine) = (now.as_secs(), now.subsec_nanos());
        let name = format!("events.out.tfevents.{seconds}.fairprune.{}.{fine}", std::process::id());
        let path = place.join(name);
        let file = File::create_new(&path).map_err(Error::io(&path))?;
        let mut events = ScalarEvents { path, file, failed: None };
        let version = Some(VERSION.to_owned());
        events.record(&Event {
            wall_time: seconds as f64,
            file_version: version,
            ..Event::default()
        })?;
        Ok(events)
    }

    /// Writes scalars of one step by their names. A file that cannot be written stops no work: the first
    /// error is told by [`ScalarEvents::finish`].
    pub fn write(&mut self, step: u64, scalars: &[(&str, f64)]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let value = scalars.iter();
        let value = value.map(|&(tag, v)| Scalar { tag: tag.to_owned(), simple_value: v as f32 });
        let summary = Some(Summary { value: value.collect() });
        let wall_time = now.as_secs_f64();
        let event = Event { wall_time, step: step as i64, file_version: None, summary };
        if self.failed.is_none() {
            self.failed = self.record(&event).err();
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The first record that could not be written.
    pub fn finish(self) -> Result<()> {
        self.failed.map_or(Ok(()), Err)
    }

    fn record(&mut self, event: &Event) -> Result<()> {
        let data = event.encode_to_vec();
        let length = (data.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(data.len() + 16);
        record.extend(length);
        record.extend(checksum(&length).to_le_bytes());
        record.extend(&data);
        record.extend(checksum(&data).to_le_bytes());
        self.file.write_all(&record).map_err(Error::io(&self.path))
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of a file, whose checksums must be right.
    fn read(path: &Path) -> Vec<Event> {
        let bytes = std::fs::read(path).unwrap();
        let (mut rest, mut events) = (bytes.as_slice(), Vec::new());
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let stated = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            let data = &rest[12..12 + length];
            assert_eq!((stated(8), stated(12 + length)), (checksum(&rest[..8]), checksum(data)));
            events.push(Event::decode(data).unwrap());
            rest = &rest[16 + length..];
        }
        events
    }

    #[test]
    fn checksums_are_those_of_the_format() {
        // The masked checksum of no bytes, and of "123456789" (whose CRC-32C is e3069283).
        assert_eq!(checksum(b""), MASK);
        assert_eq!(checksum(b"123456789"), 0xe306_9283u32.rotate_right(15).wrapping_add(MASK));
    }

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a/b");
        let mut events = ScalarEvents::create(&place).unwrap();
        events.write(40, &[("loss/train", 1.5), ("accuracy/train", 0.25)]);
        events.write(80, &[("loss/train", 0.5)]);
        let path = events.path.clone();
        events.finish().unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(name.starts_with("events.out.tfevents."), "{name}");
        let found = read(&path);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].file_version.as_deref(), Some(VERSION));
        assert!((found[1].step, found[1].wall_time > 1e9) == (40, true));
        let values = |e: &Event| -> Vec<(String, f32)> {
            let summary = e.summary.clone().unwrap();
            summary.value.into_iter().map(|v| (v.tag, v.simple_value)).collect()
        };
        let expected = [("loss/train".to_owned(), 1.5), ("accuracy/train".to_owned(), 0.25)];
        assert_eq!(values(&found[1]), expected);
        assert_eq!((found[2].step, values(&found[2]).len()), (80, 1));
        // The bytes of a scalar as TensorFlow's own writer encodes them.
        let event = Event { summary: found[2].summary.clone(), ..Event::default() };
        let bytes = [&[0x2a, 19, 0x0a, 17, 0x0a, 10][..], b"loss/train", &[0x15, 0, 0, 0, 0x3f]];
        assert_eq!(event.encode_to_vec(), bytes.concat());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(ScalarEvents::create(&file.join("events")).is_err());
    }
}
