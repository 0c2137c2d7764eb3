//! What a bus does when handlers panic, and what it says of it.

mod common;

use common::a_core;
use std::sync::mpsc;
use std::time::Duration;
use tourbillon::{
    BuildError, Bus, BusBuilder, Drain, Event, Failure, Handler, OnPanic, Outcome, PublishError,
    Sequence, ShutdownError, WhenFull,
};

#[derive(Clone, Copy, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    value: u64,
}

/// Remembers what it handled; panics at the values it is told to.
#[derive(Default)]
struct Fragile {
    values: Vec<u64>,
    at: Vec<u64>,
}

impl Fragile {
    fn at(at: impl IntoIterator<Item = u64>) -> Self {
        Self { values: Vec::new(), at: at.into_iter().collect() }
    }
}

impl Handler<Tick> for Fragile {
    fn on_event(&mut self, event: &ArchivedTick, _: Sequence, _: bool) {
        let value = event.value.to_native();
        assert!(!self.at.contains(&value), "cannot take {value}");
        self.values.push(value);
    }
}

fn a_bus(capacity: usize) -> BusBuilder<Tick> {
    let mut builder = Bus::<Tick>::builder(capacity);
    // An end for a test that fails: nobody here waits that long for a consumer that lives.
    builder.when_full(WhenFull::Yield(Some(Duration::from_secs(60))));
    builder
}

#[test]
fn a_detached_leaf_lets_producers_and_the_rest_of_its_thread_go_on() {
    let mut builder = a_bus(8);
    builder.handler("fragile", Fragile::at([5])).on_panic(OnPanic::Detach).core(a_core());
    builder.handler("sound", Fragile::default()).core(a_core());
    let (mut producer, bus) = builder.start().expect("a core of this process");
    for value in 0..100 {
        producer.publish(&Tick { value }).expect("the ring wraps several times");
    }
    assert!(bus.failure().is_none());
    let fault = &bus.faults()[0];
    assert_eq!((&*fault.stage, fault.panics, fault.restarts, fault.skipped), ("fragile", 1, 0, 0));
    assert_eq!(fault.detached_at.map(Sequence::get), Some(5), "it never moved");
    assert_eq!(bus.sequence("fragile").map(Sequence::get), Some(5));
    let mut report = bus.shutdown(Drain::Complete).expect("the policy asked for it");
    let line = report.consumer("fragile").expect("its line");
    assert_eq!((line.sequence.get(), line.lag_events), (5, 95));
    assert!(
        matches!(&line.outcome, Outcome::Detached(why) if why.contains("cannot take 5")),
        "{line:?}"
    );
    assert!(report.take::<Fragile>("fragile").expect("its handler").values.into_iter().eq(0..5));
    assert!(report.take::<Fragile>("sound").expect("its handler").values.into_iter().eq(0..100));
}

/// Its only thread is over, and the bus was once taken for stopped then.
#[test]
fn a_bus_whose_only_handler_was_detached_still_serves_its_pollers() {
    let mut builder = a_bus(4);
    builder.handler("fragile", Fragile::at([0])).on_panic(OnPanic::Detach);
    builder.poller("screen");
    let (mut producer, mut bus) = builder.start().expect("a sound bus");
    let mut screen = bus.take_poller("screen").expect("named above");
    for value in 0..20 {
        producer.publish(&Tick { value }).expect("an open bus");
        let tourbillon::Polled::Batch(mut batch) = screen.poll() else {
            panic!("an event is there")
        };
        assert_eq!(batch.next().map(|(tick, _)| tick.value.to_native()), Some(value));
    }
    assert_eq!(bus.faults()[0].panics, 1, "the ring wrapped, so the gate was gone");
    bus.shutdown(Drain::Complete).expect("the policy asked for it");
    assert!(matches!(screen.poll(), tourbillon::Polled::Closed));
}

