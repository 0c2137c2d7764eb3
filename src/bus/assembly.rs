//! *Owns* the way from a validated plan to running threads. *Invariant*: every gate is joined before
//! any thread starts, and every thread is pinned and has run its start hooks before the bus is handed
//! out. *Source*: its own.

use super::journal_side::Running;
use super::place::Arrivals;
use super::stage::Spec;
use super::{Answer, Core, Links, Placement, StageLine};
use crate::affinity;
use crate::barrier::{Barrier, CauseGate, CursorRef};
use crate::error::BuildError;
use crate::event::Event;
use crate::poller::Poller;
use crate::processor::{Failure, Named, Processor};
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
    pub(super) arrivals: Arrivals,
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

        let bell = Arc::new(Bell::default());
        let failure = Arc::new(OnceLock::new());
        let fail = fail_with(&self.ring, &bell, &failure);
        let (ready, is_ready) = unbounded();
        let (done, answers) = bounded(self.plan.threads.len());
        self.ring.header().roll.enter(self.plan.threads.len() as u64);
        let placements = self.plan.threads.iter().map(|thread| Placement {
            stages: thread.stages.iter().map(|&at| Arc::clone(&stages[at].name)).collect(),
            core: thread.core,
            wait: thread.wait,
        });
        let placements = placements.collect();
        let (ring, threads) = (Arc::clone(&self.ring), Vec::new());
        let mut core = Core {
            ring,
            bell,
            stages,
            placements,
            threads,
            answers,
            failure,
            journal,
            adopted: None,
        };
        for (number, thread) in self.plan.threads.iter().enumerate() {
            let stages = thread.stages.iter().map(|&at| {
                let stage = match (specs[at].make.take(), waiting[at].take()) {
                    (Some(make), Some(poller)) => make(poller),
                    _ => unreachable!("a stage with a thread is made once"),
                };
                Named { name: Arc::clone(&core.stages[at].name), stage }
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
            Ok((StageLine { name, cursor, is_callers: node.role == Role::Poller }, start))
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

    fn poller<E: Event>(
        &self,
        at: usize,
        causes: Vec<CauseGate<E>>,
        stages: &[StageLine],
        start: Sequence,
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
        Poller::new(&self.ring, name, 0, *gate, start, barrier, is_leaf)
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
        let (ring, bell) = (Arc::clone(&self.ring), Arc::clone(&processor.bell));
        let name = stage.clone();
        let body = move || {
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
            let ended = if is_up { processor.run() } else { Vec::new() };
            if ring.header().roll.leave() {
                ring.header().state.advance(Life::Stopped);
                bell.ring();
            }
            // The bus may be gone by now, and then nobody asks.
            let _ = done.send(Answer { thread, ended });
        };
        std::thread::Builder::new()
            .name(format!("tb-{stage}"))
            .spawn(body)
            .map_err(|source| BuildError::Thread { stage, source })
    }
}

/// Keeps the first failure and halts the bus.
fn fail_with(
    ring: &Arc<Ring>,
    bell: &Arc<Bell>,
    failure: &Arc<OnceLock<Failure>>,
) -> Arc<dyn Fn(Failure) + Send + Sync> {
    let (ring, bell, failure) = (Arc::clone(ring), Arc::clone(bell), Arc::clone(failure));
    Arc::new(move |why| {
        // Only the first counts; later ones are its echoes.
        let _ = failure.set(why);
        ring.header().state.advance(Life::Halted);
        bell.ring();
    })
}
