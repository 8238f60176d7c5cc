//! Training dynamics while they are recorded. There is one block of rows for each epoch, read from
//! the executor's columns when the epoch ends. Where the run keeps its state on disk the blocks go
//! to a file beside the checkpoint, so that a checkpoint holds the current epoch only. A block is
//! written before any checkpoint that counts its epoch as done, and blocks beyond the checkpoint
//! are written again.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::artefact::dynamics::Quantity;
use crate::artefact::{digest, input};
use crate::error::{Error, Result};
use crate::ops::loss_score::Field;

/// The file of finished epochs, beside the checkpoint.
pub const ROWS_FILE: &str = "dynamics.rows";

/// What a run records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Whether the divergence between successive presentations is recorded too, which needs K
    /// values for each sample on the device and in checkpoints.
    pub divergence: bool,
}

impl Recording {
    /// Returns the quantities, in the order of files.
    pub fn quantities(self) -> &'static [Quantity] {
        let all = &Quantity::ALL;
        if self.divergence { all } else { &all[..all.len() - 1] }
    }

    /// Returns the bytes of `epochs` epochs of `samples` samples.
    pub fn bytes(self, epochs: usize, samples: usize) -> u64 {
        (self.quantities().len() * epochs) as u64 * samples as u64 * 4
    }
}

/// Returns the column of the score table that holds a quantity.
pub fn field(quantity: Quantity) -> Field {
    match quantity {
        Quantity::Loss => Field::Loss,
        Quantity::LabelProbability => Field::LabelProbability,
        Quantity::Correct => Field::Correct,
        Quantity::LogitMargin => Field::Aum,
        Quantity::El2n => Field::El2n,
        Quantity::Divergence => Field::Divergence,
    }
}

#[derive(Debug)]
enum RowStore {
    Memory(Vec<f32>),
    File(File),
}

/// The epochs that were recorded.
#[derive(Debug)]
pub struct Recorder {
    recording: Recording,
    samples: usize,
    epochs: usize,
    rows: RowStore,
    /// Number of epochs that survive a loss of power.
    durable: usize,
    /// Digests of the epochs' blocks in the file.
    digests: Vec<String>,
}

impl Recorder {
    /// Goes on after `epochs` recorded epochs of `samples` samples; what the file at `path` holds
    /// beyond them is dropped.
    ///
    /// # Errors
    /// The file holds fewer epochs or cannot be written, or there is no file and `epochs` is not 0.
    pub fn open(
        path: Option<&Path>,
        recording: Recording,
        samples: usize,
        epochs: usize,
    ) -> Result<Recorder> {
        let wanted = recording.bytes(epochs, samples);
        let rows = match path {
            None if epochs == 0 => RowStore::Memory(Vec::new()),
            None => return Err(Error::Internal(format!("no rows of the first {epochs} epochs"))),
            Some(path) => {
                let file = input::open_own(path)?;
                let found = file.metadata().map_err(Error::io(path))?.len();
                if found < wanted {
                    let found = format!("{found} bytes");
                    let expected =
                        format!("{wanted} or more, those of {epochs} epochs; `force` starts anew");
                    return Err(Error::invalid(path.display().to_string(), found, expected));
                }
                file.set_len(wanted).map_err(Error::io(path))?;
                RowStore::File(file)
            }
        };
        Ok(Recorder { recording, samples, epochs, rows, durable: 0, digests: Vec::new() })
    }

    /// Goes on after `epochs` recorded epochs of a run whose checkpoint lies at `checkpoint`, if it keeps its
    /// state; `stated` are the digests of their blocks that the checkpoint states.
    ///
    /// # Errors
    /// [`Error::Damaged`] of the checkpoint where its rows are not those that it states: without them it
    /// is no state of the run.
    pub(super) fn resume(
        checkpoint: Option<&Path>,
        recording: Recording,
        samples: usize,
        epochs: usize,
        stated: &[String],
    ) -> Result<Recorder> {
        let rows = checkpoint.map(|path| path.with_file_name(ROWS_FILE));
        let checked = Recorder::open(rows.as_deref(), recording, samples, epochs)
            .and_then(|mut recorder| recorder.check(stated).map(|()| recorder));
        checked.map_err(|error| match (error, checkpoint) {
            (error @ Error::Invalid { .. }, Some(path)) => Error::damaged(path, error.to_string()),
            (error, _) => error,
        })
    }

    /// Compares the blocks that the file holds with the digests that a checkpoint states of them.
    ///
    /// # Errors
    /// [`Error::Invalid`]: a block has other values, or there are more or fewer than epochs.
    fn check(&mut self, stated: &[String]) -> Result<()> {
        let RowStore::File(file) = &mut self.rows else { return Ok(()) };
        if stated.len() != self.epochs {
            let found = format!("digests of {} epochs", stated.len());
            return Err(Error::invalid(ROWS_FILE, found, format!("{}", self.epochs)));
        }
        let mut block = vec![0u8; self.recording.bytes(1, self.samples) as usize];
        file.rewind().map_err(Error::io(ROWS_FILE))?;
        for (epoch, stated) in stated.iter().enumerate() {
            file.read_exact(&mut block).map_err(Error::io(ROWS_FILE))?;
            if digest(&block) != *stated {
                let found = format!("other values in epoch {epoch}");
                return Err(Error::invalid(ROWS_FILE, found, format!("those of digest {stated}")));
            }
        }
        self.digests = stated.to_vec();
        Ok(())
    }

    /// Returns the digests of the epochs' blocks in the file; none where rows are in memory.
    pub(super) fn digests(&self) -> &[String] {
        &self.digests
    }

    /// Returns what is recorded.
    pub fn recording(&self) -> Recording {
        self.recording
    }

