//! A disruptor whose events survive `kill -9`: rkyv events in place, pinned consumers, a
//! memory-mapped journal, and replay to the same state, bit for bit.
//!
//! ```text
//!                      one ring of slots, one total order of events
//!   Producer ──claim──► ┌────┬────┬────┬────┬────┬────┐
//!             write     │ 7✓ │ 8✓ │ 9✗ │ 10✓│    │    │   ✓ published  ✗ aborted
//!            publish    └─┬──┴────┴──┬─┴────┴────┴────┘
//!                         │          ├─► journal ──────────┐ segments: journaled, durable
//!                         │          │                     ▼
//!                         └──────────┴─► book ──after──► gateway   .behind(Journaled)
//!                                        &Archived<Tick>, read where it lies
//! ```
//!
//! ```
//! use tourbillon::{Bus, Drain, Event, Sequence, rkyv};
//!
//! #[derive(rkyv::Archive, rkyv::Serialize, Event)]
//! #[event(name = "md.tick", version = 1)]
//! struct Tick {
//!     instrument: u32,
//!     quantity: u32,
//!     price: i64,
//! }
//!
//! let mut builder = Bus::<Tick>::builder(1 << 10);
//! let mut turnover = 0;
//! builder.handler("book", move |tick: &ArchivedTick, _: Sequence, _: bool| {
//!     turnover += tick.price.to_native() * i64::from(tick.quantity.to_native());
//! });
//! builder.poller("screen").after(["book"]);
//! let (mut producer, mut bus) = builder.start()?;
//! let screen = bus.take_poller("screen").expect("named above");
//!
//! producer.publish(&Tick { instrument: 7, quantity: 100, price: 5_853_300 })?;
//! drop(screen); // lets go of its gate
//! let report = bus.shutdown(Drain::Complete)?;
//! assert_eq!(report.consumer("book").map(|book| book.lag_events), Some(0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is promised
//!
//! *Published*: `publish` has returned. *Journaled*: the whole frame is in the journal's map.
//! *Durable*: a sync that covers it has returned, [`Durable`] stages see it, `flush` waits for it.
//!
//! | | without a journal | with one |
//! |---|---|---|
//! | order | one total order, no gap; every consumer sees it | the same, in a replay too |
//! | delivery | every published event to every stage, once per run; nobody is lapped | effects of a [`Reactor`] at least once, with the sequence as key |
//! | visibility | an event when its stamp is stored; a batch at once; a stage after those it stands behind | a stage [behind](StageBuilder::behind) [`Journaled`] or [`Durable`] sees nothing else |
//! | durability | none | *journaled* survives the process, *durable* survives the power |
//! | a kill loses | everything, or, in a [named](BusBuilder::named) ring, what was not published | what was not journaled; in a named ring nothing of it either |
//! | a power cut loses | everything | at most what followed the last completed sync; a prefix survives |
//! | a claim dropped or unwound | published as aborted | the same, and journaled as aborted |
//! | a claim forgotten | claimed again; by one of several producers aborted at its next claim or its end | the same |
//! | a handler panics | the bus halts with the panic as its error, nobody waits | the same; the journal drains first |
//! | … of a leaf without state | as [`OnPanic`] says: halts, skips the one event, or leaves the gates | the same |
//! | a [`KillSwitch`] is pulled | the bus halts, or the stages on it discard and count; within one batch and one bounded wait | the same; the journal drains |
//! | disk full, sync failed | | an error; a failed sync is never retried, nothing is *durable* ever again |
//! | bytes changed on disk | | a typed error with file and offset, or a torn tail cut and kept |
//!
//! # What is not promised
//!
//! | | why |
//! |---|---|
//! | exactly-once effects | a kill can fall between the effect and its record; the sequence tells them apart |
//! | durability of what is only published | it costs a sync; stand behind [`Durable`], or `flush` |
//! | a power cut on a disk that lies, a network file system | a flush must be one: local ext4 or XFS |
//! | safety from others who write or cut the files | a CRC is no authenticator; a cut map is SIGBUS |
//! | memory that flips bits before the CRC is taken | nothing here would see it |
//! | low latency with fewer cores than threads | it works, at the pace of the scheduler |
//! | wait-freedom | publishing takes no lock; a full ring waits for its slowest consumer, see [`WhenFull`] |
//! | progress past a producer that is stopped inside a claim, of several | one total order waits for it; [`Bus::held_claims`] and [`Full`] name it |
//!
//! # What is assumed
//!
//! - A1: local ext4 or XFS on a device that honours flush.
//! - A2: an interrupted write leaves each byte of its range old or new and touches nothing outside.
//! - A3: nobody else with write permission edits the files.
//! - A4: memory does not flip bits between serialization and CRC.
//!
//! # Features and compilers
//!
//! `journal`: the memory-mapped journal, snapshots and recovery. Without it the ring stands alone.
//! Rust 1.89 or later, edition 2024; Linux on x86-64 and aarch64 first. The [`rkyv`] that events are
//! derived with is re-exported; its format features must stay as they are.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

