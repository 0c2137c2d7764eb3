//! What framed events promise: strings, vectors and maps through the ring, the journal and back.

mod common;

use common::Scratch;
use std::collections::BTreeMap;
use tourbillon::{
    ArchivedCaused, ArchivedStamped, BuildError, Bus, Caused, Drain, Envelope, Event,
    EventTooLarge, JournalOptions, Polled, Poller, Producer, Projection, PublishError, Recovery,
    Schema, Sequence, Stamped, WhenFull, WriteError,
};

#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Schema)]
struct Leg {
    ratio: i8,
    symbol: String,
}

/// One of each kind that lies out of line.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Event)]
#[event(name = "test.order", version = 1, framed)]
struct Order {
    side: u8,
    symbol: String,
    payload: Vec<u8>,
    memo: Option<Box<Leg>>,
    limits: BTreeMap<u16, i64>,
    notes: Vec<Vec<String>>,
    legs: Box<[Leg]>,
}

#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Event)]
#[event(name = "test.said", version = 1, framed)]
enum Said {
    Nothing,
    Line(String),
    Lines { lines: Vec<String>, at: u64 },
}

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tagged", version = 1, framed)]
struct Tagged<T> {
    tag: String,
    value: T,
}

fn leg(n: usize) -> Leg {
    Leg { ratio: n as i8, symbol: "LEG".repeat(n % 5) }
}

/// Of a different shape for each `n`.
fn order(n: usize) -> Order {
    Order {
        side: n as u8,
        symbol: format!("SYMBOL-{n:08}"),
        payload: (0..n % 70).map(|at| (at * n) as u8).collect(),
        memo: n.is_multiple_of(3).then(|| Box::new(leg(n))),
        limits: (0..n % 11).map(|at| (at as u16, -(n as i64))).collect(),
        notes: (0..n % 4).map(|at| vec![format!("note {at} of {n}, not inline"); at]).collect(),
        legs: (0..n % 3).map(leg).collect(),
    }
}

fn native<E>(archived: &E::Archived) -> E
where
    E: Event,
    E::Archived: rkyv::Deserialize<E, rkyv::api::low::LowDeserializer<rkyv::rancor::Panic>>,
{
    let Ok(event) = rkyv::api::low::deserialize::<E, rkyv::rancor::Panic>(archived);
    event
}

fn ring<E: Event>(capacity: usize, slot_bytes: usize) -> (Producer<E>, Poller<E>, Bus<E>) {
    let mut builder = Bus::builder(capacity);
    builder.when_full(WhenFull::Fail).slot_bytes(slot_bytes).poller("poller");
    let (producer, mut bus) = builder.start().expect("a sound bus");
    let poller = bus.take_poller("poller").expect("built above");
    (producer, poller, bus)
}

/// Hands every event that is there to `on_event`.
fn drain<E: Event>(poller: &mut Poller<E>, mut on_event: impl FnMut(&E::Archived, u64)) {
    while let Polled::Batch(mut batch) = poller.poll() {
        while let Some((event, sequence)) = batch.next() {
            on_event(event, sequence.get());
        }
    }
}

fn lines(poller: &mut Poller<Said>) -> Vec<(u64, Said)> {
    let mut seen = Vec::new();
    drain(poller, |said, sequence| seen.push((sequence, native(said))));
    seen
}

fn line(bytes: usize) -> Said {
    Said::Line("x".repeat(bytes))
}

/// Bytes of the archive of `line(bytes)`: the string, padded, and the root of 24.
fn archive_bytes(bytes: usize) -> usize {
    bytes.next_multiple_of(8) + 24
}

#[test]
fn events_of_every_shape_arrive_as_they_were_over_many_laps() {
    let (mut producer, mut poller, _bus) = ring(4, 1024);
    for lap in 0..100 {
        for n in lap * 4..lap * 4 + 4 {
            producer.publish(&order(n)).expect("room");
        }
        let mut next = lap * 4;
        drain(&mut poller, |event, sequence| {
            assert_eq!((native::<Order>(event), sequence), (order(next), next as u64));
            next += 1;
        });
        assert_eq!(next, lap * 4 + 4);
    }
}

#[test]
fn what_does_not_fit_is_refused_with_what_it_needs_and_its_claim_is_aborted() {
    let (mut producer, mut poller, _bus) = ring(8, 64);
    let large = EventTooLarge { needed: archive_bytes(41), slot_bytes: 64 };
    assert_eq!(producer.publish(&line(40)), Ok(Sequence::ZERO));
    assert_eq!(producer.publish(&line(41)), Err(PublishError::TooLarge(large)));
    assert_eq!(producer.try_publish(&line(41)), Err(PublishError::TooLarge(large)));
    let claim = producer.claim().expect("room");
    assert_eq!(claim.write(&line(41)).err(), Some(WriteError::TooLarge(large)));
    let large = EventTooLarge { needed: archive_bytes(1 << 20), slot_bytes: 64 };
    assert_eq!(producer.publish(&line(1 << 20)), Err(PublishError::TooLarge(large)));
    assert_eq!(producer.publish(&Said::Nothing), Ok(Sequence::new(5)));
    assert_eq!(lines(&mut poller), [(0, line(40)), (5, Said::Nothing)]);
    assert_eq!(poller.lag_events(), 0);
}

