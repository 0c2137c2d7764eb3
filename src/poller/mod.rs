//! *Owns* the way out: look, read in place, give back. *Invariant*: a poller's cursor passes an
//! event only when its handling is over, so nothing lent is overwritten. *Source*: the LMAX
//! Disruptor's `EventPoller`, which tells *gated* from *idle*.

mod batch;

pub use batch::Batch;

use crate::barrier::Barrier;
use crate::event::Event;
use crate::ring::{GateIndex, Life, Ring, Slots, Stamp};
use crate::sequence::Sequence;
#[cfg(loom)]
use rkyv::Archived;
use std::sync::Arc;

/// A consumer on the caller's own thread.
///
/// A poller gates producers: what it has not handled is not overwritten. Dropping it lets go of the
/// gate, unless other stages stand behind it: then its cursor stays where it is, since nobody may
/// pass events that it never handled. See [`Producer`](crate::Producer) for an example.
pub struct Poller<E: Event> {
    slots: Slots<E>,
    barrier: Barrier<E>,
    next: Sequence,
    /// Most events of one batch: a quarter of the ring, so that producers see progress.
    batch_events_max: u64,
    gate: GateIndex,
    /// Nobody stands behind this consumer, so its gate may be given up.
    is_leaf: bool,
    /// The handling of the event at `next` unwound.
    interrupted: bool,
    ring: Arc<Ring>,
    name: Arc<str>,
}

/// What a poll found.
#[must_use = "a batch that is dropped unread is polled again"]
pub enum Polled<'a, E: Event> {
    /// Events, or at least aborted sequences, to go through.
    Batch(Batch<'a, E>),
    /// The next event is published, but something this consumer stands behind has not passed it.
    Gated,
    /// Nothing is published.
    Idle,
    /// Nothing will come any more: the bus is halted, or has drained to its end.
    Closed,
}

/// Why a poller has no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing is published.
    Idle,
    /// The next sequence is published, but not passed by all it stands behind.
    Gated,
    /// Nothing will come any more.
    Closed,
    /// The next event waits for a cursor of another bus that never moves again.
    Stranded,
}

impl<E: Event> Poller<E> {
    pub(crate) fn new(
        ring: &Arc<Ring>,
        name: &Arc<str>,
        slot_bytes: usize,
        gate: GateIndex,
        next: Sequence,
        barrier: Barrier<E>,
        is_leaf: bool,
    ) -> Self {
        Self {
            slots: Slots::new(Arc::clone(ring.region()), slot_bytes),
            barrier,
            next,
            batch_events_max: (ring.capacity() / 4).max(1),
            gate,
            is_leaf,
            interrupted: false,
            ring: Arc::clone(ring),
            name: Arc::clone(name),
        }
    }

