//! A ring beside its specification: bytes become operations, each is done to both, and after each of
//! them both must say the same. One thread: what threads do to each other is for `loom-tests`.
//!
//! Shared by the test `model` and the fuzz target `ring`.

mod consumers;
mod spec;

use consumers::{Reader, Tapper};
use spec::{Slot, Spec};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;
use tourbillon::{
    Bus, Claims, Event, MultiProducer, Producer, PublishError, Sequence, Single, WhenFull,
};

/// An event that says where it belongs.
#[derive(Clone, Copy, tourbillon::rkyv::Archive, tourbillon::rkyv::Serialize, Event)]
#[rkyv(crate = tourbillon::rkyv)]
#[event(name = "test.told", version = 1)]
pub(crate) struct Told {
    value: u64,
    inverse: u64,
}

fn told(value: u64) -> Told {
    Told { value, inverse: !value }
}

/// What a run came across.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) operations: u64,
    pub(crate) published: u64,
    pub(crate) full: u64,
    pub(crate) too_large: u64,
    pub(crate) held_by: u64,
    pub(crate) handled: u64,
    pub(crate) idle: u64,
    pub(crate) gated: u64,
    pub(crate) lagged: u64,
    pub(crate) tapped: u64,
    pub(crate) duplicate: u64,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.published += other.published;
        self.full += other.full;
        self.too_large += other.too_large;
        self.held_by += other.held_by;
        self.handled += other.handled;
        self.idle += other.idle;
        self.gated += other.gated;
        self.lagged += other.lagged;
        self.tapped += other.tapped;
        self.duplicate += other.duplicate;
    }
}

/// Stages by shape: each with the one that it stands behind.
const TOPOLOGIES: [&[(&str, &[&str])]; 4] = [
    &[],
    &[("first", &[])],
    &[("first", &[]), ("second", &[])],
    &[("first", &[]), ("second", &["first"])],
];

/// Builds what the first byte says, then does what each further pair says.
pub(crate) fn run(bytes: &[u8]) -> Seen {
    let Some((&shape, operations)) = bytes.split_first() else { return Seen::default() };
    let capacity = if shape & 1 == 0 { 4 } else { 8 };
    let stages = TOPOLOGIES[usize::from(shape >> 2) % 4];
    let mut builder = Bus::<Told>::builder(capacity);
    builder.when_full(WhenFull::Fail);
    for (name, after) in stages {
        builder.poller(name).after(*after);
    }
    let mut spec = Spec::new(capacity as u64);
    let gates: Vec<usize> =
        stages.iter().map(|(name, _)| spec.enter(&Arc::from(*name), Some(0))).collect();
    let is_behind = stages.get(1).is_some_and(|(_, after)| !after.is_empty());
    let readers = |bus: &mut Bus<Told>| {
        let reader = |(at, (name, _)): (usize, &(&str, &[&str]))| {
            let poller = bus.take_poller(name).expect("built above");
            let mut reader = Reader::new(poller, gates[at]);
            reader.upstream = (is_behind && at == 1).then(|| gates[0]);
            reader.is_leaf = !(is_behind && at == 0);
            reader
        };
        stages.iter().enumerate().map(reader).collect()
    };
    if shape & 2 == 0 {
        let (producer, mut bus) = builder.start().expect("a sound bus");
        let readers = readers(&mut bus);
        Rig::<Single>::new(bus, spec, readers, Member::new(producer, "single"), None).go(operations)
    } else {
        let (producer, mut bus) = builder.start_multi().expect("a sound bus");
        let readers = readers(&mut bus);
        let another = |producer: &MultiProducer<Told>| {
            let clone = producer.clone();
            let name = clone.name().to_owned();
            Member::new(clone, &name)
        };
        let name = producer.name().to_owned();
        let other = another(&producer);
        let mut rig = Rig::new(bus, spec, readers, Member::new(producer, &name), Some(another));
        rig.producers.push(other);
        rig.go(operations)
    }
}

/// A producer and its name.
struct Member<C: Claims> {
    handle: Producer<Told, C>,
    name: Arc<str>,
}

impl<C: Claims> Member<C> {
    fn new(handle: Producer<Told, C>, name: &str) -> Self {
        Self { handle, name: Arc::from(name) }
    }
}

