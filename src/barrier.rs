//! *Owns* what a consumer stands behind. *Invariant* (R6): everything below `available` is published
//! and was handled by every upstream. *Source*: the LMAX Disruptor's `SequenceBarrier`.

use crate::cursor::Cursor;
use crate::event::Event;
use crate::ring::{GateIndex, Life, Ring};
use crate::sequence::Sequence;
use rkyv::Archived;
use std::sync::{Arc, OnceLock};

/// A position that others may stand behind, wherever it lives.
#[derive(Clone, Debug)]
pub(crate) enum CursorRef {
    /// A consumer of a ring.
    Gate(Arc<Ring>, GateIndex),
    /// A cursor outside a ring, such as the journal's `durable`.
    #[cfg_attr(not(feature = "journal"), allow(dead_code, reason = "only a journal has one"))]
    Shared(Arc<Cursor>),
}

impl CursorRef {
    #[inline(always)]
    pub(crate) fn acquire(&self) -> Sequence {
        match self {
            Self::Gate(ring, gate) => ring.header().gate_table.acquire(*gate),
            Self::Shared(cursor) => cursor.acquire(),
        }
    }
}

/// A cursor of another bus, which may not have started yet.
#[derive(Clone, Debug)]
pub(crate) struct Foreign {
    pub(crate) cell: Arc<OnceLock<(Arc<Ring>, CursorRef)>>,
}

impl Foreign {
    /// The cursor's position; nothing is done while its bus has not started.
    #[inline]
    fn acquire(&self) -> Sequence {
        self.cell.get().map_or(Sequence::ZERO, |(_, cursor)| cursor.acquire())
    }

    /// Whether the cursor never moves again: the other bus's journal has ended, or the bus has.
    fn stopped(&self) -> bool {
        self.cell.get().is_some_and(|(ring, _)| {
            ring.header().journal_end.is_reached() || ring.life() == Life::Stopped
        })
    }
}

/// What an event says of its cause.
pub(crate) type Cause<E> = Box<dyn Fn(&Archived<E>) -> Sequence + Send>;

/// One edge from a cursor of another bus: an event passes once its cause lies below the cursor.
pub(crate) struct CauseGate<E: Event> {
    pub(crate) foreign: Foreign,
    pub(crate) cause: Cause<E>,
    /// The foreign cursor when last looked at.
    pub(crate) seen: Sequence,
}

impl<E: Event> CauseGate<E> {
    #[inline]
    pub(crate) fn passes(&mut self, event: &Archived<E>) -> bool {
        let cause = (self.cause)(event);
        if cause < self.seen {
            return true;
        }
        self.seen = self.foreign.acquire();
        cause < self.seen
    }

    pub(crate) fn stranded(&self) -> bool {
        self.foreign.stopped()
    }
}

/// All that one consumer stands behind.
pub(crate) struct Barrier<E: Event> {
    /// Cursors on this ring, or of this bus's journal. Empty: straight on the ring.
    pub(crate) upstream: Vec<CursorRef>,
    /// Edges from other buses.
    pub(crate) causes: Vec<CauseGate<E>>,
}

impl<E: Event> Barrier<E> {
    /// The smallest upstream cursor; `None` for a consumer that stands straight on the ring and
    /// therefore asks the stamps.
    #[inline(always)]
    pub(crate) fn available(&self) -> Option<Sequence> {
        let (first, rest) = self.upstream.split_first()?;
        Some(rest.iter().fold(first.acquire(), |least, cursor| least.min(cursor.acquire())))
    }

    #[inline(always)]
    pub(crate) fn passes(&mut self, event: &Archived<E>) -> bool {
        self.causes.iter_mut().all(|gate| gate.passes(event))
    }

    /// Whether a cursor of another bus can never let the next event pass.
    pub(crate) fn stranded(&self) -> bool {
        self.causes.iter().any(CauseGate::stranded)
    }
}

impl<E: Event> core::fmt::Debug for Barrier<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Barrier")
            .field("upstream", &self.upstream.len())
            .field("causes", &self.causes.len())
            .finish()
    }
}
