//! *Owns* the refusals of a ring's memory. *Invariant*: whoever reads one knows which file, what is
//! wrong with it, and how to go on. *Source*: its own.

use crate::sequence::Sequence;
use core::fmt;
use std::path::PathBuf;

/// Why a ring did not get its memory.
#[derive(Debug)]
#[non_exhaustive]
pub enum RegionError {
    /// The system has no memory of this size to give.
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
        /// Its error.
        source: std::io::Error,
    },
    /// Header and slots exceed the address space.
    TooLarge,
    /// A region by this name is there already.
    Exists {
        /// The name.
        path: PathBuf,
    },
    /// No region by this name.
    Missing {
        /// The name.
        path: PathBuf,
    },
    /// Another bus lives in this region, in this process or another.
    Owned {
        /// The name.
        path: PathBuf,
    },
    /// The name is a link, a directory or a device.
    NotAFile {
        /// The name.
        path: PathBuf,
    },
    /// The file system keeps files on a disk.
    NotInMemory {
        /// The name.
        path: PathBuf,
    },
    /// The file system has no room for the region.
    NoRoom {
        /// The name.
        path: PathBuf,
        /// Bytes asked for.
        bytes: usize,
    },
    /// A stage's name does not fit the table of gates.
    StageName {
        /// The stage.
        stage: String,
        /// Bytes that a name may have.
        bytes_max: usize,
    },
    /// Bus and journal are not of one history.
    JournalApart {
        /// The region's name.
        path: PathBuf,
        /// The sequence at which the journal goes on.
        journal: Sequence,
        /// Sequences that the region retains.
        retained: core::ops::Range<Sequence>,
    },
    /// Named regions need Linux.
    Unsupported,
    /// The operating system refused a call.
    Io {
        /// The name.
        path: PathBuf,
        /// What was tried.
        op: &'static str,
        /// Its error.
        source: std::io::Error,
    },
    /// The file is there, but its bytes are not to be trusted. Nothing in it was changed.
    Refused {
        /// The name.
        path: PathBuf,
        /// What is wrong.
        fault: RegionFault,
    },
}

/// What is wrong with a region's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionFault {
    /// Shorter than its header, or than its header says.
    Truncated {
        /// Bytes there.
        bytes: usize,
        /// Bytes needed at least.
        needed: usize,
    },
    /// It does not begin as a region of this byte order does.
    Magic {
        /// What stands there.
        found: u64,
    },
    /// A layout of another version of this crate.
    LayoutVersion {
        /// Its version.
        found: u32,
        /// The version that this crate reads.
        expected: u32,
    },
    /// A field of the header that does not fit the bus.
    Shape {
        /// The field.
        field: &'static str,
        /// What stands there.
        found: u64,
        /// What the bus needs.
        expected: u64,
    },
    /// Events of another type.
    Event {
        /// Name and version in the region.
        found: String,
        /// Name and version of the bus.
        expected: String,
    },
    /// A cursor outside its range.
    Cursor {
        /// Whose it is: `claimed`, `limit`, `joined`, or a consumer's name.
        name: String,
        /// Where it stands.
        found: u64,
        /// The range in which it may stand, both ends included.
        range: (u64, u64),
    },
    /// A consumer's name that is none, or stands twice.
    Name {
        /// The gate.
        gate: usize,
    },
    /// A stamp that no producer left there.
    Stamp {
        /// The sequence that the slot should hold.
        sequence: Sequence,
        /// The slot.
        slot: u64,
        /// The stamp.
        found: u64,
    },
    /// A published slot whose bytes are no event.
    Bytes {
        /// Its sequence.
        sequence: Sequence,
        /// The slot.
        slot: u64,
    },
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory { bytes, source } => {
                write!(f, "no {bytes} bytes of memory for the ring: {source}; ask for fewer slots")
            }
            Self::TooLarge => {
                f.write_str("the ring exceeds the address space; ask for fewer slots")
            }
            Self::Exists { path } => write!(
                f,
                "{} is there already; adopt it, or remove it if what it holds may go",
                path.display()
            ),
            Self::Missing { path } => {
                write!(f, "no ring at {}; create it with `named`", path.display())
            }
            Self::Owned { path } => write!(
                f,
                "{} has a live owner; end it first, or attach an observer",
                path.display()
            ),
            Self::NotAFile { path } => {
                write!(f, "{} is no regular file; name the ring's own file", path.display())
            }
            Self::NotInMemory { path } => write!(
                f,
                "{} lies on a disk, whose write-back would stall publishers; choose a tmpfs or hugetlbfs",
                path.display()
            ),
            Self::NoRoom { path, bytes } => write!(
                f,
                "no room for {bytes} bytes at {}; ask for fewer slots, or enlarge the file system",
                path.display()
            ),
            Self::StageName { stage, bytes_max } => {
                write!(f, "stage `{stage}` of a named ring needs a name of 1 to {bytes_max} bytes")
            }
            Self::JournalApart { path, journal, retained } => write!(
                f,
                "the journal goes on at {journal}, but {} retains {}..{}; they are not of one history: recover the journal into a new ring",
                path.display(),
                retained.start,
                retained.end
            ),
            Self::Unsupported => f.write_str("named rings need Linux; leave the ring anonymous"),
            Self::Io { path, op, source } => write!(f, "{op} {}: {source}", path.display()),
            Self::Refused { path, fault } => write!(f, "{}: {fault}", path.display()),
        }
    }
}

impl std::error::Error for RegionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::OutOfMemory { source, .. } | Self::Io { source, .. } => Some(source),
            Self::Refused { fault, .. } => Some(fault),
            _ => None,
        }
    }
}

impl fmt::Display for RegionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const GARBLED: &str =
            "the region was garbled from outside; restore what a journal holds, then remove it";
        match self {
            Self::Truncated { bytes, needed } => {
                write!(f, "{bytes} bytes where at least {needed} are needed; {GARBLED}")
            }
            Self::Magic { found } => {
                write!(
                    f,
                    "begins with {found:#018x}, so it is no ring of this byte order; name another file"
                )
            }
            Self::LayoutVersion { found, expected } => write!(
                f,
                "layout version {found}, this crate reads {expected}; drain it with the version that made it"
            ),
            Self::Shape { field, found, expected } => write!(
                f,
                "{field} is {found}, the bus has {expected}; build the bus as the region was built"
            ),
            Self::Event { found, expected } => write!(
                f,
                "holds events {found}, the bus has {expected}; adopt it with the type that it holds"
            ),
            Self::Cursor { name, found, range: (from, to) } => {
                write!(f, "cursor `{name}` at {found}, outside {from}..={to}; {GARBLED}")
            }
            Self::Name { gate } => write!(f, "gate {gate} has no sound name of its own; {GARBLED}"),
            Self::Stamp { sequence, slot, found } => {
                write!(f, "slot {slot} of event {sequence} is stamped {found:#x}; {GARBLED}")
            }
            Self::Bytes { sequence, slot } => {
                write!(f, "slot {slot} of event {sequence} holds no valid event; {GARBLED}")
            }
        }
    }
}

impl std::error::Error for RegionFault {}
