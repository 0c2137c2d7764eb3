//! *Owns* the way of an event into bytes and back. *Invariant*: a written payload has every byte
//! initialised, padding included, so equal events have equal bytes and no old byte reaches the
//! journal. *Source*: rkyv's `Serialize` and `Place`.

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
/// `Vec` inside asks for one and does not compile.
#[diagnostic::on_unimplemented(
    message = "`{Self}` holds out-of-line data (a string, a vector, a map), so it does not fit a fixed slot",
    note = "keep variable-length data out of inline events, or use a fixed-size array"
)]
pub trait Inline: Archive + Serialize<Strategy<(), Panic>> {}

impl<T: Archive + Serialize<Strategy<(), Panic>>> Inline for T {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::InlineCodec {}
}

/// How events of type `E` become the bytes of a slot. Sealed: the crate's soundness rests on it.
pub trait Codec<E: Archive>: sealed::Sealed + Send + Sync + 'static {
    /// Alignment of a payload in a slot.
    const ALIGN: usize;

    /// Bytes that a slot keeps for a payload. Fixed by the type for inline events.
    #[doc(hidden)]
    fn slot_bytes(asked: usize) -> usize;

    /// Writes the archive of `event`, every byte of it.
    ///
    /// # Safety
    /// - `payload` is valid for writes of [`Codec::slot_bytes`] bytes and aligned to
    ///   [`Codec::ALIGN`], and nobody else reads or writes them meanwhile.
    #[doc(hidden)]
    unsafe fn write(event: &E, payload: *mut u8);

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
        assert!(
            align_of::<Archived<E>>() <= 16,
            "an archived event is aligned to 16 bytes at most"
        );
        align_of::<Archived<E>>()
    };

    #[inline(always)]
    fn slot_bytes(_asked: usize) -> usize {
        size_of::<Archived<E>>()
    }

    #[inline(always)]
    unsafe fn write(event: &E, payload: *mut u8) {
        if !E::COPY_OPTIMIZATION.is_enabled() {
            // SAFETY: valid for `slot_bytes` = `size_of::<Archived<E>>()` bytes, by contract.
            unsafe { payload.write_bytes(0, size_of::<Archived<E>>()) };
        }
        let mut nothing = ();
        let Ok(resolver) = event.serialize(Strategy::<(), Panic>::wrap(&mut nothing));
        // SAFETY: aligned, writable and exclusive by contract; the root lies at position 0, which
        // is where an archive without out-of-line data both starts and ends.
        let place = unsafe { Place::new_unchecked(0, payload.cast::<Archived<E>>()) };
        event.resolve(resolver, place);
    }

    #[inline(always)]
    unsafe fn view<'a>(payload: *const u8) -> &'a Archived<E> {
        // SAFETY: a whole, aligned `Archived<E>` was written here and stays unwritten for `'a`.
        unsafe { &*payload.cast::<Archived<E>>() }
    }

    #[inline(always)]
    unsafe fn bytes<'a>(payload: *const u8) -> &'a [u8] {
        // SAFETY: `write` initialised all of these bytes, padding included.
        unsafe { core::slice::from_raw_parts(payload, size_of::<Archived<E>>()) }
    }

    fn view_checked(bytes: &[u8]) -> Option<&Archived<E>> {
        if bytes.len() != size_of::<Archived<E>>() {
            return None;
        }
        rkyv::api::low::access::<Archived<E>, Failure>(bytes).ok()
    }
}
