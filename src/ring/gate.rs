//! *Owns* the gates: the consumers' cursors that producers may not lap. *Invariant* (R5): a slot of
//! sequence `n` is overwritten only after every gate has passed `n`, also when gates come and go.
//! *Source*: the LMAX Disruptor's gating sequences; the two-sided fence is Dekker's.
//!
//! Why nobody is lapped. A producer announces in `limit` the sequence `w` below which slots may be
//! overwritten, fences, and scans again. A newcomer stores its gate `s`, fences, and reads `limit`.
//! Of the two fences one comes first in the single order of all sequentially consistent fences:
//!
//! - the producer's: the newcomer reads `limit` ≥ `w`. If `s` < `w` it has lost and moves up to
//!   `limit`; otherwise its slots were never given away.
//! - the newcomer's: the producer's second scan sees the gate `s` and goes no further than it.

#[cfg(not(loom))]
mod found;

use crate::cursor::Cursor;
use crate::sequence::Sequence;
use crate::sync::{AtomicU64, Ordering, fence};
use crossbeam_utils::CachePadded;

/// No consumer stands here; also larger than any sequence, so that a scan passes it by.
const VACANT: u64 = u64::MAX;

/// One gate: a consumer's cursor, or vacant.
type Gate = CachePadded<AtomicU64>;

/// The fixed table of gates and the announced limit.
#[repr(C)]
pub(crate) struct Gates {
    /// Everything below may be overwritten already.
    limit: Cursor,
    /// Gates below this index have been in use; scans end here.
    joined: CachePadded<AtomicU64>,
    gates: [Gate; Gates::COUNT],
}

/// A place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GateIndex(usize);

impl GateIndex {
    pub(crate) fn get(self) -> usize {
        self.0
    }
}

impl Gates {
    /// Gates of a ring.
    pub(crate) const COUNT: usize = if cfg!(loom) { 3 } else { 32 };

    pub(crate) fn new(start: Sequence) -> Self {
        Self {
            limit: Cursor::new(start),
            joined: CachePadded::new(AtomicU64::new(0)),
            gates: core::array::from_fn(|_| CachePadded::new(AtomicU64::new(VACANT))),
        }
    }

    /// Takes a vacant gate at `from`, or at the oldest sequence still in the ring if that is later.
    ///
    /// Safe while producers publish. `None` if all gates are taken.
    pub(crate) fn join(&self, from: Sequence) -> Option<(GateIndex, Sequence)> {
        let index = (0..Self::COUNT).find(|&index| {
            // ORDERING: Acquire on success pairs with the Release in `leave`: the gate's last
            // owner is done with its slots. Relaxed on failure: nothing is read.
            self.gates[index]
                .compare_exchange(VACANT, from.get(), Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        })?;
        // ORDERING: Relaxed; the fence below orders it before the read of `limit`.
        self.joined.fetch_max(index as u64 + 1, Ordering::Relaxed);
        // ORDERING: SeqCst fence; partner of the fence in `announce`, see the proof above.
        fence(Ordering::SeqCst);
        let gate = GateIndex(index);
        let limit = self.limit.acquire();
        if from < limit {
            self.publish(gate, limit);
        }
        Some((gate, from.max(limit)))
    }

    /// Gives a gate up; the producers' next scan passes it by.
    pub(crate) fn leave(&self, gate: GateIndex) {
        // ORDERING: Release; pairs with the Acquire in `slowest` and in `join`: the consumer's
        // reads are over before its slots are overwritten.
        self.gates[gate.0].store(VACANT, Ordering::Release);
    }

    /// Publishes a consumer's progress: everything below `next` is done.
    #[inline(always)]
    pub(crate) fn publish(&self, gate: GateIndex, next: Sequence) {
        // ORDERING: Release; pairs with the Acquire in `slowest` (a producer overwrites only what
        // was read) and in `acquire` (whoever stands behind sees what this consumer did).
        self.gates[gate.0].store(next.get(), Ordering::Release);
    }

    /// Progress of the consumer at `gate`, with all that it did visible. A gate that was given up
    /// vouches for nothing.
    #[inline(always)]
    pub(crate) fn acquire(&self, gate: GateIndex) -> Sequence {
        // ORDERING: Acquire; pairs with the Release in `publish`.
        match self.gates[gate.0].load(Ordering::Acquire) {
            VACANT => Sequence::ZERO,
            at => Sequence::from_word(at),
        }
    }

    /// Everything below may be overwritten: announces it, then makes sure of it.
    ///
    /// `published` bounds the answer when no consumer gates. Also gives the gate in the way.
    pub(crate) fn free_below(&self, published: Sequence) -> (Sequence, Option<GateIndex>) {
        let (wanted, gate) = self.slowest(published);
        self.announce(wanted);
        let sure = self.slowest(published);
        if sure.0 < wanted { sure } else { (wanted, gate) }
    }

    fn announce(&self, below: Sequence) {
        if self.limit.peek() < below {
            self.limit.raise(below);
        }
        // ORDERING: SeqCst fence; partner of the fence in `join`, see the proof above.
        fence(Ordering::SeqCst);
    }

    /// The smallest gate below `published`, and whose it is.
    pub(crate) fn slowest(&self, published: Sequence) -> (Sequence, Option<GateIndex>) {
        // ORDERING: Relaxed; a newcomer beyond it is found by the scan after the fence.
        let joined = self.joined.load(Ordering::Relaxed) as usize;
        let mut slowest = (published, None);
        for (index, gate) in self.gates[..joined].iter().enumerate() {
            // ORDERING: Acquire; pairs with the Release in `publish` and `leave`: what the consumer
            // read is read before its slots are overwritten.
            let at = Sequence::from_word(gate.load(Ordering::Acquire));
            if at < slowest.0 {
                slowest = (at, Some(GateIndex(index)));
            }
        }
        slowest
    }
}