type Another<C> = fn(&Producer<Told, C>) -> Member<C>;

struct Rig<C: Claims> {
    bus: Bus<Told>,
    spec: Spec,
    producers: Vec<Member<C>>,
    /// Makes another producer; an only one has none.
    another: Option<Another<C>>,
    readers: Vec<Reader>,
    taps: Vec<Tapper>,
    seen: Seen,
}

impl<C: Claims> Rig<C> {
    fn new(
        bus: Bus<Told>,
        spec: Spec,
        readers: Vec<Reader>,
        producer: Member<C>,
        another: Option<Another<C>>,
    ) -> Self {
        let (producers, taps, seen) = (vec![producer], Vec::new(), Seen::default());
        Self { bus, spec, producers, another, readers, taps, seen }
    }

    fn go(mut self, operations: &[u8]) -> Seen {
        for pair in operations.chunks_exact(2) {
            self.operate(pair[0], pair[1]);
            self.seen.operations += 1;
            self.compare();
        }
        self.end();
        self.seen
    }

    fn operate(&mut self, operation: u8, detail: u8) {
        // The low half of the detail says how, the high half who.
        let (how, who) = (u64::from(detail & 15), usize::from(detail >> 4));
        let producer = who % self.producers.len();
        match operation % 32 {
            0..6 => self.publish(producer, how),
            6 | 7 => self.publish_batch(producer, how % (self.spec.capacity + 2)),
            8 => self.claim(producer, how),
            9 | 10 => self.claim_batch(producer, how % (self.spec.capacity + 2), who as u64),
            11..24 => self.poll(who, how),
            24 => self.join(who, how),
            25 => self.leave(who),
            26 => self.tap(who, how),
            27 => self.more_producers(how),
            28..31 => self.poll_tap(who),
            _ => self.drain(),
        }
    }

    /// What a claim of `count` by `producer` must give: its first sequence.
    fn verdict(&mut self, producer: usize, count: u64) -> Result<u64, PublishError> {
        self.spec.let_go(&self.producers[producer].name);
        let verdict = self.spec.claim(count);
        match &verdict {
            Ok(_) => self.seen.published += count,
            Err(PublishError::Full(full)) => {
                self.seen.full += 1;
                self.seen.held_by += u64::from(full.held_by.is_some());
            }
            Err(_) => self.seen.too_large += 1,
        }
        verdict
    }

    fn publish(&mut self, producer: usize, how: u64) {
        let expected = self.verdict(producer, 1);
        let value = self.spec.claimed * 16 + how;
        let handle = &mut self.producers[producer].handle;
        let with = |sequence: Sequence| told(sequence.get() * 16 + how);
        let found = match how % 6 {
            0 => handle.publish(&told(value)),
            1 => handle.try_publish(&told(value)),
            2 => handle.publish_with(with),
            3 => handle.try_publish_with(with),
            4 => handle.within(Duration::ZERO).publish(&told(value)),
            _ => handle.claim().map(|claim| claim.write(&told(value)).expect("fits").publish()),
        };
        assert_eq!(found, expected.clone().map(Sequence::new));
        if expected.is_ok() {
            self.spec.push(Slot::Published(value));
        }
    }

    fn publish_batch(&mut self, producer: usize, count: u64) {
        let expected = self.verdict(producer, count);
        let first = self.spec.claimed;
        let events: Vec<Told> = (first..first + count).map(told).collect();
        let found = self.producers[producer].handle.publish_batch(&events);
        let range = |first| Sequence::new(first)..Sequence::new(first + count);
        assert_eq!(found, expected.clone().map(range));
        if expected.is_ok() {
            (first..first + count).for_each(|value| self.spec.push(Slot::Published(value)));
        }
    }

