//! *Owns* reading numbers off a disk. *Invariant*: little-endian, and none for bytes that are not
//! there. *Source*: its own.

/// The little-endian u32 at `offset_bytes`.
#[inline(always)]
pub(crate) fn word(bytes: &[u8], offset_bytes: usize) -> Option<u32> {
    let bytes = bytes.get(offset_bytes..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// The little-endian u64 at `offset_bytes`.
#[inline(always)]
pub(crate) fn long(bytes: &[u8], offset_bytes: usize) -> Option<u64> {
    let bytes = bytes.get(offset_bytes..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

/// The little-endian u128 at `offset_bytes`.
pub(crate) fn wide(bytes: &[u8], offset_bytes: usize) -> Option<u128> {
    let bytes = bytes.get(offset_bytes..)?.first_chunk()?;
    Some(u128::from_le_bytes(*bytes))
}
