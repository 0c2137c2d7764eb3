//! *Owns* metadata that travels with a payload, as types and never as a hidden header.
//! *Invariant*: a wrapper is inline when its payload is, and its schema contains the payload's.
//! *Source*: the envelope of enterprise messaging (message, correlation and causation ids).

use super::layout::Hash;
use crate::{Codec, Event, Field, Layout, Schema, Sequence};
use core::fmt;
use rkyv::{Archive, Archived, Deserialize, Serialize};

/// A payload with the event that caused it: what a handler publishes to another ring.
///
/// ```
/// use tourbillon::{Caused, Schema, Sequence, Event, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize, Event)]
/// #[event(name = "gw.intent", version = 3)]
/// struct Intent {
///     price: i64,
/// }
///
/// let event = Caused { cause: Sequence::new(7), n: 0, payload: Intent { price: 100 } };
/// assert_eq!(Caused::<Intent>::NAME, "caused<gw.intent>");
/// assert_eq!(Caused::<Intent>::VERSION, 3);
/// # let _ = event;
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Archive, Serialize, Deserialize)]
pub struct Caused<T> {
    /// The event that caused this one, on the ring that the publisher reads.
    pub cause: Sequence,
    /// Which of the events with this cause, from 0.
    pub n: u32,
    /// The event itself.
    pub payload: T,
}

/// A payload with its time, fixed by the producer at the claim, so that a live run and a replay see
/// the same *now*.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Archive, Serialize, Deserialize)]
pub struct Stamped<T> {
    /// Time of the event, in ns since the Unix epoch.
    pub time_ns: u64,
    /// The event itself.
    pub payload: T,
}

/// A payload with what links it to other systems.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Archive, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// Time of the event, in ns since the Unix epoch.
    pub event_time_ns: u64,
    /// Who sent it: a number that the application gives out.
    pub source: u32,
    /// What belongs together across systems, such as one order's life; wide enough for a UUID.
    pub correlation: u128,
    /// The event that caused this one.
    pub causation: Sequence,
    /// The event itself.
    pub payload: T,
}

/// Longest name of a wrapped event; wrappers may nest.
const NAME_BYTES_MAX: usize = 256;

/// `wrapper<inner>`, padded with zeros, and its length.
const fn wrapped_name(wrapper: &str, inner: &str) -> ([u8; NAME_BYTES_MAX], usize) {
    let mut name = [0; NAME_BYTES_MAX];
    let mut length = 0;
    let parts = [wrapper.as_bytes(), b"<", inner.as_bytes(), b">"];
    let mut part = 0;
    while part < parts.len() {
        let mut at = 0;
        while at < parts[part].len() {
            assert!(length < NAME_BYTES_MAX, "the name of a wrapped event is 256 bytes at most");
            name[length] = parts[part][at];
            length += 1;
            at += 1;
        }
        part += 1;
    }
    (name, length)
}

/// Named after its payload and versioned with it, where the derive would name every
/// `Caused<T>` alike.
macro_rules! wrapper {
    ($wrapper:ident, $archived:ident, $name:literal, $($field:ident: $ty:ty),*) => {
        impl<T: Schema> Layout for $archived<T> {
            const LAYOUT: u128 = Hash::new("struct")
                .text($name)
                .sized::<Self>()
                $(
                    .text(stringify!($field))
                    .number(core::mem::offset_of!(Self, $field) as u64)
                    .hash(super::layout::field::<$ty>())
                )*
                .finish();
        }

        // rkyv's own would ask for `T: Debug` where the archive of `T` is shown.
        impl<T: Archive<Archived: fmt::Debug>> fmt::Debug for $archived<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($archived))
                    $(.field(stringify!($field), &self.$field))*
                    .finish()
            }
        }

        impl<T: Schema> Field for $wrapper<T> {}

        impl<T: Schema> $wrapper<T> {
            const NAME_PADDED: ([u8; NAME_BYTES_MAX], usize) = wrapped_name($name, T::NAME);
        }

        impl<T: Schema> Schema for $wrapper<T> {
            const NAME: &'static str = {
                let (padded, length) = &Self::NAME_PADDED;
                match core::str::from_utf8(padded.split_at(*length).0) {
                    Ok(name) => name,
                    Err(_) => unreachable!(),
                }
            };
            const VERSION: u32 = T::VERSION;
            const FINGERPRINT: u128 = <$archived<T> as Layout>::LAYOUT;
        }
    };
}

wrapper!(Caused, ArchivedCaused, "caused", cause: Sequence, n: u32, payload: T);
wrapper!(Stamped, ArchivedStamped, "stamped", time_ns: u64, payload: T);
wrapper!(
    Envelope, ArchivedEnvelope, "envelope",
    event_time_ns: u64, source: u32, correlation: u128, causation: Sequence, payload: T
);

impl<T: Event> Event for Caused<T>
where
    T::Codec: Codec<Self>,
{
    type Codec = T::Codec;

    #[inline]
    fn time_ns(archived: &Archived<Self>) -> Option<u64> {
        T::time_ns(&archived.payload)
    }
}

impl<T: Event> Event for Stamped<T>
where
    T::Codec: Codec<Self>,
{
    type Codec = T::Codec;

    #[inline]
    fn time_ns(archived: &Archived<Self>) -> Option<u64> {
        Some(archived.time_ns.to_native())
    }
}

impl<T: Event> Event for Envelope<T>
where
    T::Codec: Codec<Self>,
{
    type Codec = T::Codec;

    #[inline]
    fn time_ns(archived: &Archived<Self>) -> Option<u64> {
        Some(archived.event_time_ns.to_native())
    }
}
