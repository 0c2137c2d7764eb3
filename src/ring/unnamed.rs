//! *Owns* nothing: stands in for `named.rs` where there is no Linux, and under loom. *Invariant*:
//! there every ring is anonymous. *Source*: its own.

use crate::ring::error::RegionError;
use crate::ring::memory::MemoryOptions;
#[cfg(not(loom))]
use crate::ring::region::Producers;
use crate::ring::region::{Region, Shape};
use crate::sequence::Sequence;
use std::path::Path;

pub(crate) fn create(
    _path: &Path,
    _shape: Shape,
    _start: Sequence,
    _options: MemoryOptions,
) -> Result<Region, RegionError> {
    Err(RegionError::Unsupported)
}

#[cfg(not(loom))]
pub(crate) fn open_owned(
    _path: &Path,
    _shape: Shape,
    _options: MemoryOptions,
) -> Result<(Region, Producers), RegionError> {
    Err(RegionError::Unsupported)
}

#[cfg(not(loom))]
pub(crate) fn open_observed(_path: &Path, _shape: Shape) -> Result<Region, RegionError> {
    Err(RegionError::Unsupported)
}
