//! What several producers of one ring are promised, and the forms of publishing.

#![allow(clippy::disallowed_methods, reason = "what a forgotten claim costs is a subject here")]

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier};
use std::time::Duration;
use tourbillon::{
    Bus, Drain, Event, MultiProducer, Polled, Poller, PublishError, Sequence, WhenFull,
};

#[derive(Clone, Copy, rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.numbered", version = 1)]
struct Numbered {
    producer: u64,
    number: u64,
}

/// A ring for several producers, with one poller straight on it.
fn ring(
    capacity: usize,
    when_full: WhenFull,
) -> (MultiProducer<Numbered>, Poller<Numbered>, Bus<Numbered>) {
    let mut builder = Bus::builder(capacity);
    builder.when_full(when_full).poller("poller");
    let (producer, mut bus) = builder.start_multi().expect("a sound bus");
    let poller = bus.take_poller("poller").expect("built above");
    (producer, poller, bus)
}

fn event(number: u64) -> Numbered {
    Numbered { producer: 0, number }
}

/// What one poll after another gives: sequence and number.
fn drain(poller: &mut Poller<Numbered>) -> Vec<(u64, u64)> {
    let mut seen = Vec::new();
    while let Polled::Batch(mut batch) = poller.poll() {
        while let Some((event, sequence)) = batch.next() {
            seen.push((sequence.get(), event.number.to_native()));
        }
    }
    seen
}

#[test]
fn every_event_of_every_producer_arrives_once_and_in_its_producers_order() {
    const EACH: u64 = 20_000;
    const PRODUCERS: u64 = 4;
    let (first, mut poller, _bus) = ring(64, WhenFull::Yield(None));
    let start = Arc::new(Barrier::new(PRODUCERS as usize));
    let mut threads = Vec::new();
    for number in 0..PRODUCERS {
        let (mut producer, start) = (first.clone(), Arc::clone(&start));
        threads.push(std::thread::spawn(move || {
            start.wait();
            let mut sent = 0;
            while sent < EACH {
                // One by one, and now and then a batch.
                if sent % 16 == 0 && EACH - sent >= 5 {
                    let batch = (sent..sent + 5).map(|n| Numbered { producer: number, number: n });
                    let range = producer.publish_batch(batch.collect::<Vec<_>>()).expect("room");
                    assert_eq!(range.end.events_since(range.start), 5);
                    sent += 5;
                } else {
                    producer.publish(&Numbered { producer: number, number: sent }).expect("room");
                    sent += 1;
                }
            }
        }));
    }
    drop(first);
    let mut next_of = BTreeMap::new();
    let mut next_sequence = 0;
    while next_sequence < EACH * PRODUCERS {
        let Polled::Batch(mut batch) = poller.poll() else {
            std::thread::yield_now();
            continue;
        };
        while let Some((event, sequence)) = batch.next() {
            assert_eq!(sequence.get(), next_sequence);
            next_sequence += 1;
            let next = next_of.entry(event.producer.to_native()).or_insert(0);
            assert_eq!(event.number.to_native(), *next);
            *next += 1;
        }
    }
    threads.into_iter().for_each(|thread| thread.join().expect("a producer"));
    assert!(next_of.values().all(|next| *next == EACH), "{next_of:?}");
    assert!(matches!(poller.poll(), Polled::Idle));
}

#[test]
fn a_forgotten_claim_is_aborted_at_the_handles_next_claim() {
    let (mut producer, mut poller, bus) = ring(8, WhenFull::Fail);
    producer.publish(&event(0)).expect("room");
    std::mem::forget(producer.claim().expect("room"));
    assert_eq!(drain(&mut poller), [(0, 0)]);
    producer.publish(&event(2)).expect("room");
    assert_eq!(drain(&mut poller), [(2, 2)]);
    assert_eq!(bus.counters().aborted, 1);
}

