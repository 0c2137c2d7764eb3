//! *Owns* what an event is: a plain Rust type whose rkyv archive is read in place.
//!
//! *Invariant*: an event type knows its name, version and fingerprint ([`Schema`]) and how it
//! becomes bytes ([`Codec`]); nothing above this floor looks into its bytes.
//! *Source*: rkyv 0.8; the scheme of name, version and fingerprint follows `epserde`.

mod codec;
mod framed;
mod in_place;
mod layout;
mod schema;
mod slot_writer;
mod wrappers;

pub use codec::{Codec, Inline, InlineCodec, Validator};
pub use framed::{Framed, FramedCodec};
pub use in_place::InPlace;
pub use layout::Layout;
pub use schema::{Field, Schema, SchemaId};
pub(crate) use slot_writer::ARCHIVE_BYTES_MAX;
pub use wrappers::{ArchivedCaused, ArchivedEnvelope, ArchivedStamped, Caused, Envelope, Stamped};

/// What the derives write out.
pub(crate) mod derived {
    pub use super::codec::{aligned, copied, inline};
    pub use super::in_place::{in_place, unpadded};
    pub use super::layout::{Hash, field, foreign, layout};
}

use rkyv::{Archive, Archived, Portable, bytecheck::CheckBytes};

/// A type that can be published: derive it.
///
/// ```
/// use tourbillon::{Event, SchemaId, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize, Event)]
/// #[rkyv(crate = tourbillon::rkyv)] // for a crate that does not depend on rkyv itself
/// #[event(name = "md.tick", version = 1)]
/// struct Tick {
///     price: i64,
///     quantity: u32,
/// }
///
/// assert!(SchemaId::of::<Tick>().to_string().starts_with("md.tick v1 (fingerprint "));
/// ```
///
/// Strings, vectors and maps need slots of a size that the bus is told, and the word `framed`:
///
/// ```
/// use tourbillon::{Bus, Event, PublishError, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize, Event)]
/// #[rkyv(crate = tourbillon::rkyv)]
/// #[event(name = "md.news", version = 1, framed)]
/// struct News {
///     symbols: Vec<String>,
///     headline: String,
/// }
///
/// let mut builder = Bus::<News>::builder(64);
/// builder.slot_bytes(128);
/// let (mut producer, _bus) = builder.start()?;
/// let mut news = News { symbols: vec!["ACME".into()], headline: "up".into() };
/// producer.publish(&news)?;
/// news.headline = "up ".repeat(1_000);
/// let Err(PublishError::TooLarge(large)) = producer.publish(&news) else { unreachable!() };
/// assert_eq!((large.needed, large.slot_bytes), (3_024, 128));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Event:
    Schema
    + Archive<Archived: Portable + Send + Sync + 'static + for<'a> CheckBytes<Validator<'a>>>
    + Sized
    + 'static
{
    /// How the event becomes bytes; the derive says [`InlineCodec`], or [`FramedCodec`] where asked
    /// for `framed`.
    type Codec: Codec<Self>;

    /// The time that the event itself carries, in ns since the Unix epoch; the journal copies it
    /// into the frame. `None` leaves the frame to the journaler's own clock.
    #[inline]
    fn time_ns(archived: &Archived<Self>) -> Option<u64> {
        let _ = archived;
        None
    }
}
