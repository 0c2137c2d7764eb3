//! *Owns* the way from a validated plan to running threads. *Invariant*: every gate is joined before
//! any thread starts, and every thread is pinned and has run its start hooks before the bus is handed
//! out. *Source*: its own.

use super::describe::Description;
use super::farewell::Farewell;
use super::journal_side::Running;
use super::links::Links;
use super::place::Arrivals;
use super::stage::Spec;
use super::{Answer, Core, StageLine};
use crate::affinity;
use crate::barrier::{Barrier, CauseGate, CursorRef};
use crate::control::Control;
use crate::error::BuildError;
use crate::event::Event;
use crate::idle::{CALLED_PARK, UNCALLED_PARK};
use crate::poller::Poller;
use crate::processor::{Fail, Failure, Named, Processor};
use crate::ring::{Life, Ring};
use crate::sequence::Sequence;
use crate::topology::{Milestone, Node, Plan, Role, ThreadPlan};
use crate::wait::Wait;
use crate::waker::{Waker, Watched};
use core::time::Duration;
use crossbeam_channel::{Sender, bounded, unbounded};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// A validated bus on its way to running.
pub(super) struct Assembly {
    pub(super) durable: Option<CursorRef>,
    pub(super) ring: Arc<Ring>,
    pub(super) slot_bytes: usize,
    pub(super) plan: Plan,
    pub(super) nodes: Vec<Node>,
    pub(super) arrivals: Arrivals,
    pub(super) description: Description,
}

/// What a thread says once it is pinned and its start hooks have run.
type Ready = Result<(), BuildError>;

impl Assembly {
    /// Joins every gate, then starts every thread.
    pub(super) fn run<E: Event>(
        mut self,
        mut specs: Vec<Spec<E>>,
        links: &Links,
        journal: Running,
    ) -> Result<(Core, Vec<Poller<E>>), BuildError> {
        let is_rebuilt: Vec<bool> = specs.iter().map(|spec| spec.is_rebuilt).collect();
        let (stages, starts) = self.join_gates(&is_rebuilt)?;
        self.resolve(links, &stages);
        let mut waiting: Vec<Option<Poller<E>>> = specs
            .iter_mut()
            .enumerate()
            .map(|(at, spec)| {
                Some(self.poller(at, std::mem::take(&mut spec.causes), &stages, starts[at]))
            })
            .collect();

        let failure = Arc::new(OnceLock::new());
        let fail = fail_with(&self.ring, &failure);
        let (ready, is_ready) = unbounded();
        let (done, answers) = bounded(self.plan.threads.len());
        self.ring.header().roll.enter(self.plan.threads.len() as u64);
        let (ring, threads) = (Arc::clone(&self.ring), Vec::new());
        let description = self.description.clone();
        let fails = Arc::clone(&fail);
        let mut core = Core {
            ring,
            stages,
            description,
            threads,
            waker: None,
            answers,
            failure,
            fail: fails,
            journal,
            adopted: None,
        };
        for (number, thread) in self.plan.threads.iter().enumerate() {
            let stages = thread.stages.iter().map(|&at| {
                let stage = match (specs[at].make.take(), waiting[at].take()) {
                    (Some(make), Some(poller)) => make(poller),
                    _ => unreachable!("a stage with a thread is made once"),
                };
                let StageLine { name, control, .. } = &core.stages[at];
                Named { name: Arc::clone(name), stage, control: Arc::clone(control) }
            });
            let processor = Processor {
                stages: stages.collect(),
                wait: thread.wait.clone(),
                called_park_max: self.called_park_max(thread),
                ring: Arc::clone(&self.ring),
                fail: Arc::clone(&fail),
            };
            let spawned = self.spawn(number, processor, ready.clone(), done.clone());
            core.threads.push(spawned?);
        }
        drop((ready, done));
        is_ready.iter().collect::<Ready>()?;
        core.waker = self.start_waker(&core.stages)?;
        core.adopted = self.arrivals.into_adopted();
        Ok((core, waiting.into_iter().flatten().collect()))
    }

    /// Takes a gate for each stage, in the order of declaration; also gives where each begins.
    fn join_gates(
        &mut self,
        is_rebuilt: &[bool],
    ) -> Result<(Vec<StageLine>, Vec<Sequence>), BuildError> {
        let Self { ring, nodes, arrivals, .. } = self;
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        arrivals.give_up(ring, &names);
        let stand = |(node, &is_rebuilt): (&Node, &bool)| -> Result<_, BuildError> {
            let name: Arc<str> = Arc::from(node.name.as_str());
            let stands = arrivals.stand(ring, &name, is_rebuilt);
            let (gate, start) = stands.ok_or(BuildError::TooManyStages {
                stages: nodes.len(),
                gates: crate::ring::Gates::COUNT,
            })?;
            let cursor = CursorRef::Gate(Arc::clone(ring), gate);
            let control = Control::new(node.on_panic, node.switch.clone());
            let is_callers = node.role == Role::Poller;
            Ok((StageLine { name, cursor, is_callers, control }, start))
        };
        let stages: Result<Vec<_>, BuildError> = nodes.iter().zip(is_rebuilt).map(stand).collect();
        Ok(stages?.into_iter().unzip())
    }

    /// Tells stages of other buses where this bus's journal stands.
    fn resolve(&self, links: &Links, stages: &[StageLine]) {
        let Some(journal) = self.nodes.iter().position(|node| node.role == Role::Journal) else {
            return;
        };
        let publish = |cell: &OnceLock<_>, cursor: CursorRef| {
            // A builder starts once, so the cell is empty.
            let _ = cell.set((Arc::clone(&self.ring), cursor));
        };
        publish(&links.journaled, stages[journal].cursor.clone());
        if let Some(durable) = &self.durable {
            publish(&links.durable, durable.clone());
        }
    }

