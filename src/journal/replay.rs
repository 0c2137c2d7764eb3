//! *Owns* reading frames back in order. *Invariant*: each record handed out passed its checksum, and
//! sequences have no gap; the first doubt ends the replay with an error. *Source*: its own.

use crate::journal::error::JournalError;
use crate::journal::frame::{self, FrameFault, Head, Kind, Salt};
use crate::journal::recovery::{self, SegmentInfo};
use crate::journal::storage::Directory;
use crate::sequence::Sequence;
use core::ops::Range;
use memmap2::Mmap;

/// Records of a journal, from a sequence to its end. Lends each record, so it is no `Iterator`.
#[derive(Debug)]
pub struct Replay<'a> {
    directory: &'a Directory,
    /// Segments not read yet.
    segments: core::slice::Iter<'a, SegmentInfo>,
    open: Option<OpenSegment<'a>>,
    /// Records below are passed over.
    from: Sequence,
    next: Sequence,
    is_over: bool,
}

#[derive(Debug)]
struct OpenSegment<'a> {
    info: &'a SegmentInfo,
    map: Mmap,
    salt: Salt,
    at: usize,
}

/// One record of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its sequence.
    pub sequence: Sequence,
    /// Its time in ns since the Unix epoch; never going back within a journal.
    pub time_ns: u64,
    /// What it is.
    pub kind: RecordKind<'a>,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordKind<'a> {
    /// An event.
    Event {
        /// Index of its type in the journal's schema table.
        type_index: u32,
        /// Its archive, aligned to 16. Its checksum agrees; it has not been validated.
        payload: &'a [u8],
    },
    /// A sequence that was published as aborted.
    Aborted,
}

impl<'a> Replay<'a> {
    /// Records from `from` on; `segments` are in order and without a gap.
    pub(crate) fn new(
        directory: &'a Directory,
        segments: &'a [SegmentInfo],
        from: Sequence,
    ) -> Self {
        let skipped = segments.iter().take_while(|info| info.end <= from).count();
        let segments = &segments[skipped..];
        let next = segments.first().map_or(from, |info| info.first);
        let segments = segments.iter();
        Self { directory, segments, open: None, from, next, is_over: false }
    }

    /// The next record, or why there is none; `None` at the end, and after an error.
    #[allow(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    #[inline]
    pub fn next(&mut self) -> Option<Result<Record<'_>, JournalError>> {
        if self.is_over {
            return None;
        }
        match self.advance() {
            Ok(Some(located)) => {
                let open = self.open.as_ref()?;
                Some(Ok(open.record(&located)))
            }
            Ok(None) => {
                self.is_over = true;
                None
            }
            Err(error) => {
                self.is_over = true;
                Some(Err(error))
            }
        }
    }

    /// Walks over the next record wanted and says where it lies.
    #[inline]
    fn advance(&mut self) -> Result<Option<Located>, JournalError> {
        loop {
            if self.open.as_ref().is_none_or(|open| open.at >= open.info.frames_end)
                && !self.open_next()?
            {
                return Ok(None);
            }
            let Some(open) = &mut self.open else { return Ok(None) };
            let located = match open.step(self.next) {
                Ok(located) => located,
                Err(fault) => return Err(open.corrupt(self.directory, self.next, fault)),
            };
            if located.head.kind.takes_sequence() {
                self.next = self.next.next();
                if located.head.sequence >= self.from {
                    return Ok(Some(located));
                }
            }
        }
    }

    /// Opens the next segment; `false` if there is none.
    fn open_next(&mut self) -> Result<bool, JournalError> {
        if let Some(open) = &self.open
            && open.info.end != self.next
        {
            let fault = "its frames end before its last sequence";
            return Err(open.corrupt(self.directory, self.next, fault));
        }
        let Some(info) = self.segments.next() else { return Ok(false) };
        let map = recovery::map(self.directory, &info.name)?;
        let at = info.header.frames_range().start;
        let open = OpenSegment { info, map, salt: Salt::new(info.header.salt), at };
        if info.first != self.next || open.map.len() < info.frames_end {
            return Err(open.corrupt(self.directory, self.next, "it does not continue the last"));
        }
        self.open = Some(open);
        Ok(true)
    }
}

/// A frame that passed its checksum.
#[derive(Debug)]
struct Located {
    head: Head,
    payload: Range<usize>,
}

impl OpenSegment<'_> {
    /// Checks the frame at `at` and walks over it.
    #[inline]
    fn step(&mut self, next: Sequence) -> Result<Located, &'static str> {
        let frames = &self.map[..self.info.frames_end];
        let frame = frame::decode(&frames[self.at..], self.salt).map_err(FrameFault::text)?;
        if frame.head.sequence != next {
            return Err("a sequence is out of order");
        }
        if let Kind::Event(index) = frame.head.kind
            && index as usize >= self.info.header.schemas.len()
        {
            return Err("an event's type is not in the schema table");
        }
        let start = self.at + frame::HEADER_BYTES;
        self.at += frame.space_bytes;
        Ok(Located { head: frame.head, payload: start..start + frame.payload.len() })
    }

    fn record(&self, located: &Located) -> Record<'_> {
        let kind = match located.head.kind {
            Kind::Event(type_index) => {
                RecordKind::Event { type_index, payload: &self.map[located.payload.clone()] }
            }
            _ => RecordKind::Aborted,
        };
        Record { sequence: located.head.sequence, time_ns: located.head.time_ns, kind }
    }

    fn corrupt(&self, directory: &Directory, next: Sequence, fault: &'static str) -> JournalError {
        JournalError::Corrupt {
            path: directory.path_of(&self.info.name),
            offset_bytes: self.at as u64,
            lost: next..self.info.end.max(next),
            fault,
        }
    }
}
