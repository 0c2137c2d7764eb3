//! *Owns* the threads' duty cycle: stages of one core, one after the other in graph order.
//! *Invariant*: a panic takes down one stage and halts its bus; the other stages of the thread go on
//! to their own ends, so a journal stage still drains. *Source*: Agrona's agents; the LMAX
//! Disruptor's `BatchEventProcessor`.

use crate::affinity;
use crate::error::Outcome;
use crate::event::Event;
use crate::idle::Idler;
use crate::poller::{Poller, Standing};
use crate::ring::Ring;
use crate::sequence::Sequence;
use crate::sync::BusThread;
use crate::wait::Wait;
use core::{any::Any, time::Duration};
use rkyv::Archived;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a consumer thread does with events.
///
/// A handler never reads a clock: where time matters it is in the event, so that a replay sees what
/// the live run saw. Closures `FnMut(&Archived<E>, Sequence, bool)` are handlers.
pub trait Handler<E: Event>: Send + 'static {
    /// Handles one event, read in place. `end_of_batch` says that none was ready behind it.
    fn on_event(&mut self, event: &Archived<E>, sequence: Sequence, end_of_batch: bool);

    /// Fires after every batch, also when its tail was aborted, and before stages behind this one
    /// see the batch. `last` is the last sequence of the batch.
    fn on_batch_end(&mut self, last: Sequence) {
        let _ = last;
    }

    /// Runs on the stage's thread, pinned, before the bus starts.
    fn on_start(&mut self) {}

    /// Runs on the stage's thread after its last event.
    fn on_stop(&mut self) {}
}

impl<E: Event, F: FnMut(&Archived<E>, Sequence, bool) + Send + 'static> Handler<E> for F {
    #[inline]
    fn on_event(&mut self, event: &Archived<E>, sequence: Sequence, end_of_batch: bool) {
        self(event, sequence, end_of_batch);
    }
}

/// A handler with effects outside the process. It stands behind the journal, by type: what a crash
/// could take back is not acted upon. Effects are at least once, with the sequence as their key.
pub trait Reactor<E: Event>: Send + 'static {
    /// Acts on one event.
    fn react(&mut self, event: &Archived<E>, sequence: Sequence);
}

/// Adapts a reactor to the duty cycle.
#[derive(Debug)]
pub(crate) struct Reacting<R>(pub(crate) R);

impl<E: Event, R: Reactor<E>> Handler<E> for Reacting<R> {
    #[inline]
    fn on_event(&mut self, event: &Archived<E>, sequence: Sequence, _end_of_batch: bool) {
        self.0.react(event, sequence);
    }
}

/// What one look at a stage's input gave.
#[derive(Debug)]
pub(crate) enum Work {
    /// At least one sequence was walked.
    Done,
    /// Nothing to do for now.
    Idle,
    /// Nothing to do any more.
    Over(Outcome),
    /// It cannot go on, and the bus must halt.
    #[cfg_attr(not(feature = "journal"), allow(dead_code, reason = "only a journal fails"))]
    Failed(Failure),
}

