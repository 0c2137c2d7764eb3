//! *Owns* a running bus: its threads, what can be asked of it, and every way it ends. *Invariant*: a
//! bus that is gone has left no thread behind but those it named as still running. *Source*: the
//! LMAX Disruptor's `Disruptor`, with a deadline on every goodbye.

mod assembly;
mod builder;
mod describe;
mod farewell;
mod group;
mod joining;
#[cfg_attr(not(feature = "journal"), path = "no_journal.rs")]
mod journal_side;
mod links;
mod operate;
mod place;
mod report;
mod stage;

pub use builder::BusBuilder;
pub use describe::{Description, Fits, GateLine, JoinedLine, Placement};
pub use joining::From;
pub use links::{Link, Linked};
pub use place::Adopted;
#[cfg(not(loom))]
pub(crate) use place::shape;
pub use report::{Report, ShutdownError};
pub use stage::StageBuilder;

use crate::barrier::CursorRef;
use crate::control::Control;
use crate::error::{ConsumerReport, HeldClaim, Outcome};
use crate::event::Event;
use crate::poller::Poller;
use crate::processor::{Ended, Fail, Failure};
use crate::ring::{Life, Ring};
use crate::sequence::Sequence;
use core::time::Duration;
use crossbeam_channel::Receiver;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

/// How long a halted bus waits for handlers to return from their last batch.
const GRACE: Duration = Duration::from_secs(5);

/// How often whoever waits for threads looks whether they are alive.
const LOOK: Duration = Duration::from_millis(100);

/// A running bus. It can be asked from any thread; the hot path pays nothing for it.
///
/// Dropping a bus halts it: consumers stop after their current batch, the journal stage drains.
pub struct Bus<E: Event> {
    core: Core,
    slot_bytes: usize,
    pollers: Mutex<Vec<Poller<E>>>,
    links: links::Links,
}

/// What of a bus does not depend on its event type.
struct Core {
    ring: Arc<Ring>,
    stages: Vec<StageLine>,
    description: Description,
    threads: Vec<JoinHandle<()>>,
    /// Ends when the bus is no longer open.
    waker: Option<JoinHandle<()>>,
    answers: Receiver<Answer>,
    failure: Arc<OnceLock<Failure>>,
    fail: Fail,
    journal: journal_side::Running,
    adopted: Option<Adopted>,
}

/// A stage of a running bus.
struct StageLine {
    name: Arc<str>,
    cursor: CursorRef,
    /// A poller: it has no thread of the bus.
    is_callers: bool,
    control: Arc<Control>,
}

impl StageLine {
    /// Everything below was handled, also by a stage that has left its gate; `None`: a poller left.
    fn sequence(&self, ring: &Ring) -> Option<Sequence> {
        // In this order: a gate that was left may be another's by now.
        let at_gate = self.cursor.acquire();
        let is_left = || self.is_callers && ring.standing(&self.name).is_none();
        self.control.left_at().or_else(|| (!is_left()).then_some(at_gate))
    }
}

/// What a bus counts beside its hot path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Sequences published as aborted.
    pub aborted: u64,
    /// Calls of producers that found the ring full.
    pub stalls: u64,
}

/// What a thread says last.
struct Answer {
    thread: usize,
    ended: Vec<Ended>,
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

    /// Everything below was handled by the stage `name`, or by a consumer that joined by it. `None` for
    /// a poller that is gone.
    #[must_use]
    pub fn sequence(&self, name: &str) -> Option<Sequence> {
        let stage = self.core.stages.iter().find(|stage| &*stage.name == name);
        let ring = &self.core.ring;
        stage.map_or_else(|| ring.standing(name), |stage| stage.sequence(ring))
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

    /// Sequences that consumers wait for because a producer holds them: claimed, and not published
    /// yet. One that stays here belongs to a producer that was stopped, or was leaked with its
    /// guard; nobody can publish in its place. For several producers; an only one holds up nobody.
    #[must_use]
    pub fn held_claims(&self) -> Vec<HeldClaim> {
        self.core.ring.held_claims()
    }

    /// What was counted beside the hot path.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let tally = &self.core.ring.tally;
        Counters { aborted: tally.aborted.get(), stalls: tally.stalls.get() }
    }

