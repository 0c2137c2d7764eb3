//! *Owns* a running bus: its threads, what can be asked of it, and every way it ends. *Invariant*: a
//! bus that is gone has left no thread behind but those it named as still running. *Source*: the
//! LMAX Disruptor's `Disruptor`, with a deadline on every goodbye.

mod builder;

pub use builder::{BusBuilder, StageBuilder};

use crate::barrier::{CursorRef, Foreign};
use crate::error::{ConsumerReport, Outcome};
use crate::event::Event;
use crate::poller::Poller;
use crate::processor::{Ended, Failure};
use crate::ring::{Life, Ring};
use crate::sequence::Sequence;
use crate::sync::Bell;
use crate::topology::Milestone;
use core::{any::Any, time::Duration};
use crossbeam_channel::Receiver;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

/// How long a halted bus waits for handlers to return from their last batch.
const GRACE: Duration = Duration::from_secs(5);

/// A running bus. It can be asked from any thread; the hot path pays nothing for it.
///
/// Dropping a bus halts it: consumers stop after their current batch, the journal stage drains.
pub struct Bus<E: Event> {
    core: Core,
    pollers: Mutex<Vec<Poller<E>>>,
    links: Links,
    #[cfg(feature = "journal")]
    journal: Option<crate::journal::JournalHandle>,
}

/// What of a bus does not depend on its event type.
struct Core {
    ring: Arc<Ring>,
    bell: Arc<Bell>,
    stages: Vec<(Arc<str>, CursorRef)>,
    /// Stages that run on the caller's own threads.
    callers: Vec<Arc<str>>,
    threads: Vec<JoinHandle<()>>,
    ended: Receiver<Vec<Ended>>,
    failure: Arc<OnceLock<Failure>>,
}

/// How a shutdown treats what is published but not handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drain {
    /// Consumers handle everything, however long it takes.
    Complete,
    /// Consumers handle what they can in this time; then the bus halts.
    Deadline(Duration),
    /// Consumers stop after their current batch. The journal stage drains all the same.
    Halt,
}

/// Where everybody stood when the bus ended.
pub struct Report {
    /// Everything below was published.
    pub published: Sequence,
    /// Each stage, in the order of declaration.
    pub consumers: Vec<ConsumerReport>,
    handlers: BTreeMap<Arc<str>, Box<dyn Any + Send>>,
}

/// A shutdown that was not clean, with the report of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum ShutdownError {
    /// The bus had halted by itself.
    Failed {
        /// The first reason.
        failure: Failure,
        /// Where everybody stood.
        report: Box<Report>,
    },
    /// Consumers were behind when the time was up, or never returned.
    Behind {
        /// Where everybody stood.
        report: Box<Report>,
    },
}

impl<E: Event> Bus<E> {
    /// Takes the poller built under `name`; it is there once.
    #[must_use]
    pub fn take_poller(&mut self, name: &str) -> Option<Poller<E>> {
        let pollers = self.pollers.get_mut();
        let at = pollers.iter().position(|poller| poller.name() == name)?;
        Some(pollers.remove(at))
    }

    /// Everything below is claimed, and published or about to be.
    #[must_use]
    pub fn published(&self) -> Sequence {
        self.core.ring.claimed()
    }

    /// Everything below was handled by the stage `name`.
    #[must_use]
    pub fn sequence(&self, name: &str) -> Option<Sequence> {
        self.core.cursor(name).map(CursorRef::acquire)
    }

    /// Published events that the stage `name` has not handled.
    #[must_use]
    pub fn lag(&self, name: &str) -> Option<u64> {
        let handled = self.sequence(name)?;
        Some(self.published().events_since(handled))
    }

    /// Slots that are free now, 0 to capacity.
    #[must_use]
    pub fn remaining_capacity(&self) -> u64 {
        self.core.ring.remaining_capacity()
    }

    /// Why the bus halted by itself, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.core.failure.get()
    }

    /// The journal of this bus, if it has one.
    #[cfg(feature = "journal")]
    #[must_use]
    pub fn journal(&self) -> Option<&crate::journal::JournalHandle> {
        self.journal.as_ref()
    }

    /// Refuses producers and stops consumers after their current batch; the journal stage drains.
    /// Returns at once.
    pub fn halt(&self) {
        self.core.advance(Life::Halted);
    }

    /// Ends the bus: refuses producers, lets consumers go on as `drain` says, then stops and joins
    /// every thread. Blocked producers are freed.
    ///
    /// What was published before this call is drained; a publish that races with it may come too
    /// late for the consumers, and then the report shows it. After the deadline the bus halts and
    /// waits up to 5 s for handlers to return; whoever does not is reported as still running.
    ///
    /// # Errors
    /// [`ShutdownError::Failed`] with the panic or the error that had halted the bus;
    /// [`ShutdownError::Behind`] when somebody lagged at the end (unless halted on request).
    pub fn shutdown(self, drain: Drain) -> Result<Report, ShutdownError> {
        let Self { mut core, pollers, .. } = self;
        let report = Box::new(core.end(drain));
        drop(pollers);
        if let Some(failure) = core.failure.get() {
            return Err(ShutdownError::Failed { failure: failure.clone(), report });
        }
        let is_done = |consumer: &ConsumerReport| match consumer.outcome {
            Outcome::Caller => true,
            Outcome::Stopped => drain == Drain::Halt || consumer.lag_events == 0,
            _ => false,
        };
        if report.consumers.iter().all(is_done) {
            Ok(*report)
        } else {
            Err(ShutdownError::Behind { report })
        }
    }
}

impl<E: Event> core::fmt::Debug for Bus<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Bus")
            .field("event", &E::NAME)
            .field("core", &self.core)
            .finish_non_exhaustive()
    }
}

