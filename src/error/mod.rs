//! *Owns* the refusals of the ring tower. *Invariant*: an error is data: it says where, what and
//! how to go on, and building one on a producer's path allocates nothing.

mod build;

pub use build::BuildError;

use crate::sequence::Sequence;
use core::fmt;
use std::sync::Arc;

/// The ring has no free slot: a consumer stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// Slots that were missing.
    pub missing: u64,
    /// The slowest consumer, which gates the producer; `(nobody)` if there is none, or it has left.
    pub gate: Arc<str>,
    /// The producer whose unpublished claim is in the way, if that is why.
    pub held_by: Option<Arc<str>>,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { missing, gate, held_by } = self;
        write!(f, "ring full: {missing} slots missing, gated by `{gate}`")?;
        match held_by {
            None => f.write_str("; let it catch up, or enlarge the ring"),
            Some(producer) => {
                write!(f, ", waiting for a claim held by `{producer}`; publish it, or drop it")
            }
        }
    }
}

impl std::error::Error for Full {}

/// A claim that consumers wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldClaim {
    /// The claimed sequence: the first that is not published.
    pub sequence: Sequence,
    /// The producer that holds it; `None` if it published, or let go, meanwhile.
    pub producer: Option<Arc<str>>,
    /// Who waits: consumers that have handled everything below.
    pub waiting: Vec<Arc<str>>,
}

impl fmt::Display for HeldClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let producer = self.producer.as_deref().unwrap_or("(unknown)");
        write!(f, "sequence {} is claimed by `{producer}` and not published", self.sequence)?;
        match self.waiting.as_slice() {
            [] => Ok(()),
            names => write!(f, "; `{}` waits for it", names.join("`, `")),
        }
    }
}

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
            "event needs {} bytes, a slot has {}; build the ring with larger `slot_bytes`",
            self.needed, self.slot_bytes
        )
    }
}

impl std::error::Error for EventTooLarge {}

/// Why an event was not written; its claim was published as aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The archive does not fit a slot.
    TooLarge(EventTooLarge),
    /// The event's own serializer refused it: a wrapper in `#[rkyv(with = ..)]`, such as that of a
    /// path which is no text.
    Unserializable,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(large) => large.fmt(f),
            Self::Unserializable => f.write_str(
                "event refused by its own serializer; look at its fields with `#[rkyv(with = ..)]`",
            ),
        }
    }
}

impl std::error::Error for WriteError {}

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
    /// The event's own serializer refused it; the claimed sequence was published as aborted.
    Unserializable,
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
            Self::Unserializable => WriteError::Unserializable.fmt(f),
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

impl From<WriteError> for PublishError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::TooLarge(large) => Self::TooLarge(large),
            WriteError::Unserializable => Self::Unserializable,
        }
    }
}

/// Why a consumer could not join a running bus.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// A stage, or a consumer that joined before, has this name.
    Duplicate {
        /// The name.
        name: String,
    },
    /// Every gate of the ring is taken.
    NoGate {
        /// Gates in the ring.
        gates: usize,
    },
    /// The bus drains, or was halted.
    Closed,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { name } => {
                write!(
                    f,
                    "`{name}` consumes from this bus already; a name is a consumer's only address"
                )
            }
            Self::NoGate { gates } => {
                write!(
                    f,
                    "all {gates} gates are taken; drop a consumer first, or use a second ring"
                )
            }
            Self::Closed => f.write_str("bus closed: it drains or was halted"),
        }
    }
}

impl std::error::Error for JoinError {}

/// Why a stage of a running bus could not be told something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlError {
    /// No stage has this name.
    Unknown {
        /// The name.
        stage: String,
    },
    /// The stage is a poller: it runs on the caller's thread, and whoever polls decides when.
    Poller {
        /// The stage.
        stage: String,
    },
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { stage } => {
                write!(f, "no stage is named `{stage}`; `Bus::describe` lists them")
            }
            Self::Poller { stage } => {
                write!(f, "stage `{stage}` is a poller; whoever polls it stops and goes on there")
            }
        }
    }
}

impl std::error::Error for ControlError {}

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
    /// Its handler panicked with this message, and it was detached, as [`OnPanic`](crate::OnPanic)
    /// says: it stands where it stood, and the bus went on.
    Detached(String),
    /// It could not go on, for this reason.
    Failed(String),
    /// A cursor of another bus, behind which it stands, ended short of what it waited for.
    Stranded,
    /// It did not return in time; its thread was left behind.
    Running,
    /// A poller: it runs on the caller's thread.
    Caller,
}
