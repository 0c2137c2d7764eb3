//! *Owns* published positions. *Invariant*: a cursor never goes back, has one writer at a time, and
//! whoever acquires it at `c` sees everything its writer did for the events below `c`.
//! *Source*: the LMAX Disruptor's padded `Sequence`.

use crate::sequence::Sequence;
use crate::sync::{AtomicU64, Ordering};
use core::fmt;
use crossbeam_utils::CachePadded;

/// A published, exclusive position on cache lines of its own.
pub(crate) struct Cursor(CachePadded<AtomicU64>);

impl Cursor {
    pub(crate) fn new(start: Sequence) -> Self {
        Self(CachePadded::new(AtomicU64::new(start.get())))
    }

    /// Publishes "everything below `next` is done".
    #[inline(always)]
    pub(crate) fn publish(&self, next: Sequence) {
        // ORDERING: Release; pairs with the Acquire in `acquire`. Whatever was read from or written
        // for the events below `next` happened before whoever sees the new position goes on.
        self.0.store(next.get(), Ordering::Release);
    }

    /// The position, with everything below it visible.
    #[inline(always)]
    pub(crate) fn acquire(&self) -> Sequence {
        // ORDERING: Acquire; pairs with the Release in `publish`.
        Sequence::from_word(self.0.load(Ordering::Acquire))
    }

    /// Raises the position to `next` where it is lower; for cursors with several writers.
    pub(crate) fn raise(&self, next: Sequence) {
        // ORDERING: Release; pairs with the Acquire in `acquire`.
        self.0.fetch_max(next.get(), Ordering::Release);
    }

    /// The position as a number for reports; nothing may be read on its account.
    #[inline]
    pub(crate) fn peek(&self) -> Sequence {
        // ORDERING: Relaxed; a report or the writer's own line, nothing is read behind it.
        Sequence::from_word(self.0.load(Ordering::Relaxed))
    }
}

/// A number for reports.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        // ORDERING: Relaxed; a report, nothing is read on its account.
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        // ORDERING: Relaxed; as above.
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({:?})", self.peek())
    }
}