#[test]
fn what_is_needed_is_enough() {
    let event = order(69);
    let (mut producer, _poller, _bus) = ring::<Order>(4, 0);
    let Err(PublishError::TooLarge(large)) = producer.publish(&event) else {
        panic!("no slot is that small")
    };
    let (mut producer, _poller, _bus) = ring::<Order>(4, large.needed - 16);
    assert!(producer.publish(&event).is_err());
    let (mut producer, mut poller, _bus) = ring::<Order>(4, large.needed);
    producer.publish(&event).expect("as large as it said");
    drain(&mut poller, |archived, _| assert_eq!(native::<Order>(archived), event));
    assert_eq!(poller.sequence(), Sequence::new(1));
}

#[test]
fn one_event_that_does_not_fit_aborts_its_batch() {
    let (mut producer, mut poller, _bus) = ring(8, 64);
    let batch = [line(1), line(41), line(2)];
    let large = EventTooLarge { needed: archive_bytes(41), slot_bytes: 64 };
    assert_eq!(producer.publish_batch(&batch), Err(PublishError::TooLarge(large)));
    assert!(lines(&mut poller).is_empty());
    let batch = [line(1), line(40), Said::Lines { lines: vec!["a".into(); 2], at: 7 }];
    let range = producer.publish_batch(&batch).expect("room");
    assert_eq!(range, Sequence::new(3)..Sequence::new(6));
    assert_eq!(lines(&mut poller), (3..).zip(batch).collect::<Vec<_>>());
}

#[test]
fn slots_of_256_bytes_are_the_default() {
    let (mut producer, _bus) = Bus::<Said>::builder(4).start().expect("a sound bus");
    producer.publish(&line(256 - 24)).expect("fits");
    let large = EventTooLarge { needed: archive_bytes(257), slot_bytes: 256 };
    assert_eq!(producer.publish(&line(257)), Err(PublishError::TooLarge(large)));
}

#[test]
fn a_slot_size_that_cannot_be_is_refused() {
    #[derive(rkyv::Archive, rkyv::Serialize, Event)]
    #[event(name = "test.tick", version = 1)]
    struct Tick {
        value: u64,
    }
    let mut builder = Bus::<Tick>::builder(4);
    builder.slot_bytes(64);
    let refused = builder.start().expect_err("an inline event knows its size");
    assert!(matches!(refused, BuildError::SlotBytesOfInline { event: "test.tick" }), "{refused}");
    let mut builder = Bus::<Said>::builder(4);
    builder.slot_bytes(usize::MAX);
    let refused = builder.start().expect_err("larger than any archive");
    assert!(matches!(refused, BuildError::SlotBytes { asked: usize::MAX, .. }), "{refused}");
    let mut builder = Bus::<Said>::builder(1 << 62);
    builder.slot_bytes(1 << 30);
    let refused = builder.start().expect_err("larger than the address space");
    assert!(matches!(refused, BuildError::TooLarge { .. }), "{refused}");
}

#[test]
fn wrappers_and_generic_events_are_framed_with_their_payload() {
    let (mut producer, mut poller, _bus) = ring::<Caused<Stamped<Said>>>(4, 128);
    let payload = Stamped { time_ns: 9, payload: line(30) };
    producer.publish(&Caused { cause: Sequence::new(7), n: 1, payload }).expect("room");
    drain(&mut poller, |event: &ArchivedCaused<Stamped<Said>>, _| {
        let stamped: &ArchivedStamped<Said> = &event.payload;
        assert_eq!((event.n.to_native(), stamped.time_ns.to_native()), (1, 9));
        assert_eq!(native::<Said>(&stamped.payload), line(30));
    });
    assert_eq!(poller.sequence(), Sequence::new(1));
    let (mut producer, mut poller, _bus) = ring::<Tagged<Vec<u32>>>(4, 128);
    producer.publish(&Tagged { tag: "a tag of its own".into(), value: vec![1, 2] }).expect("room");
    drain(&mut poller, |event, _| {
        assert_eq!(
            (event.tag.as_str(), event.value.as_slice()[1].to_native()),
            ("a tag of its own", 2)
        );
    });
    assert_eq!(poller.sequence(), Sequence::new(1));
    fn is_event<E: Event>() {}
    is_event::<Envelope<Order>>();
}

/// Keeps all that was applied.
#[derive(Debug, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Schema)]
struct Book {
    orders: Vec<Order>,
}

impl Projection for Book {
    type Event = Order;

    fn apply(&mut self, order: &ArchivedOrder, _: Sequence) {
        self.orders.push(native(order));
    }
}

#[test]
fn a_journal_gives_back_what_was_published() {
    const EVENTS: usize = 3_000;
    let scratch = Scratch::new("framed");
    let options = JournalOptions::default().segment_bytes(1 << 17);
    let mut builder = Bus::<Order>::builder(64);
    builder.slot_bytes(1024).when_full(WhenFull::Yield(None));
    builder.journal(scratch.path(), options.clone());
    let (mut producer, bus) = builder.start().expect("a sound bus");
    let mut expected = Vec::new();
    let huge = Order { payload: vec![1; 2_000], ..order(1) };
    for n in 0..EVENTS {
        if n % 1_000 == 500 {
            assert!(matches!(producer.publish(&huge), Err(PublishError::TooLarge(_))));
        }
        producer.publish(&order(n)).expect("an open bus");
        expected.push(order(n));
    }
    let report = bus.shutdown(Drain::Complete).expect("a clean end");
    assert!(report.journal().expect("it had one").rolls > 3, "over several segments");

    let recovery = Recovery::<Order>::open_with(scratch.path(), &options).expect("a journal");
    let recovered = recovery.state::<Book>().expect("sound events");
    assert_eq!(recovered.next_sequence().get(), EVENTS as u64 + 3);
    assert_eq!(recovered.state().orders, expected);
}