#[test]
fn a_restart_skips_the_event_that_panicked_and_no_other() {
    let mut builder = a_bus(8);
    builder.handler("fragile", Fragile::at([0, 3, 7])).on_panic(OnPanic::Restart { max: 3 });
    let (mut producer, bus) = builder.start().expect("a sound bus");
    for value in 0..50 {
        producer.publish(&Tick { value }).expect("an open bus");
    }
    while bus.sequence("fragile").expect("a stage").get() < 50 {
        std::thread::yield_now();
    }
    let fault = &bus.faults()[0];
    assert_eq!((fault.panics, fault.restarts, fault.skipped, fault.detached_at), (3, 3, 3, None));
    let mut report = bus.shutdown(Drain::Complete).expect("a clean end");
    assert_eq!(report.consumer("fragile").map(|line| line.outcome.clone()), Some(Outcome::Stopped));
    let fragile: Fragile = report.take("fragile").expect("its handler");
    assert!(fragile.values.into_iter().eq((0..50).filter(|value| ![0, 3, 7].contains(value))));
}

#[test]
fn the_panic_after_the_last_restart_halts_the_bus() {
    let mut builder = a_bus(8);
    builder.handler("fragile", Fragile::at([1, 2])).on_panic(OnPanic::Restart { max: 1 });
    let (mut producer, bus) = builder.start().expect("a sound bus");
    let refused = (0..).map(|value| producer.publish(&Tick { value })).find_map(Result::err);
    assert_eq!(refused, Some(PublishError::Closed));
    let fault = bus.faults().remove(0);
    let error = bus.shutdown(Drain::Complete).expect_err("it had failed");
    assert!(error.to_string().contains("cannot take 2"), "{error}");
    assert_eq!((fault.panics, fault.restarts, fault.skipped), (2, 1, 1));
    assert_eq!(error.report().consumer("fragile").map(|line| line.sequence.get()), Some(2));
}

/// Unwinds after the events, in a hook that belongs to none of them.
struct AtTheEnd {
    values: Vec<u64>,
    panics_left: u32,
}

impl Handler<Tick> for AtTheEnd {
    fn on_event(&mut self, event: &ArchivedTick, _: Sequence, _: bool) {
        self.values.push(event.value.to_native());
    }

    fn on_batch_end(&mut self, _: Sequence) {
        if let Some(left) = self.panics_left.checked_sub(1) {
            self.panics_left = left;
            panic!("not now");
        }
    }
}

#[test]
fn a_panic_outside_an_event_skips_none() {
    let mut builder = a_bus(8);
    let handler = AtTheEnd { values: Vec::new(), panics_left: 2 };
    builder.handler("fragile", handler).on_panic(OnPanic::Restart { max: 2 }).batch_events_max(1);
    let (mut producer, bus) = builder.start().expect("a sound bus");
    for value in 0..20 {
        producer.publish(&Tick { value }).expect("an open bus");
    }
    while bus.sequence("fragile").expect("a stage").get() < 20 {
        std::thread::yield_now();
    }
    let fault = bus.faults().remove(0);
    assert_eq!((fault.panics, fault.restarts, fault.skipped), (2, 2, 0));
    let mut report = bus.shutdown(Drain::Complete).expect("a clean end");
    assert!(report.take::<AtTheEnd>("fragile").expect("its handler").values.into_iter().eq(0..20));
}

#[test]
fn leaving_events_out_is_refused_where_somebody_counts_on_them() {
    for policy in [OnPanic::Detach, OnPanic::Restart { max: 1 }] {
        let mut builder = a_bus(8);
        builder.handler("book", Fragile::default()).on_panic(policy);
        builder.handler("behind", Fragile::default()).after(["book"]);
        let error = builder.start().expect_err("`behind` stands behind it");
        let text = error.to_string();
        assert!(matches!(&error, BuildError::Refused { stage, .. } if stage == "book"), "{text}");
        assert!(text.contains(&format!("on_panic({policy})")) && text.contains("behind it"));
    }
}

#[cfg(feature = "journal")]
mod journaled {
    use super::*;
    use common::Scratch;
    use tourbillon::{JournalOptions, Projected, Projection, Reactor, Schema};