    /// Which stages run on which thread, where, and how it waits.
    #[must_use]
    pub fn placements(&self) -> &[Placement] {
        &self.core.description.threads
    }

    /// Why the bus halted by itself, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.core.failure.get()
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
            // The policy asked for it; the report and the faults say it.
            Outcome::Caller | Outcome::Detached(_) => true,
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

#[cfg(loom)]
impl<E: Event> Bus<E> {
    /// Moves the bus on as its shutdown does.
    pub(crate) fn advance(&self, life: Life) {
        self.core.advance(life);
    }

    /// What the models build consumers on.
    pub(crate) fn ring(&self) -> &Arc<Ring> {
        &self.core.ring
    }

    /// Where each stage stands.
    pub(crate) fn cursors(&self) -> impl Iterator<Item = CursorRef> + '_ {
        self.core.stages.iter().map(|stage| stage.cursor.clone())
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
    fn advance(&self, life: Life) {
        self.ring.advance(life);
    }

    /// Drains or halts, joins, reports.
    fn end(&mut self, drain: Drain) -> Report {
        let mut answers = Vec::new();
        if drain != Drain::Halt {
            self.advance(Life::Draining);
            let deadline = match drain {
                Drain::Deadline(time) => Instant::now().checked_add(time),
                _ => None,
            };
            self.collect(&mut answers, deadline);
        }
        // Asked before consumers leave their gates.
        let held_claims = self.ring.held_claims();
        self.advance(Life::Halted);
        self.collect(&mut answers, Instant::now().checked_add(GRACE));

        if let Some(waker) = self.waker.take() {
            // It runs nobody's code; there is nothing in its result.
            drop(waker.join());
        }
        let all_answered = answers.len() == self.threads.len();
        for (at, thread) in self.threads.drain(..).enumerate() {
            if answers.iter().any(|answer| answer.thread == at) {
                // The thread caught its handlers' panics; there is nothing in a result to lose.
                drop(thread.join());
            }
        }
        let mut report = self.report(answers, held_claims);
        if all_answered {
            // The last thread may have ended while the bus was open.
            self.advance(Life::Stopped);
            // The stages are gone from their threads, and with them what feeds the snapshots.
            self.journal.join();
        }
        self.journal.tell(&mut report);
        report
    }

    /// Receives answers until every thread has given one or the deadline is over.
    fn collect(&self, answers: &mut Vec<Answer>, deadline: Option<Instant>) {
        while answers.len() < self.threads.len() {
            let look = Instant::now() + LOOK;
            let until = deadline.map_or(look, |deadline| deadline.min(look));
            match self.answers.recv_deadline(until) {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    self.answer_for_the_dead(answers);
                    if error.is_timeout() && deadline.is_some_and(|deadline| deadline <= until) {
                        return;
                    }
                }
            }
        }
    }

    /// Threads that are gone without an answer, not even by unwinding, give none any more.
    #[cold]
    fn answer_for_the_dead(&self, answers: &mut Vec<Answer>) {
        let gone: Vec<bool> = self.threads.iter().map(JoinHandle::is_finished).collect();
        // Whoever is gone has answered before, or never will.
        answers.extend(self.answers.try_iter());
        for (thread, _) in gone.iter().enumerate().filter(|(_, gone)| **gone) {
            if answers.iter().all(|answer| answer.thread != thread) {
                let name = self.threads[thread].thread().name().unwrap_or("(unnamed)");
                (self.fail)(farewell::died(name, &self.description.threads[thread].stages));
                answers.push(Answer { thread, ended: Vec::new() });
            }
        }
    }

