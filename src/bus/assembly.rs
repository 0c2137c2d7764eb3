//! *Owns* the way from a validated plan to running threads. *Invariant*: every gate is joined before
//! any thread starts, and every thread is pinned and has run its start hooks before the bus is handed
//! out. *Source*: its own.

use super::describe::Description;
use super::farewell::Farewell;
use super::journal_side::Running;
use super::stage::Spec;
use super::{Answer, Core, Links, StageLine};
use crate::affinity;
use crate::barrier::{Barrier, CauseGate, CursorRef};
use crate::control::Control;
use crate::error::BuildError;
use crate::event::Event;
use crate::poller::Poller;
use crate::processor::{Fail, Failure, Named, Processor};
use crate::ring::{Life, Ring};
use crate::sequence::Sequence;
use crate::sync::Bell;
use crate::topology::{Milestone, Node, Plan, Role};
use crossbeam_channel::{Sender, bounded, unbounded};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// A validated bus on its way to running.
pub(super) struct Assembly {
    pub(super) durable: Option<CursorRef>,
    pub(super) ring: Arc<Ring>,
    pub(super) plan: Plan,
    pub(super) nodes: Vec<Node>,
    pub(super) start: Sequence,
    pub(super) description: Description,
}

/// What a thread says once it is pinned and its start hooks have run.
type Ready = Result<(), BuildError>;

impl Assembly {
    /// Joins every gate, then starts every thread.
    pub(super) fn run<E: Event>(
        self,
        mut specs: Vec<Spec<E>>,
        links: &Links,
        journal: Running,
    ) -> Result<(Core, Vec<Poller<E>>), BuildError> {
        let stages = self.join_gates()?;
        self.resolve(links, &stages);
        let mut waiting: Vec<Option<Poller<E>>> = specs
            .iter_mut()
            .enumerate()
            .map(|(at, spec)| Some(self.poller(at, std::mem::take(&mut spec.causes), &stages)))
            .collect();

        let bell = Arc::new(Bell::default());
        let failure = Arc::new(OnceLock::new());
        let fail = fail_with(&self.ring, &bell, &failure);
        let (ready, is_ready) = unbounded();
        let (done, answers) = bounded(self.plan.threads.len());
        self.ring.header().roll.enter(self.plan.threads.len() as u64);
        let (ring, threads) = (Arc::clone(&self.ring), Vec::new());
        let description = self.description.clone();
        let fails = Arc::clone(&fail);
        let mut core = Core {
            ring,
            bell,
            stages,
            description,
            threads,
            answers,
            failure,
            fail: fails,
            journal,
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
                wait: thread.wait,
                ring: Arc::clone(&self.ring),
                bell: Arc::clone(&core.bell),
                fail: Arc::clone(&fail),
            };
            let spawned = self.spawn(number, processor, ready.clone(), done.clone());
            core.threads.push(spawned?);
        }
        drop((ready, done));
        is_ready.iter().collect::<Ready>()?;
        Ok((core, waiting.into_iter().flatten().collect()))
    }

    /// Takes a gate for each stage, in the order of declaration.
    fn join_gates(&self) -> Result<Vec<StageLine>, BuildError> {
        let join = |node: &Node| {
            let name: Arc<str> = Arc::from(node.name.as_str());
            let (gate, _) = self.ring.join(&name, self.start).ok_or(BuildError::TooManyStages {
                stages: self.nodes.len(),
                gates: crate::ring::Gates::COUNT,
            })?;
            let cursor = CursorRef::Gate(Arc::clone(&self.ring), gate);
            let control = Control::new(node.on_panic, node.switch.clone());
            Ok(StageLine { name, cursor, is_callers: node.role == Role::Poller, control })
        };
        self.nodes.iter().map(join).collect()
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

    fn poller<E: Event>(
        &self,
        at: usize,
        causes: Vec<CauseGate<E>>,
        stages: &[StageLine],
    ) -> Poller<E> {
        let above = self.plan.upstream[at].iter().map(|&above| stages[above].cursor.clone());
        let is_behind_durable = self.nodes[at].behind.contains(&Milestone::Durable);
        let durable = self.durable.clone().filter(|_| is_behind_durable);
        let upstream = above.chain(durable).collect();
        // The journal's cursor is a promise to other buses too: it is never given up.
        let is_leaf = self.plan.is_leaf(at) && self.nodes[at].role != Role::Journal;
        let StageLine { name, cursor, .. } = &stages[at];
        let CursorRef::Gate(_, gate) = cursor else { unreachable!("stages stand at gates") };
        let barrier = Barrier { upstream, causes };
        let mut poller = Poller::new(&self.ring, name, 0, *gate, self.start, barrier, is_leaf);
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
        let thread_name = format!("tb-{stage}");
        let name = stage.clone();
        let farewell = Farewell {
            thread,
            name: thread_name.clone(),
            stages: processor.stages.iter().map(|named| Arc::clone(&named.name)).collect(),
            ring: Arc::clone(&self.ring),
            bell: Arc::clone(&processor.bell),
            fail: Arc::clone(&processor.fail),
            ended: None,
            done,
        };
        let body = move || {
            // Whole and first, so that it is dropped however this ends.
            let farewell = farewell;
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
fn fail_with(ring: &Arc<Ring>, bell: &Arc<Bell>, failure: &Arc<OnceLock<Failure>>) -> Fail {
    let (ring, bell, failure) = (Arc::clone(ring), Arc::clone(bell), Arc::clone(failure));
    Arc::new(move |why| {
        // Only the first counts; later ones are its echoes.
        let _ = failure.set(why);
        ring.header().state.advance(Life::Halted);
        bell.ring();
    })
}