    #[derive(Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Schema)]
    #[schema(name = "test.sum")]
    struct Sum {
        value: u64,
    }

    impl Projection for Sum {
        type Event = Tick;

        fn apply(&mut self, tick: &ArchivedTick, _: Sequence) {
            self.value += tick.value.to_native();
        }
    }

    struct Order;
    impl Reactor<Tick> for Order {
        fn react(&mut self, _: &ArchivedTick, _: Sequence) {}
    }

    #[test]
    fn leaving_events_out_is_refused_for_states_reactors_and_the_journal() {
        let scratch = Scratch::new("refused-policies");
        let mut builders = [a_bus(8), a_bus(8), a_bus(8)];
        let detach = OnPanic::Detach;
        builders[0].projection("sum", Projected::new(Sum::default())).on_panic(detach);
        builders[1].reactor("gateway", Order).behind(tourbillon::Journaled).on_panic(detach);
        builders[1].journal(scratch.path(), JournalOptions::default());
        builders[2].journal(scratch.path(), JournalOptions::default()).on_panic(detach);
        for (builder, name) in builders.into_iter().zip(["sum", "gateway", "journal"]) {
            let error = builder.start().expect_err("refused");
            let is_named = matches!(&error, BuildError::Refused { stage, .. } if stage == name);
            assert!(is_named, "{error}");
        }
        assert!(!scratch.path().exists(), "nothing was opened");
    }
}

/// A payload whose own drop panics: whoever drops it unwinds a second time.
struct Trap;

impl Drop for Trap {
    fn drop(&mut self) {
        panic!("the payload strikes again");
    }
}

#[test]
fn a_payload_that_panics_when_dropped_is_as_any_other() {
    for policy in [OnPanic::Halt, OnPanic::Detach, OnPanic::Restart { max: 1 }] {
        let mut builder = a_bus(4);
        builder
            .handler("fragile", |tick: &ArchivedTick, _: Sequence, _: bool| {
                if tick.value.to_native() == 2 {
                    std::panic::panic_any(Trap);
                }
            })
            .on_panic(policy);
        let (mut producer, bus) = builder.start().expect("a sound bus");
        let published = (0..20).try_for_each(|value| producer.publish(&Tick { value }).map(drop));
        let ended = bus.shutdown(Drain::Complete);
        if policy == OnPanic::Halt {
            let error = ended.expect_err("it had failed");
            assert_eq!(published, Err(PublishError::Closed));
            assert!(error.to_string().contains("`fragile` panicked: a panic without a text"));
        } else {
            assert_eq!(published, Ok(()));
            ended.expect("the policy asked for it");
        }
    }
}

#[test]
fn a_stop_hook_that_panics_is_the_error_of_the_shutdown_whatever_the_policy() {
    struct Sulking(mpsc::Sender<()>);
    impl Handler<Tick> for Sulking {
        fn on_event(&mut self, _: &ArchivedTick, _: Sequence, _: bool) {}
        fn on_stop(&mut self) {
            let _ = self.0.send(());
            std::panic::panic_any(Trap);
        }
    }
    for policy in [OnPanic::Halt, OnPanic::Detach, OnPanic::Restart { max: 9 }] {
        let (stopping, stops) = mpsc::channel();
        let mut builder = a_bus(4);
        builder.handler("sulking", Sulking(stopping)).on_panic(policy);
        builder.handler("fine", Fragile::default());
        let (mut producer, bus) = builder.start().expect("a sound bus");
        producer.publish(&Tick { value: 0 }).expect("room");
        let error = bus.shutdown(Drain::Complete).expect_err("it panicked");
        let ShutdownError::Failed { failure: Failure::Panicked { stage, .. }, report } = error
        else {
            panic!("another error: {error}");
        };
        assert_eq!(&*stage, "sulking");
        assert_eq!(report.consumer("sulking").map(|line| line.lag_events), Some(0));
        drop(report);
        assert_eq!(stops.iter().count(), 1, "asked once");
    }
}
