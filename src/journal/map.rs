//! *Owns* a segment's mapped memory. *Invariant*: (M1) only the journal's one appending thread
//! writes frames, and never below a published length word; (M2) the footer's page is written once,
//! by the committer, after the appending thread has left the segment; (M3) the file is preallocated
//! and populated, so no access faults or meets SIGBUS, as long as nobody else shortens it (A3).
//! *Source*: Aeron's term buffers.

use crate::journal::error::JournalError;
use crate::journal::frame::{self, Head, PAGE_BYTES, Salt};
use crate::journal::segment::{FOOTER_BYTES, Header};
use crate::sync::{AtomicU32, Ordering};
use memmap2::{Advice, MmapOptions, MmapRaw};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A segment that is being written.
#[derive(Debug)]
pub(crate) struct SegmentMap {
    map: MmapRaw,
    path: PathBuf,
    header: Header,
    salt: Salt,
    frames_start: usize,
    frames_end: usize,
}

impl SegmentMap {
    /// Maps a prepared file and faults every page in for writing.
    pub(crate) fn new(file: &File, path: &Path, header: Header) -> Result<Self, JournalError> {
        let fail = |error| JournalError::io(path, "map", error);
        let len = usize::try_from(header.segment_bytes)
            .map_err(|_| JournalError::Options { why: "a segment exceeds the address space" })?;
        let map = MmapOptions::new().len(len).map_raw(file).map_err(fail)?;
        populate(&map);
        let frames = header.frames_range();
        let salt = Salt::new(header.salt);
        let (frames_start, frames_end) = (frames.start, frames.end);
        Ok(Self { map, path: path.to_owned(), header, salt, frames_start, frames_end })
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Where the first frame lies.
    pub(crate) fn frames_start(&self) -> usize {
        self.frames_start
    }

    /// Where the last frame ends at the latest.
    pub(crate) fn frames_end(&self) -> usize {
        self.frames_end
    }

    /// Writes a frame at `at` and publishes it: its length word is stored last.
    ///
    /// # Safety
    /// - The caller is the journal's appending thread (M1), and nothing at or above `at` is
    ///   published.
    /// - `at` is a multiple of 16, at least `frames_start`, and the frame's space ends at or below
    ///   `frames_end`.
    #[inline(always)]
    pub(crate) unsafe fn write(&self, at: usize, head: &Head, payload: &[u8]) {
        let space_bytes = frame::space_bytes(payload.len());
        debug_assert!(at >= self.frames_start && at + space_bytes <= self.frames_end);
        // SAFETY: in bounds by contract; the map lives as long as `self`.
        let start = unsafe { self.map.as_mut_ptr().add(at) };
        // SAFETY: as above: a frame is longer than its length word.
        let behind_len = unsafe { start.add(frame::CRC_OFFSET) };
        // SAFETY: in bounds by contract; nobody else reads or writes above the published part (M1),
        // and the length word itself, which readers poll, is left out.
        let body =
            unsafe { core::slice::from_raw_parts_mut(behind_len, space_bytes - frame::CRC_OFFSET) };
        let len_word = frame::encode(body, head, payload, self.salt);
        // SAFETY: aligned to 16, in bounds, and only ever accessed as an atomic while it is live.
        let published = unsafe { AtomicU32::from_ptr(start.cast()) };
        // ORDERING: Release; pairs with the Acquire fence of readers behind their load of the
        // length word, and for a reader after a crash with the kernel's own order: it finds the
        // whole frame or a zero length.
        published.store(len_word.to_le(), Ordering::Release);
    }

    /// The bytes below `end`, all of them published or part of the header.
    ///
    /// # Safety
    /// - The appending thread has published everything below `end`, or has left the segment, and
    ///   the caller synchronized with that.
    pub(crate) unsafe fn published(&self, end: usize) -> &[u8] {
        debug_assert!(end <= self.frames_end);
        // SAFETY: in bounds; published bytes are never written again (M1).
        unsafe { core::slice::from_raw_parts(self.map.as_ptr(), end) }
    }

    /// Writes the footer.
    ///
    /// # Safety
    /// - The appending thread has left the segment, and only the committer calls this (M2).
    pub(crate) unsafe fn write_footer(&self, footer: &[u8; FOOTER_BYTES]) {
        let at = self.map.len() - FOOTER_BYTES;
        // SAFETY: the last page of the map, which holds no frame.
        let place = unsafe { self.map.as_mut_ptr().add(at) };
        // SAFETY: as above; nobody else touches it (M2).
        unsafe { place.copy_from_nonoverlapping(footer.as_ptr(), FOOTER_BYTES) };
    }

    /// Syncs the pages that hold `from..to`. Blocks until the device has them.
    pub(crate) fn sync(&self, from: usize, to: usize) -> Result<(), JournalError> {
        let start = from - from % PAGE_BYTES;
        self.map
            .flush_range(start, to.next_multiple_of(PAGE_BYTES).min(self.map.len()) - start)
            .map_err(|error| JournalError::io(&self.path, "sync", error))
    }

    /// Syncs the footer's page.
    pub(crate) fn sync_footer(&self) -> Result<(), JournalError> {
        self.sync(self.map.len() - FOOTER_BYTES, self.map.len())
    }
}

/// Faults every page in for writing.
fn populate(map: &MmapRaw) {
    // Linux before 5.14 does not know this advice. Then the first store to each page takes a fault:
    // slower, and just as correct.
    #[cfg(target_os = "linux")]
    let _ = map.advise(Advice::PopulateWrite);
    #[cfg(not(target_os = "linux"))]
    let _ = (map, Advice::Normal);
}
