//! *Owns* the journal: events in memory-mapped segments, so that they survive the process, and after
//! a sync the power. *Invariant*: nothing is reported durable before a sync that covers it has
//! returned; recovery serves every durable event or refuses loudly. *Source*: the LMAX journaler;
//! Aeron's mapped logs; TigerBeetle and redb for recovery as a table and formats as literature.
//!
//! | | survives `kill -9` | survives the power | costs the publisher | costs a stage behind it |
//! |---|---|---|---|---|
//! | published | no | no | – | – |
//! | journaled | yes | no | nothing | a copy and a checksum, on the journal's thread |
//! | durable | yes | yes | nothing | a sync |
//!
//! The bytes are drawn in [`frame`] and [`segment`], the decisions after a crash in [`recovery`].
//! A directory holds `<ordinal>.seg`, `<sequence>.snap`, `<ordinal>.torn` (what recovery cut) and
//! `lock`. No other file can disagree with the log.
//!
//! ```text
//!  writer ── frames ──► 00…02.seg (open)      ◄── prepares ahead ── preparer ──► 00…03.seg (empty)
//!     └── ranges ──► committer ── msync, seal ──► 00…01.seg (sealed: index, footer, chain digest)
//! ```

mod crc;
mod error;
pub(crate) mod fields;
mod frame;
mod helper;
mod lock;
mod map;
mod progress;
mod recovery;
mod replay;
mod scan;
mod segment;
mod storage;
mod writer;

pub(crate) use crc::sum as crc_sum;
pub use error::JournalError;
pub use progress::JournalStats;
pub use recovery::Cut;
pub use replay::{Record, RecordKind, Replay};
pub(crate) use segment::rkyv_format;
pub(crate) use storage::Directory;
pub use writer::JournalHandle;
pub(crate) use writer::JournalWriter;

use crate::event::SchemaId;
use crate::sequence::Sequence;
use helper::Plan;
use lock::Lock;
use progress::Progress;
use recovery::SegmentInfo;
use segment::SchemaEntry;
use std::path::Path;
use std::sync::Arc;

/// How a journal is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    segment_bytes: u64,
}

impl Default for JournalOptions {
    /// Segments of 128 MiB.
    fn default() -> Self {
        Self { segment_bytes: 128 << 20 }
    }
}

impl JournalOptions {
    /// The smallest segment.
    pub const SEGMENT_BYTES_MIN: u64 = 64 << 10;

    /// Bytes of each new segment: a multiple of 4096, at least 64 KiB and at most 1 GiB.
    #[must_use]
    pub fn segment_bytes(mut self, segment_bytes: u64) -> Self {
        self.segment_bytes = segment_bytes;
        self
    }

    fn validate(&self) -> Result<(), JournalError> {
        let range = Self::SEGMENT_BYTES_MIN..=1 << 30;
        if !range.contains(&self.segment_bytes) || !self.segment_bytes.is_multiple_of(4096) {
            let why = "a segment is a multiple of 4096 bytes, from 64 KiB to 1 GiB";
            return Err(JournalError::Options { why });
        }
        Ok(())
    }
}

/// The ways to open a journal.
pub(crate) struct Journal;

impl Journal {
    /// Creates a journal in `dir`, which is created where missing.
    pub(crate) fn create(
        dir: &Path,
        options: &JournalOptions,
        schemas: &[SchemaId],
    ) -> Result<OpenJournal, JournalError> {
        options.validate()?;
        let directory = Arc::new(Directory::create(dir)?);
        let lock = Lock::take(&directory)?;
        if holds_segments(&directory.names()?) {
            return Err(JournalError::AlreadyExists { dir: dir.to_owned() });
        }
        OpenJournal::empty(directory, lock, options, schemas)
    }

    /// Takes the lock of the journal in `dir`, validates every segment, cuts a torn tail. A journal
    /// whose creation was interrupted is empty.
    pub(crate) fn open(
        dir: &Path,
        options: &JournalOptions,
        schemas: &[SchemaId],
    ) -> Result<OpenJournal, JournalError> {
        options.validate()?;
        let directory = Arc::new(Directory::open(dir)?);
        let names = directory.names()?;
        let first = format!("{}.tmp", segment::file_name(0));
        if !holds_segments(&names) && !names.contains(&first) {
            return Err(JournalError::NoJournal { dir: dir.to_owned() });
        }
        let lock = Lock::take(&directory)?;
        if !holds_segments(&directory.names()?) {
            return OpenJournal::empty(directory, lock, options, schemas);
        }
        let schemas: Vec<SchemaEntry> = schemas.iter().map(SchemaEntry::from).collect();
        let recovered = recovery::recover(&directory, &schemas)?;
        Ok(OpenJournal {
            directory,
            lock,
            options: options.clone(),
            id: recovered.journal_id,
            schemas,
            segments: recovered.segments,
            next_ordinal: recovered.next_ordinal,
            next: recovered.next,
            cuts: recovered.cuts,
        })
    }
}

