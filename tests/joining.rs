//! What consumers are promised that come and go while a bus runs, and groups that share work.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tourbillon::{
    Bus, Drain, Event, From, JoinError, Polled, Poller, Producer, PublishError, Sequence, Tap,
    Tapped, WhenFull,
};

#[derive(Clone, Copy, rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    key: u64,
    value: u64,
}

fn tick(value: u64) -> Tick {
    Tick { key: value % 7, value }
}

fn ring(capacity: usize) -> (Producer<Tick>, Bus<Tick>) {
    let mut builder = Bus::builder(capacity);
    builder.when_full(WhenFull::Fail);
    builder.start().expect("a sound bus")
}

fn publish(producer: &mut Producer<Tick>, values: std::ops::Range<u64>) {
    for value in values {
        producer.publish(&tick(value)).expect("room");
    }
}

fn drain(poller: &mut Poller<Tick>) -> Vec<u64> {
    let mut seen = Vec::new();
    while let Polled::Batch(mut batch) = poller.poll() {
        while let Some((tick, sequence)) = batch.next() {
            assert_eq!(tick.value.to_native(), sequence.get());
            seen.push(sequence.get());
        }
    }
    seen
}

#[test]
fn a_newcomer_from_now_sees_what_follows_and_gates() {
    let (mut producer, bus) = ring(8);
    publish(&mut producer, 0..100);
    let mut newcomer = bus.join("newcomer", From::Now).expect("a gate");
    assert_eq!(bus.lag("newcomer"), Some(0));
    publish(&mut producer, 100..108);
    assert_eq!(bus.lag("newcomer"), Some(8));
    let Err(PublishError::Full(full)) = producer.try_publish(&tick(108)) else {
        panic!("a newcomer is not lapped");
    };
    assert_eq!(&*full.gate, "newcomer");
    assert_eq!(drain(&mut newcomer), (100..108).collect::<Vec<_>>());
    drop(newcomer);
    assert_eq!(bus.lag("newcomer"), None);
    publish(&mut producer, 108..200);
}

#[test]
fn the_oldest_is_half_a_ring_back_at_least() {
    let (mut producer, bus) = ring(64);
    for published in 0..1_000 {
        let oldest = bus.join("newcomer", From::Oldest).expect("a gate").sequence().get();
        let kept = published - oldest;
        assert!(kept >= published.min(32) && kept <= 64, "{kept} of {published} events are left");
        publish(&mut producer, published..published + 1);
    }
}

#[test]
fn consumers_come_and_go_and_nobody_misses_an_event() {
    let (mut producer, bus) = ring(16);
    let mut stayer = bus.join("stayer", From::Now).expect("a gate");
    let mut next = 0;
    for round in 0..500 {
        let from = if round % 2 == 0 { From::Now } else { From::Oldest };
        let mut guest = bus.join("guest", from).expect("a gate that the last guest gave up");
        let first = guest.sequence().get();
        let mut seen = drain(&mut guest);
        publish(&mut producer, next..next + 11);
        next += 11;
        seen.extend(drain(&mut guest));
        assert_eq!(seen, (first..next).collect::<Vec<_>>());
        assert_eq!(drain(&mut stayer), (next - 11..next).collect::<Vec<_>>());
    }
}

/// What a tap gives until it is idle: sequences seen, sequences skipped.
fn tapped(tap: &mut Tap<Tick>) -> (Vec<u64>, u64) {
    let (mut seen, mut skipped) = (Vec::new(), 0);
    loop {
        match tap.poll() {
            Tapped::Event(tick, sequence) => {
                assert_eq!(tick.value.to_native(), sequence.get());
                seen.push(sequence.get());
            }
            Tapped::Lagged { skipped: more } => skipped += more,
            Tapped::Idle | Tapped::Closed => return (seen, skipped),
        }
    }
}