// The derives name this crate from outside and from inside alike.
extern crate self as tourbillon;

mod affinity;
mod barrier;
mod bus;
mod control;
mod cursor;
mod duty;
mod error;
mod event;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod idle;
#[cfg(feature = "journal")]
mod journal;
#[cfg(feature = "journal")]
mod journaler;
#[cfg(loom)]
#[doc(hidden)]
pub mod model;
#[cfg(not(loom))]
mod observer;
mod poller;
mod processor;
mod producer;
#[cfg(feature = "journal")]
mod recovered;
mod ring;
mod sequence;
mod sleepers;
#[cfg(feature = "journal")]
mod snapshots;
#[cfg(feature = "journal")]
mod state;
mod sync;
mod tap;
mod topology;
mod wait;
mod waker;

pub use bus::{
    Adopted, Bus, BusBuilder, Counters, Description, Drain, Fits, From, GateLine, JoinedLine, Link,
    Linked, Placement, Report, ShutdownError, StageBuilder,
};
pub use control::{KillSwitch, OnPanic, StageFaults};
pub use duty::{DutyCycle, EndedStage};
pub use error::*;
pub use event::{
    ArchivedCaused, ArchivedEnvelope, ArchivedStamped, Caused, Codec, Envelope, Event, Field,
    Framed, FramedCodec, InPlace, Inline, InlineCodec, Layout, Schema, SchemaId, Stamped,
    Validator,
};
#[cfg(feature = "journal")]
pub use journal::{
    Cut, JournalError, JournalHandle, JournalOptions, JournalStats, OpenJournal, Record,
    RecordKind, Replay,
};
#[cfg(not(loom))]
pub use observer::{ConsumerLag, Observed, Observer};
pub use poller::{Batch, Polled, Poller};
pub use processor::{Failure, Handler, Reactor};
pub use producer::{BatchClaim, Claim, Filled, MultiProducer, Producer, Within};
#[cfg(feature = "journal")]
pub use recovered::{Progress, Recovered, Recovery, RecoveryError};
pub use ring::{Claims, Multi, Single};
pub use ring::{Grant, Granted, MemoryOptions, RegionError, RegionFault};
pub use rkyv;
pub use sequence::{ArchivedSequence, Sequence};
#[cfg(feature = "journal")]
pub use snapshots::{Projected, SnapshotStatus};
#[cfg(feature = "journal")]
pub use state::{Projection, SetAside, State};
pub use tap::{Tap, Tapped};
pub use topology::Milestone::{self, Durable, Journaled};
pub use tourbillon_derive::{Event, Schema};
pub use wait::{Idling, Wait, WaitStrategy, WhenFull};

/// What the derives write out; no part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::event::derived::*;
}
