//! *Owns* the calls with a deadline of their own. *Invariant*: each is one claim that waits for at most
//! its limit, and then as the same call without one. *Source*: its own.

use super::{BatchClaim, Claim, Full, Producer};
use crate::error::PublishError;
use crate::event::{Event, InPlace, InlineCodec};
use crate::ring::{Claims, Single};
use crate::sequence::Sequence;
use core::{borrow::Borrow, ops::Range, time::Duration};
use rkyv::Archived;

/// A producer with a deadline for one call. See [`Producer::within`].
#[derive(Debug)]
#[must_use = "it does nothing by itself"]
pub struct Within<'a, E: Event, C: Claims = Single> {
    producer: &'a mut Producer<E, C>,
    limit: Duration,
}

impl<'a, E: Event, C: Claims> Within<'a, E, C> {
    pub(super) fn new(producer: &'a mut Producer<E, C>, limit: Duration) -> Self {
        Self { producer, limit }
    }

    /// As [`Producer::claim`].
    ///
    /// # Errors
    /// As [`Producer::claim`].
    pub fn claim(self) -> Result<Claim<'a, E, C>, PublishError> {
        self.producer.claim_as(Full::Within(self.limit))
    }

    /// As [`Producer::claim_batch`].
    ///
    /// # Errors
    /// As [`Producer::claim_batch`].
    pub fn claim_batch(self, events: usize) -> Result<BatchClaim<'a, E, C>, PublishError> {
        self.producer.claim_batch_as(events, Full::Within(self.limit))
    }

    /// As [`Producer::publish`].
    ///
    /// # Errors
    /// As [`Producer::publish`].
    pub fn publish(self, event: &E) -> Result<Sequence, PublishError> {
        Ok(self.claim()?.write(event)?.publish())
    }

    /// As [`Producer::publish_with`].
    ///
    /// # Errors
    /// As [`Producer::publish`].
    pub fn publish_with(self, event: impl FnOnce(Sequence) -> E) -> Result<Sequence, PublishError> {
        self.claim()?.fill(event)
    }

    /// As [`Producer::publish_in_place`].
    ///
    /// # Errors
    /// As [`Producer::claim`].
    pub fn publish_in_place(
        self,
        write: impl FnOnce(&mut Archived<E>, Sequence),
    ) -> Result<Sequence, PublishError>
    where
        E: Event<Codec = InlineCodec>,
        Archived<E>: InPlace,
    {
        Ok(self.claim()?.write_in_place(write).publish())
    }

    /// As [`Producer::publish_batch`].
    ///
    /// # Errors
    /// As [`Producer::publish_batch`].
    pub fn publish_batch<I>(self, events: I) -> Result<Range<Sequence>, PublishError>
    where
        I: IntoIterator<Item: Borrow<E>, IntoIter: ExactSizeIterator>,
    {
        let events = events.into_iter();
        self.claim_batch(events.len())?.fill(events)
    }
}
