//! *Owns* the guards of claimed sequences. *Invariant*: a guard's sequences are stamped when it is
//! gone: as published by its own `publish`, otherwise as aborted. *Source*: Aeron's `BufferClaim`,
//! which a caller can forget to end; a guard cannot be.

use super::Producer;
use crate::error::{PublishError, WriteError};
use crate::event::{Event, InPlace, InlineCodec};
use crate::ring::{Claims, Single};
use crate::sequence::Sequence;
use core::{borrow::Borrow, mem::ManuallyDrop, ops::Range};
use rkyv::Archived;

/// A claimed sequence. Dropping it publishes it as aborted.
///
/// A guard that is leaked holds its sequence: the only producer's is claimed again by its next
/// claim, one of several producers aborts it at its next claim or when it is dropped.
#[must_use = "a dropped claim is published as aborted"]
pub struct Claim<'a, E: Event, C: Claims = Single> {
    producer: &'a mut Producer<E, C>,
    sequence: Sequence,
}

impl<'a, E: Event, C: Claims> Claim<'a, E, C> {
    #[inline(always)]
    pub(super) fn new(producer: &'a mut Producer<E, C>, sequence: Sequence) -> Self {
        Self { producer, sequence }
    }

    /// The claimed sequence.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Serializes `event` into the slot; only what is filled can be published.
    ///
    /// # Errors
    /// [`WriteError`] if it does not fit or cannot be serialized, and then the claim is published
    /// as aborted. Neither happens to an inline event.
    #[inline]
    pub fn write(self, event: &E) -> Result<Filled<'a, E, C>, WriteError> {
        let Producer { slots, scratch, .. } = &mut *self.producer;
        // SAFETY: R3: this guard holds the claim of `sequence` and has not published it.
        unsafe { slots.write(self.sequence, event, scratch)? };
        Ok(Filled { claim: self })
    }

    /// Lets go without a stamp: only an only producer claims the sequence again.
    pub(super) fn forget(self) -> Sequence {
        ManuallyDrop::new(self).sequence
    }

    /// Has `write` write the event where it lies; only what is filled can be published. The slot is
    /// zeroed first, so what is left out is zero. If `write` unwinds, the claim is published as
    /// aborted.
    ///
    /// Costs the stores of `write` and those of the zeros that it leaves; nothing is copied.
    #[inline]
    pub fn write_in_place(self, write: impl FnOnce(&mut Archived<E>, Sequence)) -> Filled<'a, E, C>
    where
        E: Event<Codec = InlineCodec>,
        Archived<E>: InPlace,
    {
        // SAFETY: R3: this guard holds the claim of `sequence` and has not published it.
        unsafe { self.producer.slots.write_in_place(self.sequence, write) };
        Filled { claim: self }
    }

    #[inline(always)]
    pub(super) fn fill(self, event: impl FnOnce(Sequence) -> E) -> Result<Sequence, PublishError> {
        let event = event(self.sequence);
        Ok(self.write(&event)?.publish())
    }
}

impl<E: Event, C: Claims> Drop for Claim<'_, E, C> {
    fn drop(&mut self) {
        self.producer.abort(self.sequence..self.sequence.next());
    }
}

/// A filled claim: the only value that can publish. Dropping it publishes it as aborted.
#[must_use = "a dropped claim is published as aborted"]
pub struct Filled<'a, E: Event, C: Claims = Single> {
    claim: Claim<'a, E, C>,
}

impl<E: Event, C: Claims> Filled<'_, E, C> {
    /// Publishes the event and gives its sequence.
    #[inline]
    pub fn publish(self) -> Sequence {
        let mut claim = ManuallyDrop::new(self.claim);
        let sequence = claim.sequence;
        claim.producer.slots.publish(sequence);
        claim.producer.settle(sequence.next());
        sequence
    }
}

/// Sequences claimed together, which become visible together. Dropping it publishes all of them as
/// aborted.
///
/// ```
/// # use tourbillon::Bus;
/// # #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
/// # #[event(name = "doc.tick", version = 1)]
/// # struct Tick { price: i64 }
/// let mut builder = Bus::<Tick>::builder(16);
/// builder.poller("book");
/// let (mut producer, bus) = builder.start()?;
/// let mut batch = producer.claim_batch(3)?;
/// while batch.remaining() > 1 {
///     batch.write(&Tick { price: 5_853_300 })?;
/// }
/// let published = batch.publish(); // the third is published as aborted
/// assert_eq!((published.start.get(), published.end.get()), (0, 2));
/// assert_eq!(bus.published().get(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a dropped batch is published as aborted"]
pub struct BatchClaim<'a, E: Event, C: Claims = Single> {
    producer: &'a mut Producer<E, C>,
    /// Claimed.
    range: Range<Sequence>,
    /// Sequences below are written.
    filled: Sequence,
}

impl<'a, E: Event, C: Claims> BatchClaim<'a, E, C> {
    #[inline(always)]
    pub(super) fn new(producer: &'a mut Producer<E, C>, range: Range<Sequence>) -> Self {
        Self { producer, filled: range.start, range }
    }

    /// The claimed sequences.
    #[must_use]
    pub fn sequences(&self) -> Range<Sequence> {
        self.range.clone()
    }

    /// Claimed sequences that are not written yet.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.range.end.events_since(self.filled)
    }

    /// Serializes `event` into the next slot of the batch and gives its sequence.
    ///
    /// # Errors
    /// [`WriteError`] if it does not fit or cannot be serialized; its sequence is then free for
    /// another.
    ///
    /// # Panics
    /// If nothing remains.
    #[inline(always)]
    pub fn write(&mut self, event: &E) -> Result<Sequence, WriteError> {
        let sequence = self.filled;
        assert!(sequence < self.range.end, "more events than the batch has sequences");
        let Producer { slots, scratch, .. } = &mut *self.producer;
        // SAFETY: R3: this guard holds the claim of `range` and has stamped nothing of it.
        unsafe { slots.write(sequence, event, scratch)? };
        self.filled = sequence.next();
        Ok(sequence)
    }

    /// Publishes what is written, all at once; what remains is published as aborted. Gives the
    /// sequences of the events.
    #[inline]
    pub fn publish(self) -> Range<Sequence> {
        let mut batch = ManuallyDrop::new(self);
        let (Range { start, end }, filled) = (batch.range.clone(), batch.filled);
        if filled < end {
            batch.producer.abort_tail(filled..end);
        }
        batch.producer.slots.publish_all(start..filled);
        batch.producer.settle(end);
        start..filled
    }

    #[inline(always)]
    pub(super) fn fill(
        mut self,
        events: impl Iterator<Item: Borrow<E>>,
    ) -> Result<Range<Sequence>, PublishError> {
        for event in events.take(self.remaining() as usize) {
            self.write(event.borrow())?;
        }
        Ok(self.publish())
    }
}

impl<E: Event, C: Claims> Drop for BatchClaim<'_, E, C> {
    fn drop(&mut self) {
        self.producer.abort(self.range.clone());
    }
}

impl<E: Event, C: Claims> core::fmt::Debug for Claim<'_, E, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Claim").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl<E: Event, C: Claims> core::fmt::Debug for Filled<'_, E, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Filled").field("sequence", &self.claim.sequence).finish_non_exhaustive()
    }
}

impl<E: Event, C: Claims> core::fmt::Debug for BatchClaim<'_, E, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("BatchClaim")
            .field("range", &self.range)
            .field("filled", &self.filled)
            .finish_non_exhaustive()
    }
}