    /// The cursors that the stage `at` stands behind.
    fn upstream(&self, at: usize, stages: &[StageLine]) -> Vec<CursorRef> {
        let above = self.plan.upstream[at].iter().map(|&above| stages[above].cursor.clone());
        let is_behind_durable = self.nodes[at].behind.contains(&Milestone::Durable);
        let durable = self.durable.clone().filter(|_| is_behind_durable);
        above.chain(durable).collect()
    }

    /// The longest sleep of a thread that is woken: short if one of its stages stands behind
    /// something that moves without waking, or has other work than events.
    fn called_park_max(&self, thread: &ThreadPlan) -> Duration {
        let is_uncalled = |&at: &usize| {
            let node = &self.nodes[at];
            node.role == Role::Journal
                || node.is_behind_ring
                || node.behind.contains(&Milestone::Durable)
                || self.plan.upstream[at].iter().any(|&at| self.nodes[at].role == Role::Poller)
        };
        if thread.stages.iter().any(is_uncalled) { UNCALLED_PARK } else { CALLED_PARK }
    }

    /// Starts the waker thread, if a stage asked for one.
    fn start_waker(&self, lines: &[StageLine]) -> Result<Option<JoinHandle<()>>, BuildError> {
        let threads = self.plan.threads.iter().filter_map(|thread| match thread.wait {
            Wait::Waker { period } => Some((period, &thread.stages)),
            _ => None,
        });
        let Some(period) = threads.clone().map(|(period, _)| period).min() else {
            return Ok(None);
        };
        let watched = threads.flat_map(|(_, stages)| stages).map(|&at| Watched {
            cursor: lines[at].cursor.clone(),
            upstream: self.upstream(at, lines),
        });
        let watched = watched.collect();
        // Without a nap at all it would be one more thread that spins.
        let period = period.max(Duration::from_micros(1));
        let waker = Waker { ring: Arc::clone(&self.ring), watched, period };
        std::thread::Builder::new()
            .name("tb-waker".to_owned())
            .spawn(move || {
                affinity::sharpen_sleeps();
                waker.run();
            })
            .map(Some)
            .map_err(|source| BuildError::Thread { stage: "(waker)".to_owned(), source })
    }

    fn poller<E: Event>(
        &self,
        at: usize,
        causes: Vec<CauseGate<E>>,
        stages: &[StageLine],
        start: Sequence,
    ) -> Poller<E> {
        let upstream = self.upstream(at, stages);
        // The journal's cursor is a promise to other buses too: it is never given up.
        let is_leaf = self.plan.is_leaf(at) && self.nodes[at].role != Role::Journal;
        let StageLine { name, cursor, .. } = &stages[at];
        let CursorRef::Gate(_, gate) = cursor else { unreachable!("stages stand at gates") };
        let barrier = Barrier { upstream, causes };
        let (ring, slot_bytes) = (&self.ring, self.slot_bytes);
        let mut poller = Poller::new(ring, name, slot_bytes, *gate, start, barrier, is_leaf);
        if let Some(events_max) = self.nodes[at].batch_events_max {
            poller.limit_batches(events_max);
        }
        poller
    }

    fn spawn(
        &self,
        thread: usize,
        mut processor: Processor,
        ready: Sender<Ready>,
        done: Sender<Answer>,
    ) -> Result<JoinHandle<()>, BuildError> {
        let plan = &self.plan.threads[thread];
        let stage = self.nodes[plan.stages[0]].name.clone();
        let core = plan.core;
        let names_its_sleeps = matches!(plan.wait, Wait::Sleep { .. } | Wait::Park { .. });
        let thread_name = format!("tb-{stage}");
        let name = stage.clone();
        let farewell = Farewell {
            thread,
            name: thread_name.clone(),
            stages: processor.stages.iter().map(|named| Arc::clone(&named.name)).collect(),
            ring: Arc::clone(&self.ring),
            fail: Arc::clone(&processor.fail),
            ended: None,
            done,
        };
        let body = move || {
            // Whole and first, so that it is dropped however this ends.
            let farewell = farewell;
            if names_its_sleeps {
                affinity::sharpen_sleeps();
            }
            let pinned = core.map_or(Ok(()), |core| {
                affinity::pin(core).map_err(|why| BuildError::Core { stage: name, core, why })
            });
            let started = pinned.and_then(|()| {
                processor.start().map_err(|(stage, message)| BuildError::StartPanicked {
                    stage: stage.to_string(),
                    message,
                })
            });
            let is_up = started.is_ok();
            // The builder waits for this answer until every sender is gone.
            let _ = ready.send(started);
            drop(ready);
            farewell.say(if is_up { processor.run() } else { Vec::new() });
        };
        std::thread::Builder::new()
            .name(thread_name)
            .spawn(body)
            .map_err(|source| BuildError::Thread { stage, source })
    }
}

/// Keeps the first failure and halts the bus.
fn fail_with(ring: &Arc<Ring>, failure: &Arc<OnceLock<Failure>>) -> Fail {
    let (ring, failure) = (Arc::clone(ring), Arc::clone(failure));
    Arc::new(move |why| {
        // Only the first counts; later ones are its echoes.
        let _ = failure.set(why);
        ring.advance(Life::Halted);
    })
}
