//! *Owns* how a producer wins a sequence. *Invariant* (R3): a won sequence's slot is free, and is
//! stamped before any later one is handed out. *Source*: the LMAX Disruptor's single-producer
//! sequencer.
//!
//! A claim differs from its peers only in how a sequence is won; slots, stamps, gates and consumers
//! know nothing of it. [`Single`] keeps a plain field which a claim does not advance and
//! publishing does, so a forgotten claim is simply claimed again.

use crate::error::{Full, PublishError};
use crate::ring::{Header, Ring};
use crate::sequence::Sequence;

/// The only producer's claim.
#[derive(Debug)]
pub(crate) struct Single {
    /// The next sequence to publish.
    next: Sequence,
    /// Slots below this sequence are free, as far as the last scan of the gates could tell.
    limit: Sequence,
}

impl Single {
    pub(crate) fn new(start: Sequence) -> Self {
        Self { next: start, limit: start }
    }

    /// The first of `count` free sequences, if the last scan found them.
    #[inline(always)]
    pub(crate) fn peek(&self, count: u64) -> Option<Sequence> {
        (self.next.advance(count) <= self.limit).then_some(self.next)
    }

    /// Scans the gates for `count` free slots.
    #[cold]
    pub(crate) fn scan(&mut self, ring: &Ring, count: u64) -> Result<Sequence, PublishError> {
        let (below, gate) = ring.header().gate_table.free_below(self.next);
        self.limit = below.advance(ring.capacity());
        self.peek(count).ok_or_else(|| {
            PublishError::Full(Full {
                missing: self.next.advance(count).events_since(self.limit),
                gate: ring.gate_name(gate),
            })
        })
    }

    /// Moves on: everything below `next` is stamped.
    #[inline(always)]
    pub(crate) fn settle(&mut self, header: &Header, next: Sequence) {
        self.next = next;
        header.claimed.publish(next);
    }
}
