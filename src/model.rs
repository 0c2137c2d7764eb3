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
use crate::wait::Wait;
use core::time::Duration;
use rkyv::Archived;
use std::sync::Arc;

/// A consumer that joins while the bus runs, at `from` or at the oldest sequence after it.
///
/// Joins the gates and not the ring, which takes a lock that loom does not know.
pub fn join<E: Event>(bus: &Bus<E>, from: Sequence) -> Option<Poller<E>> {
    let (ring, _) = bus.parts();
    let (gate, at) = ring.header().gate_table.join(from)?;
    let barrier = Barrier { upstream: Vec::new(), causes: Vec::new() };
    Some(Poller::new(ring, &Arc::from("joiner"), 0, gate, at, barrier, true))
}

/// The first half of a complete shutdown.
pub fn drain<E: Event>(bus: &Bus<E>) {
    bus.advance(Life::Draining);
}

/// The duty cycle of a parking consumer thread, to be run on a thread of the model.
pub struct DutyCycle(Processor);

impl DutyCycle {
    pub fn new<E: Event, H: Handler<E>>(bus: &Bus<E>, poller: Poller<E>, handler: H) -> Self {
        let (ring, bell) = bus.parts();
        let stage = Handling::new(poller, handler, |handler| Box::new(handler));
        let control = Control::new(OnPanic::Halt, None);
        Self(Processor {
            stages: vec![Named { name: Arc::from("parker"), stage: Box::new(stage), control }],
            wait: Wait::Park { max: Duration::MAX },
            ring: Arc::clone(ring),
            bell: Arc::clone(bell),
            fail: Arc::new(|why| panic!("{why}")),
        })
    }

    /// Runs to the stage's orderly end.
    pub fn run(self) {
        let ended = self.0.run();
        assert_eq!(ended.len(), 1, "a stage ends once");
    }
}

/// Sleeps on the bell of `bus` whatever its life is.
pub fn doze<E: Event>(bus: &Bus<E>) {
    bus.parts().1.sleep(Duration::MAX, || false);
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