    fn report(&self, answers: Vec<Answer>, held_claims: Vec<HeldClaim>) -> Report {
        let published = self.ring.claimed();
        let mut outcomes = BTreeMap::new();
        let mut handlers = BTreeMap::new();
        let mut consumers = Vec::with_capacity(self.stages.len());
        for answer in &answers {
            // Whom a dead thread has left; those that ended overwrite it.
            for stage in &self.description.threads[answer.thread].stages {
                outcomes.insert(Arc::clone(stage), Outcome::Failed("its thread died".to_owned()));
            }
        }
        for Ended { named, outcome } in answers.into_iter().flat_map(|answer| answer.ended) {
            outcomes.insert(Arc::clone(&named.name), outcome);
            handlers.insert(named.name, named.stage);
        }
        for line in &self.stages {
            // A poller that is gone vouches for nothing.
            let (name, sequence) = (&line.name, line.sequence(&self.ring).unwrap_or_default());
            let unheard = if line.is_callers { Outcome::Caller } else { Outcome::Running };
            consumers.push(ConsumerReport {
                name: Arc::clone(name),
                sequence,
                lag_events: published.events_since(sequence),
                outcome: outcomes.remove(name).unwrap_or(unheard),
            });
        }
        let handlers =
            handlers.into_iter().map(|(name, stage)| (name, stage.into_handler())).collect();
        Report {
            published,
            consumers,
            held_claims,
            handlers,
            snapshots: journal_side::Snapshots::default(),
            #[cfg(feature = "journal")]
            journal: None,
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // Also where nothing runs: pollers that are dropped from now on leave their cursors behind.
        self.advance(Life::Halted);
        if !self.threads.is_empty() {
            self.end(Drain::Halt);
        }
    }
}

impl core::fmt::Debug for Core {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Core")
            .field("ring", &self.ring)
            .field("stages", &self.stages.iter().map(|stage| &stage.name).collect::<Vec<_>>())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[derive(rkyv::Archive, rkyv::Serialize, crate::Event)]
    #[event(name = "test.tick", version = 1)]
    struct Tick {
        value: u64,
    }

    #[test]
    fn publishing_and_polling_take_no_lock() {
        let mut builder = Bus::<Tick>::builder(64);
        builder.poller("poller");
        let (producer, mut bus) = builder.start_multi().expect("a sound bus");
        let mut producers = [producer.clone(), producer];
        let mut poller = bus.take_poller("poller").expect("named");
        let mut tap = bus.tap("tap", From::Oldest, 8).expect("a gate");
        // Whoever takes one of them never returns, and neither does this test.
        let locks = bus.core.ring.lock_everything();
        let mut sum = 0;
        for value in 0..10_000 {
            producers[value as usize % 2].publish(&Tick { value }).expect("room");
            let crate::Polled::Batch(mut batch) = poller.poll() else { unreachable!("published") };
            while let Some((tick, _)) = batch.next() {
                sum += tick.value.to_native();
            }
            let _ = tap.poll();
        }
        assert_eq!(sum, (0..10_000).sum::<u64>());
        drop(locks);
        assert_eq!(bus.lag("poller"), Some(0));
    }

    #[test]
    fn a_thread_that_vanished_without_a_word_does_not_hold_up_a_shutdown() {
        let mut builder = Bus::<Tick>::builder(8);
        builder.handler("fine", |_: &ArchivedTick, _: Sequence, _: bool| {});
        let (_producer, mut bus) = builder.start().expect("a sound bus");
        let ghost = std::thread::Builder::new().name("tb-ghost".to_owned()).spawn(|| {});
        bus.core.threads.push(ghost.expect("a thread"));
        let mut line = bus.core.description.threads[0].clone();
        line.stages = vec![Arc::from("ghost")];
        bus.core.description.threads.push(line);
        let error = bus.shutdown(Drain::Complete).expect_err("a thread is missing");
        let text = error.to_string();
        assert!(text.contains("`tb-ghost`") && text.contains("(ghost)"), "{text}");
    }
}
