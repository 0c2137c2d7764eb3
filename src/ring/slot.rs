//! *Owns* the slots: where the stamp sits, where the payload, who may touch it. *Invariant* (R2):
//! the stamp of a slot is the publication of its bytes. *Source*: the per-slot sequence of Vyukov's
//! bounded queue, and seqlocks without their retry.
//!
//! ```text
//!  0        8 … 15          stride
//!  ├────────┼────────────────┤    stamp = sequence + 1, top bit: aborted, 0: never written
//!  │ stamp  │ payload        │    payload at 8, or at 16 for inline types aligned to 16
//!  └────────┴────────────────┘    stride: a power of two up to a line of 64, then whole lines
//! ```

use crate::error::WriteError;
use crate::event::{Codec, Event, InPlace, InlineCodec};
use crate::ring::region::{Header, Producers, Region, stride_of};
use crate::sequence::Sequence;
use crate::sync::{AtomicU64, Ordering, UnsafeCell};
use core::{marker::PhantomData, mem::size_of, ops::Range, ptr::NonNull};
use rkyv::Archived;
use std::sync::Arc;

/// The bit of a stamp that says *aborted*.
pub(crate) const ABORTED: u64 = 1 << 63;

/// The stamp, and under loom the watch over the payload behind it.
pub(crate) struct SlotHead {
    stamp: AtomicU64,
    /// Guards the payload's bytes. Empty, so that a slot costs its stamp and no more.
    payload: UnsafeCell<()>,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<SlotHead>() == 8);

impl SlotHead {
    pub(crate) fn never_written() -> Self {
        Self { stamp: AtomicU64::new(0), payload: UnsafeCell::new(()) }
    }

    /// The head of the slot of `sequence`.
    pub(crate) fn of(region: &Region, sequence: Sequence) -> &Self {
        let head = region.slot_ptr(sequence.get() & (region.shape().capacity - 1)).cast::<Self>();
        // SAFETY: the start of a slot, aligned to 8, initialised, alive as long as the region; any
        // word is a stamp.
        unsafe { head.as_ref() }
    }

    /// The stamp as it stands, whoever wrote it. Nothing is read on its account but behind a fence.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn word(&self) -> u64 {
        // ORDERING: Relaxed; a successor is alone with the region, an observer fences by itself.
        self.stamp.load(Ordering::Relaxed)
    }

    /// Publishes the bytes of `sequence`.
    #[inline(always)]
    pub(crate) fn publish(&self, sequence: Sequence) {
        // ORDERING: Release; pairs with the Acquire in `Slots::stamp`. Publishes the bytes written by
        // `Slots::write`, and in a batch those of every later slot, which are stamped before.
        self.stamp.store(sequence.get() + 1, Ordering::Release);
    }

    /// Publishes `sequence` as aborted.
    pub(crate) fn abort(&self, sequence: Sequence) {
        // ORDERING: Release; pairs with the Acquire in `Slots::stamp`, so that a consumer which skips
        // the slot and gives it back happens after this producer's half-written bytes.
        self.stamp.store((sequence.get() + 1) | ABORTED, Ordering::Release);
    }
}

/// What a slot says about a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// Not published yet.
    Pending,
    /// Published; the payload may be read.
    Published,
    /// Published as aborted; there is nothing to read.
    Aborted,
}

/// All slots of a ring, as seen by one producer or consumer.
pub(crate) struct Slots<E: Event> {
    base: NonNull<u8>,
    /// The region's header, one load away instead of three.
    header: NonNull<Header>,
    mask: u64,
    /// Bytes of a payload.
    slot_bytes: usize,
    stride: usize,
    region: Arc<Region>,
    event: PhantomData<fn(&E)>,
}

// SAFETY: `base` points into `region`, which is shared memory and moves nowhere; events cross
// threads only as bytes and as `&Archived<E>`, which is `Sync` by the bound on `Event`.
unsafe impl<E: Event> Send for Slots<E> {}

impl<E: Event> Clone for Slots<E> {
    fn clone(&self) -> Self {
        Self { region: Arc::clone(&self.region), event: PhantomData, ..*self }
    }
}

impl<E: Event> Slots<E> {
    pub(crate) const PAYLOAD_OFFSET: usize = {
        let (prefix, align) = (<E::Codec as Codec<E>>::PREFIX, <E::Codec as Codec<E>>::ALIGN);
        (size_of::<SlotHead>() + prefix).next_multiple_of(align) - prefix
    };

    /// Bytes from one slot to the next.
    #[inline(always)]
    pub(crate) fn stride(slot_bytes: usize) -> usize {
        stride_of(Self::PAYLOAD_OFFSET + <E::Codec as Codec<E>>::slot_bytes(slot_bytes))
    }