impl Core {
    fn cursor(&self, name: &str) -> Option<&CursorRef> {
        self.stages.iter().find(|(stage, _)| &**stage == name).map(|(_, cursor)| cursor)
    }

    fn advance(&self, life: Life) {
        self.ring.header().state.advance(life);
        self.bell.ring();
    }

    /// Drains or halts, joins, reports.
    fn end(&mut self, drain: Drain) -> Report {
        let mut ended = Vec::new();
        if drain != Drain::Halt {
            self.advance(Life::Draining);
            let deadline = match drain {
                Drain::Deadline(time) => Instant::now().checked_add(time),
                _ => None,
            };
            self.collect(&mut ended, deadline);
        }
        self.advance(Life::Halted);
        self.collect(&mut ended, Instant::now().checked_add(GRACE));
        for thread in self.threads.drain(..) {
            if thread.is_finished() {
                // The thread caught its handlers' panics; there is nothing in a result to lose.
                drop(thread.join());
            }
        }
        self.report(ended)
    }

    /// Receives ended stages until every thread has answered or the deadline is over.
    fn collect(&self, ended: &mut Vec<Ended>, deadline: Option<Instant>) {
        loop {
            let next = match deadline {
                Some(deadline) => self.ended.recv_deadline(deadline).ok(),
                None => self.ended.recv().ok(),
            };
            match next {
                Some(stages) => ended.extend(stages),
                None => return,
            }
        }
    }

    fn report(&self, ended: Vec<Ended>) -> Report {
        let published = self.ring.claimed();
        let mut outcomes = BTreeMap::new();
        let mut handlers = BTreeMap::new();
        let mut consumers = Vec::with_capacity(self.stages.len());
        for Ended { named, outcome } in &ended {
            outcomes.insert(Arc::clone(&named.name), outcome.clone());
        }
        for (name, cursor) in &self.stages {
            let sequence = cursor.acquire();
            let is_caller = self.callers.contains(name);
            let unheard = if is_caller { Outcome::Caller } else { Outcome::Running };
            let outcome = outcomes.remove(name).unwrap_or(unheard);
            consumers.push(ConsumerReport {
                name: Arc::clone(name),
                sequence,
                lag_events: published.events_since(sequence),
                outcome,
            });
        }
        for Ended { named, .. } in ended {
            handlers.insert(named.name, named.stage.into_handler());
        }
        Report { published, consumers, handlers }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.end(Drain::Halt);
        }
    }
}

impl core::fmt::Debug for Core {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Core")
            .field("ring", &self.ring)
            .field("stages", &self.stages.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Report {
    /// Takes the handler, reactor or projection of a stage back; `None` if there is no such stage,
    /// it is of another type, never returned, or was taken already.
    #[must_use]
    pub fn take<H: 'static>(&mut self, name: &str) -> Option<H> {
        let handler = self.handlers.get(name)?;
        if !handler.is::<H>() {
            return None;
        }
        self.handlers.remove(name)?.downcast::<H>().ok().map(|handler| *handler)
    }

    /// The line of the stage `name`.
    #[must_use]
    pub fn consumer(&self, name: &str) -> Option<&ConsumerReport> {
        self.consumers.iter().find(|consumer| &*consumer.name == name)
    }
}

impl core::fmt::Debug for Report {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Report")
            .field("published", &self.published)
            .field("consumers", &self.consumers)
            .finish_non_exhaustive()
    }
}

impl ShutdownError {
    /// Where everybody stood.
    #[must_use]
    pub fn report(&self) -> &Report {
        match self {
            Self::Failed { report, .. } | Self::Behind { report } => report,
        }
    }

    /// Where everybody stood, with the handlers to take.
    #[must_use]
    pub fn into_report(self) -> Report {
        match self {
            Self::Failed { report, .. } | Self::Behind { report } => *report,
        }
    }
}

impl core::fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Failed { failure, .. } => write!(f, "bus halted: {failure}"),
            Self::Behind { report } => {
                write!(f, "bus stopped at {} with stages behind:", report.published)?;
                for line in report.consumers.iter().filter(|line| line.lag_events > 0) {
                    write!(
                        f,
                        " `{}` by {} events ({:?})",
                        line.name, line.lag_events, line.outcome
                    )?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ShutdownError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed { failure, .. } => Some(failure),
            Self::Behind { .. } => None,
        }
    }
}

/// Cursors that stages of other buses stand behind; they are known once the bus has started.
#[derive(Clone, Debug, Default)]
struct Links {
    journaled: Arc<OnceLock<(Arc<Ring>, CursorRef)>>,
    durable: Arc<OnceLock<(Arc<Ring>, CursorRef)>>,
}

impl Links {
    fn link(&self, milestone: Milestone) -> Link {
        let cell = match milestone {
            Milestone::Journaled => &self.journaled,
            Milestone::Durable => &self.durable,
        };
        Link(Foreign { cell: Arc::clone(cell) })
    }
}

/// A cursor of another bus.
#[derive(Debug)]
pub struct Link(Foreign);

mod sealed {
    pub trait Sealed {}
}

/// A bus, built or being built, that stages of other buses may stand behind.
pub trait Linked: sealed::Sealed {
    #[doc(hidden)]
    fn link(&self, milestone: Milestone) -> Link;
}

impl<E: Event> sealed::Sealed for Bus<E> {}
impl<E: Event> Linked for Bus<E> {
    fn link(&self, milestone: Milestone) -> Link {
        self.links.link(milestone)
    }
}
impl<E: Event> sealed::Sealed for BusBuilder<E> {}
impl<E: Event> Linked for BusBuilder<E> {
    fn link(&self, milestone: Milestone) -> Link {
        self.links().link(milestone)
    }
}
