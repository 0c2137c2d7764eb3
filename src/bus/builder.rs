//! *Owns* what a bus is asked to be, until it starts. *Invariant*: a builder holds data alone; all
//! of it is validated once, in `start`, and nothing runs before it was found sound.

use super::{Bus, Core, Linked, Links};
use crate::affinity;
use crate::barrier::{Barrier, CauseGate, CursorRef};
use crate::error::BuildError;
use crate::event::Event;
use crate::poller::Poller;
use crate::processor::{
    Ended, Failure, Handler, Handling, Named, Processor, Reacting, Reactor, Stage,
};
use crate::producer::Producer;
use crate::ring::{Life, Ring, Shape, Slots};
use crate::sequence::Sequence;
use crate::sync::Bell;
use crate::topology::{self, Milestone, Node, Plan, Role, ThreadPlan};
use crate::wait::{Wait, WhenFull};
use crossbeam_channel::{Sender, bounded, unbounded};
use parking_lot::Mutex;
use rkyv::Archived;
use std::any::Any;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// Makes a stage of its poller.
type Make<E> = Box<dyn FnOnce(Poller<E>) -> Box<dyn Stage>>;

/// One stage as asked for.
struct Spec<E: Event> {
    node: Node,
    causes: Vec<CauseGate<E>>,
    /// `None` for pollers.
    make: Option<Make<E>>,
}

/// A bus that is being described.
///
/// ```
/// # use tourbillon::{Bus, Drain, Sequence};
/// # #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
/// # #[event(name = "doc.tick", version = 1)]
/// # struct Tick { price: i64 }
/// let mut builder = Bus::<Tick>::builder(1 << 10);
/// let mut sum = 0;
/// builder.handler("sum", move |tick: &ArchivedTick, _: Sequence, _: bool| {
///     sum += tick.price.to_native();
/// });
/// let (mut producer, bus) = builder.start()?;
/// producer.publish(&Tick { price: 100 })?;
/// let report = bus.shutdown(Drain::Complete)?;
/// assert_eq!(report.published.get(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BusBuilder<E: Event> {
    capacity: usize,
    when_full: WhenFull,
    allow_more_spinners: bool,
    stages: Vec<Spec<E>>,
    links: Links,
    #[cfg(feature = "journal")]
    journal: Option<crate::journaler::Source>,
}

/// One stage of a bus that is being described.
pub struct StageBuilder<'a, E: Event> {
    spec: &'a mut Spec<E>,
}

impl<E: Event> Bus<E> {
    /// Describes a bus over a ring of `capacity` slots, a power of two.
    #[must_use]
    pub fn builder(capacity: usize) -> BusBuilder<E> {
        BusBuilder {
            capacity,
            when_full: WhenFull::default(),
            allow_more_spinners: false,
            stages: Vec::new(),
            links: Links::default(),
            #[cfg(feature = "journal")]
            journal: None,
        }
    }
}

