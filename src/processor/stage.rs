//! *Owns* one stage on a thread: what drives a handler, and how a stage can end. *Invariant*: `work`
//! hands out at most one batch, and a stage that unwound from it stands at the event it unwound from.
//! *Source*: the LMAX Disruptor's `BatchEventProcessor`.

use super::Handler;
use crate::control::{Control, OnPanic};
use crate::error::Outcome;
use crate::event::Event;
use crate::poller::{Batch, Poller, Standing};
use crate::sequence::Sequence;
use core::any::Any;
use std::sync::Arc;

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
    fn work(&mut self, control: &Control) -> Work;
    /// Runs the stop hook and whatever must be done before the thread ends.
    fn stop(&mut self) -> Result<(), Failure>;
    /// Passes the event that `work` unwound from, if it was one, and counts it.
    fn skip(&mut self, _control: &Control) {}
    /// Leaves the producers' scan where it stands.
    fn detach(&mut self, _control: &Control) {}
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
    /// A thread of the bus ended without having ended its stages.
    ThreadDied {
        /// The thread's name.
        thread: String,
        /// The stages that ran on it.
        stages: Vec<Arc<str>>,
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
            Self::ThreadDied { thread, stages } => write!(
                f,
                "thread `{thread}` died under its stages ({}); they stand where it left them",
                stages.join(", ")
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

    /// There was no batch.
    fn without_batch(&mut self) -> Work {
        match self.poller.standing() {
            Standing::Idle | Standing::Gated => {
                self.handler.on_idle();
                Work::Idle
            }
            Standing::Closed => Work::Over(Outcome::Stopped),
            Standing::Stranded => Work::Over(Outcome::Stranded),
        }
    }
}

impl<E: Event, H: Handler<E>> Stage for Handling<E, H> {
    fn start(&mut self) {
        self.handler.on_start();
    }

    #[inline]
    fn work(&mut self, control: &Control) -> Work {
        let Some(mut batch) = self.poller.try_batch() else { return self.without_batch() };
        if control.is_cut() {
            return discard(batch, control);
        }
        if H::WANTS_BATCH_START {
            let (batch_events, queue_depth) = batch.foresee();
            self.handler.on_batch_start(batch_events, queue_depth);
        }
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

    fn skip(&mut self, control: &Control) {
        if self.poller.was_interrupted() {
            // Before the gate: who sees it beyond the event finds the event counted.
            control.skipped.add(1);
            self.poller.pass_interrupted();
        }
    }

    fn detach(&mut self, control: &Control) {
        control.leave_at(self.poller.sequence());
        self.poller.leave();
    }

    fn into_handler(self: Box<Self>) -> Box<dyn Any + Send> {
        (self.give_back)(self.handler)
    }
}

/// Walks a batch that nobody gets.
#[cold]
fn discard<E: Event>(mut batch: Batch<'_, E>, control: &Control) -> Work {
    let mut events = 0;
    while batch.next().is_some() {
        events += 1;
    }
    // Before the gate: who sees it beyond the events finds them counted.
    control.discarded.add(events);
    drop(batch);
    Work::Done
}

/// A stage of a thread with its name.
pub(crate) struct Named {
    pub(crate) name: Arc<str>,
    pub(crate) stage: Box<dyn Stage>,
    pub(crate) control: Arc<Control>,
}

impl Named {
    /// Does what the stage's policy says of a panic; `None` if the stage goes on.
    pub(crate) fn after_panic(&mut self, message: String) -> Option<Outcome> {
        match self.control.panicked() {
            OnPanic::Restart { .. } => {
                self.stage.skip(&self.control);
                None
            }
            OnPanic::Detach => {
                self.stage.detach(&self.control);
                Some(Outcome::Detached(message))
            }
            OnPanic::Halt => Some(Outcome::Panicked(message)),
        }
    }
}

/// How one stage ended. The stage itself comes along, so that its gate stands until the bus is gone.
pub(crate) struct Ended {
    pub(crate) named: Named,
    pub(crate) outcome: Outcome,
}
