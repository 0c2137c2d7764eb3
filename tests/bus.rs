//! What a bus promises about threads, panics and goodbyes.

mod common;

use common::a_core;
use std::sync::mpsc;
use std::time::Duration;
use tourbillon::{
    ArchivedCaused, BuildError, Bus, Caused, Drain, Event, Failure, Handler, Outcome, PublishError,
    Reactor, Sequence, ShutdownError, Wait, WhenFull,
};

#[derive(Clone, Copy, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    value: u64,
}

/// Remembers what it was told.
#[derive(Default)]
struct Log {
    values: Vec<u64>,
    batches: Vec<(u64, u64)>,
    ends: usize,
    started: bool,
    stopped: bool,
}

impl Handler<Tick> for Log {
    fn on_event(&mut self, event: &ArchivedTick, sequence: Sequence, end_of_batch: bool) {
        assert_eq!(self.values.len() as u64, sequence.get(), "no gap, no repeat");
        self.values.push(event.value.to_native());
        self.ends += usize::from(end_of_batch);
    }

    fn on_batch_end(&mut self, last: Sequence) {
        self.batches.push((last.get(), self.values.len() as u64));
    }

    fn on_start(&mut self) {
        self.started = true;
    }

    fn on_stop(&mut self) {
        self.stopped = true;
    }
}

#[test]
fn a_diamond_hands_every_event_to_every_stage_in_order() {
    const EVENTS: u64 = 20_000;
    let mut builder = Bus::<Tick>::builder(64);
    builder.when_full(WhenFull::Yield(None));
    builder.handler("left", Log::default());
    builder.handler("right", Log::default());
    builder.handler("join", Log::default()).after(["left", "right"]);
    let (mut producer, bus) = builder.start().expect("a sound bus");
    for value in 0..EVENTS {
        producer.publish(&Tick { value }).expect("an open bus");
    }
    let mut report = bus.shutdown(Drain::Complete).expect("a clean end");
    assert_eq!(report.published.get(), EVENTS);
    for name in ["left", "right", "join"] {
        let log: Log = report.take(name).expect("its handler");
        assert!(log.values.iter().copied().eq(0..EVENTS));
        assert!(log.started && log.stopped);
        assert_eq!(log.ends, log.batches.len());
        assert!(log.batches.iter().all(|&(last, seen)| last + 1 == seen));
        assert_eq!(report.consumer(name).map(|line| line.lag_events), Some(0));
        assert!(report.take::<Log>(name).is_none());
    }
    assert_eq!(producer.publish(&Tick { value: 0 }), Err(PublishError::Closed));
}

#[test]
fn fused_stages_see_an_event_in_graph_order() {
    let (told, heard) = mpsc::channel();
    let mut builder = Bus::<Tick>::builder(8);
    let stage = |name: &'static str| {
        let told = told.clone();
        move |tick: &ArchivedTick, _: Sequence, _: bool| {
            let _ = told.send((name, tick.value.to_native()));
        }
    };
    builder.handler("b", stage("b")).after(["a"]).core(a_core());
    builder.handler("a", stage("a")).core(a_core());
    let (mut producer, bus) = builder.start().expect("a core of this process");
    producer.publish(&Tick { value: 7 }).expect("room");
    bus.shutdown(Drain::Complete).expect("a clean end");
    drop(told);
    assert_eq!(heard.iter().collect::<Vec<_>>(), [("a", 7), ("b", 7)]);
}

#[test]
fn a_panicking_handler_halts_its_bus_and_frees_a_blocked_producer() {
    let mut builder = Bus::<Tick>::builder(4);
    builder.when_full(WhenFull::Yield(None));
    builder.handler("fragile", |tick: &ArchivedTick, _: Sequence, _: bool| {
        assert!(tick.value.to_native() != 2, "cannot take a two");
    });
    builder.handler("behind", |_: &ArchivedTick, _: Sequence, _: bool| {}).after(["fragile"]);
    let (mut producer, bus) = builder.start().expect("a sound bus");
    let refused = (0..).map(|value| producer.publish(&Tick { value })).find_map(Result::err);
    assert_eq!(refused, Some(PublishError::Closed));
    let error = bus.shutdown(Drain::Complete).expect_err("it had failed");
    let ShutdownError::Failed { failure: Failure::Panicked { stage, message }, report } = error
    else {
        panic!("another error: {error}");
    };
    assert_eq!((&*stage, message.contains("cannot take a two")), ("fragile", true));
    assert_eq!(report.consumer("fragile").map(|line| line.sequence.get()), Some(2));
    assert_eq!(report.consumer("behind").map(|line| line.outcome.clone()), Some(Outcome::Stopped));
}

