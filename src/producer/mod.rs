//! *Owns* the way in: claim, fill, publish. *Invariant*: nothing unfilled can be published, and
//! whatever is claimed is stamped, as published or as aborted, before the handle's next claim.
//! *Source*: Aeron's claim → commit or abort, with the guard as the protocol.

mod guard;
mod within;

pub use guard::{BatchClaim, Claim, Filled};
pub use within::Within;

use crate::error::PublishError;
use crate::event::{Codec, Event, InPlace, InlineCodec};
use crate::idle::Patience;
use crate::ring::{Claims, Multi, Ring, Single, Slots};
use crate::sequence::Sequence;
use crate::sleepers::Caller;
use crate::wait::WhenFull;
use core::{borrow::Borrow, ops::Range, time::Duration};
use rkyv::Archived;
use std::sync::Arc;

/// A producer of a bus: the only one, or with [`Multi`] one of several.
///
/// Publishing serializes the event with rkyv straight into its slot: no allocation, no lock, no
/// system call, no clock. Only a full ring leaves that path, and then [`WhenFull`] decides; the
/// `try_` forms never wait, and [`Producer::within`] sets a deadline for one call.
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
pub struct Producer<E: Event, C: Claims = Single> {
    slots: Slots<E>,
    claims: C,
    when_full: WhenFull,
    /// What serialization keeps its intermediate results in.
    scratch: <E::Codec as Codec<E>>::Scratch,
    slot_bytes: usize,
    sleepers: Caller,
    ring: Arc<Ring>,
}

/// One of several producers of a bus. A clone is another producer, for another thread.
///
/// Winning a sequence costs one compare-exchange on a line that all producers share; filling and
/// publishing share nothing. A producer that is stopped between claim and publish stops the
/// consumers at its sequence, since there is one total order: [`Bus::held_claims`] names it.
///
/// [`Bus::held_claims`]: crate::Bus::held_claims
pub type MultiProducer<E> = Producer<E, Multi>;

/// What a call does when the ring is full.
#[derive(Clone, Copy)]
enum Full {
    /// As the producer was built.
    AsBuilt,
    /// Refuses.
    Refuse,
    /// Waits as built, this long at most.
    Within(Duration),
}

impl<E: Event> Producer<E> {
    pub(crate) fn single(ring: Arc<Ring>, slot_bytes: usize, when_full: WhenFull) -> Self {
        let claims = Single::new(ring.claimed());
        Self::new(ring, slot_bytes, claims, when_full)
    }
}

impl<E: Event> Producer<E> {
    /// Goes through the motions of publishing `event`, `rounds` times, and publishes nothing: code,
    /// branch predictors and the lines of the next slots are warm when the first event comes. For
    /// the quiet before a market opens. For an only producer; one of several could not write to a
    /// slot without taking its sequence.
    ///
    /// # Errors
    /// As [`Producer::try_publish`]; it writes to free slots and never waits for one.
    pub fn warm_up(&mut self, rounds: usize, event: &E) -> Result<(), PublishError> {
        let sequence = self.try_claim()?.forget();
        let mut free = self.slots.capacity() / 2;
        while free > 1 && self.win(free).is_none() {
            free /= 2;
        }
        for round in 0..rounds as u64 {
            let at = sequence.advance(round % free.max(1));
            // SAFETY: R3: slots from `sequence` on, `free` of them and one at least, were found free,
            // and the only producer, which is here, publishes none of them.
            unsafe { self.slots.write(at, event, &mut self.scratch) }?;
        }
        Ok(())
    }
}

impl<E: Event> MultiProducer<E> {
    pub(crate) fn multi(ring: Arc<Ring>, slot_bytes: usize, when_full: WhenFull) -> Self {
        let claims = Multi::new(ring.oldest(), ring.enter(None));
        Self::new(ring, slot_bytes, claims, when_full)
    }

    /// Another producer, which errors and reports call `name`.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        self.another(Some(name))
    }

    /// What errors and reports call this producer.
    #[must_use]
    pub fn name(&self) -> &str {
        self.claims.held().name()
    }

    fn another(&self, name: Option<&str>) -> Self {
        let claims = Multi::new(self.ring.oldest(), self.ring.enter(name));
        Self::new(Arc::clone(&self.ring), self.slot_bytes, claims, self.when_full)
    }
}

impl<E: Event> Clone for MultiProducer<E> {
    /// Another producer, `producer-N` by name.
    fn clone(&self) -> Self {
        self.another(None)
    }
}

impl<E: Event, C: Claims> Producer<E, C> {
    fn new(ring: Arc<Ring>, slot_bytes: usize, claims: C, when_full: WhenFull) -> Self {
        let slots = Slots::new(Arc::clone(ring.region()), slot_bytes);
        let scratch = <E::Codec as Codec<E>>::scratch(slot_bytes);
        let sleepers = ring.sleepers().caller();
        Self { slots, claims, when_full, scratch, slot_bytes, sleepers, ring }
    }

