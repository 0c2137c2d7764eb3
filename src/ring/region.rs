//! *Owns* the one block of memory in which a ring lives: header, cursors, gates, names, slots.
//! *Invariant* (R8): it holds no pointer, its layout is fixed by [`Shape`], every atomic in it stays
//! valid until the last handle is gone, and no field of it is believed before it was checked if
//! somebody else may have written it. *Source*: Aeron's log buffers, for the idea that a buffer's
//! whole state lies inside the buffer.
//!
//! ```text
//!  0        8         12       16         24       32         40      44     48       52        56
//!  ├────────┼─────────┼────────┼──────────┼────────┼──────────┼───────┼──────┼────────┼─────────┤
//!  │ magic  │ layout  │ header │ capacity │ stride │ slots at │ gates │ kind │ event  │ payload │
//!  │        │ version │ bytes  │          │ bytes  │          │       │      │ version│ at      │
//!  └────────┴─────────┴────────┴──────────┴────────┴──────────┴───────┴──────┴────────┴─────────┘
//!  56       64            80           96                       128                          192
//!  ├────────┼─────────────┼────────────┼────────────────────────┼─────────────────────────────┤
//!  │ born   │ fingerprint │ payload    │ zero                   │ event name, zero-padded     │
//!  │        │             │ bytes, 0   │                        │                             │
//!  └────────┴─────────────┴────────────┴────────────────────────┴─────────────────────────────┘
//!  256       384     512      640                       4736    4864      4928        6976   page
//!  ├─────────┼───────┼────────┼─────────────────────────┼───────┼─────────┼───────────┼──────┤
//!  │ claimed │ limit │ joined │ gate 0 … gate 31        │ state │ roll,   │ name 0 …  │ slot │
//!  │ cursor  │ cursor│ word   │ two lines each          │       │ journal │ name 31   │ 0 …  │
//!  └─────────┴───────┴────────┴─────────────────────────┴───────┴─────────┴───────────┴──────┘
//! ```
//!
//! Numbers are native: the magic reads backwards on a machine of the other byte order. Everything
//! below 256 is written once; the hot words stand on lines of their own.

use crate::cursor::Cursor;
use crate::event::SchemaId;
use crate::ring::error::RegionError;
#[cfg(not(loom))]
use crate::ring::error::RegionFault;
use crate::ring::gate::Gates;
use crate::ring::memory::{Granted, Memory, MemoryOptions, PAGE_BYTES};
use crate::ring::names::Names;
use crate::ring::slot::SlotHead;
use crate::ring::state::{JournalEnd, Roll, State};
use crate::sequence::Sequence;
use core::{
    mem::{align_of, needs_drop, size_of},
    ptr::NonNull,
};

const MAGIC: u64 = u64::from_le_bytes(*b"TRBLRING");
const LAYOUT_VERSION: u32 = 2;
/// Bytes of an event's name that are kept; the fingerprint tells longer ones apart.
const EVENT_NAME_BYTES: usize = 64;

/// The capacity of a shape that fits a region of any capacity.
#[cfg(not(loom))]
pub(crate) const ANY_CAPACITY: usize = 0;

/// The payload of a shape that fits a region of framed events of any size.
#[cfg(not(loom))]
pub(crate) const ANY_PAYLOAD: usize = 0;

/// Bytes from one slot to the next, for slots of `bytes`: no slot straddles a line, none is padded
/// to one.
#[inline(always)]
pub(crate) const fn stride_of(bytes: usize) -> usize {
    if bytes <= LINE_BYTES {
        bytes.next_power_of_two()
    } else {
        (bytes.saturating_add(LINE_BYTES - 1) / LINE_BYTES).saturating_mul(LINE_BYTES)
    }
}

const LINE_BYTES: usize = 64;

/// How the producers of a ring win sequences: what a successor must know to read its stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Producers {
    /// Stamped first, then claimed: one producer.
    Single = 0,
    /// Claimed first, then stamped.
    #[cfg_attr(not(test), allow(dead_code, reason = "named by regions alone so far"))]
    Multi = 1,
}