    /// The slots of `region`, which was shaped by [`Slots::stride`] of the same `slot_bytes`.
    pub(crate) fn new(region: Arc<Region>, slot_bytes: usize) -> Self {
        let shape = region.shape();
        let stride = Self::stride(slot_bytes);
        assert_eq!(shape.stride, stride, "a region of another shape");
        Self {
            base: region.slots(),
            header: NonNull::from(region.header()),
            mask: shape.capacity - 1,
            slot_bytes: <E::Codec as Codec<E>>::slot_bytes(slot_bytes),
            stride,
            region,
            event: PhantomData,
        }
    }

    /// The header in front of the slots.
    #[inline(always)]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: `new` took it from the region, which `self` keeps alive.
        unsafe { self.header.as_ref() }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.mask + 1
    }

    #[inline(always)]
    fn slot(&self, sequence: Sequence) -> NonNull<u8> {
        let index = (sequence.get() & self.mask) as usize;
        // A constant where the type alone decides.
        let stride = if <E::Codec as Codec<E>>::IS_FIXED { Self::stride(0) } else { self.stride };
        // SAFETY: index < capacity and the region holds `capacity` slots of this stride (`new`).
        unsafe { self.base.add(index * stride) }
    }

    #[inline(always)]
    fn head(&self, sequence: Sequence) -> &SlotHead {
        // SAFETY: `Region::birth` wrote a head at the start of every slot; it lives as long as the
        // region, which `self` keeps alive.
        unsafe { self.slot(sequence).cast::<SlotHead>().as_ref() }
    }

    #[inline(always)]
    fn payload(&self, sequence: Sequence) -> *mut u8 {
        // SAFETY: the stride covers the payload's offset and bytes.
        unsafe { self.slot(sequence).as_ptr().add(Self::PAYLOAD_OFFSET) }
    }

    /// Writes the archive of `event` into the slot of `sequence`.
    ///
    /// # Safety
    /// - The caller has claimed `sequence` and has not published it.
    #[inline(always)]
    pub(crate) unsafe fn write(
        &self,
        sequence: Sequence,
        event: &E,
        scratch: &mut <E::Codec as Codec<E>>::Scratch,
    ) -> Result<(), WriteError> {
        let (payload, bytes) = (self.payload(sequence), self.slot_bytes);
        self.head(sequence).payload.with_mut(|_| {
            // SAFETY: R5: every gate has passed the sequence that lay here, R3: a claim is won by
            // one producer; so nobody else touches the payload until it is stamped.
            unsafe { <E::Codec as Codec<E>>::write(event, payload, bytes, scratch) }
        })
    }

    /// Has `write` write the archive of `sequence` where it lies, over zeros.
    ///
    /// # Safety
    /// - As for [`Slots::write`].
    #[inline(always)]
    pub(crate) unsafe fn write_in_place(
        &self,
        sequence: Sequence,
        write: impl FnOnce(&mut Archived<E>, Sequence),
    ) where
        E: Event<Codec = InlineCodec>,
        Archived<E>: InPlace,
    {
        let payload = self.payload(sequence).cast::<Archived<E>>();
        self.head(sequence).payload.with_mut(|_| {
            // SAFETY: an inline payload is one archive, aligned; nobody else touches it, as in `write`.
            unsafe { payload.write_bytes(0, 1) };
            // SAFETY: as above; zeros are a value (`InPlace`), and the borrow ends with the call.
            let event = unsafe { &mut *payload };
            write(event, sequence);
        });
    }

    /// Publishes the slot of `sequence`.
    #[inline(always)]
    pub(crate) fn publish(&self, sequence: Sequence) {
        self.head(sequence).publish(sequence);
    }

    /// Publishes `sequence` as aborted.
    pub(crate) fn abort(&self, sequence: Sequence) {
        self.head(sequence).abort(sequence);
    }

    /// Publishes a batch, its last slot first (R4).
    pub(crate) fn publish_all(&self, batch: Range<Sequence>) {
        for sequence in (batch.start.get()..batch.end.get()).rev() {
            self.publish(Sequence::from_word(sequence));
        }
    }

    /// Publishes a batch as aborted, its last slot first (R4).
    pub(crate) fn abort_all(&self, batch: Range<Sequence>) {
        for sequence in (batch.start.get()..batch.end.get()).rev() {
            self.abort(Sequence::from_word(sequence));
        }
    }

    #[inline(always)]
    fn stamp_word(&self, sequence: Sequence) -> u64 {
        // ORDERING: Acquire; pairs with the Release in `publish` and `abort`.
        self.head(sequence).stamp.load(Ordering::Acquire)
    }

    /// Whether `stamp` would say `Published`: one compare, for the walk through a batch.
    #[inline(always)]
    pub(crate) fn is_published(&self, sequence: Sequence) -> bool {
        self.stamp_word(sequence) == sequence.get() + 1
    }

    /// Whether `sequence` is published.
    #[inline(always)]
    pub(crate) fn stamp(&self, sequence: Sequence) -> Stamp {
        let stamp = self.stamp_word(sequence);
        if stamp == sequence.get() + 1 {
            Stamp::Published
        } else if stamp == (sequence.get() + 1) | ABORTED {
            Stamp::Aborted
        } else {
            Stamp::Pending
        }
    }

    /// The archived event of `sequence`.
    ///
    /// # Safety
    /// - [`Slots::stamp`] said `Published`, to this thread or to one it synchronized with.
    /// - The caller's gate stays at or below `sequence` during `'a`.
    #[inline(always)]
    pub(crate) unsafe fn view<'a>(&self, sequence: Sequence) -> &'a Archived<E> {
        self.head(sequence).payload.with(|_| {
            // SAFETY: R2: the stamp published these bytes; R5: no producer laps the caller's gate.
            unsafe { <E::Codec as Codec<E>>::view(self.payload(sequence)) }
        })
    }

    /// Bytes of a payload, prefix included, at most.
    pub(crate) fn payload_bytes(&self) -> usize {
        self.slot_bytes
    }

    /// Copies the payload of `sequence`, prefix included.
    ///
    /// # Safety
    /// - As for [`Slots::view`].
    /// - `to` is valid for writes of [`Slots::payload_bytes`] bytes, and nobody else's.
    pub(crate) unsafe fn copy_payload(&self, sequence: Sequence, to: *mut u8) {
        self.head(sequence).payload.with(|_| {
            let from = self.payload(sequence);
            // SAFETY: by contract, as in `view`.
            let archive = unsafe { <E::Codec as Codec<E>>::bytes(from) };
            let bytes = <E::Codec as Codec<E>>::PREFIX + archive.len();
            // SAFETY: the archive lies behind the prefix of the payload, both written; `to` is
            // elsewhere and has room, by contract.
            unsafe { to.copy_from_nonoverlapping(from, bytes) };
        });
    }

    /// The bytes of the archived event of `sequence`: what the journal keeps.
    ///
    /// # Safety
    /// - As for [`Slots::view`].
    #[inline(always)]
    #[cfg_attr(not(feature = "journal"), allow(dead_code, reason = "the journaler reads bytes"))]
    pub(crate) unsafe fn bytes<'a>(&self, sequence: Sequence) -> &'a [u8] {
        self.head(sequence).payload.with(|_| {
            // SAFETY: as in `view`.
            unsafe { <E::Codec as Codec<E>>::bytes(self.payload(sequence)) }
        })
    }
}

