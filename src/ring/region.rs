//! *Owns* the one block of memory in which a ring lives: header, cursors, gates, slots.
//! *Invariant*: it holds no pointer, its layout is fixed by [`Shape`], and every atomic in it stays
//! valid until the last handle is gone. *Source*: Aeron's log buffers, for the idea that a buffer's
//! whole state lies inside the buffer.
//!
//! ```text
//!  0                 128       256      384      512                           page
//!  ├─────────────────┼─────────┼────────┼────────┼──────────────────────┼───────┼──────────┤
//!  │ magic, version, │ claimed │ limit  │ joined │ gate 0 … gate G−1    │ state │ slot 0 … │
//!  │ shape, identity │ cursor  │ cursor │ word   │ two lines each       │ roll  │          │
//!  └─────────────────┴─────────┴────────┴────────┴──────────────────────┴───────┴──────────┘
//! ```

use crate::cursor::Cursor;
use crate::ring::gate::Gates;
use crate::ring::slot::SlotHead;
use crate::ring::state::{JournalEnd, Roll, State};
use crate::sequence::Sequence;
use core::{
    mem::{align_of, needs_drop, size_of},
    ptr::NonNull,
};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

const MAGIC: u64 = u64::from_le_bytes(*b"TRBLRING");
const LAYOUT_VERSION: u32 = 1;
const PAGE_BYTES: usize = 4096;

/// Capacity and stride of a ring, and whose events it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Slots; a power of two.
    pub(crate) capacity: u64,
    /// Bytes from one slot to the next.
    pub(crate) stride: usize,
    /// Fingerprint of the event type.
    pub(crate) fingerprint: u128,
}

impl Shape {
    /// The whole region's layout, `None` if it exceeds the address space.
    fn layout(self) -> Option<Layout> {
        let slots = usize::try_from(self.capacity).ok()?.checked_mul(self.stride)?;
        Layout::from_size_align(slots_offset_bytes().checked_add(slots)?, PAGE_BYTES).ok()
    }
}

/// What stands in front of the slots. Identity first: a later process that finds this region in a
/// named file reads it before anything else.
#[repr(C)]
pub(crate) struct Header {
    magic: u64,
    layout_version: u32,
    gates: u32,
    capacity: u64,
    stride: u64,
    fingerprint: [u8; 16],
    /// Producers' claim counter: everything below is claimed, and published or about to be.
    pub(crate) claimed: Cursor,
    pub(crate) gate_table: Gates,
    pub(crate) state: State,
    pub(crate) roll: Roll,
    pub(crate) journal_end: JournalEnd,
}

const fn slots_offset_bytes() -> usize {
    size_of::<Header>().next_multiple_of(PAGE_BYTES)
}

const _: () = assert!(align_of::<Header>() <= PAGE_BYTES);
const _: () = assert!(align_of::<SlotHead>() <= 64);

/// A ring's memory. Handles share it by `Arc`; what they may touch is theirs to prove.
pub(crate) struct Region {
    base: NonNull<u8>,
    layout: Layout,
    shape: Shape,
}

// SAFETY: a region is memory plus atomics; `Slots` and the guards built on it prove who reads and
// writes the bytes in between.
unsafe impl Send for Region {}
// SAFETY: as above; all that `Region` itself hands out by shared reference is atomic.
unsafe impl Sync for Region {}

impl Region {
    /// Allocates and prefaults a region whose next event is `start`.
    ///
    /// `None` if the shape exceeds the address space.
    pub(crate) fn new(shape: Shape, start: Sequence) -> Option<Self> {
        debug_assert!(shape.capacity.is_power_of_two() && shape.capacity >= 2);
        debug_assert!(shape.stride >= size_of::<SlotHead>());
        let layout = shape.layout()?;
        // SAFETY: the layout is not empty: it holds a header.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(base) = NonNull::new(memory) else { handle_alloc_error(layout) };
        let region = Self { base, layout, shape };
        region.prefault();
        region.birth(start);
        Some(region)
    }

    /// Touches every page, so that no publish takes a fault later.
    fn prefault(&self) {
        for offset_bytes in (0..self.layout.size()).step_by(PAGE_BYTES) {
            // SAFETY: `offset_bytes` lies within the allocation.
            let page = unsafe { self.base.add(offset_bytes) };
            // SAFETY: in bounds as above, and nobody else knows the allocation yet. Volatile, since
            // the page is already zero in the compiler's eyes.
            unsafe { page.write_volatile(0) };
        }
    }

    /// Writes header and slot heads into zeroed memory.
    fn birth(&self, start: Sequence) {
        let header = Header {
            magic: MAGIC,
            layout_version: LAYOUT_VERSION,
            gates: Gates::COUNT as u32,
            capacity: self.shape.capacity,
            stride: self.shape.stride as u64,
            fingerprint: self.shape.fingerprint.to_le_bytes(),
            claimed: Cursor::new(start),
            gate_table: Gates::new(start),
            state: State::open(),
            roll: Roll::empty(),
            journal_end: JournalEnd::not_yet(),
        };
        // SAFETY: the header lies at the start of the allocation, page aligned, unshared.
        unsafe { self.base.cast::<Header>().write(header) };
        for index in 0..self.shape.capacity {
            // SAFETY: `slot_ptr` is in bounds and aligned; the region is unshared.
            unsafe { self.slot_ptr(index).cast::<SlotHead>().write(SlotHead::never_written()) };
        }
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: written by `birth`, and alive as long as the region.
        unsafe { self.base.cast::<Header>().as_ref() }
    }

    /// First slot; `capacity` slots lie `stride` bytes apart from here on.
    pub(crate) fn slots(&self) -> NonNull<u8> {
        // SAFETY: the layout holds the slots behind this offset.
        unsafe { self.base.add(slots_offset_bytes()) }
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    pub(super) fn slot_ptr(&self, index: u64) -> NonNull<u8> {
        debug_assert!(index < self.shape.capacity);
        // SAFETY: index < capacity, so the offset lies within the layout.
        unsafe { self.slots().add(index as usize * self.shape.stride) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if needs_drop::<SlotHead>() {
            for index in 0..self.shape.capacity {
                // SAFETY: written by `birth`, dropped once, nobody else is left.
                unsafe { self.slot_ptr(index).cast::<SlotHead>().drop_in_place() };
            }
        }
        // SAFETY: as above.
        unsafe { self.base.cast::<Header>().drop_in_place() };
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

impl core::fmt::Debug for Region {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Region")
            .field("shape", &self.shape)
            .field("bytes", &self.layout.size())
            .finish()
    }
}