/// What a ring is made of, and whose events it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Slots; a power of two.
    pub(crate) capacity: u64,
    /// Bytes from one slot to the next.
    pub(crate) stride: usize,
    /// Where in a slot the payload begins.
    pub(crate) payload_at: usize,
    /// Bytes of a payload.
    pub(crate) payload_bytes: usize,
    /// The event type.
    pub(crate) event: SchemaId,
    pub(crate) producers: Producers,
}

impl Shape {
    /// Bytes of the whole region, `None` if it exceeds the address space.
    pub(crate) fn bytes(self) -> Option<usize> {
        let slots = usize::try_from(self.capacity).ok()?.checked_mul(self.stride)?;
        let bytes = SLOTS_OFFSET_BYTES.checked_add(slots)?;
        (bytes <= isize::MAX as usize - PAGE_BYTES).then_some(bytes)
    }
}

/// What stands in front of the slots. Identity first: a later process that finds this region in a
/// named file reads it before anything else.
#[repr(C)]
pub(crate) struct Header {
    identity: Identity,
    /// Producers' claim counter: everything below is claimed, and published or about to be. What
    /// an only producer has published since it told is known by the stamps.
    pub(crate) claimed: Cursor,
    pub(crate) gate_table: Gates,
    pub(crate) state: State,
    pub(crate) roll: Roll,
    pub(crate) journal_end: JournalEnd,
    pub(crate) names: Names,
}

/// Who a region is. Every field is checked by [`Identity::check`].
#[repr(C, align(256))]
#[derive(Clone, Copy)]
struct Identity {
    magic: u64,
    layout_version: u32,
    header_bytes: u32,
    capacity: u64,
    stride: u64,
    slots_at: u64,
    gates: u32,
    producers: u32,
    event_version: u32,
    payload_at: u32,
    born: u64,
    fingerprint: [u8; 16],
    payload_bytes: u64,
    zero: [u64; 5],
    event_name: [u8; EVENT_NAME_BYTES],
}

/// Where the slots begin: a page of their own.
const SLOTS_OFFSET_BYTES: usize = size_of::<Header>().next_multiple_of(PAGE_BYTES);

const _: () = assert!(align_of::<Header>() <= PAGE_BYTES);
const _: () = assert!(align_of::<SlotHead>() <= 64);

/// The drawing above, summed.
#[cfg(all(not(loom), target_pointer_width = "64", target_arch = "x86_64"))]
const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(Identity, fingerprint) == 64);
    assert!(offset_of!(Identity, event_name) == 128);
    assert!(size_of::<Identity>() == 256);
    assert!(offset_of!(Header, claimed) == 256);
    assert!(offset_of!(Header, gate_table) == 384);
    assert!(size_of::<Gates>() == (2 + Gates::COUNT) * 128);
    assert!(offset_of!(Header, state) == 4736);
    assert!(offset_of!(Header, roll) == 4864);
    assert!(offset_of!(Header, names) == 4928);
    assert!(SLOTS_OFFSET_BYTES == 8192);
};

impl Identity {
    fn of(shape: Shape, born: Sequence) -> Self {
        let mut event_name = [0; EVENT_NAME_BYTES];
        let kept = shape.event.name.len().min(EVENT_NAME_BYTES);
        event_name[..kept].copy_from_slice(&shape.event.name.as_bytes()[..kept]);
        Self {
            magic: MAGIC,
            layout_version: LAYOUT_VERSION,
            header_bytes: size_of::<Header>() as u32,
            capacity: shape.capacity,
            stride: shape.stride as u64,
            slots_at: SLOTS_OFFSET_BYTES as u64,
            gates: Gates::COUNT as u32,
            producers: shape.producers as u32,
            event_version: shape.event.version,
            payload_at: shape.payload_at as u32,
            born: born.get(),
            fingerprint: shape.event.fingerprint.to_le_bytes(),
            payload_bytes: shape.payload_bytes as u64,
            zero: [0; 5],
            event_name,
        }
    }