    /// A claim that is dropped, dropped filled, or forgotten.
    fn claim(&mut self, producer: usize, how: u64) {
        let expected = self.verdict(producer, 1);
        let is_only = self.another.is_none();
        let Member { handle, name } = &mut self.producers[producer];
        let found = handle.try_claim();
        let sequence = found.as_ref().map(|claim| claim.sequence().get());
        assert_eq!(sequence.map_err(Clone::clone), expected);
        let Ok(claim) = found else { return };
        match how % 4 {
            0 => drop(claim),
            1 => drop(claim.write(&told(how)).expect("fits")),
            forgotten => {
                if forgotten == 2 {
                    let _ = ManuallyDrop::new(claim);
                } else {
                    let _ = ManuallyDrop::new(claim.write(&told(how)).expect("fits"));
                }
                if !is_only {
                    self.spec.push(Slot::Held(Arc::clone(name)));
                }
                return;
            }
        }
        self.spec.push(Slot::Aborted);
    }

    /// A batch that is filled in part, then published, dropped or forgotten.
    fn claim_batch(&mut self, producer: usize, count: u64, how: u64) {
        let expected = self.verdict(producer, count);
        let is_only = self.another.is_none();
        let Member { handle, name } = &mut self.producers[producer];
        let found = handle.try_claim_batch(count as usize);
        let first = found.as_ref().map(|batch| batch.sequences().start.get());
        assert_eq!(first.map_err(Clone::clone), expected);
        let Ok(mut batch) = found else { return };
        let range = self.spec.claimed..self.spec.claimed + count;
        let filled = range.start + (how / 3).min(count);
        for sequence in range.start..filled {
            assert_eq!(batch.write(&told(sequence)), Ok(Sequence::new(sequence)));
        }
        assert_eq!(batch.remaining(), range.end - filled);
        match how % 3 {
            0 => {
                let published = batch.publish();
                assert_eq!((published.start.get(), published.end.get()), (range.start, filled));
                (range.start..filled).for_each(|value| self.spec.push(Slot::Published(value)));
                (filled..range.end).for_each(|_| self.spec.push(Slot::Aborted));
            }
            1 => {
                drop(batch);
                range.for_each(|_| self.spec.push(Slot::Aborted));
            }
            _ => {
                let _ = ManuallyDrop::new(batch);
                if !is_only {
                    range.for_each(|_| self.spec.push(Slot::Held(Arc::clone(name))));
                }
            }
        }
    }

    /// Clones a producer, or drops one; one stays.
    fn more_producers(&mut self, how: u64) {
        let Some(another) = self.another else { return };
        if how.is_multiple_of(2) && self.producers.len() < 3 {
            self.producers.push(another(&self.producers[0].handle));
        } else if self.producers.len() > 1 {
            let gone = self.producers.remove(how as usize / 2 % self.producers.len());
            self.spec.let_go(&gone.name);
        }
    }

    /// Both say the same of everything that can be asked.
    fn compare(&self) {
        let Self { bus, spec, .. } = self;
        assert_eq!(bus.published().get(), spec.claimed);
        assert_eq!(bus.remaining_capacity(), spec.remaining_capacity());
        let counters = bus.counters();
        assert_eq!((counters.aborted, counters.stalls), (spec.aborted, spec.stalls));
        assert_eq!(bus.held_claims(), spec.held_claims());
        for Member { handle, .. } in &self.producers {
            assert_eq!(handle.next_sequence().get(), spec.claimed);
            assert_eq!(handle.remaining_capacity(), spec.remaining_capacity());
        }
        self.readers.iter().for_each(|reader| reader.compare(bus, spec));
        self.taps.iter().for_each(|tap| assert_eq!(bus.lag(tap.name()), None, "it pins nothing"));
        for name in ["first", "second"].into_iter().filter(|name| !spec.is_taken(name)) {
            assert_eq!(bus.sequence(name), None, "{name} is gone, and its gate may be another's");
        }
    }

    /// Nobody holds anything any more, everybody sees the rest; then nothing goes any more.
    fn end(&mut self) {
        for Member { handle, name } in &mut self.producers {
            let nothing: [Told; 0] = [];
            self.spec.let_go(name);
            assert!(handle.publish_batch(nothing).is_ok_and(|range| range.is_empty()));
        }
        self.drain();
        self.compare();
        self.bus.halt();
        for Member { handle, .. } in &mut self.producers {
            assert_eq!(handle.publish(&told(0)), Err(PublishError::Closed));
        }
        self.readers.iter_mut().for_each(Reader::is_closed);
    }
}
