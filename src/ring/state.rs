//! *Owns* the life of a bus in one word: open → draining → halted → stopped. *Invariant*: it never goes back.

use crate::sync::{AtomicU64, Ordering};
use crossbeam_utils::CachePadded;

/// What a bus is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Life {
    /// Producers publish, consumers consume.
    Open,
    /// Producers are refused; consumers go on to what was claimed.
    Draining,
    /// Producers are refused; consumers stop at once, but the journal stage drains.
    Halted,
    /// No thread of the bus runs any more; no cursor of it moves again.
    Stopped,
}

/// The word. Read-mostly: a line of its own that stays in every core's cache.
pub(crate) struct State(CachePadded<AtomicU64>);

impl State {
    pub(crate) fn open() -> Self {
        Self(CachePadded::new(AtomicU64::new(Life::Open as u64)))
    }

    /// A successor begins anew, whatever its predecessor had come to.
    #[cfg(not(loom))]
    pub(crate) fn reopen(&self) {
        // ORDERING: Relaxed; the successor is alone, and starting its threads orders it.
        self.0.store(Life::Open as u64, Ordering::Relaxed);
    }

    /// Moves on to `life`, unless the bus is further already.
    pub(crate) fn advance(&self, life: Life) {
        // ORDERING: AcqRel; the Release half pairs with the Acquire in `get`: whoever sees the bus
        // drain also sees every publish that happened before the call. The Acquire half orders two
        // callers of `advance`.
        self.0.fetch_max(life as u64, Ordering::AcqRel);
    }

    pub(crate) fn get(&self) -> Life {
        // ORDERING: Acquire; pairs with the Release in `advance`.
        Self::decode(self.0.load(Ordering::Acquire))
    }

    /// The producer's look before each claim.
    #[inline(always)]
    pub(crate) fn is_open(&self) -> bool {
        // ORDERING: Relaxed; a refusal reads nothing on its account, and a claim that races with
        // `advance` counts as made before it.
        self.0.load(Ordering::Relaxed) == Life::Open as u64
    }

    fn decode(word: u64) -> Life {
        match word {
            0 => Life::Open,
            1 => Life::Draining,
            2 => Life::Halted,
            _ => Life::Stopped,
        }
    }
}

/// Set once the journal's cursors never move again, whatever the bus still does.
pub(crate) struct JournalEnd(AtomicU64);

impl JournalEnd {
    pub(crate) fn not_yet() -> Self {
        Self(AtomicU64::new(0))
    }

    /// A successor's journal has not ended.
    #[cfg(not(loom))]
    pub(crate) fn reset(&self) {
        // ORDERING: Relaxed; as in `State::reopen`.
        self.0.store(0, Ordering::Relaxed);
    }

    #[cfg_attr(not(feature = "journal"), allow(dead_code, reason = "there is no journal"))]
    pub(crate) fn reach(&self) {
        // ORDERING: Release; pairs with the Acquire in `is_reached`: whoever sees the end sees the
        // cursors where they stay.
        self.0.store(1, Ordering::Release);
    }

    pub(crate) fn is_reached(&self) -> bool {
        // ORDERING: Acquire; pairs with the Release in `reach`.
        self.0.load(Ordering::Acquire) != 0
    }
}

/// Counts the bus's running threads. The last one out says so.
pub(crate) struct Roll(AtomicU64);

impl Roll {
    pub(crate) fn empty() -> Self {
        Self(AtomicU64::new(0))
    }

    /// A successor's threads have not started.
    #[cfg(not(loom))]
    pub(crate) fn reset(&self) {
        // ORDERING: Relaxed; as in `State::reopen`.
        self.0.store(0, Ordering::Relaxed);
    }

    /// Adds threads before they start.
    pub(crate) fn enter(&self, threads: u64) {
        // ORDERING: Relaxed; starting the threads orders it.
        self.0.fetch_add(threads, Ordering::Relaxed);
    }

    /// Whether the caller was the last thread.
    pub(crate) fn leave(&self) -> bool {
        // ORDERING: AcqRel; pairs with itself: the last one out has seen all that the others did,
        // so whoever sees the bus stopped sees every cursor at its end.
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }
}
