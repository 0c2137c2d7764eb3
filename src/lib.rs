//! tourbillon
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod cursor;
mod event;
mod sequence;
mod sync;

pub use event::{Codec, Event, Inline, InlineCodec, Schema, Validator};
pub use rkyv;
pub use sequence::{ArchivedSequence, Sequence};
