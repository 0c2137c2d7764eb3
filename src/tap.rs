//! *Owns* lossy consumers. *Invariant*: a tap copies an event only while its gate pins it, and hands
//! out the copy; between copies it holds nobody up. *Source*: the pin is R5's joining, done again for
//! each look; the word `Lagged` is that of broadcast channels.
//!
//! Why a tap pins. It cannot validate what it copied by the slot's stamp, as a seqlock's reader does:
//! while a slot is being overwritten its old stamp still stands, and the bytes are stored plainly, so
//! an unpinned copy would race with them whatever is looked at afterwards. Pinned, it is a consumer
//! like any other, for as long as the copy takes: a producer that comes round meanwhile waits for one
//! copy of at most the tap's buffer, or for a scheduling quantum if the tap is preempted inside.

use crate::event::{Codec, Event};
use crate::ring::{GateIndex, Life, Ring, Slots, Stamp};
use crate::sequence::Sequence;
use rkyv::Archived;
use std::sync::Arc;

const ALIGN: usize = size_of::<u128>();

/// A consumer that never holds a producer up while it handles events, and misses some when it is
/// slow: for telemetry and screens.
///
/// It copies a few events at a time into a buffer of its own, which pins them for that long.
///
/// ```
/// # use tourbillon::{Bus, From, Tapped};
/// # #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
/// # #[event(name = "doc.tick", version = 1)]
/// # struct Tick { price: i64 }
/// let (mut producer, bus) = Bus::<Tick>::builder(4).start()?;
/// let mut tap = bus.tap("screen", From::Now, 2)?;
/// for price in 0..10 {
///     producer.publish(&Tick { price })?; // nobody gates
/// }
/// let (mut seen, mut skipped) = (Vec::new(), 0);
/// loop {
///     match tap.poll() {
///         Tapped::Event(tick, _) => seen.push(tick.price.to_native()),
///         Tapped::Lagged { skipped: more } => skipped += more,
///         _ => break,
///     }
/// }
/// assert_eq!(seen.len() as u64 + skipped, 10);
/// assert_eq!(seen.last(), Some(&9));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tap<E: Event> {
    slots: Slots<E>,
    /// The next sequence to copy.
    next: Sequence,
    gate: GateIndex,
    copies: Copies,
    ring: Arc<Ring>,
}

/// What a tap found.
#[must_use]
pub enum Tapped<'a, E: Event> {
    /// The next event, a copy, and its sequence.
    Event(&'a Archived<E>, Sequence),
    /// So many sequences were, or may have been, overwritten before they were copied.
    Lagged {
        /// Sequences that were skipped.
        skipped: u64,
    },
    /// Nothing is published.
    Idle,
    /// Nothing will come any more.
    Closed,
}

/// Payloads copied and not handed out yet.
struct Copies {
    memory: Box<[u128]>,
    /// Words of `memory` for each copy.
    words: usize,
    sequences: Vec<Sequence>,
    /// Copies handed out.
    lent: usize,
}

impl Copies {
    /// The place of copy number `at`: its archive is aligned to [`ALIGN`].
    fn place(&mut self, at: usize, prefix: usize) -> *mut u8 {
        let words = &mut self.memory[at * self.words..][..self.words];
        words.as_mut_ptr().cast::<u8>().wrapping_add(ALIGN - prefix)
    }
}

impl<E: Event> Tap<E> {
    const PREFIX: usize = <E::Codec as Codec<E>>::PREFIX;

    /// A tap at `gate`, which stays its own, over slots of `slot_bytes`.
    pub(crate) fn new(
        ring: &Arc<Ring>,
        slot_bytes: usize,
        gate: GateIndex,
        next: Sequence,
        events: usize,
    ) -> Self {
        ring.header().gate_table.park(gate);
        let slots = Slots::new(Arc::clone(ring.region()), slot_bytes);
        // A place in front of the archive for its prefix.
        let words = 1 + slots.payload_bytes().div_ceil(ALIGN);
        let copies = Copies {
            memory: vec![0; words * events].into_boxed_slice(),
            words,
            sequences: Vec::with_capacity(events),
            lent: 0,
        };
        Self { slots, next, gate, copies, ring: Arc::clone(ring) }
    }

    /// The next event, or why there is none. Never waits.
    pub fn poll(&mut self) -> Tapped<'_, E> {
        if self.copies.lent == self.copies.sequences.len()
            && let Some(skipped) = self.copy()
        {
            return Tapped::Lagged { skipped };
        }
        let at = self.copies.lent;
        let Some(&sequence) = self.copies.sequences.get(at) else {
            return if self.is_over() { Tapped::Closed } else { Tapped::Idle };
        };
        self.copies.lent += 1;
        let payload = self.copies.place(at, Self::PREFIX);
        // SAFETY: `copy` has put a whole payload there, and puts nothing there again before the
        // borrow of the tap is over.
        Tapped::Event(unsafe { <E::Codec as Codec<E>>::view(payload) }, sequence)
    }

    /// Copies what is published, as much as the buffer holds; `Some` with what was missed, and then
    /// nothing is copied.
    fn copy(&mut self) -> Option<u64> {
        self.copies.sequences.clear();
        self.copies.lent = 0;
        let gates = &self.ring.header().gate_table;
        if self.slots.stamp(self.next) == Stamp::Pending && gates.oldest() <= self.next {
            return None;
        }
        let oldest = gates.pin(self.gate, self.next);
        let skipped = oldest.events_since(self.next);
        self.next = self.next.max(oldest);
        if skipped == 0 {
            self.copy_pinned();
        }
        self.ring.header().gate_table.park(self.gate);
        (skipped > 0).then_some(skipped)
    }

    /// The half of `copy` that holds producers up.
    fn copy_pinned(&mut self) {
        while self.copies.sequences.len() < self.copies.sequences.capacity() {
            match self.slots.stamp(self.next) {
                Stamp::Pending => break,
                Stamp::Aborted => {}
                Stamp::Published => {
                    let place = self.copies.place(self.copies.sequences.len(), Self::PREFIX);
                    // SAFETY: the stamp says published and the gate is pinned at or below `next`.
                    // The place has room for a payload, and its archive is aligned.
                    unsafe { self.slots.copy_payload(self.next, place) };
                    self.copies.sequences.push(self.next);
                }
            }
            self.next = self.next.next();
        }
    }

    fn is_over(&self) -> bool {
        match self.ring.life() {
            Life::Open => false,
            Life::Draining => self.next >= self.ring.claimed_from(self.next),
            Life::Halted | Life::Stopped => true,
        }
    }
}

impl<E: Event> Drop for Tap<E> {
    fn drop(&mut self) {
        self.ring.header().gate_table.leave(self.gate);
    }
}

impl<E: Event> core::fmt::Debug for Tap<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tap").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<E: Event> core::fmt::Debug for Tapped<'_, E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Event(_, sequence) => f.debug_tuple("Event").field(sequence).finish(),
            Self::Lagged { skipped } => f.debug_struct("Lagged").field("skipped", skipped).finish(),
            Self::Idle => f.write_str("Idle"),
            Self::Closed => f.write_str("Closed"),
        }
    }
}