    /// Looks for the next events. Never waits.
    #[inline(always)] // a call would hand the batch over through memory
    pub fn poll(&mut self) -> Polled<'_, E> {
        match self.ready() {
            Some(end) if self.is_live() => Polled::Batch(self.batch(end)),
            _ => match self.standing() {
                Standing::Idle => Polled::Idle,
                Standing::Gated => Polled::Gated,
                Standing::Closed | Standing::Stranded => Polled::Closed,
            },
        }
    }

    /// As `poll`, for those who ask why not only when there is nothing.
    #[inline(always)]
    pub(crate) fn try_batch(&mut self) -> Option<Batch<'_, E>> {
        let end = self.ready()?;
        self.is_live().then(|| self.batch(end))
    }

    #[inline(always)]
    fn batch(&mut self, end: Sequence) -> Batch<'_, E> {
        Batch::new(self, end)
    }

    /// Passes by all that is published in one run from here on.
    ///
    /// It stops at a sequence that is claimed and not stamped: what lies behind it may be visible
    /// already, but no gate passes a slot that is still being filled.
    pub(crate) fn skip_to_now(&mut self) {
        self.next = self.ring.region().stamped(self.next..self.ring.claimed_from(self.next));
        self.ring.header().gate_table.publish(self.gate, self.next);
    }

    /// The hot half of `poll`: the end of what may be walked now, if there is anything.
    #[inline(always)]
    fn ready(&mut self) -> Option<Sequence> {
        let most = self.next.advance(self.batch_events_max);
        let end = match self.barrier.available() {
            Some(available) if available > self.next => available.min(most),
            None if self.slots.stamp(self.next) != Stamp::Pending => most,
            _ => return None,
        };
        let passes = self.barrier.causes.is_empty() || self.cause_passes();
        passes.then_some(end)
    }

    /// Whether the causes of the event at `next`, if it was published, let it pass.
    fn cause_passes(&mut self) -> bool {
        if self.slots.stamp(self.next) != Stamp::Published {
            return true;
        }
        // SAFETY: the stamp says published, and this poller's gate stands at `next`.
        unsafe { self.passes(self.next) }
    }

    /// Whether the causes of the event of `sequence` let it pass.
    ///
    /// # Safety
    /// - The stamp said `Published`, and this poller's gate stays at or below `sequence`.
    #[inline(always)]
    unsafe fn passes(&mut self, sequence: Sequence) -> bool {
        // SAFETY: by contract.
        self.barrier.causes.is_empty() || unsafe { self.ask_causes(sequence) }
    }

    /// The half of `passes` for stages behind other rings.
    ///
    /// # Safety
    /// - As for `passes`.
    #[inline(never)]
    unsafe fn ask_causes(&mut self, sequence: Sequence) -> bool {
        // SAFETY: by contract.
        let event = unsafe { self.slots.view(sequence) };
        self.barrier.passes(event)
    }

    /// A halted bus hands out nothing more.
    #[inline(always)]
    fn is_live(&self) -> bool {
        self.slots.header().state.is_open() || self.ring.life() == Life::Draining
    }

    /// Why there is no batch.
    #[inline(never)]
    pub(crate) fn standing(&mut self) -> Standing {
        match self.ring.life() {
            Life::Open => {}
            Life::Draining if self.next < self.ring.claimed_from(self.next) => {}
            _ => return Standing::Closed,
        }
        let stamp = self.slots.stamp(self.next);
        // In this order: once the other bus has stopped, its cursor is final.
        if stamp == Stamp::Published && self.barrier.stranded() && !self.cause_passes() {
            return Standing::Stranded;
        }
        if stamp == Stamp::Pending { Standing::Idle } else { Standing::Gated }
    }

    /// Everything below was handled.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.next
    }

    /// Published events that were not handled yet.
    #[must_use]
    pub fn lag_events(&self) -> u64 {
        self.ring.claimed_from(self.next).events_since(self.next)
    }

    /// The name given at build.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name and its ring.
    pub(crate) fn home(&self) -> (Arc<str>, Arc<Ring>) {
        (Arc::clone(&self.name), Arc::clone(&self.ring))
    }

    /// Bounds batches. More than the ring holds never comes.
    pub(crate) fn limit_batches(&mut self, events_max: u64) {
        self.batch_events_max = events_max.clamp(1, self.ring.capacity());
    }

    /// Whether the handling of the next event unwound before.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Moves past the event whose handling unwound.
    pub(crate) fn pass_interrupted(&mut self) {
        self.interrupted = false;
        self.next = self.next.next();
        self.slots.header().gate_table.publish(self.gate, self.next);
    }

    /// Gives the gate up where nobody stands behind it, once.
    pub(crate) fn leave(&mut self) {
        if core::mem::take(&mut self.is_leaf) {
            self.ring.header().gate_table.leave(self.gate);
        }
    }

    /// Says that the journal's cursors never move again.
    #[cfg(feature = "journal")]
    pub(crate) fn end_journal(&self) {
        self.slots.header().journal_end.reach();
    }

    #[cfg(feature = "journal")]
    pub(crate) fn life(&self) -> Life {
        self.ring.life()
    }

    /// The payload at `next`, published or not: the race that the canary must see.
    ///
    /// # Safety
    /// - The caller is a model: loom stops it before bytes are viewed that another thread writes.
    /// - An event of all zeros is valid.
    #[cfg(loom)]
    pub(crate) unsafe fn peek_unpublished(&self) -> &Archived<E> {
        // SAFETY: by this function's contract.
        unsafe { self.slots.view(self.next) }
    }

    #[cfg(feature = "journal")]
    pub(crate) fn has_upstream(&self) -> bool {
        !self.barrier.upstream.is_empty() || !self.barrier.causes.is_empty()
    }

    /// Walks what is published whether or not the bus is halted: for the journal stage, which
    /// drains in every case.
    #[cfg(feature = "journal")]
    pub(crate) fn poll_to_the_end(&mut self) -> Option<Batch<'_, E>> {
        let end = self.ready()?;
        Some(self.batch(end))
    }
}

impl<E: Event> Drop for Poller<E> {
    fn drop(&mut self) {
        // In a named ring the cursors of a bus that ends are its successor's.
        if !self.ring.region().is_named() || self.ring.life() == Life::Open {
            self.leave();
        }
    }
}

impl<E: Event> core::fmt::Debug for Poller<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Poller")
            .field("name", &self.name)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl<E: Event> core::fmt::Debug for Polled<'_, E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Batch(batch) => batch.fmt(f),
            Self::Gated => f.write_str("Gated"),
            Self::Idle => f.write_str("Idle"),
            Self::Closed => f.write_str("Closed"),
        }
    }
}