impl<E: Event> BusBuilder<E> {
    /// Adds a stage on a thread of its own, or on one shared by its core.
    pub fn handler<H: Handler<E>>(&mut self, name: &str, handler: H) -> StageBuilder<'_, E> {
        self.stage(name, Role::Handler, handler, |handler| Box::new(handler))
    }

    /// Adds a stage with effects outside the process; it must stand behind the journal.
    pub fn reactor<R: Reactor<E>>(&mut self, name: &str, reactor: R) -> StageBuilder<'_, E> {
        self.stage(name, Role::Reactor, Reacting(reactor), |reacting| Box::new(reacting.0))
    }

    /// Adds a consumer on the caller's thread; [`Bus::take_poller`] hands it out.
    pub fn poller(&mut self, name: &str) -> StageBuilder<'_, E> {
        self.push(name, Role::Poller, None)
    }

    /// What producers do when the ring is full.
    pub fn when_full(&mut self, when_full: WhenFull) -> &mut Self {
        self.when_full = when_full;
        self
    }

    /// Allows more spinning threads than cores. Each then steals its neighbour's time: latencies
    /// grow to scheduling quanta.
    pub fn allow_more_spinners_than_cores(&mut self) -> &mut Self {
        self.allow_more_spinners = true;
        self
    }

    pub(crate) fn stage<H: Handler<E>>(
        &mut self,
        name: &str,
        role: Role,
        handler: H,
        give_back: fn(H) -> Box<dyn Any + Send>,
    ) -> StageBuilder<'_, E> {
        let make: Make<E> =
            Box::new(move |poller| Box::new(Handling::new(poller, handler, give_back)));
        self.push(name, role, Some(make))
    }

    fn push(&mut self, name: &str, role: Role, make: Option<Make<E>>) -> StageBuilder<'_, E> {
        let node = Node {
            name: name.to_owned(),
            role,
            after: Vec::new(),
            behind: Vec::new(),
            is_behind_ring: false,
            core: None,
            wait: Wait::Auto,
        };
        let at = self.stages.len();
        self.stages.push(Spec { node, causes: Vec::new(), make });
        StageBuilder { spec: &mut self.stages[at] }
    }

    pub(super) fn links(&self) -> &Links {
        &self.links
    }

    /// Validates the graph, allocates and prefaults the ring, opens the journal, starts and pins
    /// the threads, runs the start hooks.
    ///
    /// # Errors
    /// [`BuildError`]; nothing runs then. A journal that was created for the bus stays, empty.
    #[cfg_attr(not(feature = "journal"), allow(unused_mut, reason = "the journal is taken out"))]
    pub fn start(mut self) -> Result<(Producer<E>, Bus<E>), BuildError> {
        if !self.capacity.is_power_of_two() || self.capacity < 2 {
            let next = self.capacity.max(2).checked_next_power_of_two().unwrap_or(1 << 62);
            return Err(BuildError::Capacity { asked: self.capacity, next });
        }
        let nodes: Vec<Node> = self.stages.iter().map(|spec| spec.node.clone()).collect();
        let plan = topology::plan(&nodes, affinity::cores(), self.allow_more_spinners)?;
        self.check_links()?;

        #[cfg(feature = "journal")]
        let journal = self.journal.take().map(crate::journaler::Source::open::<E>).transpose()?;
        #[cfg(feature = "journal")]
        let start =
            journal.as_ref().map_or(Sequence::ZERO, crate::journaler::Opened::next_sequence);
        #[cfg(not(feature = "journal"))]
        let start = Sequence::ZERO;

        let stride = Slots::<E>::stride(0);
        let shape = Shape { capacity: self.capacity as u64, stride, fingerprint: E::FINGERPRINT };
        let ring = Ring::new(shape, start)
            .ok_or(BuildError::TooLarge { capacity: self.capacity, stride })?;
        let assembly = Assembly {
            #[cfg(feature = "journal")]
            durable: journal.as_ref().map(crate::journaler::Opened::durable_cursor),
            ring,
            plan,
            nodes,
            start,
        };
        #[cfg(feature = "journal")]
        let (handle, writer) = journal.map(crate::journaler::Opened::split).unzip();
        #[cfg(feature = "journal")]
        if let Some((spec, writer)) =
            self.stages.iter_mut().find(|spec| spec.node.role == Role::Journal).zip(writer)
        {
            spec.make = Some(crate::journaler::make(writer));
        }
        let (core, pollers) = assembly.run(self.stages, &self.links)?;
        let producer = Producer::new(Arc::clone(&core.ring), 0, self.when_full);
        let bus = Bus {
            core,
            pollers: Mutex::new(pollers),
            links: self.links,
            #[cfg(feature = "journal")]
            journal: handle,
        };
        Ok((producer, bus))
    }

    /// A stage of another bus may stand behind this bus's journal only if there is one.
    fn check_links(&self) -> Result<(), BuildError> {
        let has_journal = self.stages.iter().any(|spec| spec.node.role == Role::Journal);
        let is_linked = [&self.links.journaled, &self.links.durable]
            .into_iter()
            .any(|cell| Arc::strong_count(cell) > 1);
        if is_linked && !has_journal {
            return Err(BuildError::NoJournal { stage: "(of another bus)".to_owned() });
        }
        Ok(())
    }
}

#[cfg(feature = "journal")]
impl<E: Event> BusBuilder<E> {
    /// Adds the journal stage, named `journal`, over a new journal in `dir`, which is created where
    /// missing. A directory that holds a journal already is refused: recover it.
    pub fn journal(
        &mut self,
        dir: impl Into<std::path::PathBuf>,
        options: crate::journal::JournalOptions,
    ) -> StageBuilder<'_, E> {
        self.journal_from(crate::journaler::Source::Create { dir: dir.into(), options })
    }

    pub(crate) fn journal_from(&mut self, source: crate::journaler::Source) -> StageBuilder<'_, E> {
        self.journal = Some(source);
        self.push(topology::JOURNAL, Role::Journal, None)
    }
}

impl<E: Event> StageBuilder<'_, E> {
    /// Stands behind other stages: they have handled an event before this one sees it.
    pub fn after<N: AsRef<str>>(self, stages: impl IntoIterator<Item = N>) -> Self {
        self.spec.node.after.extend(stages.into_iter().map(|name| name.as_ref().to_owned()));
        self
    }

    /// Stands behind the journal of this bus.
    pub fn behind(self, milestone: Milestone) -> Self {
        self.spec.node.behind.push(milestone);
        self
    }

    /// Stands behind the journal of another bus: an event passes once its `cause`, a sequence over
    /// there, has passed `milestone`.
    pub fn behind_ring(
        self,
        other: &impl Linked,
        milestone: Milestone,
        cause: impl Fn(&Archived<E>) -> Sequence + Send + 'static,
    ) -> Self {
        self.spec.node.is_behind_ring = true;
        self.spec.causes.push(CauseGate {
            foreign: other.link(milestone).0,
            cause: Box::new(cause),
            seen: Sequence::ZERO,
        });
        self
    }

    /// Pins the stage's thread. Stages on one core share one thread and run in graph order.
    pub fn core(self, core: usize) -> Self {
        self.spec.node.core = Some(core);
        self
    }

    /// What the stage's thread does when there is nothing to do.
    pub fn wait(self, wait: Wait) -> Self {
        self.spec.node.wait = wait;
        self
    }
}

