//! *Owns* consumers that come while a bus runs. *Invariant*: a newcomer loses nothing between its
//! first event and its last, and takes nothing from anybody else. *Source*: R5 of the ring.

use super::Bus;
use crate::barrier::Barrier;
use crate::error::JoinError;
use crate::event::Event;
use crate::poller::Poller;
use crate::ring::{GateIndex, Life};
use crate::sequence::Sequence;
use crate::tap::Tap;
use std::sync::Arc;

/// Where a consumer that joins a running bus begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum From {
    /// At the first event that was not visible yet when it joined.
    Now,
    /// At the oldest event that is surely still in the ring: half a ring back at least, where as
    /// much was published, and in batches of a quarter ring at most.
    Oldest,
}

impl<E: Event> Bus<E> {
    /// Adds a consumer straight on the ring while producers publish. It gates them from now on, and
    /// leaves when it is dropped; neither costs anybody an event.
    ///
    /// Allocates, and takes a lock that no producer or consumer takes on its hot path.
    ///
    /// ```
    /// # use tourbillon::{Bus, From, Polled};
    /// # #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
    /// # #[event(name = "doc.tick", version = 1)]
    /// # struct Tick { price: i64 }
    /// let (mut producer, bus) = Bus::<Tick>::builder(16).start()?;
    /// producer.publish(&Tick { price: 1 })?;
    /// let mut late = bus.join("late", From::Now)?;
    /// let mut early = bus.join("early", From::Oldest)?;
    /// producer.publish(&Tick { price: 2 })?;
    ///
    /// let Polled::Batch(mut batch) = late.poll() else { unreachable!() };
    /// assert_eq!(batch.next().map(|(tick, _)| tick.price.to_native()), Some(2));
    /// let Polled::Batch(mut batch) = early.poll() else { unreachable!() };
    /// assert_eq!(batch.next().map(|(tick, _)| tick.price.to_native()), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`JoinError`] if the name or every gate is taken, or the bus does not run any more.
    pub fn join(&self, name: &str, from: From) -> Result<Poller<E>, JoinError> {
        let (name, gate, at) = self.take_gate(name)?;
        let barrier = Barrier { upstream: Vec::new(), causes: Vec::new() };
        let ring = &self.core.ring;
        let mut poller = Poller::new(ring, &name, self.slot_bytes, gate, at, barrier, true);
        if from == From::Now {
            poller.skip_to_now();
        }
        Ok(poller)
    }

    /// Adds a lossy consumer that copies up to `events` events at a time. It gates producers for the
    /// time of a copy and never longer.
    ///
    /// # Errors
    /// As [`Bus::join`].
    ///
    /// # Panics
    /// If `events` is 0.
    pub fn tap(&self, name: &str, from: From, events: usize) -> Result<Tap<E>, JoinError> {
        assert!(events > 0, "a tap copies one event at least");
        let (_, gate, oldest) = self.take_gate(name)?;
        let ring = &self.core.ring;
        let next = match from {
            From::Now => ring.region().stamped(oldest..ring.claimed()),
            From::Oldest => oldest,
        };
        Ok(Tap::new(ring, self.slot_bytes, gate, next, events))
    }

    /// A gate at the oldest sequence.
    fn take_gate(&self, name: &str) -> Result<(Arc<str>, GateIndex, Sequence), JoinError> {
        let ring = &self.core.ring;
        if ring.life() != Life::Open {
            return Err(JoinError::Closed);
        }
        if self.core.stages.iter().any(|stage| &*stage.name == name) || ring.is_named(name) {
            return Err(JoinError::Duplicate { name: name.to_owned() });
        }
        let gates = crate::ring::Gates::COUNT;
        let name: Arc<str> = Arc::from(name);
        // Lower than anything: the gates move it up to the oldest.
        let (gate, at) = ring.join(&name, Sequence::ZERO).ok_or(JoinError::NoGate { gates })?;
        Ok((name, gate, at))
    }
}