    /// Whether this is the region that a bus of `shape` may use.
    #[cfg(not(loom))]
    fn check(&self, shape: Shape) -> Result<Producers, RegionFault> {
        if self.magic != MAGIC {
            return Err(RegionFault::Magic { found: self.magic });
        }
        if self.layout_version != LAYOUT_VERSION {
            let (found, expected) = (self.layout_version, LAYOUT_VERSION);
            return Err(RegionFault::LayoutVersion { found, expected });
        }
        let own = Self::of(shape, Sequence::ZERO);
        if (self.event_name, self.event_version, self.fingerprint)
            != (own.event_name, own.event_version, own.fingerprint)
        {
            let (found, expected) = (self.event(), own.event());
            return Err(RegionFault::Event { found, expected });
        }
        let fields = [
            ("header size in bytes", self.header_bytes.into(), own.header_bytes.into()),
            ("capacity", self.capacity, own.capacity),
            ("stride in bytes", self.stride, own.stride),
            ("offset of the slots", self.slots_at, own.slots_at),
            ("number of gates", self.gates.into(), own.gates.into()),
            ("offset of a payload", self.payload_at.into(), own.payload_at.into()),
            ("payload size in bytes", self.payload_bytes, own.payload_bytes),
            ("reserved space", self.zero.iter().fold(0, |all, word| all | word), 0),
        ];
        for (field, found, expected) in fields {
            if found != expected {
                return Err(RegionFault::Shape { field, found, expected });
            }
        }
        if self.born > Sequence::MAX.get() {
            let (found, expected) = (self.born, Sequence::MAX.get());
            return Err(RegionFault::Shape { field: "first sequence", found, expected });
        }
        match self.producers {
            0 => Ok(Producers::Single),
            1 => Ok(Producers::Multi),
            found => {
                let (field, found) = ("kind of producers", found.into());
                Err(RegionFault::Shape { field, found, expected: own.producers.into() })
            }
        }
    }

    /// Name, version and fingerprint of the event, for people.
    #[cfg(not(loom))]
    fn event(&self) -> String {
        let name = String::from_utf8_lossy(&self.event_name);
        let fingerprint = u128::from_le_bytes(self.fingerprint);
        let name = name.trim_end_matches('\0').escape_debug();
        format!("{name} v{} (fingerprint {fingerprint:032x})", self.event_version)
    }
}

/// A ring's memory. Handles share it by `Arc`; what they may touch is theirs to prove.
pub(crate) struct Region {
    memory: Memory,
    shape: Shape,
    /// The region has a name, so a successor may want what is in it.
    is_named: bool,
}

// SAFETY: a region is memory plus atomics; `Slots` and the guards built on it prove who reads and
// writes the bytes in between.
unsafe impl Send for Region {}
// SAFETY: as above; all that `Region` itself hands out by shared reference is atomic, or never
// written again.
unsafe impl Sync for Region {}

impl Region {
    /// A region of this process alone, whose next event is `start`.
    pub(crate) fn anonymous(
        shape: Shape,
        start: Sequence,
        options: MemoryOptions,
    ) -> Result<Self, RegionError> {
        let bytes = shape.bytes().ok_or(RegionError::TooLarge)?;
        Ok(Self::born(Memory::anonymous(bytes, options)?, shape, start, false))
    }

    /// A region in zeroed memory that nobody else knows.
    pub(crate) fn born(memory: Memory, shape: Shape, start: Sequence, is_named: bool) -> Self {
        debug_assert!(shape.capacity.is_power_of_two() && shape.capacity >= 2);
        debug_assert!(shape.stride >= size_of::<SlotHead>());
        let region = Self { memory, shape, is_named };
        region.birth(start);
        region
    }

