//! *Owns* a limit: stamps and payloads in a row, and next to nothing else. *Invariant*: the
//! consumer reads number `n` only while its slot says `n + 1`; the producer writes a slot only
//! after the gate, which the consumer moves once per quarter of a lap, has passed the number that
//! lay there. *Source*: Vyukov's stamped slots, with one gate for all.

use crate::numbered::{Plain, Seen};
use crate::transport::{About, OneByOne, Rx, Transport, Tx};
use crossbeam_utils::CachePadded;
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};

const LINE_BYTES: usize = 64;

#[repr(C)]
struct Slot<P> {
    stamp: AtomicU64,
    payload: UnsafeCell<P>,
}

/// Zeroes at first, which are an empty stamp and some payload: a [`Pod`](photon_ring::Pod) each.
#[repr(C, align(64))]
struct Line(UnsafeCell<[u64; LINE_BYTES / size_of::<u64>()]>);

/// Slots from a cache line's start on, `stride` bytes from each to the next.
struct Ring<P> {
    lines: Box<[Line]>,
    capacity: usize,
    gate: CachePadded<AtomicU64>,
    payload: PhantomData<P>,
}

/// From slot to slot: no more than needed, or as tourbillon has them, so that none needlessly lies
/// across two lines.
const fn stride_bytes<P>(is_ours: bool) -> usize {
    let bytes = size_of::<Slot<P>>();
    match (is_ours, bytes <= LINE_BYTES) {
        (false, _) => bytes,
        (true, true) => bytes.next_power_of_two(),
        (true, false) => bytes.next_multiple_of(LINE_BYTES),
    }
}

/// Whether the two rows would be one.
pub(crate) fn by_hand_has_our_stride<P>() -> bool {
    stride_bytes::<P>(false) == stride_bytes::<P>(true)
}

// SAFETY: payloads are `Send`, and the invariant above leaves each to one thread at a time.
unsafe impl<P: Send> Sync for Ring<P> {}

impl<P: Plain> Ring<P> {
    fn new(slots: usize, stride_bytes: usize) -> Self {
        const { assert!(align_of::<P>() <= align_of::<u64>()) };
        assert!(slots.is_power_of_two());
        let line = || Line(UnsafeCell::new([0; LINE_BYTES / size_of::<u64>()]));
        let count = (slots * stride_bytes).div_ceil(LINE_BYTES);
        let lines = std::iter::repeat_with(line).take(count).collect();
        let gate = CachePadded::new(AtomicU64::new(0));
        Self { lines, capacity: slots, gate, payload: PhantomData }
    }

    #[inline(always)]
    fn slot<const OURS: bool>(&self, n: u64) -> &Slot<P> {
        let at = n as usize & (self.capacity - 1);
        // SAFETY: `at` is below the capacity, and the lines hold as many slots of this stride: an
        // end takes its `OURS` from the transport that made the ring.
        let slot = unsafe { self.lines.as_ptr().byte_add(at * const { stride_bytes::<P>(OURS) }) };
        // SAFETY: in bounds, aligned as a `u64`, initialised, and all of it in cells.
        unsafe { &*slot.cast::<Slot<P>>() }
    }
}

pub(crate) struct Sender<P, const OURS: bool> {
    ring: Arc<Ring<P>>,
    gate: u64,
    next: u64,
}

impl<P: Plain, const OURS: bool> Tx for Sender<P, OURS> {
    #[inline(always)]
    fn send(&mut self, n: u64) {
        let capacity = self.ring.capacity as u64;
        while self.next - self.gate == capacity {
            // ORDERING: Acquire; pairs with the Release in `drain`: what it passed was read.
            self.gate = self.ring.gate.load(Acquire);
            if self.next - self.gate == capacity {
                spin_loop();
            }
        }
        let slot = self.ring.slot::<OURS>(self.next);
        // SAFETY: the gate has passed what lay here, and the stamp does not say `next + 1` yet.
        unsafe { *slot.payload.get() = P::new(n) };
        self.next += 1;
        // ORDERING: Release; pairs with the Acquire in `take_next`; publishes the payload.
        slot.stamp.store(self.next, Release);
    }
}

pub(crate) struct Receiver<P, const OURS: bool> {
    ring: Arc<Ring<P>>,
    next: u64,
}

impl<P: Plain, const OURS: bool> Receiver<P, OURS> {
    #[inline(always)]
    fn take_next(&mut self) -> Option<Seen> {
        let slot = self.ring.slot::<OURS>(self.next);
        // ORDERING: Acquire; pairs with the Release in `send`.
        if slot.stamp.load(Acquire) != self.next + 1 {
            return None;
        }
        // SAFETY: stamped, and this thread's gate stands below.
        let seen = unsafe { &*slot.payload.get() }.look();
        self.next += 1;
        if self.next.is_multiple_of(self.ring.capacity as u64 / 4) {
            // ORDERING: Release; pairs with the Acquire in `send`; ends the reads above.
            self.ring.gate.store(self.next, Release);
        }
        Some(seen)
    }
}

impl<P: Plain, const OURS: bool> Rx for Receiver<P, OURS> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        while let Some(seen) = self.take_next() {
            each(seen);
        }
    }
}

impl<P: Plain, const OURS: bool> OneByOne for Receiver<P, OURS> {
    #[inline(always)]
    fn take(&mut self) -> Option<Seen> {
        self.take_next()
    }
}

pub(crate) struct ByHand<P, const OURS: bool = false>(PhantomData<P>);

impl<P: Plain, const OURS: bool> Transport for ByHand<P, OURS> {
    type Payload = P;
    type Tx = Sender<P, OURS>;
    type Rx = Receiver<P, OURS>;

    fn about() -> About {
        let (name, configuration) = if OURS {
            ("stamps by hand, ours' stride", "as stamps by hand, strides as tourbillon's")
        } else {
            ("stamps by hand", "stamp and payload in a row; a gate moved once per quarter")
        };
        About { name, configuration, published: None }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let ring = Arc::new(Ring::new(slots, stride_bytes::<P>(OURS)));
        (Sender { ring: Arc::clone(&ring), gate: 0, next: 0 }, Receiver { ring, next: 0 })
    }
}
