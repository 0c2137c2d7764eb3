//! *Owns* what may be rebuilt: state that follows from events alone. *Invariant*: a projection is
//! pure; time, timers and random numbers reach it only as events, so live run and replay agree bit
//! for bit. *Source*: event sourcing, as the LMAX exchange practised it.

use crate::event::{Event, Schema};
use crate::sequence::Sequence;
use core::num::NonZeroUsize;
use rkyv::{
    Archive, Archived, Deserialize, Serialize,
    api::high::{HighDeserializer, HighSerializer, HighValidator},
    bytecheck::CheckBytes,
    rancor,
    ser::allocator::ArenaHandle,
    util::AlignedVec,
    validation::{Validator, archive::ArchiveValidator, shared::SharedValidator},
};

/// How deep archived state may nest. The validator recurses, and bytes that come from a disk do not
/// get to choose how far.
const DEPTH_MAX: usize = 128;

/// State that follows from events alone.
///
/// ```
/// use tourbillon::{Event, Projection, Schema, Sequence, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize, Event)]
/// #[event(name = "bank.moved", version = 1)]
/// struct Moved { amount: i64 }
///
/// #[derive(Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Schema)]
/// #[schema(name = "bank.balance", version = 1)]
/// struct Balance { amount: i64 }
///
/// impl Projection for Balance {
///     type Event = Moved;
///     fn apply(&mut self, moved: &ArchivedMoved, _: Sequence) {
///         self.amount += moved.amount.to_native();
///     }
/// }
/// ```
pub trait Projection: State {
    /// The events it follows from.
    type Event: Event;

    /// Bumped by hand when `apply` changes what it computes: a snapshot of another logic is
    /// discarded and replayed.
    const LOGIC_VERSION: u32 = 1;

    /// Applies one event. Reads no clock, draws no random number, has no effect outside `self`.
    fn apply(&mut self, event: &Archived<Self::Event>, sequence: Sequence);
}

/// State that a snapshot can hold: implemented for every [`Schema`] type that rkyv can archive,
/// check and bring back.
pub trait State: Schema + Sized + Send + 'static {
    /// The archive of the state.
    #[doc(hidden)]
    fn to_bytes(&self) -> Result<AlignedVec, rancor::Error>;

    /// The state in bytes of an archive, which are checked first.
    #[doc(hidden)]
    fn from_bytes(bytes: &[u8]) -> Result<Self, rancor::Error>;
}

impl<T> State for T
where
    T: Schema
        + Archive
        + Send
        + 'static
        + for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, rancor::Error>>,
    T::Archived: for<'a> CheckBytes<HighValidator<'a, rancor::Error>>
        + Deserialize<T, HighDeserializer<rancor::Error>>,
{
    fn to_bytes(&self) -> Result<AlignedVec, rancor::Error> {
        rkyv::to_bytes(self)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, rancor::Error> {
        let mut validator = Validator::new(
            ArchiveValidator::with_max_depth(bytes, NonZeroUsize::new(DEPTH_MAX)),
            SharedValidator::new(),
        );
        let root = rkyv::api::root_position::<T::Archived>(bytes.len());
        let archived = rkyv::api::access_pos_with_context::<T::Archived, _, rancor::Error>(
            bytes,
            root,
            &mut validator,
        )?;
        rkyv::deserialize(archived)
    }
}
