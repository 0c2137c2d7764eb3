//! *Owns* what a bus is asked to be, until it starts. *Invariant*: a builder holds data alone; all
//! of it is validated once, in `start`, and nothing runs before it was found sound.

use super::Bus;
use super::assembly::Assembly;
use super::describe::Description;
use super::journal_side::JournalSide;
use super::links::Links;
use super::place::{self, Place, Placed};
use super::stage::{Make, Spec, StageBuilder};
use crate::affinity;
use crate::error::BuildError;
use crate::event::{self, Codec, Event};
use crate::processor::{Handler, Handling, Reacting, Reactor};
use crate::producer::{MultiProducer, Producer};
use crate::ring::Producers;
use crate::topology::{self, Node, Role};
use crate::wait::{Wait, WhenFull};
use parking_lot::Mutex;
use std::any::Any;
use std::path::Path;
use std::sync::Arc;

/// Bytes of a framed event's archive, where nothing else was said.
const SLOT_BYTES: usize = 256;

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
    slot_bytes: Option<usize>,
    when_full: WhenFull,
    allow_more_spinners: bool,
    pub(super) stages: Vec<Spec<E>>,
    /// Groups by name, each with the names of its members.
    pub(super) groups: Vec<(String, Vec<String>)>,
    links: Links,
    journal: JournalSide,
    pub(super) place: Place,
}

impl<E: Event> Bus<E> {
    /// Describes a bus over a ring of `capacity` slots, a power of two.
    #[must_use]
    pub fn builder(capacity: usize) -> BusBuilder<E> {
        BusBuilder {
            capacity,
            slot_bytes: None,
            when_full: WhenFull::default(),
            allow_more_spinners: false,
            stages: Vec::new(),
            groups: Vec::new(),
            links: Links::default(),
            journal: JournalSide::default(),
            place: Place::default(),
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

    /// Bytes that a slot keeps for the archive of a `framed` event, rounded up to a multiple of 16;
    /// 256 if nothing is said, and 1 GiB at most. A larger event is refused when it is published.
    ///
    /// Inline events know their size; said for them, it is an error in [`BusBuilder::start`].
    pub fn slot_bytes(&mut self, slot_bytes: usize) -> &mut Self {
        self.slot_bytes = Some(slot_bytes);
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

    pub(super) fn push(
        &mut self,
        name: &str,
        role: Role,
        make: Option<Make<E>>,
    ) -> StageBuilder<'_, E> {
        let node = Node::new(name, role);
        let at = self.stages.len();
        let is_rebuilt = role == Role::Journal;
        self.stages.push(Spec { node, causes: Vec::new(), make, is_rebuilt });
        StageBuilder { spec: &mut self.stages[at] }
    }

    #[cfg(feature = "journal")]
    pub(super) fn journal_side(&mut self) -> &mut JournalSide {
        &mut self.journal
    }

    pub(super) fn links(&self) -> &Links {
        &self.links
    }

    /// Validates the graph, makes and prefaults the ring, or adopts it, opens the journal, starts and pins
    /// the threads, runs the start hooks.
    ///
    /// # Errors
    /// [`BuildError`]; nothing runs then. A journal that was created for the bus stays, empty.
    pub fn start(self) -> Result<(Producer<E>, Bus<E>), BuildError> {
        let when_full = self.when_full;
        let bus = self.assemble(Producers::Single)?;
        Ok((Producer::single(Arc::clone(&bus.core.ring), bus.slot_bytes, when_full), bus))
    }

    /// As [`BusBuilder::start`], for several producers: clone the one that this gives, once for each
    /// thread.
    ///
    /// # Errors
    /// As [`BusBuilder::start`].
    pub fn start_multi(self) -> Result<(MultiProducer<E>, Bus<E>), BuildError> {
        let when_full = self.when_full;
        let bus = self.assemble(Producers::Multi)?;
        Ok((Producer::multi(Arc::clone(&bus.core.ring), bus.slot_bytes, when_full), bus))
    }

    fn assemble(mut self, producers: Producers) -> Result<Bus<E>, BuildError> {
        if !self.capacity.is_power_of_two() || self.capacity < 2 {
            let next = self.capacity.max(2).checked_next_power_of_two().unwrap_or(1 << 62);
            return Err(BuildError::Capacity { asked: self.capacity, next });
        }
        let slot_bytes = self.checked_slot_bytes()?;
        self.spread_groups();
        let mut nodes: Vec<Node> = self.stages.iter().map(|spec| spec.node.clone()).collect();
        // No thread inherits an isolated core, so those are on top.
        let isolated = topology::isolate(&mut nodes, &affinity::isolated())?;
        let cores = affinity::cores() + isolated;
        let plan = topology::plan(&nodes, cores, self.allow_more_spinners)?;
        self.check_links()?;

        let mut journal = std::mem::take(&mut self.journal).open::<E>()?;
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        let shape = place::shape::<E>(self.capacity, slot_bytes, producers);
        let is_direct = nodes.iter().any(|node| node.wait == Wait::DirectWake);
        let place = std::mem::take(&mut self.place);
        let path = place.path().map(Path::to_owned);
        let Placed { ring, arrivals } =
            place.open::<E>(shape, journal.start(), &names, is_direct)?;
        if let Some(spec) = self.stages.iter_mut().find(|spec| spec.node.role == Role::Journal) {
            spec.make = journal.make();
        }
        let durable = journal.durable();
        let mut description = Description::new(&ring, &nodes, &plan, self.when_full);
        description.path = path;
        description.framed_slot_bytes = (slot_bytes > 0).then_some(slot_bytes);
        description.has_several_producers = producers == Producers::Multi;
        let assembly = Assembly { durable, ring, slot_bytes, plan, nodes, arrivals, description };
        let (core, pollers) = assembly.run(self.stages, &self.links, journal.into_running())?;
        Ok(Bus { core, slot_bytes, pollers: Mutex::new(pollers), links: self.links })
    }

    /// Bytes of an archive in a slot; 0 where the type decides.
    fn checked_slot_bytes(&self) -> Result<usize, BuildError> {
        let most = event::ARCHIVE_BYTES_MAX;
        match self.slot_bytes {
            Some(_) if <E::Codec as Codec<E>>::IS_FIXED => {
                Err(BuildError::SlotBytesOfInline { event: E::NAME })
            }
            None if <E::Codec as Codec<E>>::IS_FIXED => Ok(0),
            Some(asked) if asked > most => Err(BuildError::SlotBytes { asked, most }),
            asked => Ok(asked.unwrap_or(SLOT_BYTES)),
        }
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

impl<E: Event> core::fmt::Debug for BusBuilder<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("BusBuilder")
            .field("event", &E::NAME)
            .field("capacity", &self.capacity)
            .field("stages", &self.stages.iter().map(|spec| &spec.node.name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
