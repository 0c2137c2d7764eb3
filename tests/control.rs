//! What an operator can say to a running bus and ask of it, and what a handler is told of its batches.

mod common;

use common::a_core;
use std::sync::mpsc;
use std::time::Duration;
use tourbillon::{
    BuildError, Bus, ControlError, Drain, Event, Handler, KillSwitch, OnPanic, Outcome,
    PublishError, Sequence, Wait, WhenFull,
};

#[derive(Clone, Copy, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    value: u64,
}

/// Remembers the values it was handed.
#[derive(Default)]
struct Log(Vec<u64>);

impl Handler<Tick> for Log {
    fn on_event(&mut self, event: &ArchivedTick, _: Sequence, _: bool) {
        self.0.push(event.value.to_native());
    }
}

/// The first events of a feed.
fn ticks(count: u32) -> impl ExactSizeIterator<Item = Tick> {
    (0..count).map(|value| Tick { value: value.into() })
}

/// Waits until the stage `name` has handled everything below `sequence`.
fn wait_for<E: Event>(bus: &Bus<E>, name: &str, sequence: u64) {
    while bus.sequence(name).expect("a stage").get() < sequence {
        std::thread::yield_now();
    }
}

/// On one thread and in this order, so that what the second has handled the first could have seen.
fn book_and_witness(capacity: usize) -> tourbillon::BusBuilder<Tick> {
    let mut builder = Bus::<Tick>::builder(capacity);
    builder.when_full(WhenFull::Fail);
    builder.handler("book", Log::default()).core(a_core()).batch_events_max(1);
    builder.handler("witness", Log::default()).core(a_core()).batch_events_max(1);
    builder
}

