//! *Owns* the walk through what a poll found. *Invariant*: what is lent is given back before the gate
//! moves past it, and an event whose handling unwinds is not passed. *Source*: the LMAX Disruptor's
//! batching consumers, with a guard in place of a callback.

use super::Poller;
use crate::event::Event;
use crate::ring::Stamp;
use crate::sequence::Sequence;
use rkyv::Archived;

/// Events that were ready when polled, walked in order; the gate moves when it is dropped.
///
/// An event whose handling unwinds stays unhandled: it is polled again.
pub struct Batch<'a, E: Event> {
    poller: &'a mut Poller<E>,
    /// The next sequence to walk.
    next: Sequence,
    /// The event handed out last, while its handling may be under way.
    lent: Option<Sequence>,
    /// Walk no further.
    end: Sequence,
}

impl<'a, E: Event> Batch<'a, E> {
    #[inline(always)]
    pub(super) fn new(poller: &'a mut Poller<E>, end: Sequence) -> Self {
        Self { next: poller.next, lent: None, end, poller }
    }
}

impl<E: Event> Batch<'_, E> {
    /// The next event and its sequence. Aborted sequences are passed over.
    #[inline(always)] // a call would keep the batch in memory
    #[allow(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Option<(&Archived<E>, Sequence)> {
        self.lent = None;
        self.seek().then(|| self.lend())
    }

    /// As [`Batch::next`], and whether it is the batch's last event. Looks one slot ahead, which
    /// costs a look at that slot's cache line before the event is handled.
    #[inline(always)] // as `next`
    pub fn next_with_end(&mut self) -> Option<(&Archived<E>, Sequence, bool)> {
        self.lent = None;
        if !self.seek() {
            return None;
        }
        let sequence = self.next;
        self.lent = Some(sequence);
        self.next = sequence.next();
        let end_of_batch = !self.seek();
        // SAFETY: `seek` found it published, and the gate stays below it until the batch is
        // dropped, which the returned borrow forbids.
        let event = unsafe { self.poller.slots.view(sequence) };
        Some((event, sequence, end_of_batch))
    }

    /// Moves to the next published event that may be handed out.
    #[inline(always)]
    fn seek(&mut self) -> bool {
        while self.next < self.end {
            if self.poller.slots.is_published(self.next) {
                return self.passes();
            }
            match self.poller.slots.stamp(self.next) {
                // Published between the two looks.
                Stamp::Published => return self.passes(),
                Stamp::Aborted => self.next = self.next.next(),
                Stamp::Pending => self.end = self.next,
            }
        }
        false
    }

    /// Whether the causes of the published event at `next` let it pass.
    #[inline(always)]
    fn passes(&mut self) -> bool {
        // SAFETY: `seek` found it published, and the gate stays below it until the drop.
        let passes = unsafe { self.poller.passes(self.next) };
        if !passes {
            self.end = self.next;
        }
        passes
    }

    /// Hands out the published event at `next`.
    #[inline(always)]
    fn lend(&mut self) -> (&Archived<E>, Sequence) {
        let sequence = self.next;
        self.lent = Some(sequence);
        self.next = sequence.next();
        // SAFETY: as in `next_with_end`.
        (unsafe { self.poller.slots.view(sequence) }, sequence)
    }

    /// One past the last sequence walked.
    #[inline]
    #[must_use]
    pub fn walked(&self) -> Sequence {
        self.next
    }

    /// How many sequences this batch walks at most, which it then keeps to, and how many are claimed
    /// from its first on. One look at the claim counter.
    pub(crate) fn foresee(&mut self) -> (u64, u64) {
        // The only producer's counter follows its stamps, and one was seen.
        let claimed = self.poller.ring.claimed_from(self.next).events_since(self.next).max(1);
        if self.poller.barrier.upstream.is_empty() {
            self.end = self.end.min(self.next.advance(claimed));
        }
        let events = self.end.events_since(self.next);
        (events, claimed.max(events))
    }

    /// The next sequence with its bytes, or `None` for an aborted one: what the journal keeps.
    #[cfg(feature = "journal")]
    #[inline]
    pub(crate) fn next_raw(&mut self) -> Option<(Sequence, Option<Raw<'_, E>>)> {
        self.lent = None;
        if self.next >= self.end {
            return None;
        }
        let sequence = self.next;
        let stamp = self.poller.slots.stamp(sequence);
        if stamp == Stamp::Pending {
            self.end = sequence;
            return None;
        }
        self.lent = Some(sequence);
        self.next = sequence.next();
        let raw = (stamp == Stamp::Published).then(|| Raw {
            // SAFETY: the stamp says published; the gate stays below until the drop.
            event: unsafe { self.poller.slots.view(sequence) },
            // SAFETY: as above.
            bytes: unsafe { self.poller.slots.bytes(sequence) },
        });
        Some((sequence, raw))
    }

    /// Gives the event handed out last back unhandled and ends the batch.
    #[cfg(feature = "journal")]
    pub(crate) fn refuse(mut self) {
        if let Some(sequence) = self.lent.take() {
            self.next = sequence;
        }
    }
}

/// An event as value and as bytes.
#[cfg(feature = "journal")]
pub(crate) struct Raw<'a, E: Event> {
    pub(crate) event: &'a Archived<E>,
    pub(crate) bytes: &'a [u8],
}

impl<E: Event> Drop for Batch<'_, E> {
    #[inline]
    fn drop(&mut self) {
        let done = match self.lent {
            Some(lent) if std::thread::panicking() => {
                self.poller.interrupted = true;
                lent
            }
            _ => self.next,
        };
        if done != self.poller.next {
            self.poller.next = done;
            self.poller.slots.header().gate_table.publish(self.poller.gate, done);
        }
    }
}

impl<E: Event> core::fmt::Debug for Batch<'_, E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Batch")
            .field("next", &self.next)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