#[test]
fn a_shutdown_that_runs_out_of_time_says_who_was_behind_by_how_much() {
    let mut builder = Bus::<Tick>::builder(8);
    builder.poller("held");
    builder.handler("slow", |_: &ArchivedTick, _: Sequence, _: bool| {}).after(["held"]);
    let (mut producer, bus) = builder.start().expect("a sound bus");
    producer.publish_batch([0, 1, 2].map(|value| Tick { value })).expect("room");
    let error = bus.shutdown(Drain::Deadline(Duration::ZERO)).expect_err("three events were left");
    let text = error.to_string();
    assert!(text.contains("`slow` by 3 events"), "{text}");
    let line = error.report().consumer("slow").expect("its line");
    assert_eq!((line.sequence.get(), line.lag_events), (0, 3));
}

/// A poller has no thread to answer for it; it was once reported as one that never returned.
#[test]
fn a_poller_does_not_hold_up_a_shutdown() {
    let mut builder = Bus::<Tick>::builder(8);
    builder.handler("log", Log::default());
    builder.poller("screen").after(["log"]);
    let (mut producer, mut bus) = builder.start().expect("a sound bus");
    let _screen = bus.take_poller("screen").expect("named above");
    producer.publish(&Tick { value: 0 }).expect("an open bus");
    let report = bus.shutdown(Drain::Complete).expect("a clean end");
    let screen = report.consumer("screen").expect("its line");
    assert_eq!((&screen.outcome, screen.lag_events), (&Outcome::Caller, 1));
}

#[test]
fn a_bus_that_is_dropped_leaves_no_thread_behind() {
    let (gone, is_gone) = mpsc::channel::<()>();
    let mut builder = Bus::<Tick>::builder(8);
    builder.handler("held", move |_: &ArchivedTick, _: Sequence, _: bool| {
        let _ = &gone;
    });
    let (_producer, bus) = builder.start().expect("a sound bus");
    drop(bus);
    assert!(is_gone.recv().is_err(), "the handler is dropped with its thread");
}

#[test]
fn a_core_that_cannot_be_had_is_named() {
    let mut builder = Bus::<Tick>::builder(8);
    builder.handler("far", |_: &ArchivedTick, _: Sequence, _: bool| {}).core(1000);
    let error = builder.start().expect_err("no machine has it");
    assert!(
        matches!(&error, BuildError::Core { stage, core: 1000, .. } if stage == "far"),
        "{error}"
    );
}

#[test]
fn a_start_hook_that_panics_refuses_the_bus() {
    struct Fragile;
    impl Handler<Tick> for Fragile {
        fn on_event(&mut self, _: &ArchivedTick, _: Sequence, _: bool) {}
        fn on_start(&mut self) {
            panic!("no licence");
        }
    }
    let mut builder = Bus::<Tick>::builder(8);
    builder.handler("fine", Log::default());
    builder.handler("fragile", Fragile);
    let text = builder.start().expect_err("refused").to_string();
    assert!(text.contains("`fragile`") && text.contains("no licence"), "{text}");
}

#[test]
fn every_wait_delivers() {
    let park = Wait::Park { max: Duration::from_millis(1) };
    for wait in [Wait::Auto, Wait::Spin, Wait::Yield, park] {
        let mut builder = Bus::<Tick>::builder(8);
        builder.when_full(WhenFull::Yield(None));
        builder.handler("log", Log::default()).wait(wait.clone());
        let (mut producer, bus) = builder.start().expect("one spinner fits any machine");
        for value in 0..100 {
            producer.publish(&Tick { value }).expect("an open bus");
        }
        let mut report = bus.shutdown(Drain::Complete).expect("a clean end");
        let log: Log = report.take("log").expect("its handler");
        assert!(log.values.iter().copied().eq(0..100), "{wait}");
    }
}

#[test]
fn a_reactor_that_does_not_stand_behind_a_journal_is_refused() {
    struct Order;
    impl Reactor<Tick> for Order {
        fn react(&mut self, _: &ArchivedTick, _: Sequence) {}
    }
    let mut builder = Bus::<Tick>::builder(8);
    builder.reactor("gateway", Order);
    assert!(matches!(builder.start(), Err(BuildError::ReactorNotBehindJournal { .. })));
}

#[test]
fn a_stage_behind_the_journal_of_a_bus_without_one_is_refused() {
    let input = Bus::<Tick>::builder(8);
    let mut output = Bus::<Caused<Tick>>::builder(8);
    output.handler("gateway", |_: &ArchivedCaused<Tick>, _: Sequence, _: bool| {}).behind_ring(
        &input,
        tourbillon::Journaled,
        |intent| intent.cause.to_native(),
    );
    let error = input.start().expect_err("no journal");
    assert!(matches!(error, BuildError::NoJournal { .. }), "{error}");
}
