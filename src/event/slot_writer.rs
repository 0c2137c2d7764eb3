//! *Owns* the serializer of one write into one slot: writer and scratch allocator in one.
//! *Invariant*: it writes within its slot, front to back and without a gap; what does not fit is
//! counted to its end and never written. *Source*: rkyv's `Buffer` and `SubAllocator`; the count that
//! goes on is `snprintf`'s.

use crate::error::{EventTooLarge, WriteError};
use core::{
    alloc::Layout,
    mem::{MaybeUninit, align_of, size_of},
    ptr::NonNull,
};
use rkyv::{
    Place,
    ser::{Allocator, Positional, Writer},
};

/// Most bytes of an archive: positions stay within rkyv's 32-bit offsets.
pub(crate) const ARCHIVE_BYTES_MAX: usize = 1 << 30;
/// Scratch of a producer, at least: resolvers of nested vectors, tables of maps.
const SCRATCH_BYTES_MIN: usize = 4096;
/// Scratch for each byte of a slot.
const SCRATCH_FACTOR: usize = 4;

/// A producer's block for intermediate results.
#[derive(Debug)]
pub struct Scratch(Box<[MaybeUninit<u128>]>);

impl Scratch {
    pub(super) fn for_slots_of(slot_bytes: usize) -> Self {
        let bytes = slot_bytes.saturating_mul(SCRATCH_FACTOR).max(SCRATCH_BYTES_MIN);
        Self(Box::new_uninit_slice(bytes.div_ceil(size_of::<u128>())))
    }
}

/// rkyv's serializer over one slot: writer and allocator in one, alive during one write.
///
/// While `needed` is 0 everything has fitted: `position + room` is the slot's capacity.
#[doc(hidden)]
#[derive(Debug)]
pub struct SlotWriter {
    bytes: *mut u8,
    position: usize,
    room: usize,
    /// Bytes needed so far, once they were more than the slot has.
    needed: usize,
    scratch: NonNull<u8>,
    scratch_used: usize,
    scratch_bytes: usize,
}

impl SlotWriter {
    /// A writer at `bytes`.
    ///
    /// # Safety
    /// - `bytes` is aligned to 16 and valid for writes of `capacity` bytes while this lives,
    ///   and nobody else touches them.
    /// - The same for `scratch`.
    #[inline(always)]
    pub(super) unsafe fn new(bytes: *mut u8, capacity: usize, scratch: &mut Scratch) -> Self {
        debug_assert!(capacity <= ARCHIVE_BYTES_MAX);
        let scratch_bytes = size_of_val(&*scratch.0);
        let scratch = NonNull::from(&mut *scratch.0).cast();
        Self {
            bytes,
            position: 0,
            room: capacity,
            needed: 0,
            scratch,
            scratch_used: 0,
            scratch_bytes,
        }
    }

    /// Counts `bytes` that do not fit, and from then on writes nothing more.
    ///
    /// Positions go on modulo [`ARCHIVE_BYTES_MAX`]: their alignment stays true, and rkyv's offsets
    /// between them stay within 32 bits. Nobody ever reads what is made of them.
    #[cold]
    #[inline(never)]
    fn overflow(&mut self, bytes: usize) {
        self.needed = self.needed.max(self.position).saturating_add(bytes);
        self.position = self.needed % ARCHIVE_BYTES_MAX;
        self.room = 0;
    }

    /// Makes room for the root and zeroes it and the padding before it; `None` if it does not fit.
    #[inline(always)]
    pub(super) fn root<A>(&mut self) -> Option<Place<A>> {
        let padding = self.position.wrapping_neg() & (align_of::<A>() - 1);
        let bytes = padding + size_of::<A>();
        if bytes > self.room || self.needed != 0 {
            self.overflow(bytes);
            return None;
        }
        // A constant, so that no call is made for a few bytes; the root covers what is too many.
        let zeros = if size_of::<A>() >= align_of::<A>() { align_of::<A>() } else { padding };
        // SAFETY: `position + room` is the capacity, and `zeros` at most `bytes`, which fit.
        let end = unsafe { self.bytes.add(self.position) };
        // SAFETY: as above; ours alone by the contract of `new`.
        unsafe { end.write_bytes(0, zeros) };
        // SAFETY: `bytes`, and so `padding`, fit.
        let root = unsafe { end.add(padding) }.cast::<A>();
        // SAFETY: the root fits behind its padding; `bytes` of `new` is aligned to 16, and no
        // archive of an event to more (`aligned`), so it is aligned.
        unsafe { root.write_bytes(0, 1) };
        let position = self.position + padding;
        self.position += bytes;
        self.room -= bytes;
        // SAFETY: aligned, writable and initialised, as above.
        Some(unsafe { Place::new_unchecked(position, root) })
    }

