//! *Owns* the refusals of the ring tower. *Invariant*: an error is data: it says where, what and
//! how to go on, and building one on a producer's path allocates nothing.

use crate::sequence::Sequence;
use core::fmt;
use std::sync::Arc;

/// The ring has no free slot: a consumer stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// Slots that were missing.
    pub missing: u64,
    /// The slowest consumer, which gates the producer.
    pub gate: Arc<str>,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ring full: {} slots missing, gated by `{}`; let it catch up, or enlarge the ring",
            self.missing, self.gate
        )
    }
}

impl std::error::Error for Full {}

/// The event does not fit a slot; its claim was published as aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTooLarge {
    /// Bytes that the archive needs.
    pub needed: usize,
    /// Bytes that a slot has.
    pub slot_bytes: usize,
}

impl fmt::Display for EventTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "event needs {} bytes, a slot has {}; build the ring with larger slots",
            self.needed, self.slot_bytes
        )
    }
}

impl std::error::Error for EventTooLarge {}

/// Why an event was not published.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// No free slot, and the producer's patience is at an end. Nothing was claimed.
    Full(Full),
    /// The bus drains, is halted, or is gone. Nothing was claimed.
    Closed,
    /// The archive does not fit; the claimed sequence was published as aborted.
    TooLarge(EventTooLarge),
    /// More events in one batch than the ring has slots. Nothing was claimed.
    BatchTooLarge {
        /// Events in the batch.
        events: usize,
        /// Slots in the ring.
        capacity: usize,
    },
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(full) => full.fmt(f),
            Self::Closed => f.write_str("bus closed: it drains or was halted; ask the bus why"),
            Self::TooLarge(large) => large.fmt(f),
            Self::BatchTooLarge { events, capacity } => write!(
                f,
                "batch of {events} events exceeds the ring of {capacity} slots; publish it in parts"
            ),
        }
    }
}

impl std::error::Error for PublishError {}

impl From<Full> for PublishError {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

impl From<EventTooLarge> for PublishError {
    fn from(large: EventTooLarge) -> Self {
        Self::TooLarge(large)
    }
}

/// Why a bus was not built. Every variant that concerns a stage names it.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The capacity is not a power of two, or below 2.
    Capacity {
        /// What was asked for.
        asked: usize,
        /// The next capacity that would do.
        next: usize,
    },
    /// Two stages have one name.
    Duplicate {
        /// The name.
        stage: String,
    },
    /// A stage stands behind a name that no stage has.
    Unknown {
        /// The stage that asks.
        stage: String,
        /// The name it asks for.
        upstream: String,
    },
    /// The graph goes in a circle.
    Cycle {
        /// A stage on the circle.
        stage: String,
    },
    /// A stage stands behind a journal, or takes snapshots, and the bus has no journal.
    NoJournal {
        /// The stage.
        stage: String,
    },
    /// A reactor would act on events that a crash can take back.
    ReactorNotBehindJournal {
        /// The stage.
        stage: String,
    },
    /// More stages than the ring has gates.
    TooManyStages {
        /// Stages asked for.
        stages: usize,
        /// Gates in the ring.
        gates: usize,
    },
    /// The core cannot be had.
    Core {
        /// The stage.
        stage: String,
        /// The core.
        core: usize,
        /// Why not.
        why: String,
    },
    /// More spinning threads than cores: each would steal from the others.
    TooManySpinners {
        /// Threads that spin, named by their stages.
        threads: Vec<String>,
        /// Cores this process may run on.
        cores: usize,
    },
    /// Stages on one core ask for different waits.
    WaitConflict {
        /// The second stage.
        stage: String,
        /// The core.
        core: usize,
    },
    /// The operating system refused a thread.
    Thread {
        /// The stage.
        stage: String,
        /// Its error.
        source: std::io::Error,
    },
    /// A stage's `on_start` panicked.
    StartPanicked {
        /// The stage.
        stage: String,
        /// The panic's message.
        message: String,
    },
    /// The region of this capacity and stride does not fit the address space.
    TooLarge {
        /// Slots.
        capacity: usize,
        /// Bytes of a slot.
        stride: usize,
    },
    /// The ring did not get its memory, or was not adopted.
    Region(crate::ring::RegionError),
    /// The journal could not be opened or started.
    #[cfg(feature = "journal")]
    Journal(crate::journal::JournalError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity { asked, next } => {
                write!(f, "capacity {asked} is not a power of two of at least 2; {next} is")
            }
            Self::Duplicate { stage } => {
                write!(f, "two stages are named `{stage}`; a name is a stage's only address")
            }
            Self::Unknown { stage, upstream } => {
                write!(f, "stage `{stage}` stands behind `{upstream}`, which no stage is named")
            }
            Self::Cycle { stage } => {
                write!(f, "stage `{stage}` stands behind itself; cut the circle")
            }
            Self::NoJournal { stage } => {
                write!(
                    f,
                    "stage `{stage}` stands behind the journal, or beside it with snapshots, but the bus has none"
                )
            }
            Self::ReactorNotBehindJournal { stage } => write!(
                f,
                "reactor `{stage}` could act on events that a crash takes back; add `.behind(Journaled)` or `.behind(Durable)`"
            ),
            Self::TooManyStages { stages, gates } => {
                write!(f, "{stages} stages on one ring, which has {gates} gates; use a second ring")
            }
            Self::Core { stage, core, why } => {
                write!(f, "stage `{stage}` cannot have core {core}: {why}")
            }
            Self::TooManySpinners { threads, cores } => write!(
                f,
                "{} spinning threads ({}) on {cores} cores; fuse stages on one core, choose another wait, or allow it by `allow_more_spinners_than_cores`",
                threads.len(),
                threads.join(", ")
            ),
            Self::WaitConflict { stage, core } => write!(
                f,
                "stage `{stage}` shares core {core} with a stage of another wait; fused stages wait together"
            ),
            Self::Thread { stage, source } => write!(f, "no thread for stage `{stage}`: {source}"),
            Self::StartPanicked { stage, message } => {
                write!(f, "stage `{stage}` panicked in `on_start`: {message}")
            }
            Self::TooLarge { capacity, stride } => {
                write!(f, "{capacity} slots of {stride} bytes exceed the address space")
            }
            Self::Region(error) => error.fmt(f),
            #[cfg(feature = "journal")]
            Self::Journal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Thread { source, .. } => Some(source),
            Self::Region(error) => Some(error),
            #[cfg(feature = "journal")]
            Self::Journal(error) => Some(error),
            _ => None,
        }
    }
}

impl From<crate::ring::RegionError> for BuildError {
    fn from(error: crate::ring::RegionError) -> Self {
        Self::Region(error)
    }
}

#[cfg(feature = "journal")]
impl From<crate::journal::JournalError> for BuildError {
    fn from(error: crate::journal::JournalError) -> Self {
        Self::Journal(error)
    }
}

/// Where a consumer stood when a report was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerReport {
    /// The stage's name.
    pub name: Arc<str>,
    /// Everything below was handled.
    pub sequence: Sequence,
    /// Published events that it had not handled.
    pub lag_events: u64,
    /// How its run ended.
    pub outcome: Outcome,
}

/// How a consumer's run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It handled what it was to handle and returned.
    Stopped,
    /// Its handler panicked with this message.
    Panicked(String),
    /// It could not go on, for this reason.
    Failed(String),
    /// A cursor of another bus, behind which it stands, ended short of what it waited for.
    Stranded,
    /// It did not return in time; its thread was left behind.
    Running,
    /// A poller: it runs on the caller's thread.
    Caller,
}
