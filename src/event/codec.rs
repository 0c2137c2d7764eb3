//! *Owns* the way of an event into bytes and back. *Invariant*: a written payload has every byte
//! initialised, padding included, so equal events have equal bytes and no old byte reaches the
//! journal. *Source*: rkyv's `Serialize` and `Place`.

use crate::error::WriteError;
use core::mem::{align_of, size_of};
use rkyv::{
    Archive, Archived, Place, Serialize,
    api::low::LowValidator,
    bytecheck::CheckBytes,
    rancor::{Failure, Panic, Strategy},
};

/// The validator of bytes from outside this process: `rkyv`'s low-level one, no allocation.
pub type Validator<'a> = LowValidator<'a, Failure>;

/// A type without out-of-line data: numbers, enums, arrays and structs of them.
///
/// Implemented for every type that serializes without a writer, which is the proof: a `String` or a
/// `Vec` inside asks for one and does not compile. As everywhere in rkyv, an `Archive` that is
/// written by hand must resolve to a valid archive.
///
/// ```compile_fail
/// use tourbillon::{Event, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize, Event)]
/// #[event(name = "md.symbol", version = 1)]
/// struct Symbol {
///     name: String,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` holds out-of-line data (a string, a vector, a map), so it does not fit a fixed slot",
    label = "not inline",
    note = "mark the event `framed`, as in `#[event(name = \"..\", version = 1, framed)]`; or keep variable-length data out of it, or use a fixed-size array"
)]
pub trait Inline: Archive + Serialize<Strategy<(), Panic>> {}

// The message above says more than rkyv's missing writer.
#[diagnostic::do_not_recommend]
impl<T: Archive + Serialize<Strategy<(), Panic>>> Inline for T {}

/// Compiles for inline types alone.
pub const fn inline<E: Inline>() {}

/// Compiles, where it is a constant, for types that a slot can align.
///
/// ```compile_fail
/// use tourbillon::{Event, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize, Event)]
/// #[rkyv(attr(repr(align(32))))]
/// #[event(name = "md.tick", version = 1)]
/// struct Tick {
///     price: i64,
/// }
/// ```
pub const fn aligned<E: Archive>() {
    assert!(align_of::<Archived<E>>() <= 16, "an archived event is aligned to 16 bytes at most");
}

/// Compiles, where it is a constant, for types that rkyv may copy whole where it does so: a vector of
/// natives that are smaller than their archives would be read beyond its end.
///
/// ```compile_fail
/// #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Schema)]
/// #[rkyv(attr(repr(align(16))))]
/// struct Level {
///     price: i64,
/// }
/// ```
pub const fn copied<T: Archive>() {
    assert!(
        !T::COPY_OPTIMIZATION.is_enabled() || size_of::<T>() == size_of::<Archived<T>>(),
        "the archived type is larger than the native one, which rkyv copies in its place: align both alike"
    );
}

pub(super) mod sealed {
    pub trait Sealed {}
    impl Sealed for super::InlineCodec {}
}

/// How events of type `E` become the bytes of a slot. Sealed: the crate's soundness rests on it.
pub trait Codec<E: Archive>: sealed::Sealed + Send + Sync + 'static {
    /// Alignment of an archive in a slot.
    const ALIGN: usize;

    /// Bytes of a payload in front of the archive.
    #[doc(hidden)]
    const PREFIX: usize;

    /// Whether the type alone says how many bytes a slot keeps.
    #[doc(hidden)]
    const IS_FIXED: bool;

    /// What a producer keeps for its writes.
    #[doc(hidden)]
    type Scratch: Send + 'static;

    /// What a producer of slots of [`Codec::slot_bytes`] keeps for its writes.
    #[doc(hidden)]
    fn scratch(slot_bytes: usize) -> Self::Scratch;

    /// Bytes that a slot keeps for a payload, prefix included, where `asked` are for the archive.
    /// Fixed by the type for inline events.
    #[doc(hidden)]
    fn slot_bytes(asked: usize) -> usize;

    /// Writes the archive of `event`, every byte of it, into the `slot_bytes` of a slot.
    ///
    /// # Errors
    /// [`WriteError`] if it does not fit, or its own serializer refuses; never for inline events.
    ///
    /// # Safety
    /// - `payload` is valid for reads and writes of `slot_bytes` bytes, which come from
    ///   [`Codec::slot_bytes`] and are all initialised (with whatever).
    /// - The archive behind the prefix is aligned to [`Codec::ALIGN`].
    /// - Nobody else reads or writes them meanwhile.
    #[doc(hidden)]
    unsafe fn write(
        event: &E,
        payload: *mut u8,
        slot_bytes: usize,
        scratch: &mut Self::Scratch,
    ) -> Result<(), WriteError>;

    /// The archive in a written payload.
    ///
    /// # Safety
    /// - [`Codec::write`] has written `payload`, and nobody writes it again during `'a`.
    #[doc(hidden)]
    unsafe fn view<'a>(payload: *const u8) -> &'a Archived<E>;

    /// The bytes of a written payload: what a journal keeps.
    ///
    /// # Safety
    /// - As for [`Codec::view`].
    #[doc(hidden)]
    unsafe fn bytes<'a>(payload: *const u8) -> &'a [u8];

    /// Checks bytes that come from outside this process and views the archive in them.
    ///
    /// `bytes` is aligned to [`Codec::ALIGN`]; `None` if it is not, or holds no valid archive.
    #[doc(hidden)]
    fn view_checked(bytes: &[u8]) -> Option<&Archived<E>>;

    /// As `view_checked`, for a whole payload of [`Codec::slot_bytes`], prefix included.
    #[doc(hidden)]
    fn view_payload_checked(payload: &[u8]) -> Option<&Archived<E>>;
}

