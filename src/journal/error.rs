//! *Owns* the refusals of the journal. *Invariant*: each says which file, where in it, what is
//! wrong, and how to go on; each can be kept and told to many. *Source*: the error tables of redb
//! and TigerBeetle.

use crate::sequence::Sequence;
use core::fmt;
use core::ops::Range;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the journal, or a snapshot, refused.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum JournalError {
    /// There is no journal in the directory.
    NoJournal {
        /// The directory.
        dir: PathBuf,
    },
    /// There is a journal in the directory already.
    AlreadyExists {
        /// The directory.
        dir: PathBuf,
    },
    /// Somebody else has the journal open.
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process id that the holder wrote into the lock file, if it can be read.
        holder: Option<u32>,
    },
    /// A file by a segment's name is none.
    NotASegment {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        why: &'static str,
    },
    /// The segment was written in a format that this version does not read.
    OtherFormat {
        /// The segment.
        path: PathBuf,
        /// What the segment says.
        found: String,
        /// What this program reads.
        expected: String,
    },
    /// The segment belongs to another journal.
    OtherJournal {
        /// The segment.
        path: PathBuf,
        /// The id in it.
        found: u128,
        /// The id of the journal.
        expected: u128,
    },
    /// The journal holds events of another schema.
    OtherSchema {
        /// The file.
        path: PathBuf,
        /// Name, version and fingerprint in the file.
        found: String,
        /// Name, version and fingerprint of this program.
        expected: String,
    },
    /// A segment is missing.
    MissingSegment {
        /// The directory.
        dir: PathBuf,
        /// The segment's ordinal.
        ordinal: u64,
    },
    /// Bytes that were acknowledged are damaged.
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        offset_bytes: u64,
        /// Sequences that are lost at least.
        lost: Range<Sequence>,
        /// What is wrong.
        fault: &'static str,
    },
    /// The event does not fit a segment.
    FrameTooLarge {
        /// Bytes of the frame.
        needed_bytes: u64,
        /// Bytes that a segment has.
        segment_bytes: u64,
    },
    /// The options are unsound.
    Options {
        /// What is wrong with them.
        why: &'static str,
    },
    /// The disk is full: the next segment could not be prepared.
    DiskFull {
        /// The file.
        path: PathBuf,
        /// Bytes that are needed.
        needed_bytes: u64,
    },
    /// The operating system refused.
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        op: &'static str,
        /// Its error.
        source: Arc<io::Error>,
    },
    /// A sync failed earlier. What the disk holds since is unknown, so nothing more is
    /// acknowledged.
    Poisoned {
        /// The first error.
        first: Arc<JournalError>,
    },
    /// The journal was closed before it could do what was asked.
    Closed,
    /// State could not be archived for a snapshot.
    Unarchivable {
        /// The state's schema name.
        schema: &'static str,
        /// rkyv's error.
        why: String,
    },
}

impl JournalError {
    pub(crate) fn io(path: &Path, op: &'static str, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), op, source: Arc::new(error) }
    }

    pub(crate) fn unarchivable(schema: &'static str, why: &impl fmt::Display) -> Self {
        Self::Unarchivable { schema, why: why.to_string() }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoJournal { dir } => {
                write!(f, "no journal in {}; create one, or name another directory", dir.display())
            }
            Self::AlreadyExists { dir } => write!(
                f,
                "{} holds a journal already; recover it, or name another directory",
                dir.display()
            ),
            Self::Locked { dir, holder } => {
                write!(f, "the journal in {} is open elsewhere", dir.display())?;
                if let Some(pid) = holder {
                    write!(f, ", by process {pid}")?;
                }
                f.write_str("; end that process, and any child it forked, which keeps the lock")
            }
            Self::NotASegment { path, why } => {
                write!(f, "{} is no journal segment: {why}; move it away", path.display())
            }
            Self::OtherFormat { path, found, expected } => write!(
                f,
                "{} is written as `{found}`, this program reads `{expected}`; build it with the rkyv features and the version that wrote the journal",
                path.display()
            ),
            Self::OtherJournal { path, found, expected } => write!(
                f,
                "{} belongs to journal {found:032x}, the others to {expected:032x}; move the stranger away",
                path.display()
            ),
            Self::OtherSchema { path, found, expected } => write!(
                f,
                "{} holds {found}, this program has {expected}; read it with the program that wrote it",
                path.display()
            ),
            Self::MissingSegment { dir, ordinal } => {
                write!(f, "segment {ordinal} is missing from {}; put it back", dir.display())
            }
            Self::Corrupt { path, offset_bytes, lost, fault } => write!(
                f,
                "{} is damaged at byte {offset_bytes}: {fault}; events {} to {} are lost at least, and they were acknowledged; restore the file from a copy",
                path.display(),
                lost.start,
                lost.end
            ),
            Self::FrameTooLarge { needed_bytes, segment_bytes } => write!(
                f,
                "a frame of {needed_bytes} bytes does not fit a segment of {segment_bytes}; use larger segments"
            ),
            Self::Options { why } => write!(f, "journal options: {why}"),
            Self::DiskFull { path, needed_bytes } => write!(
                f,
                "disk full: no room to prepare {} ({needed_bytes} bytes); free some and start again",
                path.display()
            ),
            Self::Io { path, op, source } => write!(f, "{op} {}: {source}", path.display()),
            Self::Poisoned { first } => write!(
                f,
                "journal poisoned, nothing is acknowledged any more; restart and recover; the first error was: {first}"
            ),
            Self::Closed => f.write_str("journal closed; open it again"),
            Self::Unarchivable { schema, why } => {
                write!(f, "state `{schema}` could not be archived: {why}")
            }
        }
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source.as_ref()),
            Self::Poisoned { first } => Some(first.as_ref()),
            _ => None,
        }
    }
}
