//! *Owns* the threads' duty cycle: stages of one core, one after the other in graph order.
//! *Invariant*: a panic takes down one stage at most, and its bus where the stage's policy says so; the
//! other stages of the thread go on to their own ends, so a journal stage still drains. *Source*:
//! Agrona's agents; the LMAX Disruptor's `BatchEventProcessor`.

mod handler;
mod stage;

pub(crate) use handler::Reacting;
pub use handler::{Handler, Reactor};
pub use stage::Failure;
pub(crate) use stage::{Ended, Handling, Named, Stage, Work};

use crate::affinity;
use crate::error::Outcome;
use crate::idle::Idler;
use crate::ring::{Life, Ring};
use crate::sync::BusThread;
use crate::wait::Wait;
use core::{any::Any, time::Duration};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Halts a bus; the first reason is kept.
pub(crate) type Fail = Arc<dyn Fn(Failure) + Send + Sync>;

/// The duty cycle of one thread.
pub(crate) struct Processor {
    pub(crate) stages: Vec<Named>,
    pub(crate) wait: Wait,
    /// Longest sleep of a thread that is woken; see [`Wait::DirectWake`].
    pub(crate) called_park_max: Duration,
    pub(crate) ring: Arc<Ring>,
    /// Halts the bus; the first reason is kept.
    pub(crate) fail: Fail,
}

impl Processor {
    /// Runs the start hooks; on a panic gives the stage's name and the message.
    pub(crate) fn start(&mut self) -> Result<(), (Arc<str>, String)> {
        for named in &mut self.stages {
            catch_unwind(AssertUnwindSafe(|| named.stage.start()))
                .map_err(|panic| (Arc::clone(&named.name), message_of(panic)))?;
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
            let cycled = catch_unwind(AssertUnwindSafe(|| self.cycle(&mut idler, &mut at)));
            let outcome = match cycled {
                Ok(outcome) => outcome,
                Err(panic) => match self.stages[at].after_panic(message_of(panic)) {
                    Some(outcome) => outcome,
                    None => continue,
                },
            };
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
                // A bus that drains or halts takes no notice of a pause.
                if named.control.is_paused() && self.ring.life() == Life::Open {
                    continue;
                }
                match named.stage.work(&named.control) {
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
                Err(panic) => outcome = Outcome::Panicked(message_of(panic)),
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

/// The text of a panic. A payload of another kind is leaked: its drop is the user's code, and one that
/// panics there would take the thread along.
pub(crate) fn message_of(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => match panic.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(panic) => {
                let _ = core::mem::ManuallyDrop::new(panic);
                "a panic without a text".to_owned()
            }
        },
    }
}
