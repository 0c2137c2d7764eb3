//! tourbillon
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod affinity;
mod barrier;
mod bus;
mod cursor;
mod error;
mod event;
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
pub use event::{Codec, Event, Inline, InlineCodec, Schema, Validator};
pub use poller::{Batch, Polled, Poller};
pub use processor::{Failure, Handler, Reactor};
pub use producer::{Claim, Filled, Producer};
pub use rkyv;
pub use sequence::{ArchivedSequence, Sequence};
pub use topology::Milestone::{self, Durable, Journaled};
pub use wait::{Wait, WhenFull};
