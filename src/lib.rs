//! tourbillon
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod barrier;
mod cursor;
mod error;
mod event;
mod poller;
mod producer;
mod ring;
mod sequence;
mod sync;
mod wait;

pub use error::*;
pub use event::{Codec, Event, Inline, InlineCodec, Schema, Validator};
pub use poller::{Batch, Polled, Poller};
pub use producer::{Claim, Filled, Producer};
pub use rkyv;
pub use sequence::{ArchivedSequence, Sequence};
pub use wait::{Wait, WhenFull};
