use super::{DataSet, LoadOptions, Progress};
use crate::error::Result;
use std::path::Path;
pub const EXTENSION: &str = "fpc";
pub(super) fn load(_: &Path, _: &str, _: &LoadOptions, _: Progress) -> Result<DataSet> {
    todo!()
}