#[test]
fn a_paused_stage_keeps_its_gate_until_it_is_resumed_and_misses_nothing() {
    let (mut producer, bus) = book_and_witness(8).start().expect("a core of this process");
    bus.pause("book").expect("a stage");
    // One event may pass by a look that was under way; whoever sees the second sees the pause.
    let mut value = 0;
    let refused = loop {
        match producer.publish(&Tick { value }) {
            Ok(_) => value += 1,
            Err(error) => break error,
        }
        assert!(value <= 9, "the stage goes on");
        wait_for(&bus, "witness", value);
    };
    let PublishError::Full(full) = refused else { panic!("{refused}") };
    assert_eq!(&*full.gate, "book");
    let stood_at = bus.sequence("book").expect("a stage").get();
    assert!(stood_at <= 1, "{stood_at} events passed a paused stage");
    assert_eq!(value, stood_at + 8, "the ring is full");

    bus.resume("book").expect("a stage");
    while value < 100 {
        match producer.publish(&Tick { value }) {
            Ok(_) => value += 1,
            Err(PublishError::Full(_)) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    let mut report = bus.shutdown(Drain::Complete).expect("a clean end");
    for name in ["book", "witness"] {
        let log: Log = report.take(name).expect("its handler");
        assert!(log.0.iter().copied().eq(0..100), "{name}: {:?}", log.0);
    }
}

#[test]
fn a_drain_takes_no_notice_of_a_pause_and_a_halt_ends_a_paused_stage() {
    for drain in [Drain::Complete, Drain::Halt] {
        let (mut producer, bus) = book_and_witness(8).start().expect("a core of this process");
        bus.pause("book").expect("a stage");
        producer.publish_batch([0, 1, 2].map(|value| Tick { value })).expect("room");
        wait_for(&bus, "witness", 3);
        let report = bus.shutdown(drain).expect("a clean end");
        let book = report.consumer("book").expect("its line");
        assert_eq!(book.outcome, Outcome::Stopped);
        let lag_is_right = match drain {
            Drain::Complete => book.lag_events == 0,
            _ => book.lag_events >= 2,
        };
        assert!(lag_is_right, "{drain:?}: {book:?}");
    }
}

#[test]
fn who_cannot_be_paused_is_named() {
    let mut builder = Bus::<Tick>::builder(8);
    builder.poller("screen");
    let (_producer, bus) = builder.start().expect("a sound bus");
    let unknown = bus.pause("ghost").expect_err("no such stage");
    assert_eq!(unknown, ControlError::Unknown { stage: "ghost".to_owned() });
    let poller = bus.resume("screen").expect_err("a poller");
    assert_eq!(poller, ControlError::Poller { stage: "screen".to_owned() });
    assert!(unknown.to_string().contains("`ghost`") && poller.to_string().contains("`screen`"));
}

/// The handler is stuck, the ring full, the producer blocked: nobody but the switch can say a word.
#[test]
fn the_kill_switch_of_a_bus_frees_a_blocked_producer_while_a_handler_is_stuck() {
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let (entered, is_stuck) = mpsc::channel();
    let mut builder = Bus::<Tick>::builder(4);
    builder.when_full(WhenFull::Yield(None));
    builder
        .handler("stuck", move |_: &ArchivedTick, _: Sequence, _: bool| {
            let _ = entered.send(());
            let _ = may_go_on.recv();
        })
        .batch_events_max(1);
    let (mut producer, bus) = builder.start().expect("a sound bus");
    let publisher = std::thread::spawn(move || {
        (0..).map(|value| producer.publish(&Tick { value })).find_map(Result::err)
    });
    is_stuck.recv().expect("it handles the first event");
    while bus.remaining_capacity() > 0 {
        std::thread::yield_now();
    }
    let switch = bus.kill_switch();
    assert!(!switch.is_pulled());
    std::thread::spawn({
        let switch = switch.clone();
        move || switch.pull()
    });
    assert_eq!(publisher.join().expect("it returns"), Some(PublishError::Closed));
    assert!(switch.is_pulled() && !switch.reset(), "a bus does not come back");
    drop(go_on);
    let report = bus.shutdown(Drain::Halt).expect("halted on request");
    let stuck = report.consumer("stuck").expect("its line");
    assert_eq!((stuck.sequence.get(), &stuck.outcome), (1, &Outcome::Stopped));
}

#[test]
fn a_gateway_on_a_pulled_switch_discards_and_counts_while_the_bus_goes_on() {
    let switch = KillSwitch::new();
    let mut builder = Bus::<Tick>::builder(8);
    builder.when_full(WhenFull::Yield(None));
    builder.handler("book", Log::default());
    builder.handler("gateway", Log::default()).after(["book"]).kill_switch(&switch);
    let (mut producer, bus) = builder.start().expect("a sound bus");
    let mut publish = |values: core::ops::Range<u64>| {
        for value in values {
            producer.publish(&Tick { value }).expect("an open bus");
        }
    };
    publish(0..10);
    wait_for(&bus, "gateway", 10);
    switch.pull();
    publish(10..100); // the ring wraps
    wait_for(&bus, "gateway", 100);
    assert_eq!(bus.faults()[1].discarded, 90);
    assert!(switch.is_pulled() && switch.reset() && !switch.is_pulled());
    publish(100..110);
    let mut report = bus.shutdown(Drain::Complete).expect("a clean end");
    let gateway: Log = report.take("gateway").expect("its handler");
    assert!(gateway.0.iter().copied().eq((0..10).chain(100..110)), "{:?}", gateway.0);
    assert!(report.take::<Log>("book").expect("its handler").0.into_iter().eq(0..110));
}

#[test]
fn a_kill_switch_where_others_count_on_the_events_is_refused() {
    let switch = KillSwitch::new();
    let mut builder = Bus::<Tick>::builder(8);
    builder.handler("book", Log::default()).kill_switch(&switch);
    builder.poller("screen").after(["book"]);
    let error = builder.start().expect_err("`screen` stands behind it");
    assert!(matches!(&error, BuildError::Refused { stage, .. } if stage == "book"), "{error}");
}

/// What one batch was announced as, and what it was.
#[derive(Debug, Default, PartialEq)]
struct Announced {
    batch_events: u64,
    queue_depth: u64,
    walked: u64,
}

struct Counting<const WANTS: bool> {
    may_start: mpsc::Receiver<()>,
    batches: Vec<Announced>,
    next: u64,
    idles: mpsc::Sender<u64>,
}

impl<const WANTS: bool> Handler<Tick> for Counting<WANTS> {
    const WANTS_BATCH_START: bool = WANTS;

    fn on_event(&mut self, _: &ArchivedTick, _: Sequence, _: bool) {}

    fn on_batch_start(&mut self, batch_events: u64, queue_depth: u64) {
        self.batches.push(Announced { batch_events, queue_depth, walked: 0 });
    }

    fn on_batch_end(&mut self, last: Sequence) {
        let walked = last.get() + 1 - self.next;
        self.next = last.get() + 1;
        if let Some(batch) = self.batches.last_mut() {
            batch.walked = walked;
        }
    }

    fn on_idle(&mut self) {
        // The first look waits until everything is published.
        let _ = self.may_start.recv();
        let _ = self.idles.send(self.next);
    }
}

fn counting<const WANTS: bool>(limit: u64) -> (Vec<Announced>, Vec<u64>) {
    let ((publish, may_start), (idles, were_idle)) = (mpsc::channel(), mpsc::channel());
    let mut builder = Bus::<Tick>::builder(16);
    let handler = Counting::<WANTS> { may_start, batches: Vec::new(), next: 0, idles };
    builder.handler("book", handler).batch_events_max(limit);
    let (mut producer, bus) = builder.start().expect("a sound bus");
    producer.publish_batch(ticks(8)).expect("room");
    drop(producer.claim().expect("room"));
    producer.publish(&Tick { value: 9 }).expect("room");
    drop(publish);
    let mut report = bus.shutdown(Drain::Complete).expect("a clean end");
    let counting: Counting<WANTS> = report.take("book").expect("its handler");
    let batches = counting.batches;
    drop(counting.idles);
    (batches, were_idle.iter().collect())
}

#[test]
fn a_handler_that_asks_is_told_how_long_its_batch_is_and_what_waits_behind_it() {
    let (mut batches, _) = counting::<true>(4);
    // A bus that came to its stage before the events did is idle once, and then finds them all; one
    // that came later finds them all at once, or as many as were there.
    assert!(batches.iter().all(|batch| batch.walked <= batch.batch_events), "{batches:?}");
    assert!(batches.iter().all(|batch| batch.batch_events <= 4), "{batches:?}");
    assert!(batches.iter().all(|batch| batch.queue_depth >= batch.batch_events), "{batches:?}");
    assert_eq!(batches.iter().map(|batch| batch.walked).sum::<u64>(), 10);
    let last = batches.pop().expect("there were batches");
    assert_eq!(last.queue_depth, last.batch_events);
}

#[test]
fn a_handler_that_does_not_ask_is_not_told() {
    assert_eq!(counting::<false>(4).0, []);
}

#[test]
fn a_full_queue_is_announced_exactly() {
    // Behind a poller, which passes everything at once: what there is to see is known beforehand.
    let (go, may_start) = mpsc::channel();
    let (idles, _were_idle) = mpsc::channel();
    let mut builder = Bus::<Tick>::builder(16);
    builder.poller("first");
    let handler = Counting::<true> { may_start, batches: Vec::new(), next: 0, idles };
    builder.handler("book", handler).after(["first"]).batch_events_max(4);
    let (mut producer, mut bus) = builder.start().expect("a sound bus");
    drop(go);
    let mut first = bus.take_poller("first").expect("named above");
    producer.publish_batch(ticks(12)).expect("room");
    // A quarter of the ring, so four events, and eight wait that `book` may not see yet.
    let walk = |first: &mut tourbillon::Poller<Tick>| {
        let tourbillon::Polled::Batch(mut batch) = first.poll() else { panic!("events are there") };
        while batch.next().is_some() {}
    };
    for passed in [4, 8, 12] {
        walk(&mut first);
        wait_for(&bus, "book", passed);
    }
    drop(first);
    let mut report = bus.shutdown(Drain::Complete).expect("a clean end");
    let counting: Counting<true> = report.take("book").expect("its handler");
    let told: Vec<_> = counting.batches.iter().map(|b| (b.batch_events, b.queue_depth)).collect();
    assert_eq!(told, [(4, 12), (4, 8), (4, 4)]);
}

#[test]
fn no_batch_is_longer_than_its_limit_and_a_limit_of_nothing_is_refused() {
    for limit in [1, 3, 1000] {
        let (batches, _) = counting::<true>(limit);
        let longest = batches.iter().map(|batch| batch.walked).max();
        assert!(longest.is_some_and(|longest| (1..=limit).contains(&longest)), "{batches:?}");
    }
    let mut builder = Bus::<Tick>::builder(8);
    builder.handler("book", Log::default()).batch_events_max(0);
    let text = builder.start().expect_err("refused").to_string();
    assert!(text.contains("`book`") && text.contains("batch_events_max(0)"), "{text}");
}

#[test]
fn a_poller_keeps_to_its_limit() {
    let mut builder = Bus::<Tick>::builder(16);
    builder.poller("screen").batch_events_max(3);
    let (mut producer, mut bus) = builder.start().expect("a sound bus");
    let mut screen = bus.take_poller("screen").expect("named above");
    producer.publish_batch(ticks(8)).expect("room");
    let mut lengths = Vec::new();
    while let tourbillon::Polled::Batch(mut batch) = screen.poll() {
        let mut events = 0;
        while batch.next().is_some() {
            events += 1;
        }
        lengths.push(events);
    }
    assert_eq!(lengths, [3, 3, 2]);
}

#[test]
fn an_idle_stage_is_told_so() {
    let (idles, were_idle) = mpsc::channel();
    let (go, may_start) = mpsc::channel();
    let mut builder = Bus::<Tick>::builder(8);
    let handler = Counting::<false> { may_start, batches: Vec::new(), next: 0, idles };
    builder.handler("book", handler);
    let (mut producer, bus) = builder.start().expect("a sound bus");
    drop(go);
    assert_eq!(were_idle.recv(), Ok(0), "there was nothing yet");
    producer.publish(&Tick { value: 0 }).expect("room");
    assert!(were_idle.iter().any(|handled| handled == 1), "and nothing more");
    bus.shutdown(Drain::Complete).expect("a clean end");
}

#[test]
fn a_description_says_what_was_built() {
    let switch = KillSwitch::new();
    let mut builder = Bus::<Tick>::builder(64);
    builder.when_full(WhenFull::Fail);
    builder.handler("book", Log::default()).core(a_core()).wait(Wait::Yield);
    builder.handler("gateway", Log::default()).after(["book"]).kill_switch(&switch);
    builder.handler("statistics", Log::default()).on_panic(OnPanic::Restart { max: 3 });
    builder.poller("screen").after(["book"]).batch_events_max(1000);
    let (_producer, bus) = builder.start().expect("a core of this process");
    let described = bus.describe();
    assert_eq!((described.slots, described.has_journal), (64, false));
    assert_eq!(described.ring_bytes, 64 * described.stride_bytes);
    assert_eq!(described.threads, bus.placements());
    assert_eq!(described.threads[0].core, Some(a_core()));
    let gate = &described.gates[3];
    assert_eq!((&*gate.stage, gate.kind, gate.batch_events_max), ("screen", "poller", 64));
    assert_eq!(gate.behind, ["book"]);
    let text = described.to_string();
    for line in [
        "ring: 64 slots of ",
        "events: inline\n",
        "memory: anonymous; huge pages not asked for; locked not asked for\n",
        "producers: one; when full, Fail\n",
        "counted: 0 sequences aborted, 0 stalls of producers\n",
        "journal: no",
        &format!("thread: book → core {}, yield", a_core()),
        "thread: gateway → any core, auto",
        "handler `book` straight on the ring; batches of 16 at most; on panic halt\n",
        "handler `gateway` behind book; batches of 16 at most; on panic halt; kill switch\n",
        "handler `statistics` straight on the ring; batches of 16 at most; on panic restart, 3 times",
        "poller `screen` behind book; batches of 64 at most\n",
        "not granted: stage `screen` asked for batches of 1000 events",
    ] {
        assert!(text.contains(line), "no `{line}` in:\n{text}");
    }
}

#[test]
fn a_shutdown_frees_a_producer_blocked_on_a_full_ring_and_a_parked_consumer() {
    let park = Wait::Park { max: Duration::from_secs(3600) };
    let mut builder = Bus::<Tick>::builder(4);
    builder.when_full(WhenFull::Yield(None));
    builder.poller("held");
    builder.handler("parked", Log::default()).after(["held"]).wait(park);
    let (mut producer, bus) = builder.start().expect("a sound bus");
    let publisher = std::thread::spawn(move || {
        (0..).map(|value| producer.publish(&Tick { value })).find_map(Result::err)
    });
    while bus.remaining_capacity() > 0 {
        std::thread::yield_now();
    }
    let report = bus.shutdown(Drain::Halt).expect("halted on request");
    assert_eq!(report.consumer("parked").map(|line| line.lag_events), Some(4));
    assert_eq!(publisher.join().expect("it returns"), Some(PublishError::Closed));
}

#[test]
fn a_claim_that_is_held_does_not_hold_up_a_drain_beyond_its_deadline() {
    let mut builder = Bus::<Tick>::builder(8);
    builder.handler("book", Log::default());
    let (mut producer, bus) = builder.start().expect("a sound bus");
    producer.publish(&Tick { value: 0 }).expect("room");
    let claim = producer.claim().expect("room");
    let mut report = match bus.shutdown(Drain::Deadline(Duration::from_millis(20))) {
        Ok(report) => report,
        Err(error) => error.into_report(),
    };
    assert_eq!(report.consumer("book").map(|line| line.sequence.get()), Some(1));
    assert_eq!(report.take::<Log>("book").expect("its handler").0, [0]);
    let filled = claim.write(&Tick { value: 1 }).expect("it fits");
    assert_eq!(filled.publish().get(), 1, "too late for anybody, and nobody's harm");
}
