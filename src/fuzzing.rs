//! *Owns* what fuzz targets may reach. *Invariant*: built only by a fuzzer. *Source*: its own.

use crate::journal::fuzzing as journal;
use crate::ring::fuzzing as ring;

/// Decodes one frame; gives its space and the length of its payload.
pub fn decode_frame(bytes: &[u8], salt: u64) -> Option<(usize, usize)> {
    journal::decode_frame(bytes, salt)
}

/// Writes the checksum that a frame at the start of `bytes` should have.
pub fn mend_frame(bytes: &mut [u8], salt: u64) {
    journal::mend_frame(bytes, salt);
}

/// Opens a segment's bytes and scans its frames; gives the first sequence and one past the last.
pub fn scan_segment(bytes: &[u8]) -> Option<(u64, u64)> {
    journal::scan_segment(bytes)
}

/// The header of a segment that [`scan_segment`] accepts.
pub fn segment_header(salt: u64, segment_bytes: u64) -> Vec<u8> {
    journal::segment_header(salt, segment_bytes)
}

/// Adopts a region of `bytes`; `over` a sound one they are patches: an offset of two bytes, then eight
/// bytes that go there.
pub fn adopt_region(bytes: &[u8], over: bool) -> Option<(u64, u64)> {
    ring::adopt_region(bytes, over)
}
