//! Files that outlive the program: complete or absent, never half-written.
//!
//! | module | idea |
//! |---|---|
//! | [`atomic`] | temporary name, sync, rename, sync of the folder |
//! | [`output_dir`] | one folder, one job: claim, continue, start anew, one process at a time |
//! | [`input`] | opening what others may have placed: regular files, without waiting, of bounded size |
//! | [`integrity`] | digests that files state, and their check: nothing damaged is believed |
//! | [`npy`] | NumPy arrays |
//! | [`tables`] | the CSV files and their checks |
//! | [`dynamics`] | recorded training dynamics: T x N arrays and what run they are of |
//! | `events` | event files of scalars, as TensorBoard reads them |
//! | [`foreign`] | scores of other programs, by name or in a stated order |
//! | [`sniff`] | what a file is that is not what was expected |
//! | [`provenance`] | the small JSON beside every file: which data, which method, which version |

pub mod atomic;
mod control;
mod disk;
pub mod dynamics;
#[cfg(feature = "train")]
pub mod events;
pub mod foreign;
pub mod input;
pub mod integrity;
mod ledger;
pub mod npy;
pub mod output_dir;
pub mod provenance;
pub mod sniff;
pub mod tables;

pub use output_dir::{Existing, OutputDir};
pub use provenance::Provenance;

/// Returns a short hash of bytes, for identities and fingerprints: 32 hexadecimal digits of BLAKE3.
pub fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..32].to_owned()
}
