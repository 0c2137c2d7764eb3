//! tourbillon
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

// The derives name this crate from outside and from inside alike.
extern crate self as tourbillon;

mod affinity;
mod barrier;
mod bus;
mod cursor;
mod error;
mod event;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "journal")]
mod journal;
#[cfg(feature = "journal")]
mod journaler;
#[cfg(loom)]
#[doc(hidden)]
pub mod model;
mod poller;
mod processor;
mod producer;
#[cfg(feature = "journal")]
mod recovered;
mod ring;
mod sequence;
#[cfg(feature = "journal")]
mod snapshots;
#[cfg(feature = "journal")]
mod state;
mod sync;
mod topology;
mod wait;

pub use bus::{
    Bus, BusBuilder, Drain, Link, Linked, Placement, Report, ShutdownError, StageBuilder,
};
pub use error::*;
pub use event::{
    ArchivedCaused, ArchivedEnvelope, ArchivedStamped, Caused, Codec, Envelope, Event, Field,
    Inline, InlineCodec, Layout, Schema, SchemaId, Stamped, Validator,
};
#[cfg(feature = "journal")]
pub use journal::{
    Cut, JournalError, JournalHandle, JournalOptions, JournalStats, OpenJournal, Record,
    RecordKind, Replay,
};
pub use poller::{Batch, Polled, Poller};
pub use processor::{Failure, Handler, Reactor};
pub use producer::{Claim, Filled, Producer};
#[cfg(feature = "journal")]
pub use recovered::{Progress, Recovered, Recovery, RecoveryError};
pub use rkyv;
pub use sequence::{ArchivedSequence, Sequence};
#[cfg(feature = "journal")]
pub use snapshots::{Projected, SnapshotStatus};
#[cfg(feature = "journal")]
pub use state::{Projection, SetAside, State};
pub use topology::Milestone::{self, Durable, Journaled};
pub use tourbillon_derive::{Event, Schema};
pub use wait::{Wait, WhenFull};

/// What the derives write out; no part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::event::derived::*;
}