#[test]
fn a_forgotten_batch_is_aborted_when_its_handle_is_dropped() {
    let (mut producer, mut poller, bus) = ring(8, WhenFull::Fail);
    let mut other = producer.clone();
    let mut batch = producer.claim_batch(3).expect("room");
    batch.write(&event(0)).expect("fits");
    std::mem::forget(batch);
    other.publish(&event(3)).expect("room");
    assert!(drain(&mut poller).is_empty(), "nobody passes a claim that may still be filled");
    drop(producer);
    assert_eq!(drain(&mut poller), [(3, 3)]);
    assert_eq!(bus.counters().aborted, 3);
}

#[test]
fn a_drain_that_a_leaked_claim_held_up_names_its_holder() {
    let mut builder = Bus::<Numbered>::builder(8);
    builder.handler("book", |_: &ArchivedNumbered, _: Sequence, _: bool| {});
    let (producer, bus) = builder.start_multi().expect("a sound bus");
    let (mut feed, mut other) = (producer.named("feed"), producer.named("other"));
    other.publish(&event(0)).expect("room");
    std::mem::forget(feed.claim().expect("room"));
    std::mem::forget(feed);
    other.publish(&event(2)).expect("room");
    while bus.sequence("book") < Some(Sequence::new(1)) {
        std::thread::yield_now();
    }
    let error = bus.shutdown(Drain::Deadline(Duration::from_millis(1))).expect_err("it waits");
    let [held] = &error.report().held_claims[..] else { panic!("{error}") };
    assert_eq!((held.sequence.get(), held.producer.as_deref()), (1, Some("feed")));
    assert_eq!(held.waiting, ["book".into()]);
    let text = error.to_string();
    assert!(text.contains("`book` by 2 events") && text.contains("claimed by `feed`"), "{text}");
}

#[test]
fn a_drain_that_ends_in_order_holds_no_claims() {
    let mut builder = Bus::<Numbered>::builder(8);
    builder.handler("book", |_: &ArchivedNumbered, _: Sequence, _: bool| {});
    let (mut producer, bus) = builder.start_multi().expect("a sound bus");
    producer.publish(&event(0)).expect("room");
    let report = bus.shutdown(Drain::Complete).expect("a clean end");
    assert_eq!(report.held_claims, []);
}

#[test]
fn a_claim_leaked_with_its_handle_is_named_to_whoever_asks_and_to_blocked_producers() {
    let (producer, mut poller, bus) = ring(4, WhenFull::Fail);
    let mut feed = producer.named("feed");
    let mut other = producer.named("other");
    other.publish(&event(0)).expect("room");
    assert_eq!(bus.held_claims(), []);
    std::mem::forget(feed.claim().expect("room"));
    std::mem::forget(feed);
    other.publish(&event(2)).expect("room");
    assert_eq!(drain(&mut poller), [(0, 0)]);

    let held = bus.held_claims();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].sequence, Sequence::new(1));
    assert_eq!(held[0].producer.as_deref(), Some("feed"));
    assert_eq!(held[0].waiting, ["poller".into()]);
    assert!(held[0].to_string().contains("sequence 1 is claimed by `feed`"), "{}", held[0]);

    other.publish_batch([event(3), event(4)]).expect("room");
    let Err(PublishError::Full(full)) = other.publish(&event(5)) else {
        panic!("the ring holds 1, 2, 3 and 4");
    };
    assert_eq!((&*full.gate, full.held_by.as_deref()), ("poller", Some("feed")));
    let late = other.within(Duration::from_millis(1)).publish(&event(5));
    assert!(late.expect_err("still full").to_string().contains("held by `feed`"));
    assert_eq!(bus.counters().stalls, 2);

    drop(poller);
    let shut = bus.shutdown(Drain::Deadline(Duration::ZERO)).expect("no stage of the bus lags");
    assert_eq!(shut.published, Sequence::new(5));
}

