//! *Owns* the identity of a type's bytes: name, version and fingerprint. *Invariant*: two types with
//! one identity read each other's archives and mean the same by them, as far as names can say.
//! *Source*: SBE's schema version, Avro's writer schema, `epserde`'s hashes.

use super::Layout;
use core::{
    fmt,
    num::{
        NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroU8, NonZeroU16,
        NonZeroU32, NonZeroU64, NonZeroU128,
    },
};
use rkyv::Archive;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

/// A type whose archived layout has a name, a version and a fingerprint: derive it.
///
/// The fingerprint sees every change of structure and of names. What it cannot see is a change of
/// meaning under the same names (cents become mills): bump the version by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no schema",
    note = "add `#[derive(Schema)]`, or `#[derive(Event)]` with `#[event(name = \"..\", version = 1)]` to publish it"
)]
pub trait Schema: Field {
    /// Stable name, as it stands in segment headers.
    const NAME: &'static str;
    /// Bumped by hand when the meaning changes under the same layout.
    const VERSION: u32;
    /// Hash over the archived layout: names, types, offsets, sizes, alignments, tags.
    const FINGERPRINT: u128;
}

/// A native type that may stand in an event or in a snapshot: its archive keeps every value, on
/// every machine, and has a [`Layout`].
///
/// The derives implement it for your types. `usize` and its kin are not fields, at no depth:
///
/// ```compile_fail
/// #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Schema)]
/// struct Refused {
///     index: usize,
/// }
/// ```
///
/// ```compile_fail
/// #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Schema)]
/// struct Refused {
///     indices: Vec<(u8, Option<core::num::NonZeroUsize>)>,
/// }
/// ```
///
/// Say how wide they are:
///
/// ```
/// #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Schema)]
/// struct Accepted {
///     index: u32,
///     indices: Vec<(u8, Option<core::num::NonZeroU64>)>,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of an event or of a state",
    label = "not a field type",
    note = "`usize`, `isize`, `NonZeroUsize` and `NonZeroIsize` are refused: rkyv cuts them to 32 bits without a word, and a large `NonZeroUsize` becomes undefined behaviour; use `u32` or `u64`",
    note = "for a struct or an enum of your own add `#[derive(Schema)]`",
    note = "a field of a foreign type says `fp = \"..\"` in its `#[event(..)]` or `#[schema(..)]`"
)]
pub trait Field: Archive<Archived: Layout> {}

/// Name, version and fingerprint of a type, as a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SchemaId {
    /// [`Schema::NAME`].
    pub name: &'static str,
    /// [`Schema::VERSION`].
    pub version: u32,
    /// [`Schema::FINGERPRINT`].
    pub fingerprint: u128,
}

impl SchemaId {
    /// The identity of `T`.
    #[must_use]
    pub const fn of<T: Schema>() -> Self {
        Self { name: T::NAME, version: T::VERSION, fingerprint: T::FINGERPRINT }
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{} (fingerprint {:032x})", self.name, self.version, self.fingerprint)
    }
}

impl fmt::Debug for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! fields {
    ($([$($params:tt)*] $ty:ty;)*) => {$(
        impl<$($params)*> Field for $ty where Self: Archive<Archived: Layout> {}
    )*};
}

macro_rules! plain_fields {
    ($($ty:ty),* $(,)?) => { $(impl Field for $ty {})* };
}

plain_fields! {
    (), bool, char, f32, f64, i8, i16, i32, i64, i128, u8, u16, u32, u64, u128,
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128,
    NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128,
    String, Box<str>, std::ffi::CString, core::time::Duration,
    core::net::IpAddr, core::net::Ipv4Addr, core::net::Ipv6Addr,
    core::net::SocketAddr, core::net::SocketAddrV4, core::net::SocketAddrV6,
}

fields! {
    [T: Field, const N: usize] [T; N];
    [T] core::marker::PhantomData<T>;
    [T: Field] Option<T>;
    [T: Field, E: Field] Result<T, E>;
    [T: Field] Box<T>;
    [T: Field] Box<[T]>;
    [T: Field] Vec<T>;
    [T: Field] VecDeque<T>;
    [T: Field] BTreeSet<T>;
    [K: Field, V: Field] BTreeMap<K, V>;
    [T: Field, S] HashSet<T, S>;
    [K: Field, V: Field, S] HashMap<K, V, S>;
    [T: Field] core::ops::Range<T>;
    [T: Field] core::ops::RangeInclusive<T>;
    [T: Field] core::ops::RangeFrom<T>;
    [T: Field] core::ops::RangeTo<T>;
    [T: Field] core::ops::Bound<T>;
}

macro_rules! tuples {
    ($($($param:ident)*;)*) => {$(
        impl<$($param: Field),*> Field for ($($param,)*) {}
    )*};
}

tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
    A B C D E F G H I;
    A B C D E F G H I J;
    A B C D E F G H I J K;
    A B C D E F G H I J K L;
}