    /// Bytes written: the archive's, once its root is.
    #[inline(always)]
    pub(super) fn length(&self) -> u32 {
        self.position as u32
    }

    /// The outcome of a write that did not fit.
    #[cold]
    pub(super) fn too_large(&self, slot_bytes: usize) -> WriteError {
        WriteError::TooLarge(EventTooLarge { needed: self.needed, slot_bytes })
    }

    /// Whether `memory`, which is not of size zero, is a part of the scratch.
    fn holds(&self, memory: NonNull<u8>) -> bool {
        let offset = memory.as_ptr().addr().wrapping_sub(self.scratch.as_ptr().addr());
        offset < self.scratch_bytes
    }
}

impl Positional for SlotWriter {
    #[inline(always)]
    fn pos(&self) -> usize {
        self.position
    }
}

impl<E> Writer<E> for SlotWriter {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> Result<(), E> {
        if bytes.len() > self.room {
            self.overflow(bytes.len());
            return Ok(());
        }
        let end = self.bytes.wrapping_add(self.position);
        // SAFETY: the bytes fit into the room, which lies at `position`, or there are none of them;
        // the slot is ours alone, so they come from elsewhere.
        unsafe { copy(bytes, end) };
        self.position += bytes.len();
        self.room -= bytes.len();
        Ok(())
    }
}

// SAFETY: a block is either a part of the scratch behind all parts in use, or of the heap alone.
unsafe impl<E> Allocator<E> for SlotWriter {
    #[inline(always)]
    unsafe fn push_alloc(&mut self, layout: Layout) -> Result<NonNull<[u8]>, E> {
        let padding = (self.scratch.as_ptr().addr() + self.scratch_used).wrapping_neg()
            & (layout.align() - 1);
        let memory = match padding.checked_add(layout.size()) {
            Some(bytes) if bytes <= self.scratch_bytes - self.scratch_used => {
                let offset = self.scratch_used + padding;
                self.scratch_used += bytes;
                // SAFETY: within the scratch, as just compared.
                unsafe { self.scratch.add(offset) }
            }
            // SAFETY: not of size zero, by the caller's contract.
            _ => unsafe { beyond_scratch(layout) },
        };
        Ok(NonNull::slice_from_raw_parts(memory, layout.size()))
    }

    #[inline(always)]
    unsafe fn pop_alloc(&mut self, memory: NonNull<u8>, layout: Layout) -> Result<(), E> {
        if self.holds(memory) {
            self.scratch_used = memory.as_ptr().addr() - self.scratch.as_ptr().addr();
        } else {
            // SAFETY: not of the scratch, so `beyond_scratch` made it, of this layout by contract.
            unsafe { std::alloc::dealloc(memory.as_ptr(), layout) };
        }
        Ok(())
    }
}

/// Copies `bytes` to `to`: the lengths of names and small bodies by two or four stores that overlap,
/// where a call would cost as much as the copy.
///
/// # Safety
/// - `to` is valid for writes of `bytes.len()` bytes, and not a part of `bytes`.
#[inline(always)]
unsafe fn copy(bytes: &[u8], to: *mut u8) {
    let (from, count) = (bytes.as_ptr(), bytes.len());
    let part = |offset: usize, part_bytes: usize| {
        // SAFETY: the parts asked for below lie within `count`.
        let from = unsafe { from.add(offset) };
        // SAFETY: as above.
        let to = unsafe { to.add(offset) };
        // SAFETY: as above.
        unsafe { to.copy_from_nonoverlapping(from, part_bytes) };
    };
    match count {
        8..16 => {
            part(0, 8);
            part(count - 8, 8);
        }
        16..=32 => {
            part(0, 16);
            part(count - 16, 16);
        }
        33..=64 => {
            part(0, 32);
            part(count - 32, 32);
        }
        _ => part(0, count),
    }
}

/// A block of the heap, for an event whose scratch is more than its producer's block. It leaks if
/// the event's own serializer unwinds.
///
/// # Safety
/// - `layout` is not of size zero.
#[cold]
#[inline(never)]
unsafe fn beyond_scratch(layout: Layout) -> NonNull<u8> {
    // SAFETY: by contract.
    let memory = unsafe { std::alloc::alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| std::alloc::handle_alloc_error(layout))
}