/// One stage on a thread, whatever its handler.
pub(crate) trait Stage: Send {
    /// Runs the start hook.
    fn start(&mut self);
    /// Handles at most one batch.
    fn work(&mut self) -> Work;
    /// Runs the stop hook and whatever must be done before the thread ends.
    fn stop(&mut self) -> Result<(), Failure>;
    /// Says, however the stage ended, that its cursors stay where they are.
    fn retire(&mut self) {}
    /// Gives the handler back.
    fn into_handler(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// Why a bus halted by itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// A handler panicked.
    Panicked {
        /// The stage.
        stage: Arc<str>,
        /// The panic's message.
        message: String,
    },
    /// A stage waits for a cursor of another bus that has stopped short of it.
    Stranded {
        /// The stage.
        stage: Arc<str>,
    },
    /// The journal failed.
    #[cfg(feature = "journal")]
    Journal(crate::journal::JournalError),
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Panicked { stage, message } => write!(f, "stage `{stage}` panicked: {message}"),
            Self::Stranded { stage } => write!(
                f,
                "stage `{stage}` waits for a cursor of another bus, which stopped short of it"
            ),
            #[cfg(feature = "journal")]
            Self::Journal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

/// A poller that drives a handler.
pub(crate) struct Handling<E: Event, H> {
    poller: Poller<E>,
    handler: H,
    give_back: fn(H) -> Box<dyn Any + Send>,
}

impl<E: Event, H: Handler<E>> Handling<E, H> {
    pub(crate) fn new(
        poller: Poller<E>,
        handler: H,
        give_back: fn(H) -> Box<dyn Any + Send>,
    ) -> Self {
        Self { poller, handler, give_back }
    }
}

impl<E: Event, H: Handler<E>> Stage for Handling<E, H> {
    fn start(&mut self) {
        self.handler.on_start();
    }

    #[inline]
    fn work(&mut self) -> Work {
        let Some(mut batch) = self.poller.try_batch() else {
            return match self.poller.standing() {
                Standing::Idle | Standing::Gated => Work::Idle,
                Standing::Closed => Work::Over(Outcome::Stopped),
                Standing::Stranded => Work::Over(Outcome::Stranded),
            };
        };
        let first = batch.walked();
        while let Some((event, sequence, end_of_batch)) = batch.next_with_end() {
            self.handler.on_event(event, sequence, end_of_batch);
        }
        let walked = batch.walked();
        if walked > first {
            self.handler.on_batch_end(Sequence::new(walked.get() - 1));
        }
        Work::Done
    }

    fn stop(&mut self) -> Result<(), Failure> {
        self.handler.on_stop();
        Ok(())
    }

    fn into_handler(self: Box<Self>) -> Box<dyn Any + Send> {
        (self.give_back)(self.handler)
    }
}

/// A stage of a thread with its name.
pub(crate) struct Named {
    pub(crate) name: Arc<str>,
    pub(crate) stage: Box<dyn Stage>,
}

/// How one stage ended. The stage itself comes along, so that its gate stands until the bus is gone.
pub(crate) struct Ended {
    pub(crate) named: Named,
    pub(crate) outcome: Outcome,
}

/// The duty cycle of one thread.
pub(crate) struct Processor {
    pub(crate) stages: Vec<Named>,
    pub(crate) wait: Wait,
    /// Longest sleep of a thread that is woken; see [`Wait::DirectWake`].
    pub(crate) called_park_max: Duration,
    pub(crate) ring: Arc<Ring>,
    /// Halts the bus; the first reason is kept.
    pub(crate) fail: Arc<dyn Fn(Failure) + Send + Sync>,
}

impl Processor {
    /// Runs the start hooks; on a panic gives the stage's name and the message.
    pub(crate) fn start(&mut self) -> Result<(), (Arc<str>, String)> {
        for named in &mut self.stages {
            catch_unwind(AssertUnwindSafe(|| named.stage.start()))
                .map_err(|panic| (Arc::clone(&named.name), message_of(panic.as_ref())))?;
        }
        Ok(())
    }

    /// Runs until every stage is over.
    pub(crate) fn run(mut self) -> Vec<Ended> {
        let mut ended = Vec::with_capacity(self.stages.len());
        let _counted = BusThread::enter();
        // The first sleep of a thread allocates its place in the queue of sleepers: not later.
        #[cfg(not(loom))]
        self.ring.sleepers().sleep(Duration::ZERO, || false);
        let (wait, cores) = (self.wait.clone(), affinity::cores());
        let mut idler = Idler::new(wait, cores, self.called_park_max, &self.ring);
        while !self.stages.is_empty() {
            let mut at = 0;
            let outcome = catch_unwind(AssertUnwindSafe(|| self.cycle(&mut idler, &mut at)))
                .unwrap_or_else(|panic| Outcome::Panicked(message_of(panic.as_ref())));
            let named = self.stages.remove(at);
            ended.push(self.end(named, outcome));
        }
        ended
    }

    /// Cycles until the stage at `at` is over.
    fn cycle(&mut self, idler: &mut Idler, at: &mut usize) -> Outcome {
        loop {
            let mut idle = true;
            for (index, named) in self.stages.iter_mut().enumerate() {
                *at = index;
                match named.stage.work() {
                    Work::Done => {
                        idle = false;
                        idler.went_on();
                    }
                    Work::Idle => {}
                    Work::Over(outcome) => return outcome,
                    Work::Failed(failure) => {
                        let outcome = Outcome::Failed(failure.to_string());
                        (self.fail)(failure);
                        return outcome;
                    }
                }
            }
            if idle {
                idler.idle(&self.ring);
            } else {
                idler.reset();
            }
        }
    }

    /// Runs the stop hook of a stage that is over and halts the bus where that was no orderly end.
    fn end(&self, mut named: Named, mut outcome: Outcome) -> Ended {
        let stage = Arc::clone(&named.name);
        if outcome == Outcome::Stopped {
            match catch_unwind(AssertUnwindSafe(|| named.stage.stop())) {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => (self.fail)(failure),
                Err(panic) => outcome = Outcome::Panicked(message_of(panic.as_ref())),
            }
        }
        match &outcome {
            Outcome::Panicked(message) => {
                (self.fail)(Failure::Panicked { stage, message: message.clone() });
            }
            Outcome::Stranded => (self.fail)(Failure::Stranded { stage }),
            _ => {}
        }
        named.stage.retire();
        Ended { named, outcome }
    }
}

/// The text of a panic.
pub(crate) fn message_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