#[test]
fn a_tap_that_keeps_up_sees_everything_and_one_that_does_not_says_what_it_missed() {
    let (mut producer, bus) = ring(16);
    let mut quick = bus.tap("quick", From::Now, 4).expect("a gate");
    let mut slow = bus.tap("slow", From::Now, 4).expect("a gate");
    let (mut seen, mut missed) = (Vec::new(), 0);
    for round in 0..100 {
        publish(&mut producer, round * 3..round * 3 + 3);
        let (more, skipped) = tapped(&mut quick);
        seen.extend(more);
        missed += skipped;
    }
    // A lap may be announced while its oldest events are only just published.
    assert_eq!(seen.len() as u64 + missed, 300);
    assert!(seen.is_sorted() && seen.len() > 200, "{} seen", seen.len());
    let (late, skipped) = tapped(&mut slow);
    assert_eq!(late.len() as u64 + skipped, 300);
    assert_eq!(late, (skipped..300).collect::<Vec<_>>());
    assert!(late.len() >= 8, "half a ring is left: {late:?}");
}

#[test]
fn a_tap_holds_nobody_up_while_it_hands_out() {
    let (mut producer, bus) = ring(4);
    let mut tap = bus.tap("tap", From::Now, 4).expect("a gate");
    publish(&mut producer, 0..4);
    let Tapped::Event(tick, _) = tap.poll() else { panic!("four events are there") };
    publish(&mut producer, 4..40);
    assert_eq!(tick.value.to_native(), 0, "a copy outlives its slot");
    let (seen, skipped) = tapped(&mut tap);
    assert_eq!(seen[..3], [1, 2, 3]);
    assert_eq!(seen.len() as u64 + skipped, 39);
    assert!(matches!(bus.join("tap", From::Now), Err(JoinError::Duplicate { .. })));
}

#[test]
fn refusals_to_join_say_why() {
    let mut builder = Bus::<Tick>::builder(8);
    builder.poller("book");
    let (_producer, bus) = builder.start().expect("a sound bus");
    let refused = |name: &str| bus.join(name, From::Now).expect_err("refused");
    assert_eq!(refused("book"), JoinError::Duplicate { name: "book".to_owned() });
    let mut guests: Vec<_> = (0..31)
        .map(|number| bus.join(&format!("guest {number}"), From::Now).expect("a gate"))
        .collect();
    assert_eq!(refused("guest 30"), JoinError::Duplicate { name: "guest 30".to_owned() });
    assert_eq!(refused("one more"), JoinError::NoGate { gates: 32 });
    guests.pop();
    drop(bus.join("one more", From::Now).expect("the gate that was given up"));
    bus.halt();
    assert_eq!(refused("late"), JoinError::Closed);
}

#[test]
fn a_group_handles_each_event_once_and_each_key_in_order() {
    const EVENTS: u64 = 5_000;
    type Seen = Arc<Mutex<Vec<(usize, u64, u64)>>>;
    let seen = Seen::default();
    let mut builder = Bus::<Tick>::builder(64);
    builder.group(
        "workers",
        3,
        |tick: &ArchivedTick| tick.key.to_native(),
        |member| {
            let seen = Arc::clone(&seen);
            move |tick: &ArchivedTick, _: Sequence, _: bool| {
                let event = (member, tick.key.to_native(), tick.value.to_native());
                seen.lock().push(event);
            }
        },
        |stage| stage,
    );
    let handled = Arc::clone(&seen);
    builder
        .handler("behind", move |tick: &ArchivedTick, _: Sequence, _: bool| {
            let value = tick.value.to_native();
            let handled = handled.lock();
            let is_handled = handled.iter().rev().any(|(_, _, handled)| *handled == value);
            assert!(is_handled, "{value} was handled by nobody before");
        })
        .after(["workers"]);
    let (mut producer, bus) = builder.start().expect("a sound bus");
    for value in 0..EVENTS {
        producer.publish(&tick(value)).expect("room in time");
    }
    let report = bus.shutdown(Drain::Complete).expect("an orderly end");
    assert!(report.consumers.iter().all(|consumer| consumer.lag_events == 0));

    let seen = seen.lock();
    assert_eq!(seen.len() as u64, EVENTS);
    let mut members = BTreeMap::new();
    let mut last = BTreeMap::new();
    for (member, key, value) in seen.iter() {
        assert_eq!(members.entry(key).or_insert(member), &member, "a key has one member");
        if let Some(before) = last.insert(key, value) {
            assert!(before < value, "{value} of key {key} came after {before}");
        }
    }
    assert_eq!(members.len(), 7);
}
