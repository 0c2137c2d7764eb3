//! *Owns* where a bus's ring lies, and how a successor takes up what its predecessor left there.
//! *Invariant* (R8): consumers go on at their own cursors under their own names; nobody is moved
//! without being told of. *Source*: its own.

use super::{Bus, BusBuilder};
use crate::error::BuildError;
use crate::event::{Codec, Event, SchemaId};
use crate::ring::{
    self, GateIndex, Granted, MemoryOptions, NAME_BYTES_MAX, Producers, Region, RegionError, Ring,
    Shape, Slots,
};
use crate::sequence::Sequence;
use core::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A ring's place as asked for.
#[derive(Debug, Default)]
pub(super) struct Place {
    name: Option<Name>,
    options: MemoryOptions,
}

#[derive(Debug)]
enum Name {
    Create(PathBuf),
    Adopt(PathBuf),
}

/// What a successor found in the ring that it adopted, and what it made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Adopted {
    /// The oldest sequence that is still whole.
    pub oldest: Sequence,
    /// The sequence that the next event has: everything below is published, or aborted.
    pub published: Sequence,
    /// Stages that go on, and where.
    pub resumed: Vec<(Arc<str>, Sequence)>,
    /// Stages that the predecessor did not have, and where they begin.
    pub joined: Vec<(Arc<str>, Sequence)>,
    /// Consumers that are no stages any more, and where they stood. Their gates were given up.
    pub left: Vec<(Arc<str>, Sequence)>,
    /// Claims that were never published. They are aborted now.
    pub aborted_claims: Vec<Sequence>,
    /// A batch that was never published. All of it is aborted now.
    pub aborted_batch: Option<Range<Sequence>>,
}

/// A ring in its place, while the bus is put together.
pub(super) struct Placed {
    pub(super) ring: Arc<Ring>,
    pub(super) arrivals: Arrivals,
}

/// Where each stage begins.
pub(super) struct Arrivals {
    /// Where the journal goes on, or a new ring begins.
    start: Sequence,
    has_journal: bool,
    #[cfg(not(loom))]
    gates: Vec<ring::FoundGate>,
    adopted: Option<Adopted>,
}

impl<E: Event> BusBuilder<E> {
    /// Asks for huge pages, or for memory that is never swapped. [`Bus::granted`] says what was had.
    pub fn memory(&mut self, options: MemoryOptions) -> &mut Self {
        self.place.options = options;
        self
    }

    /// Keeps the ring in a file at `path`, on tmpfs (as `/dev/shm`) or hugetlbfs, so that it outlives
    /// the process: a publish that has returned survives `kill -9`, at no cost to the hot path. A power
    /// cut loses it; that is what a journal is for.
    ///
    /// [`BusBuilder::start`] creates the file, and refuses one that is there already: adopt it. Its
    /// owner holds a lock on it until bus, producers and pollers are gone; then the file stays, with
    /// the cursors of all consumers. A poller that is dropped while its bus is open leaves for good.
    ///
    /// Whoever may write the file can break the process: it is created for its user alone, and a file
    /// that is cut short under a live owner is SIGBUS.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// # use tourbillon::{BuildError, Bus, RegionError};
    /// # #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
    /// # #[event(name = "doc.tick", version = 1)]
    /// # struct Tick { price: i64 }
    /// # let path = format!("/dev/shm/tourbillon-doc-{}", std::process::id());
    /// let mut builder = Bus::<Tick>::builder(1 << 10);
    /// builder.named(&path).poller("book");
    /// # let started = builder.start();
    /// # if matches!(&started, Err(BuildError::Region(RegionError::Io { .. } | RegionError::NotInMemory { .. }))) { return }
    /// # let (mut producer, bus) = started.unwrap();
    /// producer.publish(&Tick { price: 5_853_300 }).unwrap();
    /// drop((producer, bus)); // or kill -9
    ///
    /// let mut builder = Bus::<Tick>::builder(1 << 10);
    /// builder.adopt(&path).poller("book");
    /// let (_producer, bus) = builder.start().unwrap();
    /// let adopted = bus.adopted().unwrap();
    /// assert_eq!((adopted.published.get(), adopted.resumed[0].1.get()), (1, 0));
    /// # std::fs::remove_file(&path).unwrap();
    /// # }
    /// ```
    pub fn named(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.place.name = Some(Name::Create(path.into()));
        self
    }