#[test]
fn nobody_wins_a_sequence_whose_slot_another_producer_still_fills() {
    let (mut slow, poller, bus) = ring(4, WhenFull::Fail);
    drop(poller); // no gate is left
    let mut fast = slow.clone();
    let slow_name = slow.name().to_owned();
    let claim = slow.claim().expect("room");
    fast.publish_batch([event(1), event(2), event(3)]).expect("room");
    let Err(PublishError::Full(full)) = fast.publish(&event(4)) else {
        panic!("sequence 4 lies in the slot of sequence 0, which is being filled");
    };
    assert_eq!((full.missing, &*full.gate), (1, "(nobody)"));
    assert_eq!(full.held_by.as_deref(), Some(slow_name.as_str()));
    // A newcomer cannot pass it either, and so does not open the way for the producer.
    let mut newcomer = bus.join("newcomer", tourbillon::From::Now).expect("a gate");
    assert_eq!(newcomer.sequence(), Sequence::ZERO);
    assert!(matches!(fast.publish(&event(4)), Err(PublishError::Full(_))));
    claim.write(&event(0)).expect("fits").publish();
    assert_eq!(drain(&mut newcomer), [(0, 0), (1, 1), (2, 2), (3, 3)]);
    fast.publish(&event(4)).expect("room");
}

#[test]
fn a_batch_that_unwinds_is_aborted_whole_and_the_others_go_on() {
    let (mut producer, mut poller, _bus) = ring(8, WhenFull::Fail);
    let mut other = producer.clone();
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let events = [0, 1, 2].map(Some).into_iter().map(|n| match n {
            Some(n) if n < 2 => event(n),
            _ => panic!("in the iterator"),
        });
        producer.publish_batch(events)
    }));
    assert!(unwound.is_err());
    other.publish(&event(3)).expect("room");
    assert_eq!(drain(&mut poller), [(3, 3)]);
}

#[test]
fn every_form_publishes_and_refuses_alike() {
    let (mut producer, mut poller, _bus) = ring(8, WhenFull::Fail);
    let patience = Duration::from_millis(1);
    producer.publish(&event(0)).expect("room");
    producer.publish_with(|sequence| event(sequence.get())).expect("room");
    producer.within(patience).publish(&event(2)).expect("room");
    producer.within(patience).publish_with(|sequence| event(sequence.get())).expect("room");
    producer.publish_batch([event(4)]).expect("room");
    producer.try_publish_batch([event(5)]).expect("room");
    producer.within(patience).publish_batch([event(6)]).expect("room");
    producer.try_publish_with(|sequence| event(sequence.get())).expect("room");
    let is_full = |refused: Result<_, PublishError>| {
        assert!(matches!(refused, Err(PublishError::Full(_))), "{refused:?}");
    };
    is_full(producer.try_publish(&event(8)));
    is_full(producer.try_publish_with(|_| event(8)));
    is_full(producer.try_claim().map(|claim| claim.sequence()));
    is_full(producer.try_claim_batch(1).map(|batch| batch.sequences().start));
    is_full(producer.try_publish_batch([event(8)]).map(|range| range.start));
    is_full(producer.within(patience).publish_with(|_| event(8)));
    is_full(producer.within(patience).claim().map(|claim| claim.sequence()));
    is_full(producer.within(patience).claim_batch(8).map(|batch| batch.sequences().start));
    is_full(producer.within(patience).publish_batch([event(8)]).map(|range| range.start));
    let too_large = producer.claim_batch(9).map(|batch| batch.sequences().start);
    assert_eq!(too_large, Err(PublishError::BatchTooLarge { events: 9, capacity: 8 }));
    assert_eq!(drain(&mut poller), (0..8).map(|n| (n, n)).collect::<Vec<_>>());
    let nothing: [Numbered; 0] = [];
    assert_eq!(producer.publish_batch(nothing), Ok(Sequence::new(8)..Sequence::new(8)));
}
