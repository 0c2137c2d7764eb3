//! *Owns* what the models in `loom-tests` need beyond the public interface. *Invariant*: it is there
//! under `--cfg loom` alone, and only calls what the crate itself calls. *Source*: none.

#![allow(missing_docs, missing_debug_implementations, reason = "no part of the interface")]

use crate::barrier::Barrier;
use crate::bus::Bus;
use crate::control::{Control, OnPanic};
use crate::event::Event;
use crate::poller::Poller;
use crate::processor::{Handler, Handling, Named, Processor};
use crate::ring::Life;
use crate::sequence::Sequence;
use crate::tap::Tap;
use crate::wait::Wait;
use crate::waker::{Waker, Watched};
use core::time::Duration;
use rkyv::Archived;
use std::sync::Arc;

/// A consumer that joins while the bus runs, at `from` or at the oldest sequence after it.
///
/// Joins the gates and not the ring, which takes a lock that loom does not know.
pub fn join<E: Event>(bus: &Bus<E>, from: Sequence) -> Option<Poller<E>> {
    let ring = bus.ring();
    let (gate, at) = ring.header().gate_table.join(from)?;
    let barrier = Barrier { upstream: Vec::new(), causes: Vec::new() };
    Some(Poller::new(ring, &Arc::from("joiner"), 0, gate, at, barrier, true))
}

/// A tap from the start, for `events` at a time.
pub fn tap<E: Event>(bus: &Bus<E>, events: usize) -> Option<Tap<E>> {
    let ring = bus.ring();
    let (gate, at) = ring.header().gate_table.join(Sequence::ZERO)?;
    Some(Tap::new(ring, 0, gate, at, events))
}

/// As [`join`], from the first sequence that is not visible yet.
pub fn join_now<E: Event>(bus: &Bus<E>) -> Option<Poller<E>> {
    let mut poller = join(bus, Sequence::ZERO)?;
    poller.skip_to_now();
    Some(poller)
}

/// The first half of a complete shutdown.
pub fn drain<E: Event>(bus: &Bus<E>) {
    bus.advance(Life::Draining);
}

/// The duty cycle of a parking consumer thread, to be run on a thread of the model.
pub struct DutyCycle(Processor);

impl DutyCycle {
    pub fn new<E: Event, H: Handler<E>>(
        bus: &Bus<E>,
        poller: Poller<E>,
        wait: Wait,
        handler: H,
    ) -> Self {
        let cycle = Self(Processor {
            stages: Vec::new(),
            wait,
            called_park_max: Duration::MAX,
            ring: Arc::clone(bus.ring()),
            fail: Arc::new(|why| panic!("{why}")),
        });
        cycle.and(poller, handler)
    }

    /// One more stage on the same thread, behind those that are there.
    pub fn and<E: Event, H: Handler<E>>(mut self, poller: Poller<E>, handler: H) -> Self {
        let stage = Handling::new(poller, handler, |handler| Box::new(handler));
        let control = Control::new(OnPanic::Halt, None);
        let name = Arc::from("parker");
        self.0.stages.push(Named { name, stage: Box::new(stage), control });
        self
    }

    /// Runs to the stages' orderly end.
    pub fn run(self) {
        let stages = self.0.stages.len();
        assert_eq!(self.0.run().len(), stages, "a stage ends once");
    }
}

/// Sleeps on the bell of `bus` whatever its life is.
pub fn doze<E: Event>(bus: &Bus<E>) {
    bus.ring().sleepers().sleep(Duration::MAX, || false);
}

/// Looks at the payload at the poller's own sequence without asking its stamp: a data race.
///
/// # Safety
/// - The caller is a model: loom stops it before bytes are viewed that another thread writes.
/// - An event of all zeros is valid.
pub unsafe fn peek_unpublished<E: Event>(poller: &Poller<E>) -> &Archived<E> {
    // SAFETY: by this function's contract.
    unsafe { poller.peek_unpublished() }
}

/// The waker thread over all stages of a bus, as if each stood straight on the ring.
pub struct WakerThread(Waker);

impl WakerThread {
    pub fn new<E: Event>(bus: &Bus<E>) -> Self {
        let watch = |cursor| Watched { cursor, upstream: Vec::new() };
        let watched = bus.cursors().map(watch).collect();
        Self(Waker { ring: Arc::clone(bus.ring()), watched, period: Duration::MAX })
    }

    /// Looks until the bus ends; a nap is the turn of the others.
    pub fn run(&self) {
        while self.0.ring.life() == Life::Open {
            self.0.look();
            crate::sync::yield_now();
        }
    }
}
