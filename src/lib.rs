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
#[cfg(loom)]
#[doc(hidden)]
pub mod model;
mod poller;
mod processor;
mod producer;
mod ring;
mod sequence;
mod sync;
mod topology;
mod wait;

pub use bus::{Bus, BusBuilder, Drain, Link, Linked, Report, ShutdownError, StageBuilder};
pub use error::*;
pub use event::{
    ArchivedCaused, ArchivedEnvelope, ArchivedStamped, Caused, Codec, Envelope, Event, Field,
    Inline, InlineCodec, Layout, Schema, SchemaId, Stamped, Validator,
};
pub use poller::{Batch, Polled, Poller};
pub use processor::{Failure, Handler, Reactor};
pub use producer::{Claim, Filled, Producer};
pub use rkyv;
pub use sequence::{ArchivedSequence, Sequence};
pub use topology::Milestone::{self, Durable, Journaled};
pub use tourbillon_derive::{Event, Schema};
pub use wait::{Wait, WhenFull};

/// What the derives write out; no part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::event::derived::*;
}
