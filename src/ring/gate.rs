//! *Owns* the gates: the consumers' cursors that producers may not lap. *Invariant* (R5): a slot of
//! sequence `n` is overwritten only after every gate has passed `n`, also when gates come and go; and
//! neither a gate nor `limit` ever passes a sequence that is not stamped, so a producer that looks at
//! them never writes into a slot which another producer is still filling.
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
/// The gate of a tap that pins nothing just now. Scans pass it by as well.
const PARKED: u64 = VACANT - 1;
const NOBODY: Sequence = Sequence::from_word(PARKED);

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
    /// Everything below `from` is stamped.
    ///
    /// Safe while producers publish. `None` if all gates are taken.
    pub(crate) fn join(&self, from: Sequence) -> Option<(GateIndex, Sequence)> {
        // No lower than it must be: producers that scan meanwhile would find the ring full.
        let from = from.max(self.limit.acquire());
        let index = (0..Self::COUNT).find(|&index| {
            // ORDERING: Acquire on success pairs with the Release in `leave`: the gate's last
            // owner is done with its slots. Relaxed on failure: nothing is read.
            self.gates[index]
                .compare_exchange(VACANT, from.get(), Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        })?;
        // ORDERING: Relaxed; the fence below orders it before the read of `limit`.
        self.joined.fetch_max(index as u64 + 1, Ordering::Relaxed);
        let gate = GateIndex(index);
        Some((gate, self.make_sure(gate, from)))
    }

    /// Moves a newcomer that stands at `from` up to what is surely not overwritten; gives where it
    /// stands.
    fn make_sure(&self, gate: GateIndex, from: Sequence) -> Sequence {
        // ORDERING: SeqCst fence; partner of the fence in `announce`, see the proof above.
        fence(Ordering::SeqCst);
        let limit = self.limit.acquire();
        if from < limit {
            self.publish(gate, limit);
        }
        from.max(limit)
    }

    /// Puts a parked gate at `from`, or at the oldest sequence still in the ring if that is later.
    pub(crate) fn pin(&self, gate: GateIndex, from: Sequence) -> Sequence {
        // As in `join`: no lower than it must be.
        let from = from.max(self.limit.acquire());
        self.publish(gate, from);
        self.make_sure(gate, from)
    }

    /// Lets go of what a gate pins, and keeps the gate.
    pub(crate) fn park(&self, gate: GateIndex) {
        self.publish(gate, Sequence::from_word(PARKED));
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
            VACANT | PARKED => Sequence::ZERO,
            at => Sequence::from_word(at),
        }
    }

    /// The sequence below which slots may be overwritten, `most` or what was announced before at
    /// most: announces it, then makes sure of it. Where that is below `least`, it is no use: then
    /// nothing is announced. Also gives the gate in the way.
    ///
    /// Where no consumer gates, `stamped` says up to where everything from a sequence on is stamped.
    pub(crate) fn free_below(
        &self,
        least: Sequence,
        most: Sequence,
        stamped: impl FnOnce(Sequence) -> Sequence,
    ) -> (Sequence, Option<GateIndex>) {
        let announced = self.limit.acquire();
        let (free, gate) = match self.slowest() {
            (_, None) => (stamped(announced), None),
            gated => gated,
        };
        if free < least {
            return (free, gate);
        }
        let wanted = free.min(most.max(announced));
        self.announce(wanted);
        let sure = self.slowest();
        if sure.0 < wanted { sure } else { (wanted, gate) }
    }

    /// Progress of whoever stands at gate number `index`, for reports.
    pub(crate) fn stands_at(&self, index: usize) -> Option<Sequence> {
        // ORDERING: Relaxed; a report, nothing is read on its account.
        let at = Sequence::from_word(self.gates.get(index)?.load(Ordering::Relaxed));
        (at < NOBODY).then_some(at)
    }

    /// Whether gate number `index` has an owner, parked or not.
    pub(crate) fn is_taken(&self, index: usize) -> bool {
        // ORDERING: Relaxed; a report, nothing is read on its account.
        self.gates.get(index).is_some_and(|gate| gate.load(Ordering::Relaxed) != VACANT)
    }

    /// Everything below may be overwritten already.
    pub(crate) fn oldest(&self) -> Sequence {
        self.limit.acquire()
    }

    fn announce(&self, below: Sequence) {
        if self.limit.peek() < below {
            self.limit.raise(below);
        }
        // ORDERING: SeqCst fence; partner of the fence in `join`, see the proof above.
        fence(Ordering::SeqCst);
    }

    /// The smallest gate, and whose it is.
    pub(crate) fn slowest(&self) -> (Sequence, Option<GateIndex>) {
        // ORDERING: Relaxed; a newcomer beyond it is found by the scan after the fence.
        let joined = self.joined.load(Ordering::Relaxed) as usize;
        let mut slowest = (NOBODY, None);
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