    /// Adopts the ring at `path`, whose owner is gone: killed, or ended.
    ///
    /// [`BusBuilder::start`] checks header, cursors, stamps, and the bytes of every event; what a kill
    /// tore is published as aborted, and numbering goes on. Stages go on where those of the same name
    /// stood, new ones begin at the oldest event, and consumers that have no stage any more are given
    /// up. With a journal, its stage and projections go on where the journal ends instead: that is
    /// what their state covers. [`Bus::adopted`] tells all of it.
    ///
    /// About 10 ns for each slot. Nothing in the file is changed if it is refused.
    pub fn adopt(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.place.name = Some(Name::Adopt(path.into()));
        self
    }
}

impl<E: Event> Bus<E> {
    /// What was found in the ring, if it was adopted.
    #[must_use]
    pub fn adopted(&self) -> Option<&Adopted> {
        self.core.adopted.as_ref()
    }

    /// Which wishes of the [`MemoryOptions`] were granted.
    #[must_use]
    pub fn granted(&self) -> &Granted {
        self.core.ring.region().granted()
    }
}

/// The shape of a ring of `capacity` slots.
pub(crate) fn shape<E: Event>(capacity: usize, slot_bytes: usize, producers: Producers) -> Shape {
    Shape {
        capacity: capacity as u64,
        stride: Slots::<E>::stride(slot_bytes),
        payload_at: Slots::<E>::PAYLOAD_OFFSET,
        payload_bytes: <E::Codec as Codec<E>>::slot_bytes(slot_bytes),
        event: SchemaId::of::<E>(),
        producers,
    }
}

impl Place {
    /// The file that it is to lie in, if it has a name.
    pub(super) fn path(&self) -> Option<&Path> {
        self.name.as_ref().map(|name| match name {
            Name::Create(path) | Name::Adopt(path) => path.as_path(),
        })
    }

    /// Makes or adopts the ring. `journal` is where a journal goes on, if there is one.
    pub(super) fn open<E: Event>(
        self,
        shape: Shape,
        journal: Option<Sequence>,
        stages: &[&str],
        is_direct: bool,
    ) -> Result<Placed, BuildError> {
        let start = journal.unwrap_or(Sequence::ZERO);
        if self.name.is_some() {
            check_names(stages)?;
        }
        let region = match &self.name {
            None => Region::anonymous(shape, start, self.options),
            Some(Name::Create(path)) => ring::create(path, shape, start, self.options),
            Some(Name::Adopt(path)) => {
                return Ok(adopt::<E>(path, shape, journal, self.options, is_direct)?);
            }
        };
        let region = region.map_err(|error| match error {
            RegionError::TooLarge => {
                BuildError::TooLarge { capacity: shape.capacity as usize, stride: shape.stride }
            }
            error => error.into(),
        })?;
        let arrivals = Arrivals {
            start,
            has_journal: journal.is_some(),
            #[cfg(not(loom))]
            gates: Vec::new(),
            adopted: None,
        };
        Ok(Placed { ring: Ring::over(region, is_direct), arrivals })
    }
}

/// A successor finds stages by name.
fn check_names(stages: &[&str]) -> Result<(), RegionError> {
    let bad = stages.iter().find(|name| name.is_empty() || name.len() > NAME_BYTES_MAX);
    bad.map_or(Ok(()), |name| {
        Err(RegionError::StageName { stage: (*name).to_owned(), bytes_max: NAME_BYTES_MAX })
    })
}