    /// Returns the number of epochs recorded so far.
    pub fn epochs(&self) -> usize {
        self.epochs
    }

    /// Adds an epoch: one column of N values for each quantity, in the order of
    /// [`Recording::quantities`]. The values of samples that are not `presented` become NaN.
    pub fn push(&mut self, columns: &mut [Vec<f32>], presented: &[u32]) -> Result<()> {
        let quantities = self.recording.quantities();
        let good = columns.iter().all(|c| c.len() == self.samples);
        if columns.len() != quantities.len() || !good {
            return Err(Error::Internal(
                "an epoch's columns differ from those recorded".to_owned(),
            ));
        }
        let mut absent = vec![true; self.samples];
        presented.iter().for_each(|&i| absent[i as usize] = false);
        for column in columns.iter_mut() {
            // Every NaN is written as the same one, whatever a device makes of its sign.
            let values = column.iter_mut().zip(&absent);
            let values = values.filter(|(value, absent)| **absent || value.is_nan());
            values.for_each(|(value, _)| *value = f32::NAN);
        }
        match &mut self.rows {
            RowStore::Memory(all) => columns.iter().for_each(|c| all.extend(c)),
            RowStore::File(file) => {
                let start = self.recording.bytes(self.epochs, self.samples);
                let block = columns.concat();
                let bytes: &[u8] = bytemuck::cast_slice(&block);
                file.seek(SeekFrom::Start(start))
                    .and_then(|_| file.write_all(bytes))
                    .map_err(Error::io(ROWS_FILE))?;
                self.digests.push(digest(bytes));
            }
        }
        self.epochs += 1;
        Ok(())
    }

    /// Makes the rows durable, before a checkpoint is written that counts their epochs as done.
    pub fn sync(&mut self) -> Result<()> {
        if let RowStore::File(file) = &self.rows
            && self.durable < self.epochs
        {
            file.sync_data().map_err(Error::io(ROWS_FILE))?;
            self.durable = self.epochs;
        }
        Ok(())
    }

    /// Returns one epoch of one quantity, N values.
    pub fn row(&mut self, quantity: Quantity, epoch: usize) -> io::Result<Vec<f32>> {
        let quantities = self.recording.quantities();
        let place = quantities.iter().position(|&q| q == quantity);
        let place = place.filter(|_| epoch < self.epochs).ok_or_else(|| {
            io::Error::other(format!("{} of epoch {epoch} was not recorded", quantity.name()))
        })?;
        let start = (epoch * quantities.len() + place) * self.samples;
        match &mut self.rows {
            RowStore::Memory(all) => Ok(all[start..start + self.samples].to_vec()),
            RowStore::File(file) => {
                let mut values = vec![0.0f32; self.samples];
                file.seek(SeekFrom::Start(start as u64 * 4))?;
                file.read_exact(bytemuck::cast_slice_mut(&mut values))?;
                Ok(values)
            }
        }
    }

    /// Returns all epochs of one quantity, T x N.
    pub fn all(&mut self, quantity: Quantity) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(self.epochs * self.samples);
        for epoch in 0..self.epochs {
            values.extend(self.row(quantity, epoch).map_err(Error::io(ROWS_FILE))?);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [u32; 3] = [0, 1, 2];

    fn columns(epoch: usize, quantities: usize, samples: usize) -> Vec<Vec<f32>> {
        let value = |q: usize, i: usize| (epoch * 100 + q * 10 + i) as f32;
        (0..quantities).map(|q| (0..samples).map(|i| value(q, i)).collect()).collect()
    }

    #[test]
    fn epochs_come_back_from_memory_and_from_a_file_that_is_continued() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(ROWS_FILE);
        let recording = Recording { divergence: true };
        let mut memory = Recorder::open(None, recording, 3, 0).unwrap();
        let mut file = Recorder::open(Some(&path), recording, 3, 0).unwrap();
        for epoch in 0..4 {
            memory.push(&mut columns(epoch, 6, 3), &ALL).unwrap();
            file.push(&mut columns(epoch, 6, 3), &ALL).unwrap();
        }
        // The checkpoint counted two epochs, so that the others are dropped and recorded again.
        drop(file);
        let mut file = Recorder::open(Some(&path), recording, 3, 2).unwrap();
        assert!(file.row(Quantity::Loss, 2).is_err());
        for epoch in 2..4 {
            file.push(&mut columns(epoch, 6, 3), &ALL).unwrap();
        }
        for (q, quantity) in Quantity::ALL.into_iter().enumerate() {
            let all = file.all(quantity).unwrap();
            assert_eq!(all, memory.all(quantity).unwrap());
            assert_eq!(all[2 * 3 + 1], (200 + q * 10 + 1) as f32);
        }
    }

    #[test]
    fn a_file_without_the_epochs_of_the_checkpoint_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(ROWS_FILE);
        let recording = Recording { divergence: false };
        let mut file = Recorder::open(Some(&path), recording, 3, 0).unwrap();
        assert!(file.push(&mut columns(0, 6, 3), &ALL).is_err(), "a column too many");
        assert!(file.push(&mut columns(0, 5, 2), &ALL[..2]).is_err(), "a sample too few");
        file.push(&mut columns(0, 5, 3), &[2, 0]).unwrap();
        let row = file.row(Quantity::Loss, 0).unwrap();
        assert!(row[0] == 0.0 && row[1].is_nan() && row[2] == 2.0, "{row:?}");
        assert!(file.row(Quantity::Divergence, 0).is_err());
        let message = Recorder::open(Some(&path), recording, 3, 2).unwrap_err().to_string();
        assert!(message.contains("60 bytes") && message.contains("120 or more"), "{message}");
    }
}