/// A validated bus on its way to running.
struct Assembly {
    #[cfg(feature = "journal")]
    durable: Option<CursorRef>,
    ring: Arc<Ring>,
    plan: Plan,
    nodes: Vec<Node>,
    start: Sequence,
}

/// What a thread says once it is pinned and its start hooks have run.
type Ready = Result<(), BuildError>;

impl Assembly {
    /// Joins every gate, then starts every thread.
    fn run<E: Event>(
        self,
        mut specs: Vec<Spec<E>>,
        links: &Links,
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
        let (done, ended) = bounded(self.plan.threads.len());
        self.ring.header().roll.enter(self.plan.threads.len() as u64);
        let is_poller = |&at: &usize| self.nodes[at].role == Role::Poller;
        let callers = (0..stages.len()).filter(is_poller).map(|at| Arc::clone(&stages[at].0));
        let mut core = Core {
            ring: Arc::clone(&self.ring),
            bell,
            callers: callers.collect(),
            stages,
            threads: Vec::new(),
            ended,
            failure,
        };
        for thread in &self.plan.threads {
            let stages = thread.stages.iter().map(|&at| {
                let stage = match (specs[at].make.take(), waiting[at].take()) {
                    (Some(make), Some(poller)) => make(poller),
                    _ => unreachable!("a stage with a thread is made once"),
                };
                Named { name: Arc::clone(&core.stages[at].0), stage }
            });
            let processor = Processor {
                stages: stages.collect(),
                wait: thread.wait,
                ring: Arc::clone(&self.ring),
                bell: Arc::clone(&core.bell),
                fail: Arc::clone(&fail),
            };
            let spawned = self.spawn(thread, processor, ready.clone(), done.clone());
            core.threads.push(spawned?);
        }
        drop((ready, done));
        is_ready.iter().collect::<Ready>()?;
        Ok((core, waiting.into_iter().flatten().collect()))
    }

    /// Takes a gate for each stage, in the order of declaration.
    fn join_gates(&self) -> Result<Vec<(Arc<str>, CursorRef)>, BuildError> {
        let join = |node: &Node| {
            let name: Arc<str> = Arc::from(node.name.as_str());
            let (gate, _) = self.ring.join(&name, self.start).ok_or(BuildError::TooManyStages {
                stages: self.nodes.len(),
                gates: crate::ring::Gates::COUNT,
            })?;
            Ok((name, CursorRef::Gate(Arc::clone(&self.ring), gate)))
        };
        self.nodes.iter().map(join).collect()
    }

    /// Tells stages of other buses where this bus's journal stands.
    fn resolve(&self, links: &Links, stages: &[(Arc<str>, CursorRef)]) {
        #[cfg(feature = "journal")]
        if let Some(journal) = self.nodes.iter().position(|node| node.role == Role::Journal) {
            let publish = |cell: &OnceLock<_>, cursor: CursorRef| {
                // A builder starts once, so the cell is empty.
                let _ = cell.set((Arc::clone(&self.ring), cursor));
            };
            publish(&links.journaled, stages[journal].1.clone());
            if let Some(durable) = &self.durable {
                publish(&links.durable, durable.clone());
            }
        }
        #[cfg(not(feature = "journal"))]
        let _ = (links, stages);
    }

    fn poller<E: Event>(
        &self,
        at: usize,
        causes: Vec<CauseGate<E>>,
        stages: &[(Arc<str>, CursorRef)],
    ) -> Poller<E> {
        let above = self.plan.upstream[at].iter().map(|&above| stages[above].1.clone());
        #[cfg(feature = "journal")]
        let durable =
            self.durable.clone().filter(|_| self.nodes[at].behind.contains(&Milestone::Durable));
        #[cfg(not(feature = "journal"))]
        let durable = None;
        let upstream = above.chain(durable).collect();
        // The journal's cursor is a promise to other buses too: it is never given up.
        let is_leaf = self.plan.is_leaf(at) && self.nodes[at].role != Role::Journal;
        let (name, cursor) = &stages[at];
        let CursorRef::Gate(_, gate) = cursor else { unreachable!("stages stand at gates") };
        let barrier = Barrier { upstream, causes };
        Poller::new(&self.ring, name, 0, *gate, self.start, barrier, is_leaf)
    }

    fn spawn(
        &self,
        plan: &ThreadPlan,
        mut processor: Processor,
        ready: Sender<Ready>,
        done: Sender<Vec<Ended>>,
    ) -> Result<JoinHandle<()>, BuildError> {
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
            let _ = done.send(ended);
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

impl<E: Event> core::fmt::Debug for BusBuilder<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("BusBuilder")
            .field("event", &E::NAME)
            .field("capacity", &self.capacity)
            .field("stages", &self.stages.iter().map(|spec| &spec.node.name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl<E: Event> core::fmt::Debug for StageBuilder<'_, E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.spec.node.fmt(f)
    }
}