/// The codec of [`Inline`] events: the slot holds `E::Archived` itself.
#[derive(Debug)]
pub struct InlineCodec;

// Bounds on the bytes alone: `E: Event` asks for its codec, and a generic event would ask in a circle.
impl<E> Codec<E> for InlineCodec
where
    E: Inline,
    Archived<E>: 'static + for<'a> CheckBytes<Validator<'a>>,
{
    const ALIGN: usize = {
        aligned::<E>();
        align_of::<Archived<E>>()
    };
    const PREFIX: usize = 0;
    const IS_FIXED: bool = true;

    type Scratch = ();

    fn scratch(_slot_bytes: usize) {}

    #[inline(always)]
    fn slot_bytes(_asked: usize) -> usize {
        size_of::<Archived<E>>()
    }

    #[inline(always)]
    unsafe fn write(
        event: &E,
        payload: *mut u8,
        _slot_bytes: usize,
        _scratch: &mut (),
    ) -> Result<(), WriteError> {
        // rkyv's own test for padding looks at the native type: where that one is aligned less than
        // its archive, only the sizes tell.
        let has_padding =
            !E::COPY_OPTIMIZATION.is_enabled() || size_of::<E>() != size_of::<Archived<E>>();
        if has_padding {
            // SAFETY: valid for `slot_bytes` = `size_of::<Archived<E>>()` bytes, by contract.
            unsafe { payload.write_bytes(0, size_of::<Archived<E>>()) };
        }
        let mut nothing = ();
        let Ok(resolver) = event.serialize(Strategy::<(), Panic>::wrap(&mut nothing));
        // SAFETY: aligned, initialised, writable and exclusive by contract; the root lies at
        // position 0, since nothing out of line comes before it.
        let place = unsafe { Place::new_unchecked(0, payload.cast::<Archived<E>>()) };
        event.resolve(resolver, place);
        Ok(())
    }

    #[inline(always)]
    unsafe fn view<'a>(payload: *const u8) -> &'a Archived<E> {
        // SAFETY: a whole, aligned `Archived<E>` was written here and stays unwritten for `'a`.
        unsafe { &*payload.cast::<Archived<E>>() }
    }

    #[inline(always)]
    unsafe fn bytes<'a>(payload: *const u8) -> &'a [u8] {
        // SAFETY: `write` left all of these bytes initialised, padding included, and an archived
        // type has no interior mutability (`Portable`), so nobody changes them during `'a`.
        unsafe { core::slice::from_raw_parts(payload, size_of::<Archived<E>>()) }
    }

    fn view_checked(bytes: &[u8]) -> Option<&Archived<E>> {
        if bytes.len() != size_of::<Archived<E>>() {
            return None;
        }
        rkyv::api::low::access::<Archived<E>, Failure>(bytes).ok()
    }

    fn view_payload_checked(payload: &[u8]) -> Option<&Archived<E>> {
        <Self as Codec<E>>::view_checked(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::{Codec, Inline, InlineCodec, Validator};
    use core::num::{NonZeroU32, NonZeroU64};
    use rkyv::{Archive, Archived, Serialize, bytecheck::CheckBytes};

    #[derive(Archive, Serialize)]
    struct Padded {
        small: u8,
        large: u64,
        tail: u16,
    }

    #[derive(Archive, Serialize)]
    enum Choice {
        Nothing,
        Small(u8),
        Large { a: u8, b: u64 },
    }

    #[derive(Archive, Serialize)]
    struct Dense {
        a: u64,
        b: u32,
        c: [u16; 2],
    }

    #[derive(Archive, Serialize)]
    struct Skipping {
        kept: u32,
        #[rkyv(with = rkyv::with::Skip)]
        _skipped: u64,
        #[rkyv(with = rkyv::with::Niche)]
        niched: Option<NonZeroU64>,
    }

    #[repr(align(16))]
    struct Slot([u8; 64]);

    /// The bytes of `event`, written over a slot full of `old`.
    fn written<E: Inline>(event: &E, old: u8) -> Vec<u8>
    where
        Archived<E>: 'static + for<'a> CheckBytes<Validator<'a>>,
    {
        let mut slot = Slot([old; 64]);
        let bytes = size_of::<Archived<E>>();
        assert!(bytes <= 64);
        let payload = slot.0.as_mut_ptr();
        // SAFETY: 64 initialised bytes, aligned to 16, of our own.
        unsafe { <InlineCodec as Codec<E>>::write(event, payload, bytes, &mut ()) }
            .expect("inline events fit");
        // SAFETY: written above, and not again while borrowed.
        let written = unsafe { <InlineCodec as Codec<E>>::bytes(payload) }.to_vec();
        assert!(slot.0[bytes..].iter().all(|byte| *byte == old), "wrote behind the payload");
        assert!(<InlineCodec as Codec<E>>::view_checked(&slot.0[..bytes]).is_some());
        written
    }

    /// Equal events have equal bytes, whatever the slot held.
    fn leaks_nothing<E: Inline>(event: &E) -> Vec<u8>
    where
        Archived<E>: 'static + for<'a> CheckBytes<Validator<'a>>,
    {
        let over_zeros = written(event, 0);
        assert_eq!(over_zeros, written(event, 0xa5));
        assert_eq!(over_zeros, written(event, 0xff));
        over_zeros
    }

    #[test]
    fn padding_of_a_struct_is_zero_whatever_the_slot_held() {
        let bytes = leaks_nothing(&Padded { small: 1, large: u64::MAX, tail: 2 });
        assert_eq!(bytes[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[8..16], [0xff; 8]);
        assert_eq!(bytes[16..], [2, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn padding_of_an_enum_is_zero_whatever_the_slot_held() {
        assert_eq!(leaks_nothing(&Choice::Nothing), [0; 16]);
        let small = leaks_nothing(&Choice::Small(9));
        assert_eq!(small[..2], [1, 9]);
        assert_eq!(small[2..], [0; 14]);
        let large = leaks_nothing(&Choice::Large { a: 3, b: 4 });
        assert_eq!(large, [2, 3, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn padding_of_options_arrays_and_tuples_is_zero_whatever_the_slot_held() {
        assert_eq!(leaks_nothing(&None::<u64>), [0; 16]);
        assert_eq!(leaks_nothing(&Some(7_u64))[1..8], [0; 7]);
        leaks_nothing(&[Some(1_u32), None, Some(3)]);
        leaks_nothing(&[(1_u8, 2_u32), (3, 4)]);
        leaks_nothing(&(Some(1_u8), None::<NonZeroU32>, 'x'));
        leaks_nothing(&Skipping { kept: 1, _skipped: 2, niched: None });
        leaks_nothing(&Skipping { kept: 1, _skipped: 2, niched: NonZeroU64::new(3) });
        leaks_nothing(&());
    }

    #[test]
    fn a_type_that_is_copied_whole_has_no_padding() {
        assert!(Dense::COPY_OPTIMIZATION.is_enabled());
        assert_eq!(size_of::<Dense>(), size_of::<Archived<Dense>>());
        leaks_nothing(&Dense { a: 1, b: 2, c: [3, 4] });
        leaks_nothing(&[1_u64, 2, 3]);
    }

    #[test]
    fn a_type_with_padding_is_never_copied_whole() {
        assert!(!Padded::COPY_OPTIMIZATION.is_enabled());
        assert!(!<[Padded; 2]>::COPY_OPTIMIZATION.is_enabled());
        assert!(!Choice::COPY_OPTIMIZATION.is_enabled());
        assert!(!<Option<u64>>::COPY_OPTIMIZATION.is_enabled());
        assert!(!<(u8, u64)>::COPY_OPTIMIZATION.is_enabled());
        assert!(!Skipping::COPY_OPTIMIZATION.is_enabled());
    }

    #[test]
    fn bytes_of_another_length_or_value_are_no_archive() {
        let slot = Slot([0xff; 64]);
        let checked = <InlineCodec as Codec<Choice>>::view_checked;
        assert!(checked(&slot.0[..16]).is_none(), "no such variant");
        let slot = Slot([0; 64]);
        assert!(checked(&slot.0[..16]).is_some());
        assert!(checked(&slot.0[..15]).is_none());
        assert!(checked(&slot.0[..17]).is_none());
        assert!(checked(&slot.0[1..17]).is_none(), "unaligned");
    }
}
