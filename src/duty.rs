//! *Owns* duty cycles of the caller's own: pollers of one ring or of several, driven by one thread.
//! *Invariant*: a panic ends its own stage and halts the bus that it belongs to; the others go on to
//! their ends. *Source*: Agrona's composite agents.

use crate::affinity;
use crate::control::{Control, OnPanic};
use crate::error::Outcome;
use crate::event::Event;
use crate::idle::UNCALLED_PARK;
use crate::poller::Poller;
use crate::processor::{Ended, Failure, Handler, Handling, Named, Processor};
use crate::ring::{Life, Ring};
use crate::wait::Wait;
use core::any::Any;
use std::sync::Arc;

/// Drives pollers, of one bus or of several, on the thread that runs it: a machine with one free core
/// still runs them all. Stages take turns in the order in which they were added, a batch each.
///
/// ```
/// # use tourbillon::{Bus, DutyCycle, Sequence, Wait};
/// # #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
/// # #[event(name = "doc.tick", version = 1)]
/// # struct Tick { price: i64 }
/// # #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
/// # #[event(name = "doc.order", version = 1)]
/// # struct Order { id: u64 }
/// let (mut ticks, tick_bus) = Bus::<Tick>::builder(64).start()?;
/// let (mut orders, order_bus) = Bus::<Order>::builder(64).start()?;
/// let (mut sum, mut last) = (0, 0);
/// let cycle = DutyCycle::new(Wait::Auto)
///     .drive(tick_bus.join("book", tourbillon::From::Oldest)?, move |tick: &ArchivedTick, _: Sequence, _: bool| {
///         sum += tick.price.to_native();
///     })
///     .drive(order_bus.join("risk", tourbillon::From::Oldest)?, move |order: &ArchivedOrder, _: Sequence, _: bool| {
///         last = order.id.to_native();
///     });
/// let thread = std::thread::spawn(move || cycle.run());
/// ticks.publish(&Tick { price: 100 })?;
/// orders.publish(&Order { id: 7 })?;
/// # use tourbillon::Drain;
/// # while tick_bus.lag("book") != Some(0) || order_bus.lag("risk") != Some(0) { std::thread::yield_now() }
/// tick_bus.shutdown(Drain::Complete)?;
/// order_bus.shutdown(Drain::Complete)?;
/// let ended = thread.join().expect("it catches its handlers' panics");
/// assert_eq!(ended.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it does nothing until it runs"]
pub struct DutyCycle {
    stages: Vec<Named>,
    /// Of each stage.
    rings: Vec<(Arc<str>, Arc<Ring>)>,
    wait: Wait,
    core: Option<usize>,
}

/// How one stage of a [`DutyCycle`] ended.
pub struct EndedStage {
    /// The poller's name.
    pub name: Arc<str>,
    /// Its end.
    pub outcome: Outcome,
    handler: Box<dyn Any + Send>,
}

impl EndedStage {
    /// The handler, if it is an `H`.
    #[must_use]
    pub fn into_handler<H: 'static>(self) -> Option<H> {
        self.handler.downcast().ok().map(|handler| *handler)
    }
}

impl DutyCycle {
    /// A cycle that waits as said while none of its stages has anything to do. The end of a bus
    /// wakes it if it is the bus of its first stage; others are noticed at its next look. What only
    /// a bus can do for its own threads, [`Wait::Waker`] and [`Wait::DirectWake`], is a park here.
    pub fn new(wait: Wait) -> Self {
        Self { stages: Vec::new(), rings: Vec::new(), wait, core: None }
    }

    /// Adds a stage.
    pub fn drive<E: Event, H: Handler<E>>(mut self, poller: Poller<E>, handler: H) -> Self {
        let (name, ring) = poller.home();
        self.rings.push((Arc::clone(&name), ring));
        let stage = Box::new(Handling::new(poller, handler, |handler| Box::new(handler)));
        self.stages.push(Named { name, stage, control: Control::new(OnPanic::Halt, None) });
        self
    }

    /// Pins the thread that runs it.
    pub fn core(mut self, core: usize) -> Self {
        self.core = Some(core);
        self
    }

    /// Runs until every stage is over: its bus has drained or was halted, or its handler panicked,
    /// and then its bus is halted.
    ///
    /// # Panics
    /// If the core cannot be had, or a start hook panics.
    pub fn run(self) -> Vec<EndedStage> {
        let Some((_, ring)) = self.rings.first() else { return Vec::new() };
        let ring = Arc::clone(ring);
        if let Some(core) = self.core {
            let pinned = affinity::pin(core);
            assert!(pinned.is_ok(), "core {core}: {}", pinned.err().unwrap_or_default());
        }
        let rings = self.rings;
        let mut processor = Processor {
            stages: self.stages,
            wait: self.wait,
            called_park_max: UNCALLED_PARK,
            ring,
            fail: Arc::new(move |why| halt(&rings, &why)),
        };
        let started = processor.start();
        assert!(started.is_ok(), "start hook: {:?}", started.err());
        processor.run().into_iter().map(EndedStage::of).collect()
    }
}

impl EndedStage {
    fn of(ended: Ended) -> Self {
        let Ended { named, outcome } = ended;
        Self { name: named.name, outcome, handler: named.stage.into_handler() }
    }
}

/// Halts the bus of the stage that failed; all of them if it has no name.
fn halt(rings: &[(Arc<str>, Arc<Ring>)], why: &Failure) {
    let failed = match why {
        Failure::Panicked { stage, .. } | Failure::Stranded { stage } => Some(stage),
        _ => None,
    };
    for (name, ring) in rings {
        if failed.is_none_or(|failed| failed == name) {
            ring.advance(Life::Halted);
        }
    }
}

impl core::fmt::Debug for DutyCycle {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DutyCycle")
            .field("stages", &self.rings.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("wait", &self.wait)
            .field("core", &self.core)
            .finish_non_exhaustive()
    }
}

impl core::fmt::Debug for EndedStage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EndedStage")
            .field("name", &self.name)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}
