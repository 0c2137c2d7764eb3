//! *Owns* the way in: claim, fill, publish. *Invariant*: nothing unfilled can be published, and
//! whatever is claimed is stamped, as published or as aborted, before the next claim. *Source*:
//! Aeron's claim → commit or abort, with the guard as the protocol.

use crate::error::{EventTooLarge, PublishError};
use crate::event::Event;
use crate::idle::Patience;
use crate::ring::{Ring, Single, Slots};
use crate::sequence::Sequence;
use crate::sleepers::Caller;
use crate::wait::WhenFull;
use core::{borrow::Borrow, ops::Range};
use std::sync::Arc;

/// The producer of a bus.
///
/// Publishing serializes the event with rkyv straight into its slot: no allocation, no lock, no
/// system call, no clock. Only a full ring leaves that path, and then [`WhenFull`] decides.
///
/// ```
/// # use tourbillon::{Bus, Polled, PublishError};
/// # #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
/// # #[event(name = "doc.tick", version = 1)]
/// # struct Tick { price: i64 }
/// let mut builder = Bus::<Tick>::builder(16);
/// builder.poller("book");
/// let (mut producer, mut bus) = builder.start()?;
/// let mut book = bus.take_poller("book").expect("named above");
///
/// producer.publish(&Tick { price: 5_853_300 })?;
/// let claim = producer.claim()?;
/// drop(claim); // published as aborted: consumers skip it
/// producer.claim()?.write(&Tick { price: 5_853_400 })?.publish();
///
/// let Polled::Batch(mut batch) = book.poll() else { unreachable!() };
/// let mut seen = Vec::new();
/// while let Some((tick, sequence)) = batch.next() {
///     seen.push((sequence.get(), tick.price.to_native()));
/// }
/// assert_eq!(seen, [(0, 5_853_300), (2, 5_853_400)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Producer<E: Event> {
    slots: Slots<E>,
    claims: Single,
    when_full: WhenFull,
    ring: Arc<Ring>,
    sleepers: Caller,
}

impl<E: Event> Producer<E> {
    pub(crate) fn new(ring: Arc<Ring>, slot_bytes: usize, when_full: WhenFull) -> Self {
        let slots = Slots::new(Arc::clone(ring.region()), slot_bytes);
        let claims = Single::new(ring.claimed());
        let sleepers = ring.sleepers().caller();
        Self { slots, claims, when_full, ring, sleepers }
    }

    /// Claims the next sequence; waits for a free slot as [`WhenFull`] says.
    ///
    /// # Errors
    /// [`PublishError::Closed`], or [`PublishError::Full`] at the end of the patience.
    #[inline]
    pub fn claim(&mut self) -> Result<Claim<'_, E>, PublishError> {
        let sequence = match self.free(1) {
            Some(sequence) => sequence,
            None => self.make_room(1)?,
        };
        Ok(Claim { sequence, producer: self })
    }

    /// Claims the next sequence if a slot is free now.
    ///
    /// # Errors
    /// [`PublishError::Closed`] or [`PublishError::Full`]; never waits.
    #[inline]
    pub fn try_claim(&mut self) -> Result<Claim<'_, E>, PublishError> {
        let sequence = match self.free(1) {
            Some(sequence) => sequence,
            None => self.find_room(1)?,
        };
        Ok(Claim { sequence, producer: self })
    }

    /// Publishes one event; waits for a free slot as [`WhenFull`] says.
    ///
    /// # Errors
    /// As [`Producer::claim`], or [`PublishError::TooLarge`], and then the sequence was published
    /// as aborted.
    #[inline]
    pub fn publish(&mut self, event: &E) -> Result<Sequence, PublishError> {
        Ok(self.claim()?.write(event)?.publish())
    }

    /// Publishes one event if a slot is free now.
    ///
    /// # Errors
    /// As [`Producer::try_claim`], or [`PublishError::TooLarge`], and then the sequence was
    /// published as aborted.
    #[inline]
    pub fn try_publish(&mut self, event: &E) -> Result<Sequence, PublishError> {
        Ok(self.try_claim()?.write(event)?.publish())
    }

    /// Publishes all events of `events` at once: no consumer sees one before all are there.
    ///
    /// A batch that unwinds is aborted whole; sequences that the iterator announced and did not
    /// deliver are published as aborted. Gives the range of sequences.
    ///
    /// # Errors
    /// As [`Producer::publish`], or [`PublishError::BatchTooLarge`]. On error no event of the batch
    /// is published.
    pub fn publish_batch<I>(&mut self, events: I) -> Result<Range<Sequence>, PublishError>
    where
        I: IntoIterator<Item: Borrow<E>, IntoIter: ExactSizeIterator>,
    {
        let events = events.into_iter();
        let count = events.len() as u64;
        let capacity = self.slots.capacity();
        if count > capacity {
            return Err(PublishError::BatchTooLarge {
                events: events.len(),
                capacity: capacity as usize,
            });
        }
        if count == 0 {
            let here = self.ring.claimed();
            return Ok(here..here);
        }
        let first = match self.free(count) {
            Some(sequence) => sequence,
            None => self.make_room(count)?,
        };
        let mut batch =
            BatchClaim { first, end: first.advance(count), filled: first, producer: self };
        for event in events.take(count as usize) {
            batch.write(event.borrow())?;
        }
        Ok(batch.publish())
    }

    /// The sequence that the next publish will have.
    #[must_use]
    pub fn next_sequence(&self) -> Sequence {
        self.ring.claimed()
    }

    /// Slots that are free now, 0 to capacity.
    #[must_use]
    pub fn remaining_capacity(&self) -> u64 {
        self.ring.remaining_capacity()
    }

    #[inline(always)]
    fn free(&self, count: u64) -> Option<Sequence> {
        if self.slots.header().state.is_open() { self.claims.peek(count) } else { None }
    }

    /// One look at life and gates.
    #[cold]
    fn find_room(&mut self, count: u64) -> Result<Sequence, PublishError> {
        if !self.ring.header().state.is_open() {
            return Err(PublishError::Closed);
        }
        self.claims.scan(&self.ring, count)
    }

    /// Looks until there is room, the bus closes, or the patience ends.
    #[cold]
    fn make_room(&mut self, count: u64) -> Result<Sequence, PublishError> {
        let mut patience = Patience::new(self.when_full);
        loop {
            match self.find_room(count) {
                Err(PublishError::Full(full)) if !patience.go_on(&self.ring) => {
                    return Err(full.into());
                }
                Err(PublishError::Full(_)) => {}
                other => return other,
            }
        }
    }

    #[inline(always)]
    fn settle(&mut self, next: Sequence) {
        self.claims.settle(self.slots.header(), next);
        self.sleepers.after_publish();
    }
}

