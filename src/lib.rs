//! tourbillon
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

// The derives name this crate from outside and from inside alike.
extern crate self as tourbillon;

mod cursor;
mod event;
mod sequence;
mod sync;

pub use event::{
    ArchivedCaused, ArchivedEnvelope, ArchivedStamped, Caused, Codec, Envelope, Event, Field,
    Inline, InlineCodec, Layout, Schema, SchemaId, Stamped, Validator,
};
pub use rkyv;
pub use sequence::{ArchivedSequence, Sequence};
pub use tourbillon_derive::{Event, Schema};

/// What the derives write out; no part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::event::derived::*;
}