#[cfg(loom)]
fn adopt<E: Event>(
    _path: &Path,
    _shape: Shape,
    _journal: Option<Sequence>,
    _options: MemoryOptions,
    _is_direct: bool,
) -> Result<Placed, RegionError> {
    Err(RegionError::Unsupported)
}

#[cfg(not(loom))]
fn adopt<E: Event>(
    path: &Path,
    shape: Shape,
    journal: Option<Sequence>,
    options: MemoryOptions,
    is_direct: bool,
) -> Result<Placed, RegionError> {
    let (mut region, producers) = ring::open_owned(path, shape, options)?;
    let plan = ring::Plan::of(&region, producers, |at| ring::is_valid::<E>(&region, at))
        .map_err(|fault| RegionError::Refused { path: path.to_owned(), fault })?;
    let retained = plan.found.oldest..plan.found.end;
    if let Some(journal) = journal.filter(|at| *at < retained.start || *at > retained.end) {
        return Err(RegionError::JournalApart { path: path.to_owned(), journal, retained });
    }
    let found = plan.carry_out(&mut region, shape.producers);
    let adopted = Adopted {
        oldest: found.oldest,
        published: found.end,
        resumed: Vec::new(),
        joined: Vec::new(),
        left: Vec::new(),
        aborted_claims: found.torn_claims,
        aborted_batch: found.torn_batch,
    };
    let arrivals = Arrivals {
        start: journal.unwrap_or(found.oldest),
        has_journal: journal.is_some(),
        gates: found.gates,
        adopted: Some(adopted),
    };
    Ok(Placed { ring: Ring::over(region, is_direct), arrivals })
}

impl Arrivals {
    /// Gives up the gates of consumers that are no stages any more.
    #[cfg(not(loom))]
    pub(super) fn give_up(&mut self, ring: &Ring, stages: &[&str]) {
        let Some(adopted) = &mut self.adopted else { return };
        let gone = |gate: &mut ring::FoundGate| !stages.contains(&gate.name.as_str());
        for gone in self.gates.extract_if(.., gone) {
            ring.header().gate_table.leave(gone.gate);
            adopted.left.push((Arc::from(gone.name), gone.at));
        }
    }

    #[cfg(loom)]
    pub(super) fn give_up(&mut self, _ring: &Ring, _stages: &[&str]) {}

    /// Gives the stage `name` its gate, and where it begins; `None` if all gates are taken. A stage
    /// that was rebuilt from a journal begins where the journal goes on.
    pub(super) fn stand(
        &mut self,
        ring: &Ring,
        name: &Arc<str>,
        is_rebuilt: bool,
    ) -> Option<(GateIndex, Sequence)> {
        let is_rebuilt = is_rebuilt && self.has_journal;
        #[cfg(not(loom))]
        if let Some(at) = self.gates.iter().position(|gate| *gate.name == **name) {
            let found = self.gates.swap_remove(at);
            let at = if is_rebuilt { self.start } else { found.at };
            ring.resume(found.gate, name, at);
            self.tell(|adopted| &mut adopted.resumed, name, at);
            return Some((found.gate, at));
        }
        let from = match &self.adopted {
            Some(adopted) if !is_rebuilt => adopted.oldest,
            _ => self.start,
        };
        let (gate, at) = ring.join(name, from)?;
        self.tell(|adopted| &mut adopted.joined, name, at);
        Some((gate, at))
    }

    fn tell(
        &mut self,
        list: impl FnOnce(&mut Adopted) -> &mut Vec<(Arc<str>, Sequence)>,
        name: &Arc<str>,
        at: Sequence,
    ) {
        if let Some(adopted) = &mut self.adopted {
            list(adopted).push((Arc::clone(name), at));
        }
    }

    pub(super) fn into_adopted(self) -> Option<Adopted> {
        self.adopted
    }
}