impl Region {
    /// Everything below is claimed, and published or about to be; where everything below `from` is
    /// stamped. An only producer tells its counter now and then, and its stamps say the rest: they
    /// are a run without a hole, of one lap at most, but for a batch on its way, which may count as
    /// a whole. Looks at a few slots.
    pub(crate) fn claimed(&self, from: Sequence) -> Sequence {
        let told = self.header().claimed.acquire().max(from);
        if self.shape().producers == Producers::Multi {
            return told;
        }
        let is_stamped = |events: u64| self.is_stamped(told.advance(events));
        let mut step = 1;
        while step <= self.shape().capacity && is_stamped(step - 1) {
            step *= 2;
        }
        // Of the stamps beyond `told` there are as many as `known` at least, and fewer than `step`.
        let mut known = step / 2;
        let mut beyond = step.min(self.shape().capacity + 1);
        while known + 1 < beyond {
            let middle = known.midpoint(beyond);
            if is_stamped(middle - 1) { known = middle } else { beyond = middle }
        }
        told.advance(known)
    }

    /// Whether `sequence` is stamped, as published or as aborted.
    fn is_stamped(&self, sequence: Sequence) -> bool {
        // ORDERING: Acquire; pairs with the Release in `publish` and `abort`: whoever takes a
        // stamped slot for its next lap does so after its last writer.
        let stamp = SlotHead::of(self, sequence).stamp.load(Ordering::Acquire);
        stamp & !ABORTED == sequence.get() + 1
    }

    /// The first sequence of `range` that is not stamped; its end if there is none.
    pub(crate) fn stamped(&self, range: Range<Sequence>) -> Sequence {
        (range.start.get()..range.end.get())
            .map(Sequence::from_word)
            .find(|sequence| !self.is_stamped(*sequence))
            .unwrap_or(range.end.max(range.start))
    }
}

/// Whether the bytes in the slot of `sequence` are a valid event: asked of a region that somebody else
/// has written, as one would ask of bytes from a disk.
#[cfg(not(loom))]
pub(crate) fn is_valid<E: Event>(region: &Region, sequence: Sequence) -> bool {
    let shape = region.shape();
    let slot = region.slot_ptr(sequence.get() & (shape.capacity - 1));
    // SAFETY: the stride covers the payload's offset and bytes (`Slots::stride`).
    let payload = unsafe { slot.add(shape.payload_at) };
    // SAFETY: in bounds as above, initialised; the region's lock is held and no producer runs, so
    // nobody writes it meanwhile.
    let bytes = unsafe { core::slice::from_raw_parts(payload.as_ptr(), shape.payload_bytes) };
    <E::Codec as Codec<E>>::view_payload_checked(bytes).is_some()
}

impl<E: Event> core::fmt::Debug for Slots<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Slots").field("event", &E::NAME).field("region", &self.region).finish()
    }
}