/// A claimed sequence. Dropping it publishes it as aborted.
#[must_use = "a dropped claim is published as aborted"]
pub struct Claim<'a, E: Event> {
    producer: &'a mut Producer<E>,
    sequence: Sequence,
}

impl<'a, E: Event> Claim<'a, E> {
    /// The claimed sequence.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Serializes `event` into the slot; only what is filled can be published.
    ///
    /// # Errors
    /// [`EventTooLarge`] if it does not fit, and then the claim is published as aborted. An inline
    /// event always fits.
    #[inline]
    pub fn write(self, event: &E) -> Result<Filled<'a, E>, EventTooLarge> {
        // SAFETY: R3: this guard holds the claim of `sequence` and has not published it.
        unsafe { self.producer.slots.write(self.sequence, event)? };
        Ok(Filled { claim: self })
    }
}

impl<E: Event> Drop for Claim<'_, E> {
    fn drop(&mut self) {
        self.producer.slots.abort(self.sequence);
        self.producer.settle(self.sequence.next());
    }
}

/// A filled claim: the only value that can publish. Dropping it publishes it as aborted.
#[must_use = "a dropped claim is published as aborted"]
pub struct Filled<'a, E: Event> {
    claim: Claim<'a, E>,
}

impl<E: Event> Filled<'_, E> {
    /// Publishes the event and gives its sequence.
    #[inline]
    pub fn publish(self) -> Sequence {
        let mut claim = core::mem::ManuallyDrop::new(self.claim);
        let sequence = claim.sequence;
        claim.producer.slots.publish(sequence);
        claim.producer.settle(sequence.next());
        sequence
    }
}

/// Sequences `first..end` under way together; `first..filled` are written.
struct BatchClaim<'a, E: Event> {
    producer: &'a mut Producer<E>,
    first: Sequence,
    end: Sequence,
    filled: Sequence,
}

impl<E: Event> BatchClaim<'_, E> {
    #[inline(always)]
    fn write(&mut self, event: &E) -> Result<(), EventTooLarge> {
        debug_assert!(self.filled < self.end);
        // SAFETY: R3: this guard holds the claim of `first..end` and has stamped none of them.
        unsafe { self.producer.slots.write(self.filled, event)? };
        self.filled = self.filled.next();
        Ok(())
    }

    /// Stamps from the last to the first (R4); what was not filled is aborted.
    fn publish(self) -> Range<Sequence> {
        let mut batch = core::mem::ManuallyDrop::new(self);
        let (first, filled, end) = (batch.first, batch.filled, batch.end);
        batch.producer.slots.abort_all(filled..end);
        batch.producer.slots.publish_all(first..filled);
        batch.producer.settle(end);
        first..filled
    }
}

impl<E: Event> Drop for BatchClaim<'_, E> {
    fn drop(&mut self) {
        self.producer.slots.abort_all(self.first..self.end);
        self.producer.settle(self.end);
    }
}

impl<E: Event> core::fmt::Debug for Producer<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Producer")
            .field("event", &E::NAME)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

impl<E: Event> core::fmt::Debug for Claim<'_, E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Claim").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl<E: Event> core::fmt::Debug for Filled<'_, E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Filled").field("sequence", &self.claim.sequence).finish_non_exhaustive()
    }
}