    /// The region that lies in `memory`, as far as size and identity can tell. Cursors and stamps
    /// may be anything yet. Gives how its producers won their sequences.
    #[cfg(not(loom))]
    pub(crate) fn found(
        memory: Memory,
        mut shape: Shape,
    ) -> Result<(Self, Producers), RegionFault> {
        let truncated = |needed| RegionFault::Truncated { bytes: memory.bytes(), needed };
        if memory.bytes() < size_of::<Header>() {
            return Err(truncated(size_of::<Header>()));
        }
        // SAFETY: in bounds as just checked; aligned to a page; any bytes are an `Identity`.
        let identity = unsafe { memory.base().cast::<Identity>().read() };
        if shape.capacity == ANY_CAPACITY as u64 {
            shape.capacity = identity.capacity;
        }
        if shape.payload_bytes == ANY_PAYLOAD {
            shape.payload_bytes = usize::try_from(identity.payload_bytes).unwrap_or(usize::MAX);
            shape.stride = stride_of(shape.payload_at.saturating_add(shape.payload_bytes));
        }
        let producers = identity.check(shape)?;
        if !shape.capacity.is_power_of_two() || shape.capacity < 2 {
            let (field, found) = ("capacity", shape.capacity);
            return Err(RegionFault::Shape { field, found, expected: 2 });
        }
        let needed = shape.bytes().unwrap_or(usize::MAX);
        if memory.bytes() < needed {
            return Err(truncated(needed));
        }
        Ok((Self { memory, shape, is_named: true }, producers))
    }

    /// Writes the header into zeroed memory. Slot heads are born zeroed.
    fn birth(&self, start: Sequence) {
        let header = Header {
            identity: Identity::of(self.shape, start),
            claimed: Cursor::new(start),
            gate_table: Gates::new(start),
            state: State::open(),
            roll: Roll::empty(),
            journal_end: JournalEnd::not_yet(),
            names: Names::none(),
        };
        // SAFETY: the header lies at the start of the memory, page aligned, unshared.
        unsafe { self.memory.base().cast::<Header>().write(header) };
        if cfg!(loom) {
            for index in 0..self.shape.capacity {
                // SAFETY: `slot_ptr` is in bounds and aligned; the region is unshared.
                unsafe { self.slot_ptr(index).cast::<SlotHead>().write(SlotHead::never_written()) };
            }
        }
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: written by `birth`, or any bytes of a size and identity that `found` has checked:
        // plain numbers and atomics alone. Alive as long as the region.
        unsafe { self.memory.base().cast::<Header>().as_ref() }
    }

    /// First slot; `capacity` slots lie `stride` bytes apart from here on.
    pub(crate) fn slots(&self) -> NonNull<u8> {
        // SAFETY: the memory holds the slots behind this offset.
        unsafe { self.memory.base().add(SLOTS_OFFSET_BYTES) }
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    pub(crate) fn is_named(&self) -> bool {
        self.is_named
    }

    pub(crate) fn granted(&self) -> &Granted {
        self.memory.granted()
    }

    /// The first sequence that the region ever held.
    #[cfg(not(loom))]
    pub(crate) fn born_at(&self) -> u64 {
        self.header().identity.born
    }

    /// Writes down how sequences are won from now on.
    ///
    /// Takes the region whole: nobody reads its identity meanwhile.
    #[cfg(not(loom))]
    pub(crate) fn set_producers(&mut self, producers: Producers) {
        self.shape.producers = producers;
        // SAFETY: the header is in bounds (`found`), and `&mut` says that no reference to it is left.
        let header = unsafe { self.memory.base().cast::<Header>().as_mut() };
        header.identity.producers = producers as u32;
    }

    /// The first byte of all.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn memory_base(&self) -> NonNull<u8> {
        self.memory.base()
    }

    /// The first bytes of the slot at `index`.
    pub(crate) fn slot_ptr(&self, index: u64) -> NonNull<u8> {
        assert!(index < self.shape.capacity, "a slot of this region");
        // SAFETY: index < capacity, so the offset lies within the memory.
        unsafe { self.slots().add(index as usize * self.shape.stride) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // Plain memory leaves nothing behind, and in a file everything is meant to stay.
        if needs_drop::<SlotHead>() {
            for index in 0..self.shape.capacity {
                // SAFETY: written by `birth`, dropped once, nobody else is left.
                unsafe { self.slot_ptr(index).cast::<SlotHead>().drop_in_place() };
            }
        }
        if needs_drop::<Header>() {
            // SAFETY: as above.
            unsafe { self.memory.base().cast::<Header>().drop_in_place() };
        }
    }
}

impl core::fmt::Debug for Region {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Region")
            .field("shape", &self.shape)
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}