fn holds_segments(names: &[String]) -> bool {
    names.iter().any(|name| segment::ordinal_of(name).is_some())
}

/// A sound journal whose lock is held, before anything is appended.
#[derive(Debug)]
pub struct OpenJournal {
    directory: Arc<Directory>,
    lock: Lock,
    options: JournalOptions,
    id: u128,
    schemas: Vec<SchemaEntry>,
    segments: Vec<SegmentInfo>,
    next_ordinal: u64,
    next: Sequence,
    cuts: Vec<Cut>,
}

impl OpenJournal {
    /// A new journal without an event.
    fn empty(
        directory: Arc<Directory>,
        lock: Lock,
        options: &JournalOptions,
        schemas: &[SchemaId],
    ) -> Result<Self, JournalError> {
        let id = u128::from(helper::random_u64()?) << 64 | u128::from(helper::random_u64()?);
        Ok(Self {
            directory,
            lock,
            options: options.clone(),
            id,
            schemas: schemas.iter().map(SchemaEntry::from).collect(),
            segments: Vec::new(),
            next_ordinal: 0,
            next: Sequence::ZERO,
            cuts: Vec::new(),
        })
    }

    /// The journal's identity, drawn at random when it was created.
    #[must_use]
    pub fn id(&self) -> u128 {
        self.id
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The first sequence that it holds.
    #[must_use]
    pub fn first_sequence(&self) -> Sequence {
        self.segments.first().map_or(self.next, |info| info.first)
    }

    /// The sequence that the next event will have.
    #[must_use]
    pub fn next_sequence(&self) -> Sequence {
        self.next
    }

    /// What recovery cut off as torn, and where it kept it.
    #[must_use]
    pub fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// Bytes of frames, control frames and padding included.
    #[must_use]
    pub fn frames_bytes(&self) -> u64 {
        let bytes = |info: &SegmentInfo| info.frames_end - info.header.frames_range().start;
        self.segments.iter().map(|info| bytes(info) as u64).sum()
    }

    /// Every record from `from` on, in order.
    #[must_use]
    pub fn replay(&self, from: Sequence) -> Replay<'_> {
        Replay::new(&self.directory, &self.segments, from)
    }

    /// Goes over to writing: opens a new segment, then seals what the last writer left open.
    pub(crate) fn into_writer(self) -> Result<(JournalWriter, JournalHandle), JournalError> {
        let progress = Progress::new(self.next);
        let last_time_ns = self.segments.iter().map(|info| info.last_time_ns).max().unwrap_or(0);
        let plan = Plan {
            directory: Arc::clone(&self.directory),
            journal_id: self.id,
            segment_bytes: self.options.segment_bytes,
            schemas: self.schemas,
        };
        let map = plan.prepare(self.next_ordinal)?;
        progress.counts.segments_prepared.add(1);
        let chain = helper::seal(&self.directory, &self.segments)?;
        let next_ordinal = self.next_ordinal + 1;
        let (commits, committer) =
            helper::start_committer(chain, &self.directory, Arc::clone(&progress))?;
        let (prepared, preparer) =
            helper::start_preparer(plan, next_ordinal, Arc::clone(&progress))?;
        let helpers = writer::Helpers { prepared, commits, preparer, committer, lock: self.lock };
        let handle = JournalHandle::new(Arc::clone(&progress));
        Ok((JournalWriter::new(map, self.next, last_time_ns, progress, helpers), handle))
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

#[cfg(fuzzing)]
pub(crate) mod fuzzing {
    //! The total functions over hostile bytes, for fuzz targets alone.

    use super::frame::{self, Salt};
    use super::scan;
    use super::segment::{Footer, Header, SchemaEntry};
    use std::path::Path;

    pub(crate) fn decode_frame(bytes: &[u8], salt: u64) -> Option<(usize, usize)> {
        let frame = frame::decode(bytes, Salt::new(salt)).ok()?;
        let _ = frame.acknowledged();
        Some((frame.space_bytes, frame.payload.len()))
    }

    pub(crate) fn mend_frame(bytes: &mut [u8], salt: u64) {
        if let Some(crc) = frame::expected_crc(bytes, Salt::new(salt)) {
            bytes[frame::CRC_OFFSET..frame::SEQ_OFFSET].copy_from_slice(&crc.to_le_bytes());
        }
    }

    pub(crate) fn scan_segment(bytes: &[u8]) -> Option<(u64, u64)> {
        let header = Header::decode(Path::new("fuzzed"), bytes).ok()?;
        let _ = Footer::decode(bytes);
        scan::scanned(bytes, &header)
    }

    pub(crate) fn segment_header(salt: u64, segment_bytes: u64) -> Vec<u8> {
        let schema = SchemaEntry { name: "fuzzed".to_owned(), version: 1, fingerprint: 1 };
        let (journal_id, ordinal, schemas) = (1, 0, vec![schema]);
        Header { journal_id, ordinal, salt, segment_bytes, schemas }.encode()
    }
}
