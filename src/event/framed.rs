//! *Owns* the framed way of an event into bytes: strings, vectors and maps behind a length.
//! *Invariant*: whatever lies within the length was written by this event, padding as zeros.
//! *Source*: rkyv's low-level serializer; its archives end in their root.
//!
//! ```text
//!  0        8        12       16            16 + len    stride
//!  ├────────┼────────┼────────┼─────────────────┼───────────┤
//!  │ stamp  │ length │ unused │ archive …  root │ unused    │   the root ends where the archive ends
//!  └────────┴────────┴────────┴─────────────────┴───────────┘
//! ```

use super::codec::{Codec, Validator, aligned, sealed::Sealed};
use super::slot_writer::{Scratch, SlotWriter};
use crate::error::WriteError;
use core::{mem::size_of, num::NonZeroUsize};
use rkyv::{
    Archive, Archived, Serialize,
    api::{access_pos_with_context, root_position},
    bytecheck::CheckBytes,
    rancor::{Failure, Strategy},
    validation::archive::ArchiveValidator,
};

/// Length word and what brings the archive to a multiple of [`ALIGN`] behind the stamp.
const PREFIX: usize = 8;
const ALIGN: usize = 16;
/// Pointers from the root to a value that is read from a disk, at most.
const DEPTH_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

/// A type that serializes into a framed slot: everything that rkyv archives without sharing.
///
/// Implemented for every such type. `Rc` and `Arc` ask for a sharing strategy and do not compile.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be serialized into a slot",
    label = "not serializable here",
    note = "shared pointers (`Rc`, `Arc`) have no place in an event: use the value, or `Box`"
)]
pub trait Framed: Archive + Serialize<Strategy<SlotWriter, Failure>> {}

// The message above says more than rkyv's missing sharing.
#[diagnostic::do_not_recommend]
impl<T: Archive + Serialize<Strategy<SlotWriter, Failure>>> Framed for T {}

/// The codec of `framed` events: strings, vectors, boxes and maps, as rkyv archives them.
///
/// A slot has a fixed number of bytes, said by `BusBuilder::slot_bytes`; an event whose archive
/// needs more is refused with the bytes that it needs, and its claim is published as aborted.
/// Publishing allocates nothing: vectors of vectors and maps keep their intermediate results in a
/// block that belongs to the producer (four times the slot, 4 KiB at least). Only an event that
/// needs more than that, such as one with a map that does not fit its slot by far, goes to the heap.
///
/// Archives from a disk are checked with at most 64 pointers on the way from the root to a value,
/// so only a type that contains itself can be refused there; keep such chains short.
#[derive(Debug)]
pub struct FramedCodec;

impl Sealed for FramedCodec {}

