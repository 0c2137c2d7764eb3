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

const CHUNK_SLOTS: usize = 8;

#[repr(C)]
struct Slot<P> {
    stamp: AtomicU64,
    payload: UnsafeCell<P>,
}

/// Slots from a cache line's start on, so that a small one never lies across two.
#[repr(C, align(64))]
struct Chunk<P>([Slot<P>; CHUNK_SLOTS]);

struct Ring<P> {
    chunks: Box<[Chunk<P>]>,
    gate: CachePadded<AtomicU64>,
}

// SAFETY: payloads are `Send`, and the invariant above leaves each to one thread at a time.
unsafe impl<P: Send> Sync for Ring<P> {}

impl<P> Ring<P> {
    #[inline(always)]
    fn capacity(&self) -> usize {
        self.chunks.len() * CHUNK_SLOTS
    }

    #[inline(always)]
    fn slot(&self, n: u64) -> &Slot<P> {
        let at = n as usize & (self.capacity() - 1);
        &self.chunks[at / CHUNK_SLOTS].0[at % CHUNK_SLOTS]
    }
}

pub(crate) struct Sender<P> {
    ring: Arc<Ring<P>>,
    gate: u64,
    next: u64,
}

impl<P: Plain> Tx for Sender<P> {
    #[inline(always)]
    fn send(&mut self, n: u64) {
        let capacity = self.ring.capacity() as u64;
        while self.next - self.gate == capacity {
            // ORDERING: Acquire; pairs with the Release in `drain`: what it passed was read.
            self.gate = self.ring.gate.load(Acquire);
            if self.next - self.gate == capacity {
                spin_loop();
            }
        }
        let slot = self.ring.slot(self.next);
        // SAFETY: the gate has passed what lay here, and the stamp does not say `next + 1` yet.
        unsafe { *slot.payload.get() = P::new(n) };
        self.next += 1;
        // ORDERING: Release; pairs with the Acquire in `take_next`; publishes the payload.
        slot.stamp.store(self.next, Release);
    }
}

pub(crate) struct Receiver<P> {
    ring: Arc<Ring<P>>,
    next: u64,
}

impl<P: Plain> Receiver<P> {
    #[inline(always)]
    fn take_next(&mut self) -> Option<Seen> {
        let slot = self.ring.slot(self.next);
        // ORDERING: Acquire; pairs with the Release in `send`.
        if slot.stamp.load(Acquire) != self.next + 1 {
            return None;
        }
        // SAFETY: stamped, and this thread's gate stands below.
        let seen = unsafe { &*slot.payload.get() }.look();
        self.next += 1;
        if self.next.is_multiple_of(self.ring.capacity() as u64 / 4) {
            // ORDERING: Release; pairs with the Acquire in `send`; ends the reads above.
            self.ring.gate.store(self.next, Release);
        }
        Some(seen)
    }
}

impl<P: Plain> Rx for Receiver<P> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        while let Some(seen) = self.take_next() {
            each(seen);
        }
    }
}

impl<P: Plain> OneByOne for Receiver<P> {
    #[inline(always)]
    fn take(&mut self) -> Option<Seen> {
        self.take_next()
    }
}

pub(crate) struct ByHand<P>(PhantomData<P>);

impl<P: Plain> Transport for ByHand<P> {
    type Payload = P;
    type Tx = Sender<P>;
    type Rx = Receiver<P>;

    fn about() -> About {
        About {
            name: "stamps by hand",
            configuration: "stamp and payload in a row; a gate moved once per quarter",
            published: None,
        }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        assert!(slots.is_power_of_two() && slots >= CHUNK_SLOTS);
        let slot = || Slot { stamp: AtomicU64::new(0), payload: UnsafeCell::new(P::new(0)) };
        let chunk = || Chunk(core::array::from_fn(|_| slot()));
        let chunks = std::iter::repeat_with(chunk).take(slots / CHUNK_SLOTS).collect();
        let ring = Arc::new(Ring { chunks, gate: CachePadded::new(AtomicU64::new(0)) });
        (Sender { ring: Arc::clone(&ring), gate: 0, next: 0 }, Receiver { ring, next: 0 })
    }
}