    /// Claims the next sequence; waits for a free slot as [`WhenFull`] says.
    ///
    /// # Errors
    /// [`PublishError::Closed`], or [`PublishError::Full`] at the end of the patience.
    #[inline]
    pub fn claim(&mut self) -> Result<Claim<'_, E, C>, PublishError> {
        self.claim_as(Full::AsBuilt)
    }

    /// Claims the next sequence if a slot is free now.
    ///
    /// # Errors
    /// [`PublishError::Closed`] or [`PublishError::Full`]; never waits.
    #[inline]
    pub fn try_claim(&mut self) -> Result<Claim<'_, E, C>, PublishError> {
        self.claim_as(Full::Refuse)
    }

    /// Claims the next `events` sequences; waits for free slots as [`WhenFull`] says.
    ///
    /// # Errors
    /// As [`Producer::claim`], or [`PublishError::BatchTooLarge`].
    #[inline]
    pub fn claim_batch(&mut self, events: usize) -> Result<BatchClaim<'_, E, C>, PublishError> {
        self.claim_batch_as(events, Full::AsBuilt)
    }

    /// Claims the next `events` sequences if their slots are free now.
    ///
    /// # Errors
    /// As [`Producer::try_claim`], or [`PublishError::BatchTooLarge`].
    #[inline]
    pub fn try_claim_batch(&mut self, events: usize) -> Result<BatchClaim<'_, E, C>, PublishError> {
        self.claim_batch_as(events, Full::Refuse)
    }

    /// Publishes one event; waits for a free slot as [`WhenFull`] says.
    ///
    /// # Errors
    /// As [`Producer::claim`], or [`PublishError::TooLarge`] or [`PublishError::Unserializable`],
    /// and then the sequence was published as aborted.
    #[inline]
    pub fn publish(&mut self, event: &E) -> Result<Sequence, PublishError> {
        Ok(self.claim()?.write(event)?.publish())
    }

    /// Publishes one event if a slot is free now.
    ///
    /// # Errors
    /// As [`Producer::try_claim`], or [`PublishError::TooLarge`] or
    /// [`PublishError::Unserializable`], and then the sequence was published as aborted.
    #[inline]
    pub fn try_publish(&mut self, event: &E) -> Result<Sequence, PublishError> {
        Ok(self.try_claim()?.write(event)?.publish())
    }

    /// Publishes what `event` makes of its sequence; waits as [`WhenFull`] says. What is built after
    /// the claim needs no copy on its way into the slot. If it unwinds, the sequence is aborted.
    ///
    /// # Errors
    /// As [`Producer::publish`].
    #[inline]
    pub fn publish_with(
        &mut self,
        event: impl FnOnce(Sequence) -> E,
    ) -> Result<Sequence, PublishError> {
        self.claim()?.fill(event)
    }

    /// Publishes what `event` makes of its sequence, if a slot is free now.
    ///
    /// # Errors
    /// As [`Producer::try_publish`].
    #[inline]
    pub fn try_publish_with(
        &mut self,
        event: impl FnOnce(Sequence) -> E,
    ) -> Result<Sequence, PublishError> {
        self.try_claim()?.fill(event)
    }

    /// Publishes what `write` writes over the zeros of its slot, where it lies; waits as [`WhenFull`]
    /// says. For large events of numbers, which say `in_place` (see [`InPlace`]): nothing is built
    /// elsewhere and copied. If `write` unwinds, the sequence is aborted.
    ///
    /// # Errors
    /// As [`Producer::claim`].
    #[inline]
    pub fn publish_in_place(
        &mut self,
        write: impl FnOnce(&mut Archived<E>, Sequence),
    ) -> Result<Sequence, PublishError>
    where
        E: Event<Codec = InlineCodec>,
        Archived<E>: InPlace,
    {
        Ok(self.claim()?.write_in_place(write).publish())
    }

    /// As [`Producer::publish_in_place`], if a slot is free now.
    ///
    /// # Errors
    /// As [`Producer::try_claim`].
    #[inline]
    pub fn try_publish_in_place(
        &mut self,
        write: impl FnOnce(&mut Archived<E>, Sequence),
    ) -> Result<Sequence, PublishError>
    where
        E: Event<Codec = InlineCodec>,
        Archived<E>: InPlace,
    {
        Ok(self.try_claim()?.write_in_place(write).publish())
    }

    /// Publishes all events of `events` at once: no consumer sees one before all are there. Waits
    /// as [`WhenFull`] says.
    ///
    /// A batch that unwinds is aborted whole; sequences that the iterator announced and did not
    /// deliver are published as aborted. Gives the range of sequences.
    ///
    /// # Errors
    /// As [`Producer::publish`], or [`PublishError::BatchTooLarge`]. On error no event of the batch
    /// is published.
    #[inline]
    pub fn publish_batch<I>(&mut self, events: I) -> Result<Range<Sequence>, PublishError>
    where
        I: IntoIterator<Item: Borrow<E>, IntoIter: ExactSizeIterator>,
    {
        let events = events.into_iter();
        self.claim_batch(events.len())?.fill(events)
    }

    /// As [`Producer::publish_batch`], if there are free slots now.
    ///
    /// # Errors
    /// As [`Producer::try_publish`], or [`PublishError::BatchTooLarge`].
    #[inline]
    pub fn try_publish_batch<I>(&mut self, events: I) -> Result<Range<Sequence>, PublishError>
    where
        I: IntoIterator<Item: Borrow<E>, IntoIter: ExactSizeIterator>,
    {
        let events = events.into_iter();
        self.try_claim_batch(events.len())?.fill(events)
    }

    /// The same calls with a deadline: on a full ring they wait for at most `limit`, and then the
    /// error names the consumer in the way. A producer that was built to refuse yields instead.
    ///
    /// ```
    /// # use {std::time::Duration, tourbillon::{Bus, PublishError}};
    /// # #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
    /// # #[event(name = "doc.tick", version = 1)]
    /// # struct Tick { price: i64 }
    /// let mut builder = Bus::<Tick>::builder(2);
    /// builder.poller("book");
    /// let (mut producer, bus) = builder.start()?;
    /// producer.publish_batch([1, 2].map(|price| Tick { price }))?;
    /// let late = producer.within(Duration::from_millis(1)).publish(&Tick { price: 3 });
    /// assert!(matches!(late, Err(PublishError::Full(full)) if &*full.gate == "book"));
    /// assert_eq!(bus.lag("book"), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn within(&mut self, limit: Duration) -> Within<'_, E, C> {
        Within::new(self, limit)
    }

    /// The sequence that the next publish will have, unless another producer is first.
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
    fn claim_as(&mut self, full: Full) -> Result<Claim<'_, E, C>, PublishError> {
        let sequence = match self.win(1) {
            Some(sequence) => sequence,
            None => self.make_room(1, full)?,
        };
        Ok(Claim::new(self, sequence))
    }

    #[inline(always)]
    fn claim_batch_as(
        &mut self,
        events: usize,
        full: Full,
    ) -> Result<BatchClaim<'_, E, C>, PublishError> {
        let count = events as u64;
        let first = match self.win(count) {
            Some(sequence) => sequence,
            None => self.make_room(count, full)?,
        };
        Ok(BatchClaim::new(self, first..first.advance(count)))
    }

    #[inline(always)]
    fn win(&mut self, count: u64) -> Option<Sequence> {
        let header = self.slots.header();
        if header.state.is_open() && self.claims.unsettled().is_empty() {
            self.claims.win(header, count)
        } else {
            None
        }
    }

    /// Looks until there is room, the bus closes, or the patience ends.
    #[cold]
    fn make_room(&mut self, count: u64, full: Full) -> Result<Sequence, PublishError> {
        self.abort_forgotten();
        let capacity = self.slots.capacity();
        if count > capacity {
            let (events, capacity) = (count as usize, capacity as usize);
            return Err(PublishError::BatchTooLarge { events, capacity });
        }
        let mut patience = match full {
            Full::AsBuilt => Patience::new(self.when_full),
            Full::Refuse => Patience::new(WhenFull::Fail),
            Full::Within(limit) => Patience::within(self.when_full, limit),
        };
        let mut is_stalled = false;
        loop {
            match self.find_room(count) {
                Err(PublishError::Full(full)) => {
                    if !std::mem::replace(&mut is_stalled, true) {
                        self.ring.tally.stalls.add(1);
                    }
                    if !patience.go_on(&self.ring) {
                        return Err(full.into());
                    }
                }
                other => return other,
            }
        }
    }

    /// Wins, or finds the ring closed or full.
    fn find_room(&mut self, count: u64) -> Result<Sequence, PublishError> {
        loop {
            let header = self.ring.header();
            if !header.state.is_open() {
                return Err(PublishError::Closed);
            }
            if let Some(sequence) = self.claims.win(header, count) {
                return Ok(sequence);
            }
            self.claims.scan(&self.ring, count)?;
        }
    }

    /// Publishes what a forgotten guard left behind as aborted.
    fn abort_forgotten(&mut self) {
        let forgotten = self.claims.unsettled();
        if !forgotten.is_empty() {
            self.abort(forgotten);
        }
    }

    #[cold]
    fn abort(&mut self, range: Range<Sequence>) {
        self.abort_tail(range.clone());
        self.settle(range.end);
    }

    /// The end of a batch that stays unfilled: its head is about to be published.
    #[cold]
    fn abort_tail(&mut self, range: Range<Sequence>) {
        self.ring.tally.aborted.add(range.end.events_since(range.start));
        self.slots.abort_all(range);
    }

    #[inline(always)]
    fn settle(&mut self, end: Sequence) {
        self.claims.settle(end);
        self.sleepers.after_publish();
    }
}

impl<E: Event, C: Claims> Drop for Producer<E, C> {
    fn drop(&mut self) {
        self.abort_forgotten();
        self.claims.leave(&self.ring);
    }
}

impl<E: Event, C: Claims> core::fmt::Debug for Producer<E, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Producer")
            .field("event", &E::NAME)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}