impl<E> Codec<E> for FramedCodec
where
    E: Framed,
    Archived<E>: 'static + for<'a> CheckBytes<Validator<'a>>,
{
    const ALIGN: usize = {
        aligned::<E>();
        ALIGN
    };
    const PREFIX: usize = PREFIX;
    const IS_FIXED: bool = false;

    type Scratch = Scratch;

    fn scratch(slot_bytes: usize) -> Scratch {
        Scratch::for_slots_of(slot_bytes)
    }

    #[inline]
    fn slot_bytes(asked: usize) -> usize {
        PREFIX + asked.max(size_of::<Archived<E>>()).next_multiple_of(ALIGN)
    }

    #[inline(always)]
    unsafe fn write(
        event: &E,
        payload: *mut u8,
        slot_bytes: usize,
        scratch: &mut Scratch,
    ) -> Result<(), WriteError> {
        let capacity = slot_bytes - PREFIX;
        // SAFETY: a payload begins with its prefix.
        let bytes = unsafe { payload.add(PREFIX) };
        // SAFETY: aligned, writable and exclusive by contract, and the scratch by its borrow.
        let mut writer = unsafe { SlotWriter::new(bytes, capacity, scratch) };
        let Ok(resolver) = event.serialize(Strategy::<_, Failure>::wrap(&mut writer)) else {
            return Err(WriteError::Unserializable);
        };
        let Some(root) = writer.root::<Archived<E>>() else {
            return Err(writer.too_large(capacity));
        };
        event.resolve(resolver, root);
        // SAFETY: the length word begins the payload, which is aligned to 8 since the archive
        // behind it is aligned to 16.
        unsafe { payload.cast::<u32>().write(writer.length()) };
        Ok(())
    }

    #[inline(always)]
    unsafe fn view<'a>(payload: *const u8) -> &'a Archived<E> {
        // SAFETY: `write` wrote it, by contract.
        let bytes = unsafe { payload.cast::<u32>().read() } as usize;
        let root = PREFIX + bytes - size_of::<Archived<E>>();
        // SAFETY: `write` wrote `bytes` bytes behind the prefix, of which the root is the last.
        let root = unsafe { payload.add(root) }.cast::<Archived<E>>();
        // SAFETY: a whole, aligned archive ends here and stays unwritten for `'a`.
        unsafe { &*root }
    }

    #[inline(always)]
    unsafe fn bytes<'a>(payload: *const u8) -> &'a [u8] {
        // SAFETY: as in `view`.
        let bytes = unsafe { payload.cast::<u32>().read() } as usize;
        // SAFETY: as in `view`.
        let archive = unsafe { payload.add(PREFIX) };
        // SAFETY: `write` initialised all of these bytes, padding included, and an archived type
        // has no interior mutability (`Portable`), so nobody changes them during `'a`.
        unsafe { core::slice::from_raw_parts(archive, bytes) }
    }

    fn view_checked(bytes: &[u8]) -> Option<&Archived<E>> {
        if bytes.len() < size_of::<Archived<E>>() {
            return None;
        }
        let archive = ArchiveValidator::with_max_depth(bytes, Some(DEPTH_MAX));
        let mut context = rkyv::validation::Validator::new(archive, ());
        let root = root_position::<Archived<E>>(bytes.len());
        access_pos_with_context::<_, _, Failure>(bytes, root, &mut context).ok()
    }

    fn view_payload_checked(payload: &[u8]) -> Option<&Archived<E>> {
        let (prefix, archive) = payload.split_at_checked(PREFIX)?;
        let length = prefix.first_chunk::<4>()?;
        #[allow(clippy::host_endian_bytes, reason = "as `write` has stored it")]
        let bytes = u32::from_ne_bytes(*length) as usize;
        <Self as Codec<E>>::view_checked(archive.get(..bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::{ALIGN, Codec, Framed, FramedCodec, Validator};
    use crate::error::{EventTooLarge, WriteError};
    use rkyv::{Archive, Archived, Serialize, bytecheck::CheckBytes, util::AlignedVec};
    use std::collections::{BTreeMap, HashMap};

    #[derive(Archive, Serialize)]
    struct Order {
        side: u8,
        symbol: String,
        levels: Vec<(u8, u64)>,
        memo: Option<Box<str>>,
    }

    #[derive(Archive, Serialize)]
    #[rkyv(
        serialize_bounds(__S: rkyv::ser::Writer, __S::Error: rkyv::rancor::Source),
        bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source))
    )]
    struct Chain {
        #[rkyv(omit_bounds)]
        next: Option<Box<Chain>>,
    }

    fn order() -> Order {
        Order {
            side: 1,
            symbol: "BRK.A with a long name".into(),
            levels: vec![(1, u64::MAX), (2, 7)],
            memo: Some("x".into()),
        }
    }

    #[repr(align(16))]
    struct Slot([u8; 4096]);

    /// The archive of `event`, written into a slot of `asked` bytes that is full of `old`.
    fn written<E: Framed>(event: &E, asked: usize, old: u8) -> Result<Vec<u8>, WriteError>
    where
        Archived<E>: 'static + for<'a> CheckBytes<Validator<'a>>,
    {
        let slot_bytes = <FramedCodec as Codec<E>>::slot_bytes(asked);
        let mut slot = Slot([old; 4096]);
        let payload = slot.0[8..].as_mut_ptr();
        let mut scratch = <FramedCodec as Codec<E>>::scratch(slot_bytes);
        assert!(8 + slot_bytes <= 4096);
        // SAFETY: `slot_bytes` initialised bytes of our own, 8 behind a multiple of 16.
        let wrote = unsafe { FramedCodec::write(event, payload, slot_bytes, &mut scratch) };
        let is_old = |bytes: &[u8]| bytes.iter().all(|byte| *byte == old);
        assert!(is_old(&slot.0[..8]) && is_old(&slot.0[8 + slot_bytes..]), "wrote elsewhere");
        wrote?;
        // SAFETY: written above, and not again while borrowed.
        let bytes = unsafe { <FramedCodec as Codec<E>>::bytes(payload) }.to_vec();
        assert!(is_old(&slot.0[16 + bytes.len()..]), "wrote behind the archive");
        assert!(is_valid::<E>(&bytes));
        Ok(bytes)
    }

    /// Whether `bytes`, from wherever, are an archive of an `E`.
    fn is_valid<E: Framed>(bytes: &[u8]) -> bool
    where
        Archived<E>: 'static + for<'a> CheckBytes<Validator<'a>>,
    {
        let mut slot = Slot([0; 4096]);
        slot.0[..bytes.len()].copy_from_slice(bytes);
        <FramedCodec as Codec<E>>::view_checked(&slot.0[..bytes.len()]).is_some()
    }

    /// Equal events have equal bytes, whatever the slot held.
    fn leaks_nothing<E: Framed>(event: &E)
    where
        Archived<E>: 'static + for<'a> CheckBytes<Validator<'a>>,
    {
        let over_zeros = written(event, 1024, 0).expect("it fits");
        assert_eq!(over_zeros, written(event, 1024, 0xa5).expect("it fits"));
        assert_eq!(over_zeros, written(event, 1024, 0xff).expect("it fits"));
        // Where it fits to the byte, and where it does not.
        let exact = over_zeros.len().next_multiple_of(ALIGN);
        assert_eq!(over_zeros, written(event, exact, 0x5a).expect("it fits"));
        for asked in (size_of::<Archived<E>>()..over_zeros.len()).step_by(ALIGN) {
            let slot_bytes = asked.next_multiple_of(ALIGN);
            let large = EventTooLarge { needed: over_zeros.len(), slot_bytes };
            if slot_bytes < over_zeros.len() {
                assert_eq!(written(event, asked, 0x5a), Err(WriteError::TooLarge(large)));
            }
        }
    }

    #[test]
    fn padding_is_zero_whatever_the_slot_held_and_what_is_missing_is_exact() {
        leaks_nothing(&order());
        leaks_nothing(&Order { memo: None, symbol: String::new(), levels: Vec::new(), side: 0 });
        leaks_nothing(&"a string out of line".to_owned());
        leaks_nothing(&vec![Some(1_u64), None, Some(3)]);
        leaks_nothing(&(1_u8, vec!["a".to_owned(), "b".repeat(33)], 2_u16));
        leaks_nothing(&vec![vec![(1_u8, 2_u32)]; 9]);
        let map: BTreeMap<u8, (String, u64)> = (0..40).map(|n| (n, (n.to_string(), 7))).collect();
        leaks_nothing(&map);
        leaks_nothing(&(vec![1_u8, 2, 3], u128::MAX));
        leaks_nothing(&7_u16);
        leaks_nothing(&());
        leaks_nothing(&("a vector of nothing".to_owned(), Vec::<[u64; 0]>::new()));
        let nothing: [Vec<u64>; 0] = [];
        leaks_nothing(&nothing);
    }

    #[test]
    fn bytes_that_are_cut_or_flipped_are_refused_or_read_within_bounds() {
        let bytes = written(&order(), 1024, 0xa5).expect("it fits");
        for end in 0..bytes.len() {
            // A shorter archive may happen to be one; reading it must stay within it.
            is_valid::<Order>(&bytes[..end]);
        }
        let mut refused = 0;
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            refused += usize::from(!is_valid::<Order>(&flipped));
        }
        assert!(refused > bytes.len(), "{refused} of {} flips", bytes.len() * 8);
        assert!(!is_valid::<Order>(&[]));
        let mut slot = Slot([0; 4096]);
        slot.0[1..=bytes.len()].copy_from_slice(&bytes);
        let view = <FramedCodec as Codec<Order>>::view_checked(&slot.0[1..=bytes.len()]);
        assert!(view.is_none(), "unaligned");
    }

    /// A chain by hand, since serializing it would need the stack that checking must not need.
    fn chain(links: usize) -> AlignedVec<16> {
        let mut bytes = AlignedVec::new();
        bytes.extend_from_slice(&[0; 8]);
        for _ in 1..links {
            bytes.extend_from_slice(&[1, 0, 0, 0]);
            bytes.extend_from_slice(&(-12_i32).to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_chain_that_is_too_deep_is_refused_before_the_stack_is() {
        let is_valid = |bytes: &[u8]| <FramedCodec as Codec<Chain>>::view_checked(bytes).is_some();
        let own = Chain { next: Some(Box::new(Chain { next: None })) };
        assert_eq!(written(&own, 64, 0xa5).expect("it fits"), chain(2).as_slice());
        assert!(is_valid(&chain(60)));
        assert!(!is_valid(&chain(80)));
        assert!(!is_valid(&chain(1_000_000)));
    }

    #[test]
    fn what_needs_more_scratch_than_there_is_is_counted_exactly() {
        let strings = |count| vec![String::from("0123456789"); count];
        let bytes = |count: usize| (10 * count).next_multiple_of(4) + 8 * count + 8;
        let large = EventTooLarge { needed: bytes(5_000), slot_bytes: 64 };
        assert_eq!(written(&strings(5_000), 64, 1), Err(WriteError::TooLarge(large)));
        let nested = vec![strings(2_000); 3];
        let large = EventTooLarge { needed: 3 * bytes(2_000) + 8, slot_bytes: 64 };
        assert_eq!(written(&nested, 64, 1), Err(WriteError::TooLarge(large)));
        let map: HashMap<u32, u8> = (0..60).map(|n| (n, 7)).collect();
        let bytes = written(&map, 2048, 0xa5).expect("it fits");
        assert!(bytes.len() > 60 * 8);
    }

    #[derive(Archive, Serialize)]
    struct Located {
        #[rkyv(with = rkyv::with::AsString)]
        path: std::path::PathBuf,
    }

    #[cfg(unix)]
    #[test]
    fn what_its_own_serializer_refuses_is_no_matter_of_size() {
        use std::os::unix::ffi::OsStringExt;
        let located =
            |path: &[u8]| Located { path: std::ffi::OsString::from_vec(path.to_vec()).into() };
        assert!(written(&located(b"/tmp/a/longer/path"), 64, 1).is_ok());
        assert_eq!(written(&located(b"/\xff"), 64, 1), Err(WriteError::Unserializable));
    }
}
