//! Whoever sleeps until it is called is called: by a publish, by the stage ahead of it, by the waker
//! thread, by a halt. A call that is lost leaves a sleeper for ever, which loom reports as a
//! deadlock: no sleep of a model ends by itself.

use crate::{
    ArchivedTriple, Consumer, Marks, Triple, exhaust, explore, publish, publish_some, ring_that,
    skim,
};
use loom::thread;
use std::sync::{Arc, Mutex};
use tourbillon::{Bus, Producer, PublishError, Sequence, Wait, WhenFull, model};

const WAKER: Wait = Wait::Waker { period: std::time::Duration::MAX };

/// The duty cycle of `consumer`; handling the last of `events` halts the bus, so that the thread
/// ends without being woken once more.
fn cycle(
    bus: &Arc<Bus<Triple>>,
    consumer: Consumer,
    wait: Wait,
    events: u64,
) -> thread::JoinHandle<()> {
    let halting = Arc::clone(bus);
    let handler = move |event: &ArchivedTriple, sequence: Sequence, _end_of_batch: bool| {
        event.verify(sequence.get());
        if sequence.get() + 1 == events {
            halting.halt();
        }
    };
    let cycle = model::DutyCycle::new(bus, consumer.poller, wait, handler);
    thread::spawn(move || cycle.run())
}

/// A bus with stages that sleep as `wait` says.
fn asleep<const N: usize>(
    wait: &Wait,
    stages: [(&str, &[&str]); N],
) -> (Producer<Triple>, [Consumer; N], Arc<Bus<Triple>>) {
    let (producer, consumers, bus) = ring_that(wait.clone(), WhenFull::Fail, 2, stages);
    (producer, consumers, Arc::new(bus))
}

fn publish_all(producer: &mut Producer<Triple>, events: u64) {
    for _ in 0..events {
        publish(producer).expect("a free slot");
    }
}

#[test]
fn a_publish_wakes_who_sleeps() {
    exhaust("a_publish_wakes_who_sleeps", &[], |_| {
        let (mut producer, [consumer], bus) = asleep(&Wait::DirectWake, [("a", &[])]);
        let sleeper = cycle(&bus, consumer, Wait::DirectWake, 1);
        publish_all(&mut producer, 1);
        sleeper.join().expect("woken");
    });
}

#[test]
fn every_publish_wakes_who_sleeps() {
    explore("every_publish_wakes_who_sleeps", &[], |_| {
        let (mut producer, [consumer], bus) = asleep(&Wait::DirectWake, [("a", &[])]);
        let sleeper = cycle(&bus, consumer, Wait::DirectWake, 2);
        publish_all(&mut producer, 2);
        sleeper.join().expect("woken");
    });
}

#[test]
fn a_batch_wakes_who_sleeps() {
    explore("a_batch_wakes_who_sleeps", &[], |_| {
        let (mut producer, [consumer], bus) = asleep(&Wait::DirectWake, [("a", &[])]);
        let sleeper = cycle(&bus, consumer, Wait::DirectWake, 2);
        let batch = [Triple::of(0), Triple::of(1)];
        producer.publish_batch(batch).expect("a free ring");
        sleeper.join().expect("woken");
    });
}

#[test]
fn a_stage_wakes_the_stage_behind_it() {
    skim("a_stage_wakes_the_stage_behind_it", &[], |_| {
        let stages: [(&str, &[&str]); 2] = [("a", &[]), ("b", &["a"])];
        let (mut producer, [a, b], bus) = asleep(&Wait::DirectWake, stages);
        // Only the second one halts the bus, so the first cannot wake it by that.
        let ahead = cycle(&bus, a, Wait::DirectWake, u64::MAX);
        let behind = cycle(&bus, b, Wait::DirectWake, 1);
        publish_all(&mut producer, 1);
        behind.join().expect("woken");
        ahead.join().expect("woken");
    });
}

#[test]
fn two_stages_of_one_thread_both_handle_everything() {
    explore("two_stages_of_one_thread", &[], |_| {
        let stages: [(&str, &[&str]); 2] = [("a", &[]), ("b", &["a"])];
        let (mut producer, [a, b], bus) = asleep(&Wait::DirectWake, stages);
        let handled = Arc::new(Mutex::new(Vec::new()));
        let handler = |stage: &'static str| {
            let (handled, halting) = (Arc::clone(&handled), Arc::clone(&bus));
            move |event: &ArchivedTriple, sequence: Sequence, _end_of_batch: bool| {
                event.verify(sequence.get());
                handled.lock().expect("not poisoned").push((stage, sequence.get()));
                if (stage, sequence.get()) == ("b", 1) {
                    halting.halt();
                }
            }
        };
        let cycle = model::DutyCycle::new(&bus, a.poller, Wait::DirectWake, handler("a"));
        let cycle = cycle.and(b.poller, handler("b"));
        let sleeper = thread::spawn(move || cycle.run());
        publish_all(&mut producer, 2);
        sleeper.join().expect("woken");
        let handled = handled.lock().expect("not poisoned");
        let of = |stage| handled.iter().filter(move |seen| seen.0 == stage).map(|seen| seen.1);
        assert!(of("a").eq(0..2) && of("b").eq(0..2), "{handled:?}");
    });
}

#[test]
fn a_halt_wakes_who_sleeps_until_called() {
    explore("a_halt_wakes_who_sleeps_until_called", &[], |marks: &Marks| {
        let (mut producer, [consumer], bus) = asleep(&Wait::DirectWake, [("a", &[])]);
        let sleeper = cycle(&bus, consumer, Wait::DirectWake, u64::MAX);
        publish_some(&mut producer, 1, marks);
        bus.halt();
        sleeper.join().expect("woken");
    });
}

#[test]
fn a_halt_frees_a_producer_that_sleeps_at_a_full_ring() {
    exhaust("a_halt_frees_a_producer", &[], |_| {
        let park = WhenFull::Park(None);
        let (mut producer, [_stuck], bus) = ring_that(Wait::Auto, park, 2, [("a", &[])]);
        publish_all(&mut producer, 2);
        let writer = thread::spawn(move || producer.claim().err());
        bus.halt();
        let refusal = writer.join().expect("freed");
        assert_eq!(refusal, Some(PublishError::Closed));
    });
}

#[test]
fn the_waker_thread_wakes_who_sleeps() {
    explore("the_waker_thread_wakes_who_sleeps", &[], |_| {
        let (mut producer, [consumer], bus) = asleep(&WAKER, [("a", &[])]);
        let sleeper = cycle(&bus, consumer, WAKER, 1);
        let waker = model::WakerThread::new(&bus);
        let waker = thread::spawn(move || waker.run());
        publish_all(&mut producer, 1);
        sleeper.join().expect("woken");
        waker.join().expect("it saw the end");
    });
}
